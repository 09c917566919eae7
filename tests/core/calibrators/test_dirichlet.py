from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression

from calibcli.core.calibrators import Dirichlet, Matrix, Temperature
from calibcli.core.calibrators.classes.dirichlet import odir
from calibcli.core.calibrators.classes.regression import minimise
from calibcli.core.calibrators.classes.regression_problem import (
    Problem,
    identity_map,
    logits_of,
)
from calibcli.errors import InputError


def drawn(n, theta, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, len(theta)))
    f = z @ theta[:, :-1].T + theta[:, -1]
    return z, (f + rng.gumbel(size=f.shape)).argmax(axis=1)


THETA = np.array([[1.0, 0.5, 0.0, 0.2], [-0.5, 0.8, 0.3, 0.0], [0.0, 0.0, 1.5, -0.4]])


def as_is(z):
    return z


def fit_affine(rows, penalty, centre=None):
    centre = identity_map(len(penalty)) if centre is None else centre
    return minimise(Problem(rows, as_is, penalty, centre), tolerance=1e-12)


def map_rows(z, theta):
    return softmax(logits_of(z, theta, diagonal=theta.shape[1] == 2), axis=1)


REGRESSION = "calibcli.core.calibrators.classes.regression"


def centred(theta):
    return theta - theta.mean(axis=0)


@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_ridge_form_equals_sklearns_multinomial_at_the_same_penalty(row_source, strength):
    z, y = drawn(900, THETA)
    penalty = np.full((3, 4), strength)
    penalty[:, -1] = 0.0
    theta = fit_affine(row_source(z, y), penalty, centre=np.zeros((3, 4)))
    oracle = LogisticRegression(C=1 / strength, tol=1e-12, max_iter=5000, solver="newton-cholesky")
    oracle.fit(z, y)
    assert theta[:, :-1] == pytest.approx(oracle.coef_, abs=1e-8)
    assert centred(theta)[:, -1] == pytest.approx(
        oracle.intercept_ - oracle.intercept_.mean(), abs=1e-8
    )


def test_many_classes_by_lbfgs_equal_newtons_method(row_source, monkeypatch):
    z, y = drawn(900, THETA)
    penalty = odir(3, 30.0)
    newton = fit_affine(row_source(z, y), penalty)
    for work in (1e12, 0.0):  # by blocks of the Hessian, by its diagonal
        monkeypatch.setattr(f"{REGRESSION}.NEWTON_PARAMETERS", 1)
        monkeypatch.setattr(f"{REGRESSION}.BLOCK_WORK", work)
        source = row_source(z, y)
        lbfgs = fit_affine(source, penalty)
        assert lbfgs == pytest.approx(newton, abs=1e-6)
        assert map_rows(z, lbfgs) == pytest.approx(map_rows(z, newton), abs=1e-6)
        assert source.passes < 40


def test_a_diagonal_by_lbfgs_equals_newtons_method(row_source, monkeypatch):
    z, y = drawn(900, THETA)
    penalty, centre = np.ones((3, 2)), identity_map(3, diagonal=True)
    newton = fit_affine(row_source(z, y), penalty, centre=centre)
    monkeypatch.setattr(f"{REGRESSION}.NEWTON_PARAMETERS", 1)
    source = row_source(z, y)
    assert fit_affine(source, penalty, centre=centre) == pytest.approx(newton, abs=1e-6)
    assert source.passes < 20


def test_labels_that_are_as_the_scores_say_pull_to_the_identity(row_source):
    z, y = drawn(400, THETA)
    p = softmax(z, axis=1)
    copies = np.repeat(z, 3, axis=0), np.tile(np.arange(3), 400), 0.5 * p.ravel()
    both = [np.concatenate(pair) for pair in zip((z, y, np.ones(400)), copies, strict=True)]
    centre = identity_map(3)
    explicit = fit_affine(row_source(*both), odir(3, 5.0))
    source = row_source(z, y)
    implied = minimise(Problem(source, as_is, odir(3, 5.0), centre, prior=0.5), tolerance=1e-12)
    assert implied == pytest.approx(explicit, abs=1e-6)


def test_the_gradient_vanishes_at_the_optimum_with_the_regularisation_of_the_paper(row_source):
    z, y = drawn(700, THETA, seed=2)
    strength = 25.0
    fitted = Matrix.fit(row_source(z, y), strength=strength)
    n, k = 700, 3
    lam, mu = strength * k * (k - 1) / (2 * n), k / (2 * n)

    def paper(theta):
        nll = -log_softmax(z @ theta[:, :-1].T + theta[:, -1], axis=1)[np.arange(n), y].mean()
        w, c = theta[:, :-1], theta[:, -1]
        off = w[~np.eye(k, dtype=bool)]
        diagonal = np.sum((np.diag(w) - 1) ** 2) / (2 * n)
        return nll + lam * np.mean(off**2) + mu * np.mean(c**2) + diagonal

    for step in 1e-5 * np.eye(12).reshape(12, 3, 4):
        slope = (paper(fitted.theta + step) - paper(fitted.theta - step)) / 2e-5
        assert abs(slope) < 1e-7


def test_a_strong_penalty_leaves_vector_scaling_and_a_weak_one_finds_the_map(row_source):
    z, y = drawn(20_000, THETA, seed=1)
    strong = Matrix.fit(row_source(z, y), strength=1e8)
    assert np.abs(strong.theta[:, :-1] - np.diag(np.diag(strong.theta[:, :-1]))).max() < 1e-3
    free = Matrix.fit(row_source(z, y))
    assert free.strength <= 100.0
    assert centred(free.theta) == pytest.approx(centred(THETA), abs=0.1)


def test_the_strength_is_large_where_classes_do_not_inform_each_other(row_source):
    rng = np.random.default_rng(0)
    z = 2 * rng.standard_normal((1500, 6))
    y = (z / 1.5 + rng.gumbel(size=z.shape)).argmax(axis=1)
    fitted = Dirichlet.fit(row_source(z, y))
    assert fitted.strength >= 100.0
    assert fitted.apply(z) == pytest.approx(Temperature(1.5).apply(z), abs=0.1)


def test_dirichlet_reads_log_probabilities_whatever_the_shift_of_the_logits(row_source):
    z, y = drawn(600, THETA)
    shifted = z + np.random.default_rng(0).standard_normal((600, 1))
    a, b = (Dirichlet.fit(row_source(v, y)) for v in (z, shifted))
    assert a.apply(z) == pytest.approx(b.apply(shifted), abs=1e-8)
    logs = np.log(softmax(z, axis=1))
    same = Matrix.fit(row_source(logs, y))
    assert same.apply(logs) == pytest.approx(a.apply(z), abs=1e-8)


def test_weights_equal_repeated_rows(row_source):
    z, y = drawn(300, THETA)
    w = np.random.default_rng(1).integers(0, 4, 300)
    repeated = row_source(np.repeat(z, w, axis=0), np.repeat(y, w))
    a = Dirichlet.fit(row_source(z, y, w), strength=5.0)
    b = Dirichlet.fit(repeated, strength=5.0)
    assert a.theta == pytest.approx(b.theta, abs=1e-8)


def test_degenerate_rows_are_finite(row_source):
    for z, y in (
        (5 * np.eye(3)[np.arange(30) % 3], np.arange(30) % 3),
        (-5 * np.eye(3)[np.arange(30) % 3], np.arange(30) % 3),
        (np.zeros((30, 3)), np.arange(30) % 2),
        (np.array([[-np.inf, 0.0, 1.0], [np.inf, 0.0, 1.0], [0.3, 0.2, -np.inf]] * 9),
         np.array([2, 0, 1] * 9)),
        (np.eye(3)[[0, 1, 2, 0, 1]], np.array([0, 1, 2, 1, 1])),
    ):  # fmt: skip
        for method in (Matrix, Dirichlet):
            fitted = method.fit(row_source(z, y))
            p = fitted.apply(z)
            assert np.isfinite(p).all()
            assert p.sum(axis=1) == pytest.approx(np.ones(len(p)))


def test_one_class_is_refused_at_any_number_of_classes(row_source):
    for k in (3, 14):
        with pytest.raises(InputError, match="label 1"):
            Dirichlet.fit(row_source(np.eye(k), np.ones(k, dtype=int)))


def test_published_rows_are_fitted_better_than_by_a_temperature(shared_data, row_source):
    p = np.load(shared_data / "cifar_netcal/lenet-5-cifar-10_probs.npy")
    y = np.load(shared_data / "cifar_netcal/lenet-5-cifar-10_labels.npy").astype(np.int64)
    z = np.log(p.astype(float))
    fit, held = np.arange(len(y)) % 2 == 0, np.arange(len(y)) % 2 == 1
    losses = [
        -np.mean(np.log(m.fit(row_source(z[fit], y[fit])).apply(z[held])
                        [np.arange(held.sum()), y[held]]))
        for m in (Dirichlet, Temperature)
    ]  # fmt: skip
    assert losses[0] < losses[1] - 0.005


def test_identity_map():
    z = np.random.default_rng(0).standard_normal((5, 4))
    assert map_rows(z, identity_map(4)) == pytest.approx(softmax(z, axis=1), rel=1e-14)
