"""Figures without labels against the labels that were kept aside, and simulated coverage."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.comparison.prior import estimate
from calibcli.core.comparison.unlabelled import expected, prevalence
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

BINNING = Binning()


def by_label(rng, n, share, digits=None):
    y = rng.random(n) < share
    p = expit(rng.normal(np.where(y, 0.8, -0.8), 1.2))
    return ScoreStats.from_arrays(p if digits is None else np.round(p, digits), y)


def by_score(rng, n, mean):
    z = rng.normal(mean, 1.2, n)
    y = rng.random(n) < expit(0.7 * z + 0.2)
    return ScoreStats.from_arrays(expit(z), y)


@pytest.mark.parametrize(
    ("n", "m", "old", "new", "digits"),
    [(1000, 3000, 0.3, 0.1, None), (4000, 600, 0.05, 0.2, None), (2000, 2000, 0.3, 0.3, 1)],
)
def test_prevalence_is_held_under_label_shift(n, m, old, new, digits):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(120):
        guess = prevalence(by_label(rng, n, old, digits), by_label(rng, m, new, digits), 0.95)
        one = guess["estimated_prevalence"]
        found.append((one.value, one.low <= new <= one.high))
    value, held = np.mean(found, axis=0)
    assert value == pytest.approx(new, abs=0.012)
    assert held >= 0.89


def test_prevalence_agrees_with_em_on_calibrated_scores():
    rng = np.random.default_rng(1)
    y = rng.random(60_000) < 0.3
    z = rng.normal(np.where(y, 1.0, -1.0), 1.2)
    # The true posterior of these normal scores.
    p = expit(2 * z / 1.2**2 + np.log(0.3 / 0.7))
    rows = rng.random(60_000) < np.where(y, 0.9, 0.3)
    q = p[rows]
    em = estimate(q, np.ones(len(q)), 0.3)
    found = prevalence(
        ScoreStats.from_arrays(p, y), ScoreStats.from_arrays(q, np.zeros(len(q))), 0.95
    )["estimated_prevalence"]
    assert found.value == pytest.approx(float(em.value[0]), abs=0.006)
    assert found.value == pytest.approx(y[rows].mean(), abs=0.01)


def test_clusters_widen_the_interval_of_the_prevalence():
    rng = np.random.default_rng(2)
    reference = by_label(rng, 4000, 0.4)
    y = np.repeat(rng.random(200) < 0.2, 10)
    p = expit(rng.normal(np.where(y, 0.8, -0.8), 1.2))
    cluster = np.repeat(np.arange(200), 10)
    apart = prevalence(reference, ScoreStats.from_arrays(p, y), 0.95)["estimated_prevalence"]
    whole = prevalence(reference, ScoreStats.from_arrays(p, y, cluster=cluster), 0.95)
    wide = whole["estimated_prevalence"]
    assert wide.value == apart.value
    assert wide.high - wide.low > 1.5 * (apart.high - apart.low)


def test_expected_figures_are_held_where_only_the_scores_moved():
    z = np.random.default_rng(3).normal(1, 1.2, 400_000)
    p, f = expit(z), expit(0.7 * z + 0.2)
    home = np.clip(np.ceil(p * 15).astype(int) - 1, 0, 14)
    truth = {
        "expected_accuracy": np.where(p >= 0.5, f, 1 - f).mean(),
        "expected_brier": (f * (1 - p) ** 2 + (1 - f) * p**2).mean(),
        "expected_ece": np.abs(np.bincount(home, weights=f - p)).sum() / len(z),
    }
    rng = np.random.default_rng(4)
    held = dict.fromkeys(truth, 0.0)
    for _ in range(100):
        found = expected(
            by_score(rng, 4000, 0.0),
            by_score(rng, 800, 1.0),
            BINNING,
            threshold=0.5,
            confidence=0.95,
        )
        for name, value in truth.items():
            held[name] += found[name].low <= value <= found[name].high
    assert min(held.values()) >= 85
    assert min(held["expected_accuracy"], held["expected_brier"]) >= 88


def test_of_the_reference_itself_the_expected_is_the_actual():
    stats = by_score(np.random.default_rng(5), 5000, 0.3)
    found = expected(stats, stats, BINNING, threshold=0.5, confidence=None)
    for one in found.values():
        assert one.value == pytest.approx(one.reference, abs=0.004)
        assert one.low is None


def test_labels_of_the_current_rows_are_not_looked_at():
    stats = by_score(np.random.default_rng(6), 800, 0.0)
    other = by_score(np.random.default_rng(7), 500, 0.5)
    bare = ScoreStats.from_arrays(other.score, np.zeros(len(other.score)))
    for reading in (
        lambda s: expected(stats, s, BINNING, threshold=None, confidence=0.95),
        lambda s: prevalence(stats, s, 0.95),
    ):
        a, b = reading(other), reading(bare)
        for name in a:
            assert a[name].value == pytest.approx(b[name].value)
            assert a[name].low == pytest.approx(b[name].low)


def test_what_cannot_be_estimated_says_why():
    one_label = ScoreStats.from_arrays(np.array([0.1, 0.9]), np.zeros(2))
    fine = by_score(np.random.default_rng(8), 100, 0.0)
    assert "one label" in prevalence(one_label, fine, 0.95)["estimated_prevalence"].reason
    empty = ScoreStats.from_arrays(np.zeros(0), np.zeros(0))
    found = expected(fine, empty, BINNING, threshold=0.5, confidence=0.95)
    assert found["expected_ece"].reason == "no rows"
    flat = ScoreStats.from_arrays(np.full(10, 0.5), np.arange(10) % 2)
    assert "tell" in prevalence(flat, flat, 0.95)["estimated_prevalence"].reason
