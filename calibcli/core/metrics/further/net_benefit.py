"""Net benefit of acting on the scores, with intervals against acting on every row and on none.

Of a threshold probability t a false alarm costs t / (1 - t) of what a hit is worth. The net benefit
a row (Vickers and Elkin 2006, *Decision curve analysis*) is a difference of two shares of rows, and
so is what it is above that of acting on every row; acting on none has 0. The shares have intervals
of shares, where clusters count whole, and the differences those that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.shares import proportion
from calibcli.core.metrics.spread import squared_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Benefit:
    """A figure at each threshold probability (T,), with the ends of its interval."""

    value: Array
    low: Array
    high: Array


def net_benefit(stats: ScoreStats, at: Array, confidence: float) -> Benefit:
    """Return the net benefit of the scores: what they are worth above acting on none.

    Hits less the odds times the false alarms, as shares of all rows.

    Args:
        stats: the pairs.
        at: (T,) threshold probabilities in [0, 1).
        confidence: level of the intervals.
    """
    pairs = [
        _difference(stats, stats.floor >= t, 1.0, t / (1.0 - t), confidence) for t in at.tolist()
    ]
    return Benefit(*np.array(pairs).reshape(-1, 3).T)


def over_all(stats: ScoreStats, at: Array, confidence: float) -> Benefit:
    """Return what the net benefit of the scores is above that of acting on every row.

    The odds times the negatives that are spared, less the positives that are missed.
    """
    pairs = [
        _difference(stats, stats.floor < t, -1.0, -t / (1.0 - t), confidence) for t in at.tolist()
    ]
    return Benefit(*np.array(pairs).reshape(-1, 3).T)


def useful(model: Benefit, over: Benefit, at: Array) -> list[tuple[float, float]]:
    """Return the first and last threshold probability of each range where the scores are worth it.

    There both intervals lie above 0: acting on every row and on none are worse beyond chance.
    """
    better = (model.low > 0.0) & (over.low > 0.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], better, [False]])))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(float(at[first]), float(at[last - 1])) for first, last in pairs]


def _difference(
    stats: ScoreStats, rows: NDArray[np.bool_], positives: float, negatives: float, level: float
) -> tuple[float, float, float]:
    """Return positives x (share of positives in `rows`) - negatives x (share of negatives).

    Beside it the ends of its interval, from those of both shares, where a few rare rows of great
    weight may not have been seen (MOVER: Zou and Donner 2008, *Construction of confidence limits
    about effect measures*).
    """
    n = float(stats.n)
    parts, slopes = [], []
    for counts, weight, place in ((stats.pos, positives, 0), (stats.neg, -negatives, 1)):
        share = float(counts[rows].sum()) / n
        slope = [np.full(len(rows), -share / n) for _ in range(2)]
        slope[place] = (rows - share) / n
        slopes.append((slope[0], slope[1]))
        low, high = proportion(stats, share, slopes[-1], n, level)
        ends = sorted((weight * low, weight * high))
        parts.append((weight * share, *ends))
    (a, a_low, a_high), (b, b_low, b_high) = parts
    value, together = a + b, -2.0 * _correlation(stats, slopes[0], slopes[1])
    down = (a - a_low) ** 2 + (b - b_low) ** 2 + together * (a - a_low) * (b - b_low)
    up = (a_high - a) ** 2 + (b_high - b) ** 2 + together * (a_high - a) * (b_high - b)
    return value, value - max(down, 0.0) ** 0.5, value + max(up, 0.0) ** 0.5


def _correlation(stats: ScoreStats, first: Gradient, second: Gradient) -> float:
    """Return the correlation of two estimates from their gradients by the counts of each cell."""
    if stats.parts is not None:
        one, other = stats.bucket_sums(*first), stats.bucket_sums(*second)
        products = [float(one @ one), float(other @ other), float(one @ other)]
    else:
        weights = squared_weights(stats)
        products = [
            sum(float(w @ (x * y)) for w, x, y in zip(weights, *both, strict=True))
            for both in ((first, first), (second, second), (first, second))
        ]
    scale = (products[0] * products[1]) ** 0.5
    return products[2] / scale if scale > 0.0 else 0.0
