"""What the signed gaps of each norm-like metric are, how noisy, and the interval of the metric.

A gap is a mean within a block of scores: the frequency of label 1 less the mean score. Rows are
independent, or come in buckets of whole clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.absolute_sums import AbsoluteSum, Gaps, Shared, SquaredSum
from calibcli.core.metrics.binary import View, debias_term
from calibcli.core.metrics.inversion import honest_share, interval
from calibcli.core.metrics.running_sums import running_interval
from calibcli.core.metrics.shares import effective_rows, largest_gap
from calibcli.core.metrics.spread import by_bucket, effective_n, freedom, totals, without_each
from calibcli.core.numeric.proportions import clopper_pearson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.absolute_sums import Array, Statistic
    from calibcli.core.statistics.stats import ScoreStats

_BLOCKS = 64


def gaps_of(stats: ScoreStats, index: NDArray[np.intp], size: int) -> Gaps:
    """Return the gaps of the blocks that hold rows; `index` (C,) is the block of each cell."""
    score, total = stats.score, stats.total
    count = totals(index, total, size)
    used = count > 0
    count = count[used]
    pos = totals(index, stats.pos, size)[used]
    mean = totals(index, total * score, size)[used] / count
    doubt = totals(index, total * score * (1.0 - score), size)[used] / count
    rows = count
    if stats.table.pos_sq is not None and stats.table.neg_sq is not None:
        squares = totals(index, stats.table.pos_sq + stats.table.neg_sq, size)[used]
        rows = count**2 / squares
    n, gap, share = effective_n(stats), pos / count - mean, count / float(stats.n)
    shared = None
    if stats.parts is not None:
        sums, reached = by_bucket(stats, index, size)
        alone = float(share @ doubt) / n
        shared = shared_noise(sums[:, used], reached[:, used], gap, count, alone)
    return Gaps(gap, mean, doubt, rows, share, n, shared)


def shared_noise(sums: Array, rows: Array, gap: Array, count: Array, alone: float) -> Shared:
    """Return the noise between clusters.

    Args:
        sums: label - score of each bucket in each block (units, m).
        rows: its rows there (units, m).
        gap: mean of label - score of each block (m,).
        count: rows of each block (m,).
        alone: variance of the mean of all blocks if rows were independent.
    """
    share = rows.sum(axis=1) / float(count.sum())
    centred = without_each((sums - rows * gap) / count, share)
    whole = float(((centred @ (count / float(count.sum()))) ** 2).sum())
    between = max(1.0 - alone / whole, 0.0) if whole > 0.0 else 0.0
    return Shared(centred, rows, freedom(share, between))


def single_gap(view: View, confidence: float) -> tuple[float, float] | None:
    """Return the exact interval of |frequency - mean score| where one bin holds all rows, or None.

    Clopper and Pearson's interval of the frequency holds whatever n; within a bin scores differ,
    which only leaves the frequency less spread than the binomial.
    """
    bins = view.bins
    used = np.flatnonzero(bins.count > 0)
    if len(used) != 1:
        return None
    trials = effective_rows(view, confidence)[used]
    low, high = clopper_pearson(bins.frequency[used] * trials, trials, confidence)
    ends = np.abs([low[0] - bins.score[used[0]], high[0] - bins.score[used[0]]])
    inside = low[0] <= bins.score[used[0]] <= high[0]
    return (0.0 if inside else float(ends.min())), float(ends.max())


OF_BINS = ("ece", "ece_debiased", "ace")
"""Norms of the gaps of the bins, so of |gap| alone where one bin holds all rows."""
NORMS = (*OF_BINS, "mce", "smooth_ece", "ks", "kuiper")


def norm_interval(
    view: View, name: str, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of a metric of `NORMS`; it holds the value.

    Where its lower end is above 0, and rows are independent, what honest scores would show is
    also drawn, label by label: with few positives that is far from normal.
    """
    found: tuple[float, float] = view.kept(
        f"interval of {name}, {confidence}, {seed}",
        lambda: _norm_interval(view, name, value, confidence, seed),
    )
    return found


def _norm_interval(
    view: View, name: str, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    independent = view.stats.parts is None
    one_score = len(view.stats.key) == 1
    if name == "mce":
        return largest_gap(view, value, confidence)
    if name in OF_BINS or one_score:
        exact = single_gap(view, confidence)
        if exact is not None and (independent or name in OF_BINS):
            return min(exact[0], value), max(exact[1], value)
    if name in ("ks", "kuiper"):
        low, high = running_interval(view, name, value, confidence)
        return low, high
    gaps, statistic, half_row = _statistic(view, name)
    low, high = interval(gaps, statistic, confidence, half_row if independent else 0.0)
    if low > 0.0 and independent:
        tail = (1.0 - confidence) / 2.0
        least = statistic.seen() - half_row / 100.0
        if honest_share(gaps, least, statistic.of, seed, tail) > tail:
            low = 0.0
    return max(min(low, value), 0.0), min(max(high, value), 1.0)


def _statistic(view: View, name: str) -> tuple[Gaps, Statistic, float]:
    """Return the gaps, the figure of them, and how far half a row moves it."""
    if name == "smooth_ece":
        return _smooth(view)
    gaps = bin_gaps(view)
    if name == "ece":
        return gaps, AbsoluteSum(gaps, gaps.share), 0.5 / gaps.n
    if name == "ace":
        size = len(gaps.gap)
        half_row = 0.5 / size / float(gaps.rows.max())
        return gaps, AbsoluteSum(gaps, np.full(size, 1.0 / size), shares=False), half_row
    counted = (gaps.rows >= 2.0 - 1e-9).astype(np.float64)
    return gaps, SquaredSum(gaps, gaps.share, counted, debias_term(view.bins)), 0.0


def bin_gaps(view: View) -> Gaps:
    """Return the gaps of the bins that hold rows."""
    gaps: Gaps = view.kept(
        "gaps of bins", lambda: gaps_of(view.stats, view.bins.index, len(view.bins.count))
    )
    return gaps


def ece_sum(view: View) -> AbsoluteSum:
    """Return ECE as the sum that it is, with what is known of its noise."""
    gaps = bin_gaps(view)
    return AbsoluteSum(gaps, gaps.share)


def _smooth(view: View) -> tuple[Gaps, Statistic, float]:
    """Smoothed at the bandwidth that was found, over blocks of equal width."""
    bandwidth = max(view.smooth[1], 1.0 / _BLOCKS)
    index = np.minimum((view.stats.score * _BLOCKS).astype(np.int64), _BLOCKS - 1)
    used, index = np.unique(index, return_inverse=True)
    gaps = gaps_of(view.stats, index, len(used))
    centres = (np.arange(_BLOCKS) + 0.5) / _BLOCKS
    images = np.concatenate([centres, -centres, 2.0 - centres])
    distance = (images[:, None] - centres[used][None, :]) / bandwidth
    kernel = np.exp(-0.5 * distance**2).reshape(3, _BLOCKS, len(used)).sum(axis=0)
    kernel /= kernel.sum(axis=0)
    return gaps, AbsoluteSum(gaps, gaps.share, kernel), 0.5 / gaps.n
