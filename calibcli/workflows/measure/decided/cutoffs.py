"""The exact counts at a list of cut-offs, for the lever of the report and its cost curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.decisions.thresholds import Curve
from calibcli.core.results.parts.curves import Cutoffs
from calibcli.core.results.reading import typed_as

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.results.measure import SliceResult
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population

    Array = NDArray[np.float64]

Result = dict[str, Any]
MOST = 2_000
"""Cut-offs listed of one slice."""
ALL = 20_000
"""Cut-offs listed of all slices together."""
SLICES = 500
"""Slices that have a list of their own: the most harmful."""

ROUND = tuple(i / 100 for i in range(1, 100))
"""Cut-offs that people ask for; a grid is told to keep the counts there exact."""


def cutoffs(stats: ScoreStats, wanted: tuple[float, ...], most: int = MOST) -> Result:
    """Return tp and fp at increasing thresholds, exact at each: positive is score >= threshold.

    `every` says that all distinct scores are listed, so that the counts at any other cut-off are
    those of the next one up. Where there are more than `most`, some are left out: `wanted` and
    round numbers stay where their counts are known, the others lie evenly along the ROC curve.
    """
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    if len(stats.mixed) and stats.mixed[-1] and len(curve.threshold) > 1:
        # Where the top cell holds several scores, nothing says which threshold is above them all.
        curve = Curve(*(values[:-1] for values in _columns(curve)))
    every = stats.exact and len(curve.threshold) <= most
    at = curve.threshold if every else _thinned(curve, stats, wanted, most)
    place = np.searchsorted(curve.threshold, at)
    return {
        "threshold": at.tolist(),
        "tp": curve.tp[place].tolist(),
        "fp": curve.fp[place].tolist(),
        "positives": stats.positives,
        "negatives": stats.negatives,
        "every": every,
    }


def with_cutoffs(
    parts: Sequence[tuple[SliceResult, Population]], wanted: tuple[float, ...]
) -> Callable[[SliceResult], SliceResult]:
    """Return what gives the most harmful parts, each with its population, their lists of cut-offs.

    A population of several classes has no cut-off of its own, and one of boxes no true negatives.
    """
    able = [(part, own) for part, own in parts if not own.exclusive and own.pairs.n]
    able = [one for one in able if one[1].extra is None or not one[1].extra.lowest]
    able.sort(key=lambda pair: -(pair[0].value("ece") or 0.0))
    chosen = able[:SLICES]
    most = min(max(ALL // max(len(chosen), 1), 2), MOST)
    found = {
        id(part): typed_as(cutoffs(population.pairs, wanted, most), Cutoffs)
        for part, population in chosen
    }
    return lambda part: structs.replace(part, cutoffs=found.get(id(part)))


def cost_curve(stats: ScoreStats, costs: Costs, at: Sequence[float], lowest: float = 0.0) -> Result:
    """Return the expected cost per row at thresholds, and the cheapest from `lowest` on."""
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    cost = curve.figure(costs.objective().function)
    place = np.minimum(np.searchsorted(curve.threshold, at), len(curve.threshold) - 1)
    best = int(np.argmin(np.where(curve.threshold >= lowest, cost, np.inf)))
    return {
        "costs": {"fp": costs.fp, "fn": costs.fn, "tp": costs.tp, "tn": costs.tn},
        "threshold": list(at),
        "cost": cost[place].tolist(),
        "best": {"threshold": float(curve.threshold[best]), "cost": float(cost[best])},
        "closed_form": costs.cutoff(),
    }


def _columns(curve: Curve) -> tuple[Any, ...]:
    return curve.threshold, curve.tp, curve.fp, curve.fn, curve.tn


def _thinned(curve: Curve, stats: ScoreStats, wanted: tuple[float, ...], most: int) -> Array:
    known = curve.threshold
    step = 1 if most >= 400 else 5 if most >= 60 else 10
    asked = np.array(sorted({*wanted, *ROUND[step - 1 :: step]}))
    asked = asked[asked <= known[-1]]
    if not stats.exact:  # within a cell of a grid the counts are not known
        edges = np.array(stats.edges)
        asked = asked[np.isin(asked, known) | np.isin(asked, edges)]
        # A cell may start right above an edge that no row has: there the edge cuts alike.
        below = np.nextafter(known, 0.0)
        known = np.where(np.isin(below, edges), below, known)
    alerts = (curve.tp / max(curve.positives, 1)) + (curve.fp / max(curve.negatives, 1))
    room = max(most - len(asked), 2)
    evenly = np.searchsorted(-alerts, -np.linspace(alerts[0], 0.0, room))
    return np.union1d(asked, known[np.minimum(evenly, len(known) - 1)])
