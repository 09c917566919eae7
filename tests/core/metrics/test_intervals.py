"""Do 95% intervals hold the truth about 95% of the time? Simulations, and checks of their parts.

The truth of a scenario is the metric itself on a population: thousands of scores with the exact
probability of a label as weights. Seeds are fixed, so a failure is a change of the method, not
bad luck. The floors leave room for the error of a simulation of this size: at a true 95%,
fewer than 86% of 60 runs hold the truth three times in a thousand.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import beta, t

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats, buckets_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SMOOTH = (
    "prevalence",
    "mean_score",
    "brier",
    "brier_miscalibration",
    "brier_discrimination",
    "brier_uncertainty",
    "nll",
    "auc",
    "average_precision",
)
NORMS = ("ece", "ece_debiased", "mce", "ace", "smooth_ece", "ks", "kuiper")

# (shape of the Beta distribution of scores, probability of label 1 given the score)
SCENARIOS: dict[str, tuple[tuple[float, float], Callable[[Any], Any]]] = {
    "calibrated": ((1.0, 1.0), lambda p: p),
    "over-confident": ((1.0, 1.0), lambda p: expit(0.5 * logit(p))),
    "one bump": ((1.0, 1.0), lambda p: p - 0.15 * ((p > 0.8) & (p < 0.9))),
    "rare positives": ((0.3, 8.0), lambda p: p),
}


@cache
def population(scenario: str) -> dict[str, float]:
    """The value of each metric on the whole population."""
    shape, probability = SCENARIOS[scenario]
    score = beta.ppf((np.arange(50_000) + 0.5) / 50_000, *shape)
    score = np.maximum(score, 1e-300)
    share = probability(score)
    weight = np.stack([share, 1.0 - share], axis=1).ravel()
    labels = np.tile([1, 0], len(score))
    view = View(ScoreStats.from_arrays(np.repeat(score, 2), labels, weight), Binning())
    truth = {name: METRICS[name](view) for name in (*SMOOTH, *NORMS)}
    # A population has no noise to take off.
    truth["ece_debiased"] = float(np.sqrt(view.bins.weight @ view.bins.gap**2))
    return truth


def draw(
    scenario: str, rows: int, seed: int, *, size: int = 1, correlation: float = 0.0
) -> tuple[Any, Any, Any]:
    """Return scores, labels and clusters of `size` rows, whose labels go together.

    A Gaussian copula: each row alone has label 1 with exactly the probability of the scenario.
    """
    shape, probability = SCENARIOS[scenario]
    rng = np.random.default_rng(seed)
    score = rng.beta(*shape, rows)
    cluster = np.repeat(np.arange(rows // size), size)
    common = rng.normal(size=rows // size)[cluster]
    own = rng.normal(size=rows)
    level = ndtr(np.sqrt(correlation) * common + np.sqrt(1.0 - correlation) * own)
    return score, level < probability(score), cluster + 1_000_003 * seed


def coverage(
    scenario: str,
    names: Iterable[str],
    *,
    rows: int,
    runs: int,
    size: int = 1,
    correlation: float = 0.0,
    use_clusters: bool = False,
) -> dict[str, float]:
    """Return how often each interval holds the truth."""
    truth = population(scenario)
    hits = dict.fromkeys(names, 0)
    for seed in range(runs):
        score, label, cluster = draw(scenario, rows, seed, size=size, correlation=correlation)
        stats = ScoreStats.from_arrays(score, label, cluster=cluster if use_clusters else None)
        found = intervals.measure(View(stats, Binning()), seed=seed, names=list(hits))
        for name, (_, low, high, _) in found.items():
            assert low is not None
            assert high is not None
            hits[name] += low - 1e-12 <= truth[name] <= high + 1e-12
    return {name: count / runs for name, count in hits.items()}


def test_corp_of_scores_that_are_their_blocks_frequencies() -> None:
    """There the first-order influence is 0, and what is left is each block's own noise.

    n times the miscalibration is then the sum of f (1 - f) chi-squared of one degree of freedom
    over blocks, whose standard deviation is the root of the sum of 2 (f (1 - f))^2.
    """
    score = np.repeat([0.1, 0.5, 0.8], [40, 60, 100])
    label = np.concatenate(
        [np.arange(size) < ones for size, ones in ((40, 4), (60, 30), (100, 80))]
    )
    found = intervals.measure(
        View(ScoreStats.from_arrays(score, label), Binning()), names=["brier_miscalibration"]
    )
    value, low, high, _ = found["brier_miscalibration"]
    rows = np.array([40, 60, 100])
    share = (np.array([4, 30, 80]) + 0.5) / (rows + 1)  # half a row of each label more
    noise = share * (1 - share) / 200
    assert value == pytest.approx(0.0, abs=1e-12)
    assert low == 0.0
    reach = t.ppf(0.975, 199) * np.sqrt(2.0 * (noise**2).sum())
    assert high == pytest.approx(reach - 1.5 * noise.sum(), rel=1e-6)


# -- coverage --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_intervals_of_means_and_rankings_cover(scenario: str) -> None:
    found = coverage(scenario, SMOOTH, rows=800, runs=200)
    assert min(found.values()) >= 0.90, found


@pytest.mark.slow
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_intervals_of_calibration_errors_cover(scenario: str) -> None:
    found = coverage(scenario, NORMS, rows=1000, runs=60)
    assert min(found.values()) >= 0.86, found


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["calibrated", "over-confident"])
def test_intervals_of_clustered_rows_cover_only_with_their_clusters(scenario: str) -> None:
    options: dict[str, Any] = {"rows": 2000, "runs": 150, "size": 40, "correlation": 0.3}
    with_clusters = coverage(scenario, SMOOTH, use_clusters=True, **options)
    assert min(with_clusters.values()) >= 0.89, with_clusters
    without = coverage(scenario, SMOOTH, **options)
    assert without["prevalence"] <= 0.75
    assert without["brier_uncertainty"] <= 0.75
    assert without["average_precision"] <= 0.90


@pytest.mark.slow
def test_calibration_errors_of_clustered_rows_cover_only_with_their_clusters() -> None:
    options: dict[str, Any] = {"rows": 2000, "runs": 60, "size": 40, "correlation": 0.3}
    with_clusters = coverage("calibrated", NORMS, use_clusters=True, **options)
    assert min(with_clusters.values()) >= 0.86, with_clusters
    without = coverage("calibrated", NORMS, **options)
    for name in ("ece", "ace", "smooth_ece", "ks", "kuiper"):
        assert without[name] <= 0.87, without


def test_clusters_of_one_row_have_about_the_intervals_of_independent_rows() -> None:
    score, label, cluster = draw("over-confident", 4000, 0)
    apart = View(ScoreStats.from_arrays(score, label), Binning())
    ones = View(ScoreStats.from_arrays(score, label, cluster=cluster), Binning())
    for name in SMOOTH:
        ends = [bounds(view, [name])[name] for view in (apart, ones)]
        widths = [high - low for low, _, high in ends]
        assert widths[1] == pytest.approx(widths[0], rel=0.35), name


# -- gradients and variances -----------------------------------------------------------------------


def weighted_stats(score: Any, pos: Any, neg: Any) -> ScoreStats:
    labels = np.repeat([1, 0], len(score))
    return ScoreStats.from_arrays(np.tile(score, 2), labels, np.concatenate([pos, neg]))


@pytest.mark.parametrize("name", ["mean_score", "brier", "nll", "auc", "average_precision"])
def test_gradients_equal_finite_differences_of_counts(name: str) -> None:
    rng = np.random.default_rng(0)
    score = np.sort(rng.random(12))
    pos, neg = rng.integers(1, 6, (2, 12)).astype(float)
    view = View(weighted_stats(score, pos, neg), Binning())
    found = intervals.gradient(name, view, METRICS[name](view))
    step = 1e-5
    for side in (0, 1):
        for cell in range(12):
            ends = []
            for sign in (1, -1):
                counts = np.stack([pos, neg])
                counts[side, cell] += sign * step
                ends.append(METRICS[name](View(weighted_stats(score, *counts), Binning())))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert found[side][cell] == pytest.approx(slope, rel=1e-5, abs=1e-9)


def delong_variance(score: Any, label: Any) -> float:
    """DeLong, DeLong and Clarke-Pearson, 1988, with the placement of every row by a loop."""
    positives, negatives = score[label == 1], score[label == 0]
    placement_1 = [np.mean((negatives < s) + 0.5 * (negatives == s)) for s in positives]
    placement_0 = [np.mean((positives > s) + 0.5 * (positives == s)) for s in negatives]
    return float(
        np.var(placement_1) / len(positives) + np.var(placement_0) / len(negatives)
    )  # with n for n - 1


def test_the_variance_of_auc_is_delongs() -> None:
    score, label, _ = draw("over-confident", 300, 1)
    score = np.round(score, 2)  # with ties
    view = View(ScoreStats.from_arrays(score, label), Binning())
    slope = intervals.gradient("auc", view, METRICS["auc"](view))
    expected = delong_variance(score, label.astype(int))
    assert intervals.variance(view.stats, slope) == pytest.approx(expected, rel=1e-9)


def test_the_variance_of_a_mean_is_the_textbook_one() -> None:
    score, label, _ = draw("calibrated", 500, 2)
    view = View(ScoreStats.from_arrays(score, label), Binning())
    slope = intervals.gradient("brier", view, METRICS["brier"](view))
    expected = ((score - label) ** 2).var() / 500
    assert intervals.variance(view.stats, slope) == pytest.approx(expected, rel=1e-9)


def test_the_variance_of_a_mean_over_buckets_is_the_jackknifes() -> None:
    score, label, cluster = draw("calibrated", 2000, 3, size=20, correlation=0.5)
    stats = ScoreStats.from_arrays(score, label, cluster=cluster)
    view = View(stats, Binning())
    value = METRICS["brier"](view)
    bucket = np.unique(buckets_of(cluster), return_inverse=True)[1]
    losses = (score - label) ** 2
    left = np.array([losses[bucket != b].mean() for b in range(bucket.max() + 1)])
    expected = (1 - 1 / len(left)) * ((left - value) ** 2).sum()
    slope = intervals.gradient("brier", view, value)
    assert intervals.variance(stats, slope) == pytest.approx(expected, rel=1e-9)


# -- corners ---------------------------------------------------------------------------------------


def bounds(view: View, names: Iterable[str], **options: Any) -> dict[str, list[float]]:
    """Return [low, value, high] of metrics that all have an interval."""
    found = {}
    for name, (value, low, high, _) in intervals.measure(view, names=names, **options).items():
        assert value is not None
        assert low is not None
        assert high is not None
        found[name] = [low, value, high]
    return found


@pytest.mark.parametrize("clusters", [False, True])
@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_every_interval_has_a_width_and_stays_in_range(scenario: str, clusters: bool) -> None:
    score, label, cluster = draw(scenario, 400, 5, size=4)
    stats = ScoreStats.from_arrays(score, label, cluster=cluster if clusters else None)
    names = {*SMOOTH, *NORMS} - {"mce"}
    for name, (low, _, high) in bounds(View(stats, Binning()), names).items():
        assert 0.0 <= low < high, name
        assert high <= 1.0 or name == "nll", name


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_every_interval_holds_its_value(scenario: str) -> None:
    score, label, _ = draw(scenario, 400, 5)
    names = (*SMOOTH, "ece", "ece_debiased", "mce", "ace")
    found = bounds(View(ScoreStats.from_arrays(score, label), Binning()), names)
    for name, (low, value, high) in found.items():
        assert low <= value <= high, name


def test_intervals_of_running_sums_and_smoothed_errors_hold_their_value() -> None:
    for seed in range(20):
        score, label, _ = draw("calibrated", 400, seed)
        view = View(ScoreStats.from_arrays(score, label), Binning())
        for name, (low, value, high) in bounds(view, ("ks", "kuiper", "smooth_ece")).items():
            assert low <= value <= high, name


def test_a_gap_between_probabilities_is_at_most_1() -> None:
    for seed in range(20):
        score, label, _ = draw("rare positives", 400, seed)
        view = View(ScoreStats.from_arrays(score, label), Binning())
        assert bounds(view, ["mce"])["mce"][2] <= 1.0


def test_intervals_do_not_depend_on_the_scale_of_weights() -> None:
    score, label, _ = draw("over-confident", 500, 0)
    weight = np.random.default_rng(0).random(500)
    found = []
    for scale in (1e-3, 1.0, 1e3):
        view = View(ScoreStats.from_arrays(score, label, scale * weight), Binning())
        found.append(bounds(view, (*SMOOTH, *NORMS)))
    for name in (*SMOOTH, *NORMS):
        assert found[0][name] == pytest.approx(found[1][name], rel=1e-3), name
        assert found[2][name] == pytest.approx(found[1][name], rel=1e-3), name


def test_bins_of_a_few_clustered_rows_cover() -> None:
    options: dict[str, Any] = {"rows": 2000, "runs": 40, "size": 10, "correlation": 0.4}
    found = coverage("rare positives", ("mce", "ace"), use_clusters=True, **options)
    assert min(found.values()) >= 0.88, found


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_has_intervals_with_a_width(label: int) -> None:
    view = View(ScoreStats.from_arrays(np.linspace(0.05, 0.95, 30), [label] * 30), Binning())
    found = intervals.measure(view)
    for name in ("prevalence", "ece", "mce", "ks", "brier"):
        _, low, high, _ = found[name]
        assert low is not None
        assert high is not None
        assert high - low > 0.01, name
    assert found["auc"][0] is None
    assert found["auc"][3] == f"no row has label {1 - label}"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_perfect_ranking_is_not_certain(reverse: bool) -> None:
    score = np.concatenate([np.linspace(0.1, 0.4, 20), np.linspace(0.6, 0.9, 20)])
    label = np.repeat([0, 1], 20)
    view = View(ScoreStats.from_arrays(1 - score if reverse else score, label), Binning())
    value, low, high, _ = intervals.measure(view, names=["auc"])["auc"]
    assert value == (0.0 if reverse else 1.0)
    assert low is not None
    assert high is not None
    assert 0.03 < high - low < 0.3


def test_more_rows_narrow_every_interval() -> None:
    widths = []
    for rows in (300, 30_000):
        score, label, _ = draw("over-confident", rows, 0)
        found = bounds(View(ScoreStats.from_arrays(score, label), Binning()), (*SMOOTH, *NORMS))
        widths.append({name: high - low for name, (low, _, high) in found.items()})
    assert all(widths[1][name] < 0.4 * widths[0][name] for name in (*SMOOTH, *NORMS))


def test_more_confidence_widens_every_interval() -> None:
    score, label, _ = draw("over-confident", 500, 0)
    view = View(ScoreStats.from_arrays(score, label), Binning())
    levels = [bounds(view, (*SMOOTH, *NORMS), confidence=c) for c in (0.8, 0.95, 0.99)]
    for name in (*SMOOTH, *NORMS):
        lows, _, highs = zip(*(found[name] for found in levels), strict=True)
        assert list(lows) == sorted(lows, reverse=True), name
        assert list(highs) == sorted(highs), name


def test_the_same_seed_gives_the_same_interval() -> None:
    score, label, cluster = draw("one bump", 500, 0, size=5)
    for own in (None, cluster):
        view = View(ScoreStats.from_arrays(score, label, cluster=own), Binning())
        assert intervals.measure(view, seed=3) == intervals.measure(view, seed=3)


def test_no_confidence_no_intervals() -> None:
    view = View(ScoreStats.from_arrays([0.2, 0.7, 0.9], [0, 1, 0]), Binning())
    for _, low, high, _ in intervals.measure(view, confidence=None).values():
        assert low is None
        assert high is None
