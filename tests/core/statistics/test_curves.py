from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from sklearn.metrics import roc_curve

from calibcli.core.numeric.scales import logit
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.curves import Binning, pav, reliability, threshold_curve
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import UsageError

edge_scores = st.integers(0, 30).map(lambda i: i / 30)
rows = st.lists(
    st.tuples(edge_scores | st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60
)


def of_rows(data: list[Any], **options: Any) -> ScoreStats:
    score, label = zip(*data, strict=True)
    return ScoreStats.from_arrays(score, label, **options)


def binned_by_hand(data: list[Any], edges: list[float], closed: str) -> list[list[float]]:
    """Return [rows, positives, sum of scores] of each bin, row by row."""
    bins: list[list[float]] = [[0, 0, 0.0] for _ in edges[1:]]
    for score, label in data:
        place = bisect_left(edges, score) if closed == "right" else bisect_right(edges, score)
        one = bins[min(max(place - 1, 0), len(bins) - 1)]
        one[0] += 1
        one[1] += label
        one[2] += score
    return bins


@pytest.mark.parametrize("closed", ["right", "left"])
@given(data=rows, bins=st.integers(1, 30))
def test_equal_width_bins(data: list[Any], bins: int, closed: Any) -> None:
    binning = Binning(bins=bins, closed=closed)
    found = reliability(of_rows(data), binning)
    expected = np.array(binned_by_hand(data, [i / bins for i in range(bins + 1)], closed))
    assert found.count.tolist() == expected[:, 0].tolist()
    assert found.positive.tolist() == expected[:, 1].tolist()
    assert found.score_sum == pytest.approx(expected[:, 2], abs=1e-12)


@pytest.mark.parametrize("closed", ["right", "left"])
@given(data=rows)
def test_given_edges(data: list[Any], closed: Any) -> None:
    edges = (0.0, 0.1, 1 / 3, 0.7, 1.0)
    found = reliability(of_rows(data), Binning("edges", closed=closed, custom=edges))
    expected = np.array(binned_by_hand(data, list(edges), closed))
    assert found.count.tolist() == expected[:, 0].tolist()
    assert found.low.tolist() == list(edges[:-1])
    assert found.high.tolist() == list(edges[1:])


@pytest.mark.parametrize("closed", ["right", "left"])
def test_bins_with_kept_edges_are_exact_in_a_grid(closed: Any) -> None:
    rng = np.random.default_rng(0)
    data = list(zip(np.round(rng.random(3000), 3), rng.integers(0, 2, 3000), strict=True))
    binning = Binning(bins=10, closed=closed)
    with mock.patch.object(tally, "EXACT_CELLS", 10):
        stats = of_rows(data, edges=binning.edges)
    assert not stats.exact
    found = reliability(stats, binning)
    expected = np.array(binned_by_hand(data, list(binning.edges), closed))
    assert found.count.tolist() == expected[:, 0].tolist()
    assert found.positive.tolist() == expected[:, 1].tolist()
    assert found.score_sum == pytest.approx(expected[:, 2], rel=1e-8)


@given(data=rows, bins=st.integers(1, 20))
def test_equal_mass_bins_never_split_ties(data: list[Any], bins: int) -> None:
    stats = of_rows(data)
    found = reliability(stats, Binning("mass", bins))
    # The middle row of each group of tied rows says which bin the group is in.
    score = sorted(s for s, _ in data)
    home = [
        bins * (bisect_left(score, s) + bisect_right(score, s)) // (2 * len(score))
        for s in stats.score.tolist()
    ]
    kept = sorted(set(home))
    assert found.index.tolist() == [kept.index(h) for h in home]
    assert (found.count > 0).all()
    assert found.count.sum() == len(data)
    assert found.low.tolist() == [stats.score[found.index == b].min() for b in range(len(kept))]
    assert found.high.tolist() == [stats.score[found.index == b].max() for b in range(len(kept))]


def test_equal_mass_bins_of_distinct_scores_hold_equally_many() -> None:
    p = np.random.default_rng(0).random(1000)
    for bins in (1, 7, 10, 15):
        count = reliability(ScoreStats.from_arrays(p, p > 0.5), Binning("mass", bins)).count
        assert len(count) == bins
        assert count.max() - count.min() <= 1


def test_equal_mass_bins_do_not_depend_on_the_scale_of_weights() -> None:
    rng = np.random.default_rng(0)
    p, weight = rng.random(500), rng.random(500)
    for scale in (1e-6, 1.0, 1e6):
        stats = ScoreStats.from_arrays(p, p > 0.5, scale * weight)
        count = reliability(stats, Binning("mass", 10)).count
        assert count == pytest.approx(np.full(10, scale * weight.sum() / 10), rel=0.05)


def test_no_rows_no_counts() -> None:
    stats = ScoreStats.from_arrays([], [])
    assert reliability(stats, Binning()).count.tolist() == [0] * 15
    assert len(reliability(stats, Binning("mass")).count) == 0
    assert len(threshold_curve(stats).threshold) == 0


def test_effective_rows_are_rows_or_what_weights_leave_of_them() -> None:
    p = [0.1, 0.1, 0.9]
    plain = reliability(ScoreStats.from_arrays(p, [0, 1, 1]), Binning(bins=2))
    equal = reliability(ScoreStats.from_arrays(p, [0, 1, 1], [3.0, 3.0, 3.0]), Binning(bins=2))
    uneven = reliability(ScoreStats.from_arrays(p, [0, 1, 1], [1.0, 3.0, 1.0]), Binning(bins=2))
    assert plain.effective.tolist() == [2, 1]
    assert equal.effective == pytest.approx([2, 1])
    assert uneven.effective == pytest.approx([16 / 10, 1])


@pytest.mark.parametrize(
    "edges",
    [(0.0,), (0.0, 0.5), (0.1, 1.0), (0.0, 0.7, 0.5, 1.0), (0.0, 0.5, 0.5, 1.0)],
)
def test_edges_that_do_not_cut_the_unit_interval_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        Binning("edges", custom=edges)


def test_no_bins_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        Binning(bins=0)


def test_the_convention_in_words() -> None:
    assert Binning().describe() == "15 equal-width bins, (lo, hi]"
    assert Binning("mass", 10, "left").describe() == "10 equal-mass bins, [lo, hi)"
    edges = (0.0, 0.5, 1.0)
    assert Binning("edges", custom=edges).describe() == "2 bins with given edges, (lo, hi]"


# -- ROC and precision-recall ------------------------------------------------------------------


@given(rows.filter(lambda data: len({label for _, label in data}) == 2))
def test_the_threshold_curve_is_scikit_learns_roc(data: list[Any]) -> None:
    score, label = (np.array(c) for c in zip(*data, strict=True))
    curve = threshold_curve(of_rows(data))
    fpr, tpr, threshold = roc_curve(label, score, drop_intermediate=False)
    assert curve.threshold.tolist() == threshold[1:].tolist()
    assert curve.tp.tolist() == np.rint(tpr[1:] * label.sum()).tolist()
    assert curve.fp.tolist() == np.rint(fpr[1:] * (1 - label).sum()).tolist()


def test_logits_of_one_probability_are_one_point_of_the_curve() -> None:
    curve = threshold_curve(ScoreStats.from_arrays([0.0, 50.0, 60.0], [0, 1, 0], logits=True))
    assert curve.threshold.tolist() == [1.0, 0.5]
    assert curve.tp.tolist() == [1, 1]
    assert curve.fp.tolist() == [1, 2]


def test_in_a_grid_counts_at_kept_edges_and_at_starts_of_cells_are_exact() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.random(2000), 4)
    y = rng.random(2000) < p
    with mock.patch.object(tally, "EXACT_CELLS", 10):
        curve = threshold_curve(ScoreStats.from_arrays(p, y, edges=(0.5,)))
    assert 0.5 in curve.threshold
    for threshold, tp, fp in zip(curve.threshold, curve.tp, curve.fp, strict=True):
        assert tp == (y & (p >= threshold)).sum()
        assert fp == (~y & (p >= threshold)).sum()


# -- isotonic ------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=80))
def test_pav_equals_scipy(cells: list[tuple[int, int]]) -> None:
    totals = np.array([t for _, t in cells])
    successes = np.minimum([s for s, _ in cells], totals)
    fit, block = pav(successes, totals)
    expected = isotonic_regression(successes / totals, weights=totals)
    assert fit == pytest.approx(expected.x, abs=1e-14)
    assert (np.diff(fit) >= 0).all()
    assert block.tolist() == np.repeat(np.arange(len(set(block))), np.bincount(block)).tolist()
    assert len(set(block.tolist())) == len(set(fit.tolist()))


def test_pav_of_a_long_staircase_that_needs_the_stack() -> None:
    # Pooling whole runs settles most data in a few rounds; here each round pools only a little.
    size = 4000
    totals = np.ones(size, int)
    totals[1::2] = 3
    rng = np.random.default_rng(0)
    values = np.sort(rng.random(size))[::-1].copy()
    values[::2] -= 0.3
    successes = values * totals
    expected = isotonic_regression(values, weights=totals)
    assert pav(successes, totals)[0] == pytest.approx(expected.x, abs=1e-12)


@pytest.mark.parametrize("size", [50, 3000])
def test_pav_of_random_walks_equals_scipy(size: int) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        totals = rng.integers(1, 50, size)
        successes = rng.binomial(totals, np.clip(np.cumsum(rng.normal(0, 0.05, size)) + 0.5, 0, 1))
        expected = isotonic_regression(successes / totals, weights=totals)
        assert pav(successes, totals)[0] == pytest.approx(expected.x, abs=1e-12)


def test_pav_of_nothing_and_of_one() -> None:
    fit, block = pav(np.zeros(0), np.zeros(0))
    assert len(fit) == len(block) == 0
    assert pav(np.array([1]), np.array([4]))[0].tolist() == [0.25]


def test_binning_logits_uses_their_probabilities() -> None:
    p = np.array([0.05, 0.25, 0.65, 0.95])
    a = reliability(ScoreStats.from_arrays(logit(p), [0, 0, 1, 1], logits=True), Binning(bins=10))
    b = reliability(ScoreStats.from_arrays(p, [0, 0, 1, 1]), Binning(bins=10))
    assert a.count.tolist() == b.count.tolist()
    assert math.isclose(a.score_sum.sum(), b.score_sum.sum(), rel_tol=1e-14)
