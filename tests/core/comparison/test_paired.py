"""Against the textbook's paired DeLong test, per-row arithmetic, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.comparison.paired import CORP, SMOOTH, PairedSums, influences
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import ALL
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

NAMES = ("ece", *SMOOTH, *CORP)


def view(p, y, weight=None):
    return View(ScoreStats.from_arrays(p, y, weight), Binning("width", 10, "right"))


def sample(n, seed, noise=0.6, slope=1.5):
    rng = np.random.default_rng(seed)
    z = rng.normal(0.2, 1.5, n)
    y = (rng.random(n) < expit(z)).astype(np.int8)
    return expit(slope * z), expit(z + rng.normal(0, noise, n)), y


def paired(a, b, y, weight=None, counts=None):
    from calibcli.core.statistics.keys import probability_keys

    mass = weight if weight is not None else counts
    sums = PairedSums(len(NAMES))
    one, two = (influences(view(p, y, mass), NAMES) for p in (a, b))
    label = y.astype(bool)
    difference = two.at(probability_keys(b), label) - one.at(probability_keys(a), label)
    sums.add(difference, np.zeros(len(y), np.int64), weight=weight, counts=counts)
    return difference, dict(zip(NAMES, sums.errors(clustered=False), strict=True))


def delong(a, b, y):
    """Sun and Xu's structural components, with 1/m and 1/n in place of 1/(m-1), 1/(n-1)."""
    y = y.astype(bool)

    def components(p):
        wins = (p[y][:, None] > p[~y]) + 0.5 * (p[y][:, None] == p[~y])
        return wins.mean(axis=1), wins.mean(axis=0), wins.mean()

    v10a, v01a, auc_a = components(a)
    v10b, v01b, auc_b = components(b)
    spread = np.var(v10b - v10a) / y.sum() + np.var(v01b - v01a) / (~y).sum()
    return auc_b - auc_a, np.sqrt(spread)


def test_auc_is_the_paired_test_of_delong():
    a, b, y = sample(300, 1)
    a, b = np.round(a, 2), np.round(b, 2)
    difference, error = delong(a, b, y)
    assert ALL["auc"](view(b, y)) - ALL["auc"](view(a, y)) == pytest.approx(difference)
    assert paired(a, b, y)[1]["auc"] == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("name", ["brier", "nll", "mean_score"])
def test_means_have_the_standard_error_of_a_paired_mean(name):
    a, b, y = sample(200, 2)
    loss = {
        "brier": lambda p: (p - y) ** 2,
        "nll": lambda p: -np.log(np.where(y == 1, p, 1 - p)),
        "mean_score": lambda p: p,
    }[name]
    d = loss(b) - loss(a)
    assert paired(a, b, y)[1][name] == pytest.approx(d.std() / np.sqrt(len(d)), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CORP])
def test_influences_are_the_derivative_by_a_rows_weight(name):
    a, _, y = sample(120, 3)
    weight = np.ones(len(y))
    view_a = view(a, y, weight)
    from calibcli.core.statistics.keys import probability_keys

    found = influences(view_a, [name]).at(probability_keys(a), y.astype(bool))[:, 0]
    for row in range(0, len(y), 9):
        heavier = weight.copy()
        heavier[row] += 1e-5
        slope = (ALL[name](view(a, y, heavier)) - ALL[name](view_a)) / 1e-5
        assert found[row] == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_influences_sum_to_zero():
    a, b, y = sample(500, 4)
    np.testing.assert_allclose(paired(a, b, y)[0].sum(axis=0), 0, atol=1e-10)


def test_counts_are_identical_rows_and_weights_are_scale_free():
    a, b, y = sample(100, 5)
    counts = np.random.default_rng(0).integers(1, 5, 100)
    long = [np.repeat(v, counts) for v in (a, b, y)]
    one, two = paired(*long)[1], paired(a, b, y, counts=counts)[1]
    for name in NAMES:
        assert two[name] == pytest.approx(one[name], rel=1e-9)
    single, scaled = (paired(a, b, y, weight=w * counts.astype(float))[1] for w in (1.0, 7.0))
    for name in ("nll", "auc", "brier"):
        assert scaled[name] == pytest.approx(single[name], rel=1e-9)


def test_one_model_against_itself_has_no_error():
    a, _, y = sample(100, 6)
    assert all(error == 0 for error in paired(a, a, y)[1].values())


def test_clusters_of_one_row_agree_with_rows():
    a, b, y = sample(BUCKETS, 7)
    difference, errors = paired(a, b, y)
    sums = PairedSums(len(NAMES))
    sums.add(difference, np.arange(BUCKETS))
    factor = np.sqrt(BUCKETS / (BUCKETS - 1))
    np.testing.assert_allclose(
        sums.errors(clustered=True), factor * np.array(list(errors.values()))
    )


def test_parts_merge():
    a, b, y = sample(200, 8)
    difference, _ = paired(a, b, y)
    bucket = np.arange(200) % BUCKETS
    whole, left, right = (PairedSums(len(NAMES)) for _ in range(3))
    whole.add(difference, bucket)
    left.add(difference[:90], bucket[:90])
    right.add(difference[90:], bucket[90:])
    left.merge(right)
    for clustered in (False, True):
        np.testing.assert_allclose(
            left.errors(clustered=clustered), whole.errors(clustered=clustered)
        )


@pytest.mark.slow
def test_intervals_cover_the_true_difference():
    big = sample(400_000, 99)
    truth = {
        name: ALL[name](view(big[1], big[2])) - ALL[name](view(big[0], big[2])) for name in NAMES
    }
    runs, hits = 300, dict.fromkeys(NAMES, 0)
    for seed in range(runs):
        a, b, y = sample(400, seed)
        errors = paired(a, b, y)[1]
        one, two = view(a, y), view(b, y)
        for name in NAMES:
            value = ALL[name](two) - ALL[name](one)
            hits[name] += abs(value - truth[name]) <= 1.96 * errors[name]
    shares = {name: hits[name] / runs for name in NAMES}
    for name in ("nll", "brier", "auc", "average_precision", "mean_score"):
        assert 0.91 <= shares[name] <= 0.985, shares
