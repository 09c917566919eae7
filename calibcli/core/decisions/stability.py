"""How sure a chosen cut-off is: its interval, that of the objective at it, and its optimism.

A cut-off chosen on 200 rows is itself a guess. Rows are resampled, the search is run again on each
resample, and the spread of its answers is the percentile interval of the cut-off. By simulation
it covers the population's optimum at close to the nominal rate, where the basic bootstrap and
bias-corrected ones fall far short (an arg-max is not a smooth statistic); it is too narrow where a
constraint is nearly flat around its target.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.objectives import Array, Constraint, Objective
from calibcli.core.decisions.thresholds import Choice, Confusion, Counts, Curve, choose

_BLOCKS = 2000

Interval = tuple[float, float] | None
Buckets = tuple[NDArray[np.integer], NDArray[np.integer], Counts, Counts]


@dataclass(frozen=True, slots=True)
class Stability:
    """What resampling says of a choice.

    threshold: interval of the cut-off. value: that of the objective at the chosen cut-off, None
    where it is undefined. optimism: by how much the objective on the rows it was chosen on flatters
    it. draws: resamples in which the constraints could be met, of `of`.
    """

    threshold: tuple[float, float]
    value: Interval
    optimism: float
    draws: int
    of: int


def stability(
    score: Array,
    pos: Counts,
    neg: Counts,
    choice: Choice,
    objective: Objective,
    constraints: tuple[Constraint, ...] = (),
    *,
    prior: float | None = None,
    confidence: float = 0.95,
    draws: int = 200,
    seed: int = 0,
    squares: tuple[Array, Array] | None = None,
    buckets: Buckets | None = None,
    lowest: float = -np.inf,
) -> Stability | None:
    """Resample the rows behind the cells and choose again.

    score, pos, neg: the cells that `choice` was made on. squares: sums of squared weights of the
    positives and the negatives of each cell, where rows are weighted. buckets: (bucket, cell, pos,
    neg) of clusters, cell an index into `score`; whole buckets are resampled then. Many cells are
    joined into 2,000 blocks of equal mass, the chosen cut-off a border of its own. lowest: the
    least candidate; positives below it are missed whatever the cut-off.

    Returns None when no resample can meet the constraints.
    """
    start = _blocks(score, pos + neg, (lowest, choice.threshold))
    at = score[start]
    rng = np.random.default_rng(seed)
    if buckets is not None:
        drawn = _resampled_buckets(rng, start, buckets, draws)
    else:
        units = (None, None) if squares is None else squares
        drawn = [
            _resampled(rng, c, u, start, draws) for c, u in zip((pos, neg), units, strict=True)
        ]
    original = Curve.from_cells(at, np.add.reduceat(pos, start), np.add.reduceat(neg, start))
    original = original.above(lowest)
    judged = original if prior is None else original.at_prevalence(prior)
    honest = judged.figure(objective.function)
    fixed = original.index(choice.threshold)
    thresholds, flattery, tables = [], [], []
    for some_pos, some_neg in zip(*drawn, strict=True):
        curve = Curve.from_cells(at, some_pos, some_neg).above(lowest)
        tables.append(curve.confusion(fixed))
        if prior is not None and not (curve.positives and curve.negatives):
            continue
        again = choose(curve, objective, constraints, prior=prior)
        if isinstance(again, Choice):
            thresholds.append(again.threshold)
            flattery.append(again.value - honest[again.index])
    if not thresholds:
        return None
    ends = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = np.quantile(thresholds, ends, method="nearest")
    return Stability(
        threshold=(min(float(low), choice.threshold), max(float(high), choice.threshold)),
        value=_spread(_shifted(tables, prior), objective, ends),
        optimism=float(np.nanmean(flattery)) if np.isfinite(flattery).any() else 0.0,
        draws=len(thresholds),
        of=draws,
    )


def _blocks(score: Array, total: Counts, borders: tuple[float, ...]) -> NDArray[np.intp]:
    """Return where blocks of about equal mass start; the cell at each border starts one."""
    if score.size <= _BLOCKS:
        return np.arange(score.size)
    before = np.cumsum(total) - total
    block = np.floor(before * (_BLOCKS / max(float(total.sum()), 1e-300)))
    fresh = np.append(True, block[1:] != block[:-1])
    for border in borders:
        own = int(np.searchsorted(score, border))
        if own < fresh.size:
            fresh[own] = True
    return np.flatnonzero(fresh)


def _resampled(
    rng: np.random.Generator,
    count: Counts,
    squares: Array | None,
    start: NDArray[np.intp],
    draws: int,
) -> Counts:
    """Return Poisson resamples (draws, blocks); weighted rows keep the mean and the variance."""
    total = np.add.reduceat(count, start)
    if squares is None:
        return rng.poisson(total, (draws, start.size))
    unit = np.add.reduceat(squares, start) / np.where(total > 0, total, 1)
    unit = np.where(unit > 0, unit, 1.0)
    return rng.poisson(total / unit, (draws, start.size)) * unit


def _resampled_buckets(
    rng: np.random.Generator, start: NDArray[np.intp], buckets: Buckets, draws: int
) -> list[Counts]:
    """Return resamples (draws, blocks) of positives and negatives, whole buckets at a time."""
    bucket, cell, pos, neg = buckets
    names, row = np.unique(bucket, return_inverse=True)
    block = np.searchsorted(start, cell, side="right") - 1
    times = rng.multinomial(names.size, np.full(names.size, 1 / names.size), draws)
    out: list[Counts] = []
    for count in (pos, neg):
        dense = np.zeros((names.size, start.size))
        np.add.at(dense, (row, block), count)
        out.append(times @ dense)
    return out


def _shifted(tables: list[Confusion], prior: float | None) -> list[Confusion]:
    """Return tables reweighted to the prevalence `prior`; those of one class are dropped."""
    if prior is None:
        return tables
    out = []
    for t in tables:
        positives, negatives = t.tp + t.fn, t.fp + t.tn
        if positives and negatives:
            up = prior * (positives + negatives) / positives
            down = (1 - prior) * (positives + negatives) / negatives
            out.append(Confusion(t.tp * up, t.fp * down, t.fn * up, t.tn * down))
    return out


def _spread(tables: list[Confusion], objective: Objective, ends: tuple[float, float]) -> Interval:
    four = np.array([(t.tp, t.fp, t.fn, t.tn) for t in tables], dtype=np.float64).reshape(-1, 4)
    value = objective.function(*four.T)
    value = value[~np.isnan(value)]
    if not value.size:
        return None
    low, high = np.quantile(value, ends)
    return float(low), float(high)
