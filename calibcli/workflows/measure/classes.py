"""Many classes that exclude each other: what is worked out of each for a table and for a page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.reading import typed_as
from calibcli.workflows.measure.slices import bin_rows, cut_table, told_figures, with_after

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.results.figures import Where
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice

WORST = 10
"""Classes of the largest ECE, which have intervals where few lines are shown."""
_SHOWN = ("n", "prevalence", "mean_score", "ece", "nll")
"""Figures of a class that tables for people show."""
_ROW = (*_SHOWN, "brier", "auc")
"""Figures of a class in a table of all of them."""
DRAWN = 40
"""Classes of the largest ECE, of which a page says everything."""


def class_row(
    where: Where, population: Population, *, conventions: Conventions, curves: Costs
) -> SliceResult:
    """Return what a row of a long table has of one class against the rest, and its bins.

    Bins have intervals, by which a class is honest or not; figures and cut-offs have none.
    """
    from calibcli.workflows.measure.decided.decision_curves import class_costs

    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(view, confidence=None, seed=conventions.seed, names=_ROW)
    plainly = replace(conventions, confidence=None)
    result = {
        "slice": where,
        "metrics": told_figures(found, population, None),
        "confusion": [cut_table(population, t, plainly) for t in conventions.thresholds],
        "bins": bin_rows(view, conventions.confidence),
        **class_costs(population, curves),
    }
    View.forget(population.pairs)
    return typed_as(result, SliceResult)


def page_classes(
    found: Gathered,
    conventions: Conventions,
    curves: Costs,
    shown: Callable[[Slice], SliceResult],
) -> list[SliceResult]:
    """Return what a page shows of classes: everything, by `shown`, of those that it draws."""
    slices = found.class_slices
    errors = [_ece(one.used, conventions) for one in slices]
    drawn = _largest(errors, DRAWN)
    row = partial(class_row, conventions=conventions, curves=curves)
    return [
        shown(one) if k in drawn else with_after(one, row(one.where, one.population), row)
        for k, one in enumerate(slices)
    ]


def _ece(population: Population, conventions: Conventions) -> float:
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    return intervals.measure(view, confidence=None, names=("ece",))["ece"][0] or 0.0


def _largest(errors: Sequence[float], most: int) -> set[int]:
    """Return which of the errors are the largest, at most so many."""
    return set(sorted(range(len(errors)), key=lambda k: -errors[k])[:most])


def shown_classes(
    classes: Sequence[tuple[Where, Population]], conventions: Conventions
) -> list[SliceResult]:
    """Return what a table shows of classes against the rest; `slice_result` has the others.

    Of those of the largest ECE figures have intervals.
    """
    worst = _largest([_ece(own, conventions) for _, own in classes], WORST)
    return [
        _shown_class(where, own, conventions, conventions.confidence if k in worst else None)
        for k, (where, own) in enumerate(classes)
    ]


def _shown_class(
    where: Where, population: Population, conventions: Conventions, confidence: float | None
) -> SliceResult:
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(view, confidence=confidence, seed=conventions.seed, names=_SHOWN)
    View.forget(population.pairs)
    return SliceResult(slice=where, metrics=told_figures(found, population, None), bins=())


def brief_classes(found: Gathered, conventions: Conventions) -> list[SliceResult]:
    """Return what a table shows of classes, after the calibrator too where there is one."""
    slices = found.class_slices
    shown = shown_classes([(one.where, one.population) for one in slices], conventions)
    after = [(one.where, one.calibrated) for one in slices if one.calibrated is not None]
    later = [structs.replace(one, slice=None) for one in shown_classes(after, conventions)]
    return [
        structs.replace(one, calibrated=calibrated) for one, calibrated in zip_longest(shown, later)
    ]
