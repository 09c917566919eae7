"""How sure is a fitted map? The interval of the calibrated probability at given scores.

The bootstrap (Efron 1979): rows are drawn again from the cells, as many as there are, the method
is fitted again, and the standard deviation of the maps' logits gives the interval at each score,
which then stays inside (0, 1). Clusters are drawn whole. It is the interval of the map of *this*
method: that the true curve may have another shape is not in it, and of methods with steps
(isotonic, histogram) it is rough.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, calibrate
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.results.parts.stored import MapPoint
from calibcli.core.statistics.compact import compact
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.evidence import FloatArray
    from calibcli.core.calibrators.types import BinaryCalibrator

DRAWS = 100
FEW_DRAWS = {"spline": 40}
"""Of methods that choose a penalty in each fit; 40 draws know a standard deviation to 11 %."""
FINE_CELLS = 600
"""Cells that are drawn from; statistics of more are coarsened first."""
_QUANTILES = 14


def map_points(
    calibrator: Calibrator,
    stats: ScoreStats,
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
    draws: int | None = None,
) -> list[MapPoint]:
    """Return the map at 0, 0.1, ... 1 and at quantiles of the scores, with its interval.

    Args:
        calibrator: fitted on `stats`, by its own default options.
        stats: the pairs; scores that are logits are shown as probabilities.
        confidence: level of the interval; None for none.
        seed: of the draws.
        draws: how many; default 100, fewer for methods that take long.
    """
    scores = grid_of_scores(stats)
    fitted = calibrate(calibrator, scores, logits=False)
    low: list[float | None] = [None] * len(scores)
    high = list(low)
    if confidence is not None and calibrator.method != "identity":
        if draws is None:
            draws = FEW_DRAWS.get(calibrator.method, DRAWS)
        curves = np.array(list(_curves(calibrator, stats, scores, draws, seed)))
        if len(curves) >= draws / 2:
            margin = norm_ppf((1.0 + confidence) / 2.0) * logit(curves).std(axis=0, ddof=1)
            low = np.minimum(expit(logit(fitted) - margin), fitted).tolist()
            high = np.maximum(expit(logit(fitted) + margin), fitted).tolist()
    points = zip(scores.tolist(), fitted.tolist(), low, high, strict=True)
    return [MapPoint(*point) for point in points]


def grid_of_scores(stats: ScoreStats) -> FloatArray:
    """Return about 25 scores, increasing: tenths, and quantiles of the rows."""
    share = np.cumsum(stats.total) / max(float(stats.n), 1e-300)
    wanted = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    place = np.minimum(np.searchsorted(share, wanted), len(stats.score) - 1)
    return np.unique(np.concatenate([np.arange(11) / 10.0, stats.score[place]]))


def _curves(
    calibrator: Calibrator, stats: ScoreStats, scores: FloatArray, draws: int, seed: int
) -> Iterator[FloatArray]:
    small = compact([stats], FINE_CELLS)[0]
    rng = np.random.default_rng(seed)
    kind = cast("type[BinaryCalibrator]", CALIBRATORS[calibrator.method])
    for drawn in redrawn(small, draws, rng):
        try:
            one = kind.fit(drawn)
        except InputError:  # a draw without rows of one label
            continue
        yield calibrate(one, scores, logits=False)


def redrawn(stats: ScoreStats, draws: int, rng: np.random.Generator) -> Iterator[ScoreStats]:
    """Yield statistics of rows drawn with replacement; of whole buckets where rows cluster."""
    if stats.parts is not None:
        yield from _redrawn_buckets(stats, draws, rng)
        return
    table = stats.table
    weights = np.concatenate([table.pos, table.neg]).astype(np.float64)
    size = np.ones(len(weights))
    if table.pos_sq is not None and table.neg_sq is not None:  # W of a cell: W^2 / squares rows
        squares = np.concatenate([table.pos_sq, table.neg_sq])
        size = np.divide(squares, weights, out=size, where=weights > 0)
    rows = weights / size
    total = max(int(np.rint(rows.sum())), 1)
    share = rows / rows.sum()
    for _ in range(draws):
        drawn = rng.multinomial(total, share)
        mass = drawn if not stats.weighted else drawn * size
        pos, neg = np.split(mass, 2)
        squares_drawn: tuple[FloatArray | None, FloatArray | None] = (None, None)
        if stats.weighted:
            first, second = np.split(drawn * size**2, 2)
            squares_drawn = (first, second)
        yield _with_counts(stats, pos, neg, squares_drawn)


def _redrawn_buckets(
    stats: ScoreStats, draws: int, rng: np.random.Generator
) -> Iterator[ScoreStats]:
    """A bucket of clusters is drawn whole."""
    parts = stats.parts
    assert parts is not None
    slots, place = np.unique(parts.slot, return_inverse=True)
    for _ in range(draws):
        times = np.bincount(rng.integers(len(slots), size=len(slots)), minlength=len(slots))
        factor = times[place]
        again = replace(
            parts,
            slot=np.zeros_like(parts.slot),
            pos=parts.pos * factor,
            neg=parts.neg * factor,
            offset=parts.offset * factor,
            pos_sq=None if parts.pos_sq is None else parts.pos_sq * factor,
            neg_sq=None if parts.neg_sq is None else parts.neg_sq * factor,
        )
        table = type(parts).concatenate([again.rows(factor > 0)])
        yield replace(stats, table=table, parts=None)


def _with_counts(
    stats: ScoreStats, pos: Any, neg: Any, squares: tuple[FloatArray | None, FloatArray | None]
) -> ScoreStats:
    table = stats.table
    total = table.pos + table.neg
    kept = (pos + neg) > 0
    # A cell keeps its mean score: its offset grows with its rows.
    offset = np.where(total > 0, table.offset * ((pos + neg) / np.maximum(total, 1e-300)), 0.0)
    drawn = replace(
        table,
        pos=pos,
        neg=neg,
        offset=offset.astype(table.offset.dtype),
        pos_sq=squares[0],
        neg_sq=squares[1],
    )
    return replace(stats, table=drawn.rows(kept))
