"""Intervals hold where few clusters hold most rows, and where few rows hold most weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr

from benchmarks.coverage import PAIRS, of_world
from benchmarks.worlds import WORLDS
from benchmarks.worlds_of_classes import WORLDS_OF_CLASSES
from calibcli.core.metrics import gradients
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.intervals import measure
from calibcli.core.metrics.registry import METRICS
from calibcli.core.metrics.spread import spread_of
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats, buckets_of

DRAWS = 200
LEAST = 0.95 - 3.0 * (0.95 * 0.05 / DRAWS) ** 0.5
FIGURES = ("mean_score", "brier", "brier_discrimination", "nll")


def over_confident(score: Any) -> Any:
    return expit(0.5 * logit(score))


def truth() -> dict[str, float]:
    score = (np.arange(50_000) + 0.5) / 50_000
    share = over_confident(score)
    weight = np.stack([share, 1.0 - share], axis=1).ravel()
    stats = ScoreStats.from_arrays(np.repeat(score, 2), np.tile([1, 0], len(score)), weight)
    view = View(stats, Binning())
    return {name: METRICS[name](view) for name in FIGURES}


def clustered(rng: Any, clusters: int) -> ScoreStats:
    """Clusters of Pareto's sizes, whose rows go together in scores and in labels."""
    sizes = np.minimum(np.ceil(3.0 * rng.random(clusters) ** (-1.0 / 1.5)), 200).astype(int)
    home = np.repeat(np.arange(clusters), sizes)
    score, label = (
        ndtr(0.55 * rng.standard_normal(clusters)[home] + 0.835 * rng.standard_normal(len(home)))
        for _ in range(2)
    )
    cluster = rng.integers(0, 1 << 62, clusters)[home]
    return ScoreStats.from_arrays(score, label < over_confident(score), cluster=cluster)


def weighted(rng: Any, rows: int) -> ScoreStats:
    """Of the negatives one in twenty was kept, with that weight; and weights are uneven besides."""
    score = rng.random(rows)
    label = rng.random(rows) < over_confident(score)
    kept = label | (rng.random(rows) < 0.05)
    weight = np.where(label, 1.0, 20.0) * rng.lognormal(0.0, 0.8, rows)
    return ScoreStats.from_arrays(score[kept], label[kept], weight[kept])


def copied(rng: Any, rows: int) -> ScoreStats:
    """Each row ten times: a cluster of copies."""
    score = np.repeat(rng.random(rows), 10)
    label = np.repeat(rng.random(rows), 10) < over_confident(score)
    cluster = np.repeat(rng.integers(0, 1 << 62, rows), 10)
    return ScoreStats.from_arrays(score, label, cluster=cluster)


@pytest.mark.parametrize(
    ("draw", "units"), [(clustered, 8), (clustered, 20), (weighted, 1000), (copied, 200)]
)
def test_intervals_of_uneven_units_cover(draw: Any, units: int) -> None:
    rng, known = np.random.default_rng(1), truth()
    held = dict.fromkeys(FIGURES, 0)
    for _ in range(DRAWS):
        found = measure(View(draw(rng, units), Binning()), seed=0, names=FIGURES)
        for name in FIGURES:
            _, low, high, _ = found[name]
            assert low is not None
            assert high is not None
            held[name] += low <= known[name] <= high
    assert all(one >= LEAST * DRAWS for one in held.values()), held


def test_the_tail_of_copies_is_that_of_their_rows() -> None:
    rng = np.random.default_rng(2)
    score = rng.random(40) ** 3
    label = rng.random(40) < score
    cluster = np.unique(buckets_of(np.arange(1000)), return_index=True)[1][:40]
    single, copies = (
        ScoreStats.from_arrays(*(np.repeat(one, m) for one in (score, label)),
                               cluster=np.repeat(cluster, m))
        for m in (1, 7)
    )  # fmt: skip

    def skewness(stats: ScoreStats) -> float:
        view = View(stats, Binning())
        value = METRICS["brier"](view)
        spread = spread_of(stats, gradients.brier(view, value))
        return float(spread.third / spread.variance**1.5)

    assert skewness(copies) == pytest.approx(skewness(single), rel=1e-9)


def test_the_tail_of_weighted_rows_does_not_turn_with_the_heaviest() -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(0.5, 5.0, 300)
    label = rng.random(300) < score
    weight = rng.lognormal(0.0, 0.5, 300)

    def third(heaviest: int) -> float:
        own = weight.copy()
        own[heaviest] = 40.0
        stats = ScoreStats.from_arrays(score, label, own)
        view = View(stats, Binning())
        value = METRICS["mean_score"](view)
        return float(spread_of(stats, gradients.mean_score(view, value)).third)

    low, high = int(np.argmin(score)), int(np.argsort(score)[200])
    assert third(low) > 0.0
    assert third(high) > 0.0


def test_the_coverage_table_can_be_made() -> None:
    counts = of_world(2, 0, WORLDS["8 clusters of 50, honest"])
    assert set(counts) == set(PAIRS)
    assert all(0 <= held <= defined == 2 for held, defined, _ in counts.values())
    counts = of_world(2, 0, WORLDS_OF_CLASSES["3 classes, honest, 200"])
    assert counts["classwise_ece"][1] == counts["average_precision"][1] == 2


def test_the_rounding_of_weights_is_no_variance() -> None:
    """A perfect ranking has none: the same interval whatever the last digits of weights are."""
    rng = np.random.default_rng(5)
    score, label = np.linspace(0.1, 0.9, 13), np.arange(13) >= 10
    found = []
    for _ in range(40):
        weight = np.round(rng.lognormal(0.0, 0.7, 13), 3)
        for unit in (1.0, 7.3):
            view = View(ScoreStats.from_arrays(score, label, weight * unit), Binning())
            found.append(measure(view, seed=0, names=("average_precision",))["average_precision"])
    pairs = zip(found[::2], found[1::2], strict=True)
    assert all(one[1] == pytest.approx(other[1], rel=1e-9) for one, other in pairs)
