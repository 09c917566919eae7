from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, root
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from calibcli.core.calibrators import Beta
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError


def features(z):
    return np.column_stack([-np.logaddexp(0, -z), np.logaddexp(0, z)])


def dump(n, a, b, c, seed=0):
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal(n)
    return z, rng.random(n) < expit(features(z) @ [a, b] + c)


def loss(theta, z, target):
    f = features(z) @ theta[:2] + theta[2]
    return np.sum(np.logaddexp(0, f) - target * f)


def targets(y):
    return np.where(y, (y.sum() + 1) / (y.sum() + 2), 1 / ((~y).sum() + 2))


def test_inside_the_constraints_it_is_logistic_regression_on_two_logarithms():
    z, y = dump(3000, 1.5, 0.6, -0.4)
    oracle = LogisticRegression(C=np.inf, tol=1e-13, max_iter=1000, solver="newton-cholesky")
    oracle.fit(features(z), y)
    fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True))
    assert [fitted.a, fitted.b] == pytest.approx(oracle.coef_[0], rel=1e-7)
    assert fitted.c == pytest.approx(oracle.intercept_[0], rel=1e-7)


def test_with_soft_targets_it_equals_an_exact_solver():
    z, y = dump(3000, 1.5, 0.6, -0.4)
    x = np.column_stack([features(z), np.ones_like(z)])
    target = targets(y)
    oracle = root(lambda t: x.T @ (expit(x @ t) - target), [1.0, 1.0, 0.0], tol=1e-14)
    fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True), smoothing=True)
    assert [fitted.a, fitted.b, fitted.c] == pytest.approx(oracle.x, abs=1e-8)


@pytest.mark.parametrize(
    "truth", [(-0.5, 1.5, 0.0), (1.5, -0.5, 0.0), (-1.0, -1.0, 0.3), (0.2, -1.0, 0.0)]
)
def test_on_a_constraint_it_equals_a_bounded_minimiser(truth):
    z, y = dump(1500, *truth, seed=3)
    target = targets(y)
    oracle = minimize(
        loss, [0.5, 0.5, 0.0], (z, target), "L-BFGS-B", bounds=[(0, None), (0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True), smoothing=True)
    assert min(fitted.a, fitted.b) == 0.0
    theta = np.array([fitted.a, fitted.b, fitted.c])
    assert loss(theta, z, target) <= oracle.fun * (1 + 1e-10)
    assert theta == pytest.approx(oracle.x, abs=1e-3)


def test_a_known_map_is_recovered_within_its_standard_errors():
    truth = np.array([1.3, 0.7, 0.2])
    scores = []
    for seed in range(30):
        z, y = dump(4000, *truth, seed=seed)
        x = np.column_stack([features(z), np.ones_like(z)])
        p = expit(x @ truth)
        information = (x.T * (p * (1 - p))) @ x
        fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True))
        difference = np.array([fitted.a, fitted.b, fitted.c]) - truth
        scores.append(difference @ information @ difference)
    assert np.mean(scores) == pytest.approx(3.0, abs=3 * np.sqrt(6 / 30))  # chi-square, 3 df


def test_identity_is_a_and_b_of_one():
    z = np.linspace(-30, 30, 101)
    assert Beta(1.0, 1.0, 0.0).apply(z) == pytest.approx(expit(z), rel=1e-14)


def test_weights_equal_repeated_rows():
    z, y = dump(80, 1.2, 0.8, 0.0, seed=5)
    w = np.random.default_rng(5).integers(0, 4, 80)
    a = Beta.fit(ScoreStats.from_arrays(z, y, w, logits=True))
    b = Beta.fit(ScoreStats.from_arrays(np.repeat(z, w), np.repeat(y, w), logits=True))
    assert [a.a, a.b, a.c] == pytest.approx([b.a, b.b, b.c], rel=1e-8)


def test_degenerate_input_has_a_clear_outcome():
    backwards = Beta.fit(ScoreStats.from_arrays([0.1, 0.2, 0.8, 0.9] * 9, [1, 1, 0, 0] * 9))
    assert (backwards.a, backwards.b) == (0.0, 0.0)
    assert "constant" in backwards.notes[0]
    same = Beta.fit(ScoreStats.from_arrays([0.7] * 5, [0, 1, 0, 1, 0]))
    assert (same.a, same.b) == (1.0, 1.0)
    assert "all scores are equal" in same.notes[0]
    stats = ScoreStats.from_arrays([0.1, 0.2, 0.8, 0.9] * 9, [0, 0, 1, 1] * 9)
    separable = Beta.fit(stats)
    assert "separate" in separable.notes[0]
    assert separable.to_dict() == {
        **Beta.fit(stats, smoothing=True).to_dict(),
        "notes": list(separable.notes),
    }
    with pytest.raises(InputError):
        Beta.fit(ScoreStats.from_arrays([0.1, 0.2], [0, 0]))


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0])
def test_saturated_scores_do_not_stop_the_search_short(scale):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        z, y = scale * rng.standard_normal(8), np.arange(8) % 2 == 0
        fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True), smoothing=True)
        x = np.column_stack([features(z), np.ones(8)])
        theta = np.array([fitted.a, fitted.b, fitted.c])
        slope = x.T @ (expit(x @ theta) - targets(y)) / np.sqrt(np.mean(x**2, axis=0))
        free = np.append(theta[:2] > 0, True)
        assert np.abs(slope[free]).max() < 1e-6
        assert (slope[~free] > -1e-6).all()


@given(st.lists(st.tuples(st.floats(-40, 40), st.booleans()), min_size=2, max_size=40))
def test_the_map_never_decreases_and_no_face_is_better(pairs):
    z, y = (np.array(column) for column in zip(*pairs, strict=True))
    if y.all() or not y.any():
        return
    fitted = Beta.fit(ScoreStats.from_arrays(z, y, logits=True), smoothing=True)
    assert min(fitted.a, fitted.b) >= 0
    # exp itself may round down by a unit in the last place.
    assert (np.diff(fitted.apply(np.linspace(-50, 50, 501))) >= -1e-15).all()
    theta, target = np.array([fitted.a, fitted.b, fitted.c]), targets(y)
    least = loss(theta, z, target)
    for step in 0.01 * np.vstack([np.eye(3), -np.eye(3)]):
        other = theta + step
        if not fitted.notes and (other[:2] >= 0).all():
            assert least <= loss(other, z, target) + 1e-7


# Each by betacal 1.1.0, which stops its search early: a, b, and the map at .1, .5 and .9.
BETACAL = {
    "steep": (1.9246076, 0.8027762, [0.01540052, 0.35699371, 0.86233738]),
    "flat": (0.3815394, 0.0892971, [0.22496872, 0.36114672, 0.44956989]),
}


@pytest.mark.parametrize("name", BETACAL)
def test_the_default_is_maximum_likelihood_as_the_authors_released_it(name):
    i = np.arange(1, 201)
    p = np.round(i * 0.6180339887 % 1 * 0.98 + 0.01, 3)
    steep = expit(2 * np.log(p) - 0.6 * np.log(1 - p) + 0.4)
    y = i * 0.7548776662 % 1 < (steep if name == "steep" else 0.2 + 0.3 * p)
    fitted = Beta.fit(ScoreStats.from_arrays(p, y))
    a, b, curve = BETACAL[name]
    assert (fitted.a, fitted.b) == pytest.approx((a, b), abs=6e-3)
    at = np.array([0.1, 0.5, 0.9])
    assert fitted.apply(np.log(at / (1 - at))) == pytest.approx(curve, abs=2e-4)
    assert fitted.notes == ()
