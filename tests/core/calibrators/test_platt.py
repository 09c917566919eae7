from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import root
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from calibcli.core.calibrators import Platt
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def stats_of(z, y, w=None):
    return ScoreStats.from_arrays(z, y, w, logits=True)


def soft_loss(z, target, a, b):
    f = -(a * z + b)
    return np.sum(np.logaddexp(0, f) - target * f)


def test_published_example_of_lin_lin_and_weng():
    fitted = Platt.fit(stats_of([5.0, -4.0, 1.0], [1, 0, 0]))
    assert fitted.a == pytest.approx(-0.20261449, abs=5e-9)
    assert fitted.b == pytest.approx(0.65236664, abs=5e-9)


def test_the_gradient_with_soft_targets_vanishes_where_an_exact_solver_finds():
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal(500)
    y = rng.random(500) < expit(0.6 * z - 1)
    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))
    x = np.column_stack([z, np.ones_like(z)])
    oracle = root(lambda t: x.T @ (target - expit(-(x @ t))), [-1.0, 0.0], tol=1e-14).x
    fitted = Platt.fit(stats_of(z, y))
    assert [fitted.a, fitted.b] == pytest.approx(oracle, abs=1e-8)


def test_without_smoothing_it_is_logistic_regression():
    rng = np.random.default_rng(1)
    z = 3 * rng.standard_normal(800)
    y = rng.random(800) < expit(0.4 * z + 0.5)
    oracle = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000, solver="newton-cholesky")
    oracle.fit(z[:, None], y)
    fitted = Platt.fit(stats_of(z, y), smoothing=False)
    assert -fitted.a == pytest.approx(oracle.coef_[0, 0], rel=1e-8)
    assert -fitted.b == pytest.approx(oracle.intercept_[0], rel=1e-8)


def test_counts_are_rows():
    rng = np.random.default_rng(2)
    z, y, w = rng.standard_normal(60), rng.random(60) < 0.5, rng.integers(0, 5, 60)
    repeated = Platt.fit(stats_of(np.repeat(z, w), np.repeat(y, w)))
    fitted = Platt.fit(stats_of(z, y, w))
    assert [fitted.a, fitted.b] == pytest.approx([repeated.a, repeated.b], rel=1e-10)


def test_a_known_affine_map_is_recovered_within_its_standard_errors():
    scores = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        z = 2 * rng.standard_normal(3000)
        p = expit(0.7 * z - 0.8)
        fitted = Platt.fit(stats_of(z, rng.random(3000) < p))
        x = np.column_stack([z, np.ones_like(z)])
        covariance = np.linalg.inv((x.T * (p * (1 - p))) @ x)
        difference = np.array([-fitted.a - 0.7, -fitted.b + 0.8])
        scores.append(difference @ np.linalg.solve(covariance, difference))
    assert np.mean(scores) == pytest.approx(2.0, abs=3 * 2 / np.sqrt(30))  # chi-square, 2 df


def test_separable_labels_have_a_finite_slope():
    fitted = Platt.fit(stats_of([-2.0, -1.0, 1.0, 2.0], [0, 0, 1, 1]))
    assert np.isfinite([fitted.a, fitted.b]).all()
    p = fitted.apply(np.array([-2.0, 2.0]))
    # Soft targets 1/4 and 3/4 are what two rows a class allow.
    assert 0.1 < p[0] < 0.25
    assert 0.75 < p[1] < 0.9


def test_large_scores_do_not_overflow():
    z = np.array([600.0, -600.0, 300.0, -300.0, 1.0, -1.0] * 20)
    y = np.array([1, 0, 1, 0, 0, 1] * 20)
    fitted = Platt.fit(stats_of(z, y))
    assert np.isfinite([fitted.a, fitted.b]).all()
    target = np.where(y == 1, 61 / 62, 1 / 62)
    least = soft_loss(z, target, fitted.a, fitted.b)
    rng = np.random.default_rng(0)
    for a, b in rng.normal([fitted.a, fitted.b], [abs(fitted.a) / 3, 0.5], (200, 2)):
        assert soft_loss(z, target, a, b) >= least - 1e-9


def test_anti_correlated_scores_leave_a_note():
    fitted = Platt.fit(stats_of([2.0, 1.0, -1.0, -2.0] * 10, [0, 0, 1, 1] * 10))
    assert fitted.a > 0
    assert "slope is not positive" in fitted.notes[0]


def test_constant_scores_correct_the_level_and_keep_the_slope():
    y = np.array([1, 0, 0, 0, 0])
    fitted = Platt.fit(stats_of(np.full(5, 1.3), y))
    smoothed = (2 / 3 + 4 / 6) / 5
    assert fitted.a == -1.0
    assert fitted.apply(np.array([1.3]))[0] == pytest.approx(smoothed, rel=1e-12)
    assert "all scores are equal" in fitted.notes[0]


def test_five_rows_certain_scores_and_infinite_logits():
    stats = ScoreStats.from_arrays([0.0, 1.0, 1.0, 0.0, 0.4], [0, 1, 0, 1, 1])
    fitted = Platt.fit(stats)
    p = fitted.apply(np.array([-np.inf, -34.5, 0.0, 34.5, np.inf]))
    assert np.isfinite(p).all()
    assert (np.diff(p) >= 0).all() or (np.diff(p) <= 0).all()
    flat = Platt(0.0, 0.0).apply(np.array([-np.inf, np.inf]))
    assert flat.tolist() == [0.5, 0.5]


def test_one_class_is_refused():
    with pytest.raises(InputError, match="label 0"):
        Platt.fit(stats_of([1.0, 2.0], [0, 0]))


@pytest.mark.parametrize(
    ("z", "y"),
    [
        ([3.0, 3.0, 3.0, 6.0], [0, 0, 1, 0]),
        ([6.0, 12.0, 12.0, 12.0], [0, 0, 0, 1]),
        ([0.0, 32.0], [1, 0]),
        ([600.0, 610.0, 620.0, 640.0], [1, 0, 1, 0]),
        ([-500.0, 0.1, 0.2, 500.0], [1, 0, 1, 0]),
    ],
)
def test_saturated_scores_do_not_stop_the_search_short(z, y):
    """Where curvature vanishes and the gradient does not, a plain Newton step goes nowhere."""
    z, y = np.array(z), np.array(y, dtype=bool)
    fitted = Platt.fit(stats_of(z, y))
    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))
    residual = expit(-(fitted.a * z + fitted.b)) - target
    assert abs(residual.sum()) < 1e-7
    assert abs(residual @ z) < 1e-7 * np.abs(z).sum()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=2, max_size=30),
    st.floats(-1, 1),
    st.floats(-3, 3),
)
def test_no_other_line_is_better(pairs, slope, shift):
    z, y = (np.array(column) for column in zip(*pairs, strict=True))
    if y.all() or not y.any():
        return
    fitted = Platt.fit(stats_of(z, y))
    target = np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))
    least = soft_loss(z, target, fitted.a, fitted.b)
    assert least <= soft_loss(z, target, slope, shift) + 1e-9
    if not fitted.notes:
        for scale in (1 - 1e-3, 1 + 1e-3):
            assert least <= soft_loss(z, target, fitted.a * scale, fitted.b) + 1e-9
