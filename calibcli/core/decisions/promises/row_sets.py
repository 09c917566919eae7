"""One cut-off for all labels of a row, by the mean over rows of how right its set of labels is.

A row has a set of true labels and, at a cut-off, a set of selected ones. Its recall is the share of
the true labels that are selected, its precision the share of the selected ones that are true, its
F1 twice their number over the sizes of both sets. Rows without a true label have no recall, rows
without a selected one no precision; the mean is over rows that have the figure (Godbole and
Sarawagi 2004, *Discriminative methods for multi-labeled classification*). Where rows come in
clusters a unit is a cluster, whose labels are taken together.

`RowMeans` has the mean at every cut-off and without any fold of units in one pass over the entries:
a figure changes only where a unit selects one more label, by what that changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.cross_fit import FOLDS
from calibcli.core.decisions.objectives import ROWS, TOLERANCE
from calibcli.core.decisions.thresholds import Shortfall, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.decisions.promises.tables import UnitTable

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


def row_figure(name: str, positives: Ints, selected: Ints, true: Ints) -> tuple[Floats, Bools]:
    """Return the figure of each unit (U,), 0 where there is none, and whether there is one.

    Args:
        name: row-precision, row-recall or row-f1.
        positives: true labels of each unit.
        selected: labels that a cut-off selects.
        true: those that are right.
    """
    part = 2 * true if name == "row-f1" else true
    whole = {
        "row-precision": selected,
        "row-recall": positives,
        "row-f1": selected + positives,
    }[name]
    there = whole > 0
    return part / np.maximum(whole, 1), there


@dataclass(frozen=True, eq=False, repr=False)
class RowMeans:
    """The mean of a figure over units at each of S cut-offs.

    Attributes:
        name: of the figure.
        sums, counts: float64 (FOLDS, S) of each fold of units: the sum of their figures, and how
            many units have one.
    """

    name: str
    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, table: UnitTable) -> dict[str, RowMeans]:
        """Return the means of every figure, by its name, of a table of what units have."""
        runs = _Runs.of(table)
        return {name: runs.means(name, table) for name in sorted(ROWS)}

    @cached_property
    def whole(self) -> Floats:
        """The mean over all units (S,), NaN where none has the figure."""
        return _ratio(self.sums.sum(axis=0), self.counts.sum(axis=0))

    def without(self, fold: int) -> Floats:
        """Return the mean over the units of all folds but one (S,)."""
        sums, counts = self.sums.sum(axis=0), self.counts.sum(axis=0)
        return _ratio(sums - self.sums[fold], counts - self.counts[fold])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Runs:
    """What units have selected, at each step that selects more of them.

    Attributes:
        place, step: (m,) unit and step, by unit and from the highest step down.
        selected, true: (m,) what it has selected there, and what of it is right.
        fresh: (m,) which are the first of their unit.
    """

    place: Ints
    step: Ints
    selected: Ints
    true: Ints
    fresh: Bools

    @classmethod
    def of(cls, table: UnitTable) -> _Runs:
        order = np.lexsort((-table.step, table.place))
        place, step, count = table.place[order], table.step[order], table.count[order]
        fresh = _fresh(place)
        selected = _within(count, fresh)
        true = _within(count * table.right[order], fresh)
        last = np.append((place[1:] != place[:-1]) | (step[1:] != step[:-1]), True)[: len(place)]
        place, step, selected, true = (one[last] for one in (place, step, selected, true))
        return cls(place, step, selected, true, _fresh(place))

    def means(self, name: str, table: UnitTable) -> RowMeans:
        """Return the means of a figure, by what it changes at each step."""
        size, fold, place = table.steps, folds_of(len(table.rows)), self.place
        value, there = row_figure(name, table.positives[place], self.selected, self.true)
        none = np.zeros(len(table.rows), np.int64)
        start, begun = row_figure(name, table.positives, none, none)
        home = fold[place] * size + self.step

        def total(now: Floats, before: Floats) -> Floats:
            was = np.where(self.fresh, before[place], np.append(0.0, now[:-1])[: len(now)])
            moved = np.bincount(home, now - was, FOLDS * size).reshape(FOLDS, size)
            base = np.bincount(fold, before, FOLDS)[:, None]
            return np.asarray(np.cumsum(moved[:, ::-1], axis=1)[:, ::-1] + base, np.float64)

        return RowMeans(
            name,
            total(np.where(there, value, 0.0), np.where(begun, start, 0.0)),
            np.rint(total(there.astype(np.float64), begun.astype(np.float64))),
        )


def folds_of(units: int) -> Ints:
    """Return the fold of each unit (units,), whose order has nothing to do with them."""
    return np.arange(units) % FOLDS


@dataclass(frozen=True, slots=True)
class RowChoice:
    """The best cut-off, its place among the candidates, and how many do as well."""

    index: int
    threshold: float
    value: float
    tied: int


def choose_rows(
    threshold: Floats,
    means: Mapping[str, Floats],
    objective: str,
    constraints: Sequence[Constraint],
    allowed: Bools | None = None,
) -> RowChoice | Unreachable:
    """Return the best candidate that meets every bound, of equal ones the highest.

    Args:
        threshold: (S,) candidates, increasing.
        means: of each figure by its name (S,), NaN where there is none.
        objective: the name of what is made as large as can be.
        constraints: bounds of such figures.
        allowed: (S,) which candidates compete.
    """
    meets = [one.met(means[one.name]) for one in constraints]
    value = means[objective]
    feasible = np.logical_and.reduce([~np.isnan(value), *meets])
    if allowed is not None:
        feasible &= allowed
    if not feasible.any():
        short = [
            _shortfall(threshold, means[one.name], one, [*meets[:k], *meets[k + 1 :]])
            for k, one in enumerate(constraints)
        ]
        return Unreachable(tuple(short))
    best = float(value[feasible].max())
    tied = np.flatnonzero(feasible & (value >= best - TOLERANCE))
    place = int(tied[-1])
    return RowChoice(place, float(threshold[place]), float(value[place]), len(tied))


def _shortfall(
    threshold: Floats, mean: Floats, constraint: Constraint, others: Sequence[Bools]
) -> Shortfall:
    """Return how near a bound can be brought, where the others hold if they do anywhere."""
    known = ~np.isnan(mean)
    among = np.logical_and.reduce([known, *others])
    hold = bool(among.any())
    place = np.flatnonzero(among if hold else known)
    if not len(place):
        return Shortfall(constraint, None, None, others_hold=False)
    best = int(place[np.argmax(mean[place])])
    return Shortfall(constraint, float(mean[best]), float(threshold[best]), hold)


def _ratio(sums: Floats, counts: Floats) -> Floats:
    found = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=found, where=counts > 0)
    return found


def _fresh(place: Ints) -> Bools:
    """Return which entries (m,), by unit, are the first of theirs."""
    return np.append(True, place[1:] != place[:-1])[: len(place)]


def _within(values: NDArray[np.integer], first: Bools) -> Ints:
    """Return running sums that begin anew wherever `first` is true."""
    each = values.astype(np.int64)
    total: Ints = np.cumsum(each)
    start = np.flatnonzero(first)
    return total - np.repeat((total - each)[start], np.diff(np.append(start, len(total))))
