"""Whether labels still follow the scores as they did: a test of two reliability curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.comparison.shared_bins import binned_index, bucket_freedom
from calibcli.core.metrics.binary import Undefined
from calibcli.core.metrics.spread import effective_n
from calibcli.core.numeric.special import scaled_chi2_sf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

FEWEST_EXPECTED = 5.0
"""Rows of each label that a bin of the test must expect in each sample."""


def reliability_p(reference: ScoreStats, current: ScoreStats) -> float:
    """Return the p-value that labels follow the scores as they did in the reference.

    Chi-squared over up to ten bins of equal shares of the reference, joined until each expects
    five rows of each label in both samples: the difference of the two gaps (frequency less mean
    score) of each bin over its variance. It sees what ECE cannot: a curve that has turned from
    over- to under-confident.

    Raises:
        Undefined: too few rows of one label.
    """
    homes = binned_index(reference, current)
    rows = [_by_bin(stats, home) for stats, home in zip((reference, current), homes, strict=True)]
    join = _joined(*rows)
    size = int(join.max()) + 1
    first, second = (
        _Bins.of(stats, join[home], size)
        for stats, home in zip((reference, current), homes, strict=True)
    )
    gap = second.gap - first.gap
    pooled = (first.rows * first.spread + second.rows * second.spread) / (first.rows + second.rows)
    # A row's variance about the gap that both samples would share.
    pooled += first.rows * second.rows / (first.rows + second.rows) ** 2 * gap**2
    variance = pooled * (first.effect / first.rows + second.effect / second.rows)
    statistic = float((gap**2 / variance).sum())
    return scaled_chi2_sf(statistic, size, bucket_freedom(reference, current))


def _by_bin(stats: ScoreStats, home: NDArray[np.intp]) -> Array:
    size = int(home.max()) + 1
    worth = effective_n(stats) / float(stats.n)
    columns = [np.bincount(home, weights=c, minlength=size) for c in (stats.pos, stats.neg)]
    return np.stack(columns, axis=1).astype(np.float64) * worth


def _joined(first: Array, second: Array) -> NDArray[np.intp]:
    """Return the joined bin of each bin, so that each expects enough rows of each label."""
    size = max(len(first), len(second))
    a, b = (np.pad(x, ((0, size - len(x)), (0, 0))) for x in (first, second))

    def enough(i: int, j: int) -> bool:
        one, two = a[i:j].sum(axis=0), b[i:j].sum(axis=0)
        share = (one + two) / max((one + two).sum(), 1e-300)
        return float(min((one.sum() * share).min(), (two.sum() * share).min())) >= FEWEST_EXPECTED

    if not enough(0, size):
        raise Undefined("too few rows of each label")
    join, start = np.zeros(size, np.intp), 0
    starts = [0]
    for stop in range(1, size + 1):
        if enough(start, stop) and stop < size:
            starts.append(stop)
            start = stop
    if not enough(starts[-1], size):
        starts.pop()
    join[[s for s in starts if s]] = 1
    return np.cumsum(join)


@dataclass(frozen=True, slots=True)
class _Bins:
    """Bins of one sample: mean and variance of label - score, effective rows, design effect."""

    gap: Array
    spread: Array
    rows: Array
    effect: float

    @classmethod
    def of(cls, stats: ScoreStats, home: NDArray[np.intp], size: int) -> Self:
        def by_bin(values: Any) -> Array:
            return np.bincount(home, weights=values, minlength=size).astype(np.float64)

        score, count = stats.score, by_bin(stats.total)
        gap = by_bin(stats.pos * (1.0 - score) - stats.neg * score) / count
        up, down = 1.0 - score - gap[home], -score - gap[home]
        spread = by_bin(stats.pos * up**2 + stats.neg * down**2) / count
        rows = count * effective_n(stats) / float(stats.n)
        if stats.parts is None:
            return cls(gap, spread, rows, 1.0)
        inside = np.zeros((len(home), size))
        inside[np.arange(len(home)), home] = 1.0 / count[home]
        sums = stats.bucket_sums(inside * up[:, None], inside * down[:, None])
        between = (sums**2).sum(axis=0) * len(sums) / max(len(sums) - 1, 1)
        return cls(gap, spread, rows, max(float((between * rows / spread).mean()), 1.0))
