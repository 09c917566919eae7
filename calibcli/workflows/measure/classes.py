"""Many classes that exclude each other: what is worked out of each for a table and for a page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.reading import typed_as
from calibcli.workflows.measure.slices import bin_rows, cut_table, told_figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.results.figures import Where
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered

Result = dict[str, Any]
WORST = 10
"""Classes of the largest ECE, which have intervals where few lines are shown."""
_SHOWN = ("n", "prevalence", "mean_score", "ece", "nll")
"""Figures of a class that tables for people show."""
_ROW = (*_SHOWN, "brier", "auc")
"""Figures of a class in a table of all of them."""
DRAWN = 40
"""Classes of the largest ECE, of which a page says everything."""


def class_row(
    where: Where, population: Population, conventions: Conventions, *, curves: Costs | None
) -> SliceResult:
    """Return what a row of a long table has of one class against the rest, and its bins.

    Bins have intervals, by which a class is honest or not; figures and cut-offs have none.
    """
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(view, confidence=None, seed=conventions.seed, names=_ROW)
    plainly = replace(conventions, confidence=None)
    result: Result = {
        "slice": where,
        "metrics": told_figures(found, population, None),
        "confusion": [cut_table(population, t, plainly) for t in conventions.thresholds],
        "bins": bin_rows(view, conventions.confidence),
    }
    if curves is not None:
        from calibcli.workflows.measure.decided.decision_curves import class_costs

        result |= class_costs(population, curves)
    View.forget(population.pairs)
    return typed_as(result, SliceResult)


def worst_classes(populations: Sequence[Population], conventions: Conventions) -> set[int]:
    """Return which classes are of the largest ECE, as many as are drawn."""

    def error(k: int) -> float:
        view = View.of(populations[k].pairs, conventions.headline, seed=conventions.seed)
        return intervals.measure(view, confidence=None, names=("ece",))["ece"][0] or 0.0

    return set(sorted(range(len(populations)), key=lambda k: -error(k))[:DRAWN])


def shown_classes(
    classes: Sequence[tuple[Where, Population]], conventions: Conventions, *, most: int | None
) -> list[Result]:
    """Return what a table shows of classes against the rest; `slice_result` has the others.

    Args:
        classes: their pairs.
        conventions: how to bin and how sure to be.
        most: how many have intervals, those of the largest ECE first; None for all.
    """
    found = [_shown_class(where, own, conventions, None) for where, own in classes]
    order = sorted(range(len(found)), key=lambda k: -(found[k]["metrics"]["ece"].value or 0.0))
    for k in order[:most]:
        where, own = classes[k]
        found[k] = _shown_class(where, own, conventions, conventions.confidence)
    for _, population in classes:
        View.forget(population.pairs)
    return found


def _shown_class(
    where: Where, population: Population, conventions: Conventions, confidence: float | None
) -> Result:
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(view, confidence=confidence, seed=conventions.seed, names=_SHOWN)
    return {"slice": where, "metrics": told_figures(found, population, None), "bins": []}


def brief_classes(found: Gathered, conventions: Conventions) -> list[Result]:
    """Return what a table shows of classes, after the calibrator too where there is one."""
    slices = found.class_slices
    after = [(one.where, one.calibrated) for one in slices if one.calibrated is not None]
    before = [(one.where, one.population) for one in slices]
    shown, later = (shown_classes(some, conventions, most=WORST) for some in (before, after))
    for one, calibrated in zip(shown, later, strict=False):
        one["calibrated"] = calibrated
    return shown
