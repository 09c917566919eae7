"""Raw scores, which are no probabilities: how well they rank, and what cut-offs of them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import structs

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.registry import ALL
from calibcli.core.numeric.scales import logit
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.parts.curves import PrecisionRecall, Roc
from calibcli.core.results.reading import typed_as
from calibcli.workflows.measure.slices import confusion, figure, ranking_curves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
REASON: Final = "raw scores are no probabilities"
_RANKING: Final = ("n", "prevalence", "auc", "average_precision")
"""Figures of any score whose order means something."""


def ranking_figures(population: Population, conventions: Conventions) -> dict[str, Figure]:
    """Return every metric by name; those of probabilities are null, with the reason."""
    view = View(population.pairs, conventions.headline)
    known = intervals.measure(
        view, confidence=conventions.confidence, seed=conventions.seed, names=_RANKING
    )
    return {name: figure(known.get(name, (None, None, None, REASON))) for name in ALL}


def ranking_brief(population: Population, conventions: Conventions) -> Result:
    """Return the figures of raw scores, and no bins."""
    return {"metrics": ranking_figures(population, conventions), "bins": []}


def ranking_result(
    where: Where,
    population: Population,
    conventions: Conventions,
    scale: RawScale,
    *,
    curves: bool = False,
) -> SliceResult:
    """Return the result of a slice of raw scores.

    Args:
        where: the slice.
        population: its statistics.
        conventions: how sure to be, and the cut-offs in the unit of the scores.
        scale: of the scores.
        curves: whether to have also the curves of all cut-offs that a report draws.
    """
    view, tables = View(population.pairs, conventions.headline), []
    for raw in conventions.raw_cuts:
        at, first = scale.probability(raw), None
        if view.stats.exact:
            first = int(np.searchsorted(view.stats.cut, float(scale.keyed(raw))))
        table = confusion(view, at, conventions.confidence, first=first)
        tables.append(structs.replace(table, threshold=raw))
    drawn = ranking_curves(population) if curves else {}
    for points in drawn.values():
        points["threshold"] = _in_unit(points["threshold"], view.stats, scale)
    return SliceResult(
        slice=where,
        metrics=ranking_figures(population, conventions),
        confusion=tuple(tables),
        bins=(),
        roc=None if "roc" not in drawn else typed_as(drawn["roc"], Roc),
        pr=None if "pr" not in drawn else typed_as(drawn["pr"], PrecisionRecall),
        grid_error=None if population.pairs.exact else grid_error(population.pairs),
    )


def _in_unit(
    thresholds: Sequence[float | None], stats: ScoreStats, scale: RawScale
) -> list[float | None]:
    """Return cut-offs that are probabilities to the program in the unit of the scores."""
    found: list[float | None] = []
    for at in thresholds:
        if at is None:
            found.append(None)
            continue
        place = int(np.searchsorted(stats.floor, at))
        z = float(stats.cut[place]) if stats.exact else float(logit(at))
        found.append(float(scale.raw(z)))
    return found
