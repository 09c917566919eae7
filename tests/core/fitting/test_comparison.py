from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.fitting.comparison import (
    clustered_errors,
    implied_ratio,
    independent_errors,
    one_standard_error,
)


def test_the_rule_takes_the_simplest_within_one_paired_standard_error():
    scores = np.array([0.30, 0.21, 0.20, 0.205])
    errors = np.full((4, 4), 0.02)
    np.fill_diagonal(errors, 0.0)
    names = ["a", "b", "c", "d"]
    assert one_standard_error(names, scores, errors, [0, 1, 2, 3]).chosen == "b"
    errors[:, 2] = errors[2] = [0.02, 0.005, 0.0, 0.01]
    assert one_standard_error(names, scores, errors, [0, 1, 2, 3]).chosen == "c"
    assert one_standard_error(names, scores, errors, [0, 1, 4, 3]).chosen == "d"


def test_independent_errors_equal_a_row_by_row_computation():
    rng = np.random.default_rng(0)
    losses, w = rng.random((50, 3)), rng.random(50)
    means = w @ losses / w.sum()
    heavy = w**2
    errors = independent_errors(
        (losses.T * heavy) @ losses, heavy @ losses, heavy.sum(), means, w.sum()
    )
    d = losses[:, 0] - losses[:, 2]
    expected = np.sqrt(np.sum(w**2 * (d - means[0] + means[2]) ** 2)) / w.sum()
    assert errors[0, 2] == pytest.approx(expected, rel=1e-10)


def test_clustered_errors_by_hand():
    rng = np.random.default_rng(1)
    d, size = rng.random((8, 2)), rng.integers(1, 9, 8).astype(float)
    means = d.sum(axis=0) / size.sum()
    errors = clustered_errors(np.column_stack([d, size]), means, size.sum())
    residual = (d[:, 0] - d[:, 1]) - size * (means[0] - means[1])
    assert errors[0, 1] == pytest.approx(np.sqrt(8 / 7 * residual @ residual) / size.sum())


def test_an_observed_error_counts_up_to_twice_the_implied_one():
    errors = np.array([[0.0, 0.1], [0.1, 0.0]])
    implied = np.array([[0.0, 0.09], [16.0, 0.0]])
    ratio = implied_ratio(implied, errors, 100.0)
    assert ratio == pytest.approx(np.array([[1.0, 2 * 0.003 / 0.1], [2 * 0.04 / 0.1, 1.0]]))
