from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.numeric.scales import EPS, clipped, expit, log_expit, log_softmax, logit, softmax

rows = st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=10)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=30))
def test_expit_equals_scipy(z: list[float]) -> None:
    assert np.allclose(expit(z), scipy.special.expit(z), rtol=4e-16, atol=0)
    assert np.allclose(log_expit(z), scipy.special.log_expit(z), rtol=1e-15, atol=0)


def test_expit_of_infinities_is_exact_and_silent() -> None:
    assert expit([-np.inf, -1e4, 0.0, 1e4, np.inf]).tolist() == [0, 0, 0.5, 1, 1]


@given(st.floats(EPS, 0.5))
def test_logit_equals_its_definition_and_is_odd(p: float) -> None:
    exact = math.log(p) - math.log1p(-p)
    assert math.isclose(float(logit(p)), exact, rel_tol=1e-14, abs_tol=2e-16)
    q = 1.0 - p
    assert float(logit(1.0 - q)) == -float(logit(q))


def test_logit_inverts_expit() -> None:
    z = np.linspace(-30, 30, 601)
    assert np.allclose(logit(expit(z)), z, rtol=0, atol=1e-2)  # 1 - 1e-13 has few digits left
    near = np.abs(z) <= 10
    assert np.allclose(logit(expit(z))[near], z[near], rtol=0, atol=1e-11)


def test_logit_clips_both_sides_alike() -> None:
    limit = math.log((1 - EPS) / EPS)
    assert logit([0.0, 1.0]) == pytest.approx([-limit, limit], rel=1e-15)
    assert logit(0.5) == 0.0


def test_logit_of_float32_is_that_of_its_float64_promotion() -> None:
    p = np.array([1e-30, 1e-8, 0.3, 1 - 6e-8, 1.0], dtype=np.float32)
    assert np.array_equal(logit(p), logit(p.astype(np.float64)))
    assert logit(np.float32(1e-8)).dtype == np.float64


def test_clipped_counts_what_logit_clips() -> None:
    assert clipped([0.0, 1e-16, 1e-14, 0.5, 1 - 1e-14, 1.0]) == 3


@given(rows)
def test_softmax_equals_scipy(z: list[list[float]]) -> None:
    assert np.allclose(softmax(z), scipy.special.softmax(z, axis=-1), rtol=1e-13, atol=0)
    assert np.allclose(log_softmax(z), scipy.special.log_softmax(z, axis=-1), atol=1e-13)


def test_softmax_of_infinite_logits() -> None:
    inf = math.inf
    z = [[0.0, -inf, 0.0], [inf, 3.0, -inf], [inf, inf, 0.0], [-inf, -inf, -inf]]
    expected = [[0.5, 0, 0.5], [1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3]
    assert softmax(z) == pytest.approx(np.array(expected), abs=1e-15)
    with np.errstate(divide="ignore"):
        assert log_softmax(z) == pytest.approx(np.log(expected), abs=1e-15)


def test_softmax_of_float32_is_that_of_its_float64_promotion() -> None:
    z = np.random.default_rng(0).normal(0, 5, (20, 4)).astype(np.float32)
    assert np.array_equal(softmax(z), softmax(z.astype(np.float64)))
