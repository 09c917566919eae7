"""Intervals of proportions: exact for independent rows, at the effective number for others.

A proportion of independent rows of one weight has Clopper and Pearson's interval, which holds
whatever the proportion and n are (Wilson's falls to .84 where one or two rows decide). With
clusters or weights it is theirs at the effective number of rows, Korn and Graubard's, "Confidence
intervals for proportions with small expected number of positive counts estimated from survey
data" (1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.spread import (
    by_bucket,
    effective_n,
    freedom,
    independent_moments,
    leverage,
    without_each,
)
from calibcli.core.numeric.proportions import clopper_pearson
from calibcli.core.numeric.special import norm_ppf, t_ppf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


_NOTHING = 1e-9  # a variance below that share of a single trial's is rounding


def proportion(
    stats: ScoreStats, value: float, slope: Gradient, rows: float, confidence: float
) -> tuple[float, float]:
    """Return the interval of a proportion of `rows` rows, or of their weight.

    Args:
        stats: the slice.
        value: the proportion.
        slope: its gradient by the counts of each cell.
        rows: its denominator.
        confidence: level.
    """
    most = rows * effective_n(stats) / float(stats.n)
    alone, _ = independent_moments(stats, slope)
    if stats.parts is None:
        # Of unweighted rows the variance is that of the binomial, and the counts are whole.
        variance = alone if stats.weighted else 0.0
        return of_variance(value, variance, confidence, units=most, most=most)
    share = leverage(stats)
    sums = without_each(stats.bucket_sums(*slope), share)
    variance = float(sums @ sums)
    between = 1.0 - alone / variance if variance > alone else 0.0
    df = freedom(share, between)
    return of_variance(value, variance, confidence, units=len(share), most=most, df=df)


def pooled_interval(part: Array, whole: Array, confidence: float) -> tuple[float, float]:
    """Return the interval of a ratio of sums over units, such as images: sum part / sum whole.

    Args:
        part: (units,) what counts of each.
        whole: (units,) of how much, at least 2 of them above 0.
        confidence: level.
    """
    total = float(whole.sum())
    value, share = float(part.sum()) / total, whole / total
    sums = without_each((part - value * whole) / total, share)
    df = freedom(share, 1.0)
    units = int((whole > 0).sum())
    return of_variance(value, float(sums @ sums), confidence, units=units, most=total, df=df)


def of_variance(
    value: float,
    variance: float,
    confidence: float,
    *,
    units: float,
    most: float,
    df: float | None = None,
) -> tuple[float, float]:
    """Return Clopper and Pearson's interval at the number of trials that a variance is worth.

    Args:
        value: a figure between 0 and 1.
        variance: of it; where nothing differs it is worth as many trials as there are units.
        confidence: level.
        units: independent units.
        most: number of trials that is not exceeded.
        df: degrees of freedom of the variance; None for many.
    """
    worth = value * (1.0 - value)
    differs = variance > worth * _NOTHING and worth > 0.0
    trials = min(worth / variance if differs else units, most)
    if df is not None:
        trials *= _fewer(df, confidence)
    low, high = clopper_pearson(value * trials, trials, confidence)
    return float(low), float(high)


def _fewer(df: float, confidence: float) -> float:
    """Return how much fewer rows a variance of few degrees of freedom is worth."""
    upper = (1.0 + confidence) / 2.0
    return (norm_ppf(upper) / t_ppf(upper, df)) ** 2


def overlap_interval(stats: ScoreStats, alert: Array, confidence: float) -> tuple[float, float]:
    """Return the interval of IoU (Jaccard): the rows that are both, of alerts and positives.

    F1 is a function of it. As a proportion it has an exact interval also where it is 0 or 1.

    Args:
        stats: the slice, with rows that are an alert or a positive.
        alert: (C,) 1 for the cells that are alerts, else 0.
        confidence: level.
    """
    rows = float(stats.positives) + float(stats.neg @ alert)
    value = float(stats.pos @ alert) / rows
    slope = (alert - value) / rows, -value * alert / rows
    return proportion(stats, value, slope, rows, confidence)


def f1_of(iou: float) -> float:
    """Return F1, or Dice, from IoU: they are one figure on two scales."""
    return 2.0 * iou / (1.0 + iou)


def effective_rows(view: View, confidence: float | None = None) -> Array:
    """Return how many independent rows each bin is worth (B,), never more than it holds.

    With clusters that is f (1 - f) over the variance of the frequency f between buckets, fewer
    for the few degrees of freedom of that where a confidence is given; with weights it is
    Kish's (sum w)^2 / sum w^2; otherwise the count.
    """
    stats, bins = view.stats, view.bins
    if stats.parts is None or not stats.n:
        return bins.effective
    count = bins.count.astype(np.float64)
    positives, rows = by_bucket(stats, bins.index, len(count), residual=False)
    centred = (positives - rows * bins.frequency) / np.where(count > 0, count, 1.0)
    share = leverage(stats)
    within = np.divide(rows, count, out=np.zeros(rows.shape), where=count > 0)
    size = len(share)
    grown = centred / (1.0 - np.minimum(within, 0.9)) * np.sqrt((size - 1.0) / size)
    spread = (grown**2).sum(axis=0)
    reached = (rows > 0).sum(axis=0)
    worth = bins.frequency * (1.0 - bins.frequency)
    effective: Array = np.minimum(reached, bins.effective).astype(np.float64)
    np.divide(worth, spread, out=effective, where=spread > worth * _NOTHING)
    if confidence is not None:
        few = [_fewer(freedom(w[w > 0], 1.0), confidence) for w in within.T if w.any()]
        effective[count > 0] *= few
    return np.minimum(effective, np.maximum(bins.effective, 0.0))


def largest_gap(view: View, value: float, confidence: float) -> tuple[float, float]:
    """Return the interval of the largest |frequency - mean score| of the bins that hold rows.

    Upwards each bin could be the one: the end is the largest gap under which a bin's frequency
    would still be as near its scores as the largest that was seen. Downwards all bins had the
    chance to show one, each at a share of the level (Sidak, 1967). Both are exact binomial tails
    (Clopper and Pearson, 1934), at the effective number of rows with clusters or weights.
    """
    bins = view.bins
    used = bins.used
    rows = effective_rows(view, confidence)[used]
    score, frequency = bins.score[used], bins.frequency[used]
    tail = (1.0 - confidence) / 2.0
    each = 1.0 - (1.0 - tail) ** (1.0 / max(int(used.sum()), 1))
    low, high = clopper_pearson(frequency * rows, rows, 1.0 - each)
    least = float(np.maximum(np.maximum(low - score, score - high), 0.0).max())
    above, below = np.minimum(score + value, 1.0) * rows, np.maximum(score - value, 0.0) * rows
    if view.stats.parts is None and not view.stats.weighted:
        above, below = np.floor(above + 1e-9), np.ceil(below - 1e-9)
    most = clopper_pearson(above, rows, confidence)[1] - score
    other = score - clopper_pearson(below, rows, confidence)[0]
    greatest = float(np.maximum(most, other).max())
    return min(least, value), max(min(greatest, 1.0), value)
