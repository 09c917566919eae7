"""Figures of the sets of labels that rows get: means over rows, or over clusters of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.core.metrics.shares import of_variance
from calibcli.core.results.figures import Figure, undefined

if TYPE_CHECKING:
    from calibcli.core.results.parts.decided import Decided
    from calibcli.tasks.rows.row_sets import DecidedSets


def with_row_sets(
    result: Decided, sets: DecidedSets | None, member: int, level: float | None
) -> Decided:
    """Return the figures of decisions with `row-precision`, `row-recall` and `row-f1`.

    Without them where rows are not of several labels, or do not count once each.
    """
    moments = None if sets is None else sets.moments(member)
    if moments is None:
        return result
    found = {name: mean_figure(*own, level) for name, own in moments.items()}
    return structs.replace(result, metrics=result.metrics | found)


def mean_figure(units: int, total: float, squares: float, level: float | None) -> Figure:
    """Return a mean of figures between 0 and 1 of units, with its interval.

    The interval is Clopper and Pearson's at the number of trials that the variance is worth, at
    Student's degrees of freedom (Korn and Graubard, 1998). The variance has one unit more whose
    figure is 0 or 1: where all units happen to agree, it would be nothing.

    Args:
        units: how many have the figure.
        total: the sum of their figures.
        squares: the sum of the squares of these.
        level: of the interval; None for none.
    """
    if not units:
        return undefined("no row has one")
    mean = total / units
    if level is None or units < 2:
        return Figure(mean)
    spread = max(squares - units * mean * mean, 0.0) + mean * (1.0 - mean)
    variance = spread / (units * (units - 1.0))
    ends = of_variance(mean, variance, level, units=units, most=math.inf, df=units - 1.0)
    return Figure(mean, *ends)
