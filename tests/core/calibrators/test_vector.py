from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from calibcli.core.calibrators import Temperature, Vector
from calibcli.errors import InputError


def drawn(n, w, c, seed=0):
    rng = np.random.default_rng(seed)
    z = 2 * rng.standard_normal((n, len(w)))
    return z, (z * w + c + rng.gumbel(size=z.shape)).argmax(axis=1)


def test_equals_a_general_minimiser_under_its_prior(row_source):
    z, y = drawn(800, [0.5, 1.0, 1.5], [0.3, 0.0, -0.6])

    def loss(theta):
        nll = -log_softmax(z * theta[:3] + theta[3:], axis=1)[np.arange(len(y)), y].sum()
        return nll + 0.5 * np.sum((theta[:3] - 1) ** 2) + 0.5 * np.sum(theta[3:] ** 2)

    oracle = minimize(loss, np.r_[np.ones(3), np.zeros(3)], method="BFGS", tol=1e-9)
    fitted = Vector.fit(row_source(z, y))
    assert np.r_[fitted.w, fitted.c] == pytest.approx(oracle.x, abs=1e-5)
    assert loss(np.r_[fitted.w, fitted.c]) <= oracle.fun + 1e-9


def test_a_known_map_is_recovered(row_source):
    w, c = np.array([0.5, 1.0, 1.5, 0.8]), np.array([0.4, 0.0, -0.5, 0.1])
    errors = []
    for seed in range(10):
        fitted = Vector.fit(row_source(*drawn(4000, w, c, seed)))
        errors.append(np.r_[fitted.w - w, (fitted.c - fitted.c.mean()) - (c - c.mean())])
    errors = np.array(errors)
    assert np.abs(errors.mean(axis=0)).max() < 4 * errors.std() / np.sqrt(10)
    assert errors.std() < 0.1


def test_weights_equal_repeated_rows_and_passes_are_few(row_source):
    z, y = drawn(300, [0.7, 1.2, 1.0], [0.0, 0.2, 0.0])
    w = np.random.default_rng(1).integers(0, 4, 300)
    weighted, repeated = row_source(z, y, w), row_source(np.repeat(z, w, axis=0), np.repeat(y, w))
    a, b = (Vector.fit(source) for source in (weighted, repeated))
    assert np.r_[a.w, a.c] == pytest.approx(np.r_[b.w, b.c], abs=1e-9)
    assert weighted.passes <= 9
    again = row_source(z, y, w)
    warm = Vector.fit(again, start=a)
    assert again.passes <= 2
    assert np.r_[a.w, a.c] == pytest.approx(np.r_[warm.w, warm.c], abs=1e-9)


def test_a_class_absent_from_the_labels_has_a_finite_low_intercept(row_source):
    z, y = drawn(2000, [1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    keep = y != 1
    fitted = Vector.fit(row_source(z[keep], y[keep]))
    assert np.isfinite(np.r_[fitted.w, fitted.c]).all()
    assert fitted.apply(z[keep])[:, 1].mean() < 0.02


def test_separable_constant_and_infinite_rows_are_finite(row_source):
    separable = Vector.fit(row_source(5 * np.eye(3)[np.arange(30) % 3], np.arange(30) % 3))
    assert np.isfinite(np.r_[separable.w, separable.c]).all()
    constant = Vector.fit(row_source(np.zeros((30, 3)), np.arange(30) % 2))
    assert constant.apply(np.zeros((1, 3)))[0] == pytest.approx([0.48, 0.48, 0.04], abs=0.02)
    z = np.array([[-np.inf, 0.0, 1.0], [np.inf, 0.0, 1.0], [0.3, 0.2, -np.inf]] * 9)
    infinite = Vector.fit(row_source(z, np.array([2, 0, 1] * 9)))
    assert np.isfinite(infinite.apply(z)).all()


def test_one_class_is_refused(row_source):
    with pytest.raises(InputError, match="label 1"):
        Vector.fit(row_source(np.eye(3), np.ones(3, dtype=int)))


def test_it_beats_a_temperature_where_classes_differ(row_source):
    z, y = drawn(6000, [0.4, 1.0, 1.6], [0.5, 0.0, -0.5])
    fresh, truth = drawn(6000, [0.4, 1.0, 1.6], [0.5, 0.0, -0.5], seed=1)
    losses = [
        -np.mean(np.log(m.fit(row_source(z, y)).apply(fresh)[np.arange(6000), truth]))
        for m in (Vector, Temperature)
    ]
    assert losses[0] < losses[1] - 0.01


def test_zeros_that_rounding_made_do_not_decide_the_fit(row_source):
    from calibcli.core.calibrators.classes.row_scores import clipped_log

    rng = np.random.default_rng(0)
    z = 4 * rng.standard_normal((6000, 4))
    y = (z / 2 + rng.gumbel(size=z.shape)).argmax(axis=1)
    p = softmax(z, axis=1)
    rounded = np.round(p, 3)
    rounded /= rounded.sum(axis=1, keepdims=True)
    losses = []
    for scores in (p, rounded):
        fitted = Vector.fit(row_source(scores, y, logits=False))
        q = fitted.apply(clipped_log(scores))
        losses.append(-np.mean(np.log(q[np.arange(6000), y])))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize("scale", [10.0, 300.0, 3000.0])
def test_logits_whose_probabilities_underflow_are_fitted_to_the_optimum(row_source, scale):
    rng = np.random.default_rng(0)
    z, y = scale * rng.standard_normal((200, 3)), np.arange(200) % 3
    fitted = Vector.fit(row_source(z, y))
    residual = softmax(z * fitted.w + fitted.c, axis=1)
    residual[np.arange(200), y] -= 1
    slope = np.r_[(residual * z).sum(axis=0) + fitted.w - 1, residual.sum(axis=0) + fitted.c]
    assert np.abs(slope).max() < 1e-6 * scale * 200
