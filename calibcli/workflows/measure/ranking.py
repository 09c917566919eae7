"""Raw scores, which are no probabilities: how well they rank, and what cut-offs of them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import structs

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.further.registry import ALL
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.results.measure import SliceResult
from calibcli.workflows.measure.slices import confusion, figure

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.figures import Figure, Where
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
    where: Where, population: Population, conventions: Conventions, scale: RawScale
) -> SliceResult:
    """Return the result of a slice of raw scores.

    Args:
        where: the slice.
        population: its statistics.
        conventions: how sure to be, and the cut-offs in the unit of the scores.
        scale: of the scores.
    """
    view, tables = View(population.pairs, conventions.headline), []
    for raw in conventions.raw_cuts:
        at, first = scale.probability(raw), None
        if view.stats.exact:
            first = int(np.searchsorted(view.stats.cut, float(scale.keyed(raw))))
        table = confusion(view, at, conventions.confidence, first=first)
        tables.append(structs.replace(table, threshold=raw))
    return SliceResult(
        slice=where,
        metrics=ranking_figures(population, conventions),
        confusion=tuple(tables),
        bins=(),
        grid_error=None if population.pairs.exact else grid_error(population.pairs),
    )
