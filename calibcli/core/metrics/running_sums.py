"""Intervals of KS and Kuiper: the largest value, and the range, of a running sum of label - score.

The running sum up to one score is a plain mean with an interval of its own (see `spread`). KS is
the largest of their sizes, so the true one is below the largest upper end: whichever score it is
reached at has its own interval, and holds it at its own level. Downwards the noise of all scores
counts, whose largest value is that of Brownian motion by reflection (Donsker; Arrieta-Ibarra et
al., 2022): P(sup |B| > c) is about 4 (1 - Phi(c)), and that of the range 8 (1 - Phi(c)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.spread import (
    by_bucket,
    effective_n,
    freedom,
    leverage,
    reach,
    skewed_quantile,
    squared_weights,
    without_each,
)
from calibcli.core.numeric.special import t_ppf
from calibcli.core.statistics.curves import Binning, reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

BLOCKS = 64
"""Blocks of equal mass at whose ends the sum is looked at."""
_TAILS = {"ks": 4.0, "kuiper": 8.0}


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """What each block (m,) adds to the running sum, and to its moments around its mean.

    Attributes:
        sums: label - score, as shares of all rows.
        squares: second moment of the influence of its rows; `cubes` the third.
        more: second moment of an unforeseen row, if it adds to the sum; `fewer` if it takes.
        one: influence of one row.
        honest: (variance, third moment) of the whole sum if the scores are honest.
        clusters: (units, m) what each bucket of clusters adds; None where rows are independent.
        df: degrees of freedom of the variances.
    """

    sums: Array
    squares: Array
    cubes: Array
    more: Array
    fewer: Array
    one: float
    honest: tuple[float, float]
    clusters: Array | None
    df: float


def running_interval(view: View, name: str, value: float, confidence: float) -> tuple[float, float]:
    """Return the interval of "ks" or "kuiper"."""
    steps: _Steps = view.kept("steps of running sums", lambda: _steps(view))
    t = t_ppf((1.0 + confidence) / 2.0, steps.df)
    sums = np.concatenate([[0.0], np.cumsum(steps.sums)])
    if name == "ks":
        first, last = np.zeros(len(steps.sums), np.intp), np.arange(1, len(sums))
    else:
        first, last = np.triu_indices(len(sums), 1)
    between = sums[last] - sums[first]
    up, down, variance = _reaches(steps, between, first, last, t)
    high = max(float((between + up).max()), float((down - between).max()), value)
    tail = 1.0 - (1.0 - confidence) / 2.0 / _TAILS[name]
    honest, third = steps.honest
    size = max(float(variance.max()), honest)
    skewness = np.clip(abs(third) / max(honest, 1e-180) ** 1.5, 0.0, 6.0)
    noise = size**0.5 * float(skewed_quantile(t_ppf(tail, steps.df), skewness))
    return max(min(value - noise - steps.one / 2.0, value), 0.0), min(high, 1.0)


def _reaches(
    steps: _Steps, between: Array, first: NDArray[np.intp], last: NDArray[np.intp], t: float
) -> tuple[Array, Array, Array]:
    """Return how far each sum between two blocks may lie above and below, and its variance."""

    def partial(parts: Array) -> Array:
        total = np.concatenate([[0.0], np.cumsum(parts)])
        found: Array = total[last] - total[first]
        return found

    m2, m3 = partial(steps.squares), partial(steps.cubes)
    one = steps.one
    variance = np.maximum(m2 - one * between**2, 0.0)
    third = m3 - 3.0 * one * between * m2 + 2.0 * one**2 * between * between * between
    more, fewer = partial(steps.more), partial(steps.fewer)
    if steps.clusters is not None:
        total = np.concatenate([np.zeros((len(steps.clusters), 1)), steps.clusters.cumsum(1)], 1)
        sums = total[:, last] - total[:, first]
        variance = np.maximum((sums**2).sum(axis=0), variance)
        third = (sums**3).sum(axis=0)
    up = reach(variance + more, third + one * more, t)
    down = reach(variance + fewer, one * fewer - third, t)
    return up, down, variance


def _steps(view: View) -> _Steps:
    stats = view.stats
    index = reliability(stats, Binning("mass", BLOCKS)).index
    size = int(index.max()) + 1

    def by_block(values: Array) -> Array:
        return np.asarray(np.bincount(index, weights=values, minlength=size), np.float64)

    n, score = effective_n(stats), stats.score
    one = 1.0 / n
    squares, cubes = np.zeros(len(score)), np.zeros(len(score))
    for square, residual in zip(squared_weights(stats), (1.0 - score, -score), strict=True):
        part = square * residual * residual
        squares += part
        part *= residual
        cubes += part
    whole = float(stats.n) ** 2
    doubt = score * (1.0 - score)
    likely = doubt + one
    total = float(stats.total @ likely)
    sums = by_block(view.residual) / float(stats.n)
    weights = (squared_weights(stats)[0] + squared_weights(stats)[1]) / whole
    honest = float(weights @ doubt), float(weights @ (doubt * (1.0 - 2.0 * score))) * one
    clusters, df = None, max(n - 1.0, 1.0)
    if stats.parts is not None:
        clusters, df = _clusters(stats, index, size, sums)
        honest = float((clusters.sum(axis=1) ** 2).sum()), float((clusters.sum(axis=1) ** 3).sum())
    return _Steps(
        sums,
        by_block(squares) / whole,
        by_block(cubes) / whole * one,
        by_block(stats.neg * likely) / total * one**2,
        by_block(stats.pos * likely) / total * one**2,
        one,
        honest,
        clusters,
        df,
    )


def _clusters(
    stats: ScoreStats, index: NDArray[np.intp], size: int, sums: Array
) -> tuple[Array, float]:
    residuals, rows = by_bucket(stats, index, size)
    n = float(stats.n)
    share = leverage(stats)
    centred = without_each((residuals - rows.sum(axis=1, keepdims=True) * sums) / n, share)
    alone = float(stats.total @ (stats.score * (1.0 - stats.score))) / n / effective_n(stats)
    between = float((centred.sum(axis=1) ** 2).sum())
    return centred, freedom(share, max(1.0 - alone / between, 0.0) if between > 0.0 else 0.0)
