"""What the signed gaps of each norm-like metric are, and how noisy: from the cells of a view.

A gap is either a share of all rows (the sum of label - score over a block, divided by n) or a mean
within a bin. Rows are independent, or come in buckets of whole clusters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics.binary import View, debias_term
from calibcli.core.metrics.norms import GapNorm, Noise, between_buckets, independent, of_shares
from calibcli.core.numeric.special import clopper_pearson
from calibcli.core.statistics.curves import Binning, reliability

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.metrics.norms import Array, Norm
    from calibcli.core.statistics.curves import Reliability
    from calibcli.core.statistics.stats import ScoreStats

_BLOCKS = 64


def _totals(index: NDArray[np.intp], weights: Any, size: int) -> Array:
    """Return the sum of weights by index (size,), in float64."""
    return np.asarray(np.bincount(index, weights=weights, minlength=size), dtype=np.float64)


def _squares(stats: ScoreStats, index: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """Return sum of (label - score)^2 by block, with one row added at the block's own score.

    That row keeps a block where every label agrees from having no variance. Rows are weighted by
    the square of their weight, the added one by that of a typical weight.
    """
    score = stats.score
    pos = stats.pos if stats.table.pos_sq is None else stats.table.pos_sq
    neg = stats.neg if stats.table.neg_sq is None else stats.table.neg_sq
    found = _totals(index, pos * (1 - score) ** 2 + neg * score**2, size)
    mass = _totals(index, stats.total, size)
    mean = _totals(index, stats.total * score, size)
    mean = mean / np.where(mass > 0, mass, 1)
    typical = float(stats.n) / effective_n(stats)
    return found + np.where(mass > 0, typical**2 * mean * (1.0 - mean), 0.0)


def effective_n(stats: ScoreStats) -> float:
    """Return how many equally weighted rows tell as much: n, or (sum w)^2 / sum w^2."""
    pos_sq, neg_sq = stats.table.pos_sq, stats.table.neg_sq
    if pos_sq is None or neg_sq is None:
        return float(stats.n)
    return float(stats.n) ** 2 / float(pos_sq.sum() + neg_sq.sum())


_FEW_BUCKETS = 5.0


def noise_of_buckets(centred: Array, rows: Array, independent_rows: Array) -> Noise:
    """Return noise between buckets, steadied where few of them reach a gap.

    A gap that one bucket reaches would seem free of noise. So the variance between buckets is
    mixed with that of independent rows times the common design effect, which has the weight of
    five buckets.

    Args:
        centred: what each bucket contributes to each gap (buckets, m).
        rows: how many rows of each bucket count in each gap (buckets, m).
        independent_rows: variance of each gap if rows were independent (m,).
    """
    squares = (rows**2).sum(axis=0)
    reached = np.divide(
        rows.sum(axis=0) ** 2, squares, out=np.zeros(rows.shape[1]), where=squares > 0
    )
    share = reached / (reached + _FEW_BUCKETS)
    between = between_buckets(centred).variance
    total = float(share @ independent_rows)
    effect = max(float(share @ between) / total, 1.0) if total > 0 else 1.0
    return between_buckets(centred * np.sqrt(share), (1.0 - share) * effect * independent_rows)


def _clustered(
    stats: ScoreStats, index: NDArray[np.intp], size: int, *, residual: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (sum of label - score, or of label; rows) by bucket and block, (buckets, size)."""
    parts = stats.parts
    assert parts is not None
    places = stats.places
    cells, inverse, home = places.cells, places.index, places.home
    mass = _totals(home, stats.total, len(cells))
    mean = _totals(home, stats.total * stats.score, len(cells))
    mean = mean / np.where(mass > 0, mass, 1)
    block = np.zeros(len(cells), dtype=np.int64)
    block[home] = index
    buckets, bucket = places.buckets, places.bucket
    joint = bucket * size + block[inverse]
    total = parts.pos + parts.neg
    value = parts.pos - total * mean[inverse] if residual else parts.pos
    shape = (len(buckets), size)
    return (
        _totals(joint, value, shape[0] * size).reshape(shape),
        _totals(joint, total, shape[0] * size).reshape(shape),
    )


def _shares(
    view: View, index: NDArray[np.intp], size: int, norm: Norm, linear: Norm | None = None
) -> GapNorm:
    """Gaps as shares of all rows: g_b = sum over block b of (label - score) / n."""
    stats = view.stats
    gaps = _totals(index, view.residual, size) / stats.n
    spread = _squares(stats, index, size) / float(stats.n) ** 2
    if stats.parts is not None:
        sums, rows = _clustered(stats, index, size)
        centred = (sums - rows.sum(axis=1, keepdims=True) * gaps) / stats.n
        return GapNorm(gaps, noise_of_buckets(centred, rows, spread), norm, linear=linear)
    rows_of_weight = effective_n(stats)
    noise = of_shares(gaps, spread, rows_of_weight)
    return GapNorm(gaps, noise, norm, linear=linear, half_row=0.5 / rows_of_weight)


def _means(view: View, norm: Norm, statistic: Norm | None = None) -> GapNorm:
    """Gaps as means within the non-empty bins: g_b = mean of (label - score) in bin b."""
    stats, bins = view.stats, view.bins
    used = bins.used
    count, gaps = bins.count[used].astype(np.float64), bins.gap[used]
    spread = _squares(stats, bins.index, len(bins.count))[used] / count**2
    if stats.parts is not None:
        sums, rows = _clustered(stats, bins.index, len(bins.count))
        centred = (sums[:, used] - rows[:, used] * gaps) / count
        noise = noise_of_buckets(centred, rows[:, used], spread)
        return GapNorm(gaps, noise, norm, statistic)
    if statistic is not None:  # has a value of its own, 0, for all that is within the noise
        return GapNorm(gaps, independent(spread), norm, statistic)
    moved = np.abs(gaps) + 0.5 / (bins.effective[used] * len(gaps))
    half_row = float((norm(moved[None, :]) - norm(gaps[None, :]))[0])
    return GapNorm(gaps, independent(spread), norm, half_row=half_row)


def effective_rows(view: View) -> Array:
    """Return how many independent rows each bin is worth (B,), never more than it holds.

    With clusters that is f (1 - f) over the variance of the frequency f between buckets; with
    weights it is Kish's (sum w)^2 / sum w^2; otherwise the count.
    """
    stats, bins = view.stats, view.bins
    count = bins.count.astype(np.float64)
    if stats.parts is not None:
        positives, rows = _clustered(stats, bins.index, len(count), residual=False)
        centred = (positives - rows * bins.frequency) / np.where(count > 0, count, 1.0)
        spread = between_buckets(centred).variance
        flat = np.minimum((rows > 0).sum(axis=0), count)
        worth = bins.frequency * (1.0 - bins.frequency)
        effective: Array = flat.astype(np.float64)
        np.divide(worth, spread, out=effective, where=spread > 0)
        return np.minimum(effective, count)
    return bins.effective


OF_BINS = ("ece", "ece_debiased", "mce", "ace")
"""Norms of the gaps of the bins, so of |gap| alone where one bin holds all rows."""


def single_gap(view: View, name: str, confidence: float) -> tuple[float, float] | None:
    """Return the exact interval of |frequency - mean score| where a norm is just that, or None.

    All rows in one bin, or one score for all: the statistic has few values, and the normal noise
    of `norms` would make an observed gap of exactly 0 look like proof. Clopper and Pearson's
    interval of the frequency holds whatever n; within a bin scores differ, which only leaves the
    frequency less spread than the binomial. Clusters keep the noise between their buckets.
    """
    stats, bins = view.stats, view.bins
    if stats.parts is not None or (name not in OF_BINS and len(stats.key) > 1):
        return None
    used = np.flatnonzero(bins.count > 0)
    if len(used) != 1:
        return None
    trials = effective_rows(view)[used]
    low, high = clopper_pearson(bins.frequency[used] * trials, trials, confidence)
    ends = np.abs([low[0] - bins.score[used[0]], high[0] - bins.score[used[0]]])
    inside = low[0] <= bins.score[used[0]] <= high[0]
    return (0.0 if inside else float(ends.min())), float(ends.max())


def _sum(x: Array) -> Array:
    total: Array = np.abs(x).sum(axis=1)
    return total


def _largest(x: Array) -> Array:
    largest: Array = np.abs(x).max(axis=1)
    return largest


def ece_gaps(view: View) -> GapNorm:
    """Return the gaps of ECE: the sum of |shares| over bins."""
    return _shares(view, view.bins.index, len(view.bins.count), _sum)


def _ece_debiased(view: View) -> GapNorm:
    bins: Reliability = view.bins
    weight = bins.weight[bins.used]
    enough = weight * (bins.effective[bins.used] >= 2.0 - 1e-9)
    term = debias_term(bins)
    return _means(
        view,
        lambda x: np.sqrt((x**2) @ weight),
        lambda x: np.sqrt(np.maximum((x**2) @ enough - term, 0.0)),
    )


def _ks_blocks(view: View) -> NDArray[np.intp]:
    return reliability(view.stats, Binning("mass", _BLOCKS)).index


def _walk(x: Array) -> Array:
    walk: Array = np.cumsum(x, axis=1)
    return walk


def _ks(view: View) -> GapNorm:
    index = _ks_blocks(view)
    return _shares(view, index, int(index.max()) + 1, _largest, _walk)


def _kuiper(view: View) -> GapNorm:
    index = _ks_blocks(view)

    def norm(x: Array) -> Array:
        span: Array = np.maximum(x.max(axis=1), 0.0) - np.minimum(x.min(axis=1), 0.0)
        return span

    return _shares(view, index, int(index.max()) + 1, norm, _walk)


def _smooth_ece(view: View) -> GapNorm:
    """Smoothed at the bandwidth that was found, over blocks of equal width."""
    bandwidth = max(view.smooth[1], 1.0 / _BLOCKS)
    index = np.minimum((view.stats.score * _BLOCKS).astype(np.int64), _BLOCKS - 1)
    used, index = np.unique(index, return_inverse=True)
    centres = (np.arange(_BLOCKS) + 0.5) / _BLOCKS
    images = np.concatenate([centres, -centres, 2.0 - centres])
    distance = (images[:, None] - centres[used][None, :]) / bandwidth
    kernel = np.exp(-0.5 * distance**2).reshape(3, _BLOCKS, len(used)).sum(axis=0)
    kernel /= kernel.sum(axis=0)

    return _shares(view, index, len(used), _sum, lambda x: x @ kernel.T)


NORMS: dict[str, Callable[[View], GapNorm]] = {
    "ece": ece_gaps,
    "ece_debiased": _ece_debiased,
    "mce": lambda view: _means(view, _largest),
    "ace": lambda view: _means(view, lambda x: np.abs(x).mean(axis=1)),
    "smooth_ece": _smooth_ece,
    "ks": _ks,
    "kuiper": _kuiper,
}
