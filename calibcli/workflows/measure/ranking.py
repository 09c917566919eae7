"""Slices of which only some figures are known: raw scores, and scores without labels.

Raw scores are no probabilities: what is told is how well they rank, and what cut-offs of them do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from msgspec import structs

from calibcli.core.metrics.binary import View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.multiclass import MULTICLASS_METRICS
from calibcli.core.metrics.registry import ALL
from calibcli.core.numeric.scales import logit
from calibcli.core.results.figures import Bin
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.parts.curves import PrecisionRecall, Roc
from calibcli.core.results.reading import typed_as
from calibcli.workflows.measure.slices import (
    bin_rows,
    confusion,
    figure,
    found_of,
    ranking_curves,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
REASON: Final = "raw scores are no probabilities"
NO_LABELS: Final = "no labels"
_RANKING: Final = ("n", "prevalence", "auc", "average_precision")
"""Figures of any score whose order means something."""
_WITHOUT_LABELS: Final = ("n", "mean_score")


def _figures(
    every: Iterable[str], view: View, conventions: Conventions, names: Sequence[str], reason: str
) -> dict[str, Figure]:
    """Return every metric by name; those that are not among `names` are null, with the reason."""
    known = found_of(view, conventions, names)
    return {name: figure(known.get(name, (None, None, None, reason))) for name in every}


def unlabelled_result(
    where: Where, population: Population, conventions: Conventions, *, raw: bool = False
) -> SliceResult:
    """Return the result of a slice without labels: rows and mean score, and empty places.

    Raw scores have neither a mean that means something here, nor bins.
    """
    view = View(population.pairs, conventions.headline)
    names = _WITHOUT_LABELS[:1] if raw else _WITHOUT_LABELS
    every = MULTICLASS_METRICS if population.exclusive else ALL
    bins = () if raw else bin_rows(view, None)
    return SliceResult(
        slice=where,
        metrics=_figures(every, view, conventions, names, NO_LABELS),
        confusion=None if population.exclusive else (),
        bins=tuple(Bin(one.low, one.high, one.count, one.score) for one in bins),
    )


def ranking_figures(population: Population, conventions: Conventions) -> dict[str, Figure]:
    """Return every metric by name; those of probabilities are null, with the reason."""
    view = View(population.pairs, conventions.headline)
    return _figures(ALL, view, conventions, _RANKING, REASON)


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
