"""Decisions counted against the truth, by unit: what every figure of a rule is read from.

A count is of rows (pixels, boxes) by member, slot, unit, truth and decision. A member is a group's
value; a slot is a label, structure or class that is decided by itself (one slot where a single
class is decided a row); a unit is what is independent. Only what occurs is kept, so the table of
a thousand classes is as long as the confusions that happen. Counts merge in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import REFER, of_logits
from calibcli.core.statistics.buckets import BUCKETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.statistics.stats import ScoreStats

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Mass = NDArray[Any]  # int64 counts of rows, or float64 sums of weights

_LEAST_DECISION = REFER


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cells:
    """Counts of one member: what occurs, (m,) each.

    Attributes:
        slot, unit, truth, decision: of each cell.
        count: rows, or their weight; `square` the sum of squared weights.
    """

    slot: Ints
    unit: Ints
    truth: Ints
    decision: Ints
    count: Mass
    square: Floats

    def where(self, which: NDArray[Any]) -> Cells:
        """Return the cells that a mask or an index selects."""
        return Cells(
            self.slot[which],
            self.unit[which],
            self.truth[which],
            self.decision[which],
            self.count[which],
            self.square[which],
        )


class RuleCounts:
    """A mergeable count of decisions.

    Args:
        classes: how many truths there are: 2 for a binary score and for each slot of several.
        slots: how many are decided by themselves in a row.
        units: how many units there may be; None where rows are independent.
        weighted: whether rows carry importance weights.
        exclusive: whether the slots are classes of which one is true in a row, and at most one is
            decided: which were taken for which is not known then.
        sets: whether several of those may be decided: the classes of a prediction set.
    """

    def __init__(
        self,
        classes: int,
        *,
        slots: int = 1,
        units: int | None = None,
        weighted: bool = False,
        exclusive: bool = False,
        sets: bool = False,
    ) -> None:
        self.classes, self.slots = classes, slots
        self.sets = sets
        self.exclusive = exclusive or sets
        self.clustered = units is not None
        self.units = units or 1
        self.weighted = weighted
        self._parts: list[tuple[Ints, Mass, Floats]] = []
        self._waiting = 0

    def add(
        self,
        truth: NDArray[Any],
        decision: NDArray[Any],
        *,
        slot: NDArray[Any] | None = None,
        unit: NDArray[Any] | None = None,
        member: NDArray[Any] | None = None,
        weight: NDArray[Any] | None = None,
    ) -> None:
        """Count rows (n,): class indices of the truth and the decision (or NONE, REFER)."""
        if not len(truth):
            return
        key = np.zeros(len(truth), np.int64) if member is None else member.astype(np.int64)
        for values, size in (
            (slot, self.slots),
            (unit, self.units),
            (truth, self.classes),
            (decision.astype(np.int64) - _LEAST_DECISION, self.classes - _LEAST_DECISION),
        ):
            key = key * size if values is None else key * size + values
        mass = np.ones(len(key), np.int64) if weight is None else weight
        kind = np.float64 if self.weighted else np.int64
        square = mass.astype(np.float64) ** 2 if self.weighted else np.zeros(len(key))
        self._put(key, mass.astype(kind, copy=False), square)

    def add_image(
        self,
        unit: int,
        truth: NDArray[Any],
        decision: NDArray[Any],
        slot: int = 0,
        weight: float | None = None,
    ) -> None:
        """Count the pixels (m,) of one image, each of one weight."""
        decisions = self.classes - _LEAST_DECISION
        joint = truth.astype(np.int64) * decisions + (decision.astype(np.int64) - _LEAST_DECISION)
        count = np.bincount(joint, minlength=self.classes * decisions)
        used = np.flatnonzero(count)
        base = (slot * self.units + unit) * self.classes * decisions
        mass = count[used] * (1.0 if weight is None else weight)
        square = np.asarray(mass * (1.0 if weight is None else weight), np.float64)
        kind = np.float64 if self.weighted else np.int64
        self._put(base + used, mass.astype(kind), square)

    def relabelled(self, unit: Ints, member: Ints | None = None) -> RuleCounts:
        """Return the counts with other units (units,), and members by unit, in place of these."""
        size = int(unit.max(initial=-1)) + 1
        found = RuleCounts(
            self.classes, slots=self.slots, units=max(size, 1), weighted=self.weighted
        )
        inner = self.classes * (self.classes - _LEAST_DECISION)
        for key, count, square in self._compacted():
            rest, last = np.divmod(key, inner)
            slot, old = np.divmod(rest, self.units)
            own = slot if member is None else slot + member[old] * self.slots
            found._put((own * found.units + unit[old]) * inner + last, count, square)
        return found

    def add_stats(self, stats: ScoreStats, rule: Rule, *, slot: int = 0, member: int = 0) -> None:
        """Count pairs (score, truth) by a rule of one score: a cell is decided by its lowest."""
        table = stats.table if stats.parts is None or not self.clustered else stats.parts
        if not len(table):
            return
        own, by_logit = replace(stats, table=table), of_logits(rule) if stats.logits else None
        decided = rule.decide(own.floor) if by_logit is None else by_logit.decide(own.cut)
        decision = decided.astype(np.int64)
        unit = np.where(self.clustered, table.slot, 0).astype(np.int64)
        base = (member * self.slots + slot) * self.units + unit
        for truth, count, square in ((0, table.neg, table.neg_sq), (1, table.pos, table.pos_sq)):
            key = (base * 2 + truth) * (2 - _LEAST_DECISION) + decision - _LEAST_DECISION
            used = count > 0
            power = np.zeros(len(key)) if square is None else square
            self._put(key[used], count[used], power[used])

    def merge(self, other: RuleCounts, members: Ints | None = None) -> None:
        """Add another count; `members` gives the member here of each member there."""
        for key, count, square in other._compacted():
            here = key
            if members is not None:
                size = self.slots * self.units * self.classes * (self.classes - _LEAST_DECISION)
                here = members[key // size] * size + key % size
            self._put(here, count, square)

    def cells(self, member: int = 0) -> Cells:
        """Return what was counted of one member."""
        decisions = self.classes - _LEAST_DECISION
        size = self.slots * self.units * self.classes * decisions
        parts = self._compacted()
        if not parts:
            none, kind = np.zeros(0, np.int64), np.float64 if self.weighted else np.int64
            return Cells(none, none, none, none, np.zeros(0, kind), np.zeros(0))
        key, count, square = parts[0]
        low, high = np.searchsorted(key, [member * size, (member + 1) * size])
        rest, decision = np.divmod(key[low:high] - member * size, decisions)
        rest, truth = np.divmod(rest, self.classes)
        slot, unit = np.divmod(rest, self.units)
        return Cells(
            slot, unit, truth, decision + _LEAST_DECISION, count[low:high], square[low:high]
        )

    def _put(self, key: Ints, count: Mass, square: Floats) -> None:
        if not len(key):
            return
        self._parts.append(_summed([(key, count, square)]))
        self._waiting += len(self._parts[-1][0])
        if self._waiting > 1 << 20:
            self._compacted()
            self._waiting = 0

    def _compacted(self) -> list[tuple[Ints, Mass, Floats]]:
        if len(self._parts) > 1:
            self._parts = [_summed(self._parts)]
        return self._parts


def _summed(parts: list[tuple[Ints, Mass, Floats]]) -> tuple[Ints, Mass, Floats]:
    """Return the distinct keys, sorted, and the sums behind each."""
    key, count, square = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    start = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    return (
        ordered[start],
        np.add.reduceat(count[order], start),
        np.add.reduceat(square[order], start),
    )


def units_of(clustered: bool) -> int | None:
    """Return how many units rows are counted by: the buckets of clusters, or none."""
    return BUCKETS if clustered else None
