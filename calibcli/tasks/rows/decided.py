"""Rows to counts of decisions: by a rule and by the most probable class, of all and by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.conformal import ConformalSets
from calibcli.core.decisions.counts import RuleCounts, units_of
from calibcli.core.decisions.rules import of_logits
from calibcli.tasks.rows.row_sets import DecidedSets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.rules import Codes, Rule
    from calibcli.tasks.collect import Layout
    from calibcli.tasks.rows.scan import Rows


class Members:
    """Values of a group column, numbered as they come."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def of(self, codes: NDArray[Any], values: Sequence[str]) -> NDArray[np.int64]:
        """Return the member of each row (n,)."""
        here = np.zeros(len(values), np.int64)
        for code in np.unique(codes).tolist():
            here[code] = self.values.setdefault(values[code], len(self.values))
        member: NDArray[np.int64] = here[codes]
        return member

    def joined(self, other: Members) -> NDArray[np.int64]:
        """Return the member here of each member there."""
        return np.array([self.values.setdefault(v, len(self.values)) for v in other.values], int)


def natural(value: str) -> tuple[bool, float, str]:
    """Sort numbers as numbers, before text."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def decisions(rule: Rule, rows: Rows, place: int | None, *, several: bool) -> NDArray[Any]:
    """Return one decision a row (n,), or one for each class of a row (n, K).

    Args:
        rule: what decides.
        rows: the rows.
        place: of the group column that the rule reads, or None.
        several: whether there are classes.
    """
    codes: Codes = None
    values: Sequence[str] | None = None
    if place is not None:
        codes, values = rows.groups[place]
    by_logit = None if rows.logits is None else of_logits(rule)
    if by_logit is not None and rows.logits is not None:
        return by_logit.decide(rows.logits, codes, values)
    return rule.decide(rows.p if several else rows.p[:, 1], codes, values)


class DecidedRows:
    """An accumulator of decisions.

    Args:
        rule: what decides.
        layout: what a row is.
        columns: names of the group columns of the batches.
        shown: those of them whose values are counted by themselves.
        plain: whether the most probable class is counted beside.
    """

    def __init__(
        self,
        rule: Rule,
        layout: Layout,
        columns: Sequence[str] = (),
        shown: Sequence[str] = (),
        *,
        plain: bool = False,
    ) -> None:
        self.rule, self.layout = rule, layout
        self.sets = isinstance(rule, ConformalSets)
        column = getattr(rule, "column", None)
        self.place = None if column is None else list(columns).index(column)
        self.shown = {name: list(columns).index(name) for name in shown}
        self.members = {name: Members() for name in shown}
        self.counts = self._empty()
        self.groups = {name: self._empty() for name in shown}
        self.plain = self._empty() if plain else None
        several = layout.task == "multilabel" and not self.sets
        self.row_sets = DecidedSets() if several else None
        self.group_sets = {name: DecidedSets() for name in shown if several}

    def _empty(self) -> RuleCounts:
        size = max(len(self.layout.classes), 2)
        one = self.layout.task == "multiclass" and not self.sets
        return RuleCounts(
            size if one else 2,
            slots=size if self.sets or self.layout.task == "multilabel" else 1,
            units=units_of(self.layout.clustered),
            weighted=self.layout.weighted,
            sets=self.sets,
        )

    def add(self, rows: Rows) -> None:
        """Take in a batch."""
        if not len(rows.p):
            return
        p = rows.p if self.layout.classes else rows.p[:, 1]
        decision = decisions(self.rule, rows, self.place, several=bool(self.layout.classes))
        self._count(self.counts, rows, decision, None)
        if self.row_sets is not None:
            self.row_sets.add(rows, decision, None)
        for name, place in self.shown.items():
            member = self.members[name].of(*rows.groups[place])
            self._count(self.groups[name], rows, decision, member)
            if name in self.group_sets:
                self.group_sets[name].add(rows, decision, member)
        if self.plain is not None:
            self._count(self.plain, rows, p.argmax(axis=1), None)

    def _count(
        self,
        counts: RuleCounts,
        rows: Rows,
        decision: NDArray[Any],
        member: NDArray[np.int64] | None,
    ) -> None:
        if decision.ndim == 1:
            counts.add(rows.label, decision, unit=rows.bucket, member=member, weight=rows.weight)
            return
        width = decision.shape[1]
        truth = rows.label
        if truth.ndim == 1:
            truth = truth[:, None] == np.arange(width)

        there = np.flatnonzero(truth.reshape(-1) >= 0)  # labels may be missing one by one

        def spread(one: Any) -> Any:
            return None if one is None else one[there // width]

        counts.add(
            truth.reshape(-1)[there],
            decision.reshape(-1)[there],
            slot=there % width,
            unit=spread(rows.bucket),
            member=spread(member),
            weight=spread(rows.weight),
        )

    def ordered(self, column: str) -> tuple[RuleCounts, list[str]]:
        """Return the counts of a column of groups, one member a value, and the values in order."""
        values, place = self._order(column)
        counts = self._empty()
        counts.merge(self.groups[column], place)
        return counts, values

    def ordered_sets(self, column: str) -> DecidedSets:
        """Return the label sets of a column of groups, one member a value, in the same order."""
        sets = DecidedSets()
        sets.merge(self.group_sets[column], self._order(column)[1])
        return sets

    def _order(self, column: str) -> tuple[list[str], NDArray[np.int64]]:
        """Return the values of a column in order, and the place there of each member."""
        members = self.members[column].values
        values = sorted(members, key=natural)
        place = np.zeros(len(values), np.int64)
        place[[members[value] for value in values]] = np.arange(len(values))
        return values, place

    def merge(self, other: DecidedRows) -> None:
        """Add a later partition."""
        self.counts.merge(other.counts)
        if self.row_sets is not None and other.row_sets is not None:
            self.row_sets.merge(other.row_sets)
        for name, counts in self.groups.items():
            joined = self.members[name].joined(other.members[name])
            counts.merge(other.groups[name], joined)
            if name in self.group_sets:
                self.group_sets[name].merge(other.group_sets[name], joined)
        if self.plain is not None and other.plain is not None:
            self.plain.merge(other.plain)
