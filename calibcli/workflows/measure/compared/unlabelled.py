"""Scores without labels: what can be shown of them, and why the rest is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.multiclass import MULTICLASS_METRICS
from calibcli.core.metrics.registry import ALL
from calibcli.core.results.figures import Bin
from calibcli.core.results.measure import SliceResult
from calibcli.workflows.measure.slices import bin_rows, figure

if TYPE_CHECKING:
    from calibcli.core.results.figures import Where
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
REASON = "no labels"
_KNOWN = ("n", "mean_score")


def unlabelled_result(
    where: Where, population: Population, conventions: Conventions, *, raw: bool = False
) -> SliceResult:
    """Return the result of a slice without labels: rows and mean score, and empty places.

    Raw scores have neither a mean that means something here, nor bins.
    """
    view = View(population.pairs, conventions.headline)
    known = intervals.measure(
        view,
        confidence=conventions.confidence,
        seed=conventions.seed,
        names=_KNOWN[:1] if raw else _KNOWN,
    )
    absent = None, None, None, REASON
    return SliceResult(
        slice=where,
        metrics={
            name: figure(known.get(name, absent))
            for name in (MULTICLASS_METRICS if population.exclusive else ALL)
        },
        confusion=None if population.exclusive else (),
        bins=()
        if raw
        else tuple(Bin(one.low, one.high, one.count, one.score) for one in bin_rows(view, None)),
    )
