"""Structured scaling: the authors' released code is the oracle (probmetrics 1.3.0)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from calibcli.core.calibrators import (
    Matrix,
    StructuredMatrix,
    StructuredVector,
    Temperature,
    calibrate,
)


def by_formula(n=600, k=4):
    """Scores and labels without a random number, the labels by another map of the scores."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, k + 1)[None, :]
    z = 4 * ((i * 0.6180339887498949 * j + 0.3 * j * j) % 1 - 0.5)
    weights = np.diag([0.5, 1.0, 1.5, 0.8]) + 0.25 * np.roll(np.eye(k), 1, axis=1)
    p = softmax(z @ weights.T + [0.4, 0.0, -0.6, 0.2], axis=1)
    draw = (np.arange(1, n + 1) * 0.7548776662466927) % 1
    label = (np.cumsum(p, axis=1) < draw[:, None]).sum(axis=1).clip(0, k - 1)
    return softmax(z, axis=1), label


def log_loss(p, y):
    return -np.mean(np.log(p[np.arange(len(y)), y]))


@pytest.mark.parametrize(
    ("kind", "released"), [(StructuredMatrix, 1.0666111), (StructuredVector, 1.0999322)]
)
def test_held_out_log_loss_is_that_of_the_authors_release(kind, released, row_source):
    p, y = by_formula()
    fitted = kind.fit(row_source(p[:400], y[:400], logits=False))
    held = calibrate(fitted, p[400:], logits=False)
    assert log_loss(held, y[400:]) == pytest.approx(released, abs=1e-4)


# Halves by numpy's default_rng(0).permutation, the first half fitted on: sms and svs.
RELEASED = {
    "wideresnet-16-4-cifar-10": (0.227212, 0.230608),
    "lenet-5-cifar-10": (1.282322, 1.291392),
}


@pytest.mark.parametrize("name", RELEASED)
def test_published_files_lose_what_the_authors_release_loses(name, shared_data, row_source):
    p = np.load(shared_data / f"cifar_netcal/{name}_probs.npy").astype(float)
    y = np.load(shared_data / f"cifar_netcal/{name}_labels.npy").astype(np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    fit, held = order[: len(y) // 2], order[len(y) // 2 :]
    for kind, released in zip((StructuredMatrix, StructuredVector), RELEASED[name], strict=True):
        fitted = kind.fit(row_source(p[fit], y[fit], logits=False))
        loss = log_loss(calibrate(fitted, p[held], logits=False), y[held])
        assert loss == pytest.approx(released, abs=1e-3)


def test_the_penalty_is_the_papers(row_source):
    p, y = by_formula(300)
    fitted = StructuredMatrix.fit(row_source(p, y, logits=False))
    n, k = 300, 4
    heat = softmax(np.log(p) / fitted.temperature, axis=1)
    u = np.log((1 - fitted.share) * heat + fitted.share / k)
    assert fitted.share == pytest.approx(1 / 301)

    def paper(theta):
        w, c = theta[:, :-1], theta[:, -1]
        away = w - np.eye(k)
        off = np.sum(away**2) - np.sum(np.diag(away) ** 2)
        ridge = k / n * (np.sum(np.diag(away) ** 2) + np.sum(c**2)) + k * (k - 1) / n * off
        return log_loss(softmax(u @ w.T + c, axis=1), y) + ridge

    for step in 1e-5 * np.eye(20).reshape(20, 4, 5):
        slope = (paper(fitted.theta + step) - paper(fitted.theta - step)) / 2e-5
        assert abs(slope) < 1e-7


def test_exact_zeros_decide_nothing(row_source):
    rng = np.random.default_rng(0)
    z = 5 * rng.standard_normal((3000, 5))
    y = (z / 2 + rng.gumbel(size=z.shape)).argmax(axis=1)
    p = softmax(z, axis=1)
    rounded = np.round(p, 2)
    rounded /= rounded.sum(axis=1, keepdims=True)
    fit, held = row_source(rounded[:2000], y[:2000], logits=False), rounded[2000:]
    losses = [
        log_loss(calibrate(kind.fit(fit), held, logits=False), y[2000:])
        for kind in (StructuredVector, Temperature)
    ]
    assert losses[0] < losses[1] + 0.01


def test_few_rows_stay_near_the_temperature_and_many_find_the_matrix(row_source):
    p, y = by_formula(60)
    source = row_source(p, y, logits=False)
    few, heat = StructuredMatrix.fit(source), Temperature.fit(source)
    assert np.abs(few.theta - np.hstack([np.eye(4), np.zeros((4, 1))])).max() < 0.3
    assert few.temperature == heat.temperature
    p, y = by_formula(30_000)
    many = row_source(p, y, logits=False)
    matrix = Matrix.fit(many, strength=1.0)
    structured = StructuredMatrix.fit(many)
    a, b = (log_loss(calibrate(one, p, logits=False), y) for one in (structured, matrix))
    assert a == pytest.approx(b, abs=2e-4)


def test_labels_that_the_scores_separate_end_at_a_bound(row_source):
    z = 5 * np.eye(3)[np.arange(30) % 3]
    fitted = StructuredMatrix.fit(row_source(z, np.arange(30) % 3))
    assert fitted.at_bound
    assert np.isfinite(fitted.apply(z)).all()
