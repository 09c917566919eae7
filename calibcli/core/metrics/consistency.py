"""Where the curves of an honest model would lie: consistency bands, of bins and of the CORP curve.

An interval around what was seen asks what the frequency may be; a consistency band asks what would
have been seen if every score were the true probability. A point outside it speaks against the
model, as often as the level says by chance.

Sources: Bröcker and Smith, "Increasing the reliability of reliability diagrams", 2007; Dimitriadis,
Gneiting and Jordan, "Stable reliability diagrams for probabilistic classifiers", 2021 (CORP).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.special import betainc, norm_ppf
from calibcli.core.statistics.curves import pav

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

DRAWS = 200
"""Resampled label sets behind the CORP band."""
_GROUPS = 400
"""Cells of the resampling; more would draw the same band more slowly."""


def binomial_band(score: Array, rows: Array, confidence: float) -> tuple[Array, Array]:
    """Return the frequencies that rows of these scores show, all but 1 - confidence of the time.

    A frequency lies in the band exactly when its Clopper-Pearson interval holds the score.

    Args:
        score: float64[B], the mean score of each bin.
        rows: float64[B], how many independent rows each bin is worth.
        confidence: level of the band.

    Returns:
        The lowest and the highest such frequency (B,), (B,); the score itself without rows.
    """
    tail = (1.0 - confidence) / 2.0
    lowest = _quantile(rows, score, tail)
    highest = rows - _quantile(rows, 1.0 - score, tail)
    some = rows > 0
    low = np.divide(lowest, rows, out=score.copy(), where=some)
    high = np.divide(highest, rows, out=score.copy(), where=some)
    return low, np.maximum(low, high)


def _quantile(rows: Array, share: Array, tail: float) -> Array:
    """Return the least whole k (B,) with P(X <= k) > tail for X binomial (rows, share).

    Where its standard deviation is above 100 rows, the normal quantile with its correction for
    skewness is at most one row off, and far faster.
    """
    spread = np.sqrt(rows * share * (1.0 - share))
    z = norm_ppf(tail)
    near = np.floor(rows * share + z * spread + (z * z - 1.0) * (1.0 - 2.0 * share) / 6.0 + 0.5)
    large = spread > 100.0
    reach = -norm_ppf(tail / 100.0) * spread + 20.0
    low = np.floor(np.maximum(rows * share - reach, 0.0)) - 1.0
    high = np.ceil(np.minimum(rows * share + reach, rows))
    low, high = np.where(large, near - 1.0, low), np.where(large, near, high)
    while np.any(high - low > 1.0):
        k = np.floor((low + high) / 2.0)
        inside = np.clip(k, 0.0, rows)
        below = 1.0 - betainc(inside + 1.0, np.maximum(rows - inside, 1e-9), share)
        narrower = high - low > 1.0
        high = np.where(narrower & (below > tail), k, high)
        low = np.where(narrower & (below <= tail), k, low)
    return np.clip(high, 0.0, rows)


@dataclass(frozen=True, slots=True)
class CorpCurve:
    """The isotonic reliability curve, as the blocks that pool-adjacent-violators made.

    Attributes:
        low: float64[P], the lowest score of each block.
        high: float64[P], the highest.
        fitted: float64[P], the recalibrated probability: the block's frequency of label 1.
        count: float64[P], rows of the block, or their weight.
    """

    low: Array
    high: Array
    fitted: Array
    count: Array


def corp_curve(stats: ScoreStats) -> CorpCurve:
    """Return the CORP reliability curve of cells that all have rows."""
    kept = stats.total > 0
    score, total = stats.score[kept], stats.total[kept]
    fitted, block = pav(stats.pos[kept], total)
    first = np.searchsorted(block, np.arange(int(block.max(initial=-1)) + 1))
    last = np.append(first[1:], len(block)) - 1
    return CorpCurve(
        score[first], score[last], fitted[first], np.add.reduceat(total, first).astype(np.float64)
    )


def corp_band(
    stats: ScoreStats, at: Array, confidence: float, *, seed: int = 0, draws: int = DRAWS
) -> tuple[Array, Array]:
    """Return the band of CORP curves of labels drawn from the scores, at scores `at` (P,).

    The rows are taken as independent and equally weighted. Cells are pooled to groups of equal
    rows before drawing.
    """
    total = stats.total
    middle = np.cumsum(total) - total / 2
    group = np.minimum((middle * _GROUPS / stats.n).astype(np.int64), _GROUPS - 1)
    _, home = np.unique(group, return_inverse=True)
    rows = np.bincount(home, weights=total)
    score = np.bincount(home, weights=total * stats.score) / rows
    rng = np.random.default_rng(seed)
    size = (draws, len(rows))
    labels = rng.binomial(rows.astype(np.int64), np.clip(score, 0, 1), size).astype(np.float64)
    curves = np.empty((draws, len(at)))
    for d in range(draws):
        curves[d] = np.interp(at, score, pav(labels[d], rows)[0])
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(curves, [tail, 1.0 - tail], axis=0)
    return low, high
