from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from calibcli.core.calibrators.composed.pooling import linear_pool, log_pool, log_pool_rows

PROBABILITY = st.floats(1e-6, 1 - 1e-6)


@given(PROBABILITY, PROBABILITY, st.floats(0, 1))
def test_log_pool_is_the_mean_of_logits(a, b, w):
    found = log_pool((np.array([a]), np.array([b])), (w, 1 - w))
    assert found[0] == pytest.approx(expit(w * logit(a) + (1 - w) * logit(b)), rel=1e-9)


@given(PROBABILITY, PROBABILITY, st.floats(0, 1))
def test_log_pool_of_two_class_rows_is_the_binary_one(a, b, w):
    rows = [np.array([[1 - p, p]]) for p in (a, b)]
    binary = log_pool((np.array([a]), np.array([b])), (w, 1 - w))
    assert log_pool_rows(rows, (w, 1 - w))[0, 1] == pytest.approx(binary[0], rel=1e-9)


def test_rows_sum_to_one_also_with_zeros():
    rows = [np.array([[0.0, 0.5, 0.5]]), np.array([[0.2, 0.0, 0.8]])]
    pooled = log_pool_rows(rows, (0.5, 0.5))
    assert pooled.sum() == pytest.approx(1.0)
    assert pooled.argmax() == 2


def test_linear_pool_is_the_weighted_mean():
    parts = [np.array([0.1, 0.9]), np.array([0.3, 0.5])]
    assert linear_pool(parts, (0.25, 0.75)) == pytest.approx([0.25, 0.6])


def test_weights_may_differ_by_column():
    own, overall = np.array([[0.9, 0.9]]), np.array([[0.2, 0.2]])
    weights = np.array([1.0, 0.0])
    assert log_pool((own, overall), (weights, 1 - weights)) == pytest.approx(np.array([[0.9, 0.2]]))
