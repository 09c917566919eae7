"""Decisions counted against the truth, by unit: what every figure of a rule is read from.

A count is of rows (pixels, boxes) by member, slot, unit, truth and decision. A member is a group's
value; a slot is a label, structure or class that is decided by itself (one slot where a single
class is decided a row); a unit is what is independent. Only what occurs is kept, so the table of
a thousand classes is as long as the confusions that happen. Counts merge in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import NONE, REFER, of_logits
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.keys import probability_keys
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.rules import Rule

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


class Judged:
    """The pairs that a member's decisions are judged by: a decision is a score of 0 or 1.

    Args:
        counts: decisions.
        member: which of its members.
    """

    def __init__(self, counts: RuleCounts, member: int = 0) -> None:
        self.counts = counts
        self.all = counts.cells(member)
        self._order = {
            name: np.argsort(getattr(self.all, name), kind="stable")
            for name in ("slot", "truth", "decision")
        }

    @property
    def n(self) -> int | float:
        """Rows, or their weight."""
        whole = self.all if self.counts.slots == 1 else self.all.where(self._where("slot", 0))
        total: int | float = whole.count.sum().item()
        return total

    def of_class(self, k: int) -> ScoreStats:
        """Return pairs (was k decided, is it k) of a class, or of slot k."""
        if self.counts.slots > 1:
            own = self.all.where(self._where("slot", k))
            return self._stats(_Pairs.of(own, own.decision == 1, own.truth == 1))
        own = self.all.where(np.union1d(self._where("truth", k), self._where("decision", k)))
        found = _Pairs.of(own, own.decision == k, own.truth == k)
        return self._stats(found.joined(self._total.less(found)))

    def right(self) -> ScoreStats:
        """Return pairs (1, was the decision right); what is not decided is not right."""
        if self.counts.exclusive:
            return self._of_rows((self.all.decision == 1) & (self.all.truth == 1))
        return self._of_all(self.all.decision == self.all.truth)

    def by_unit(self, k: int) -> Mass:
        """Return tp, fp, fn of class or slot k in each unit (units, 3)."""
        several = self.counts.slots > 1
        cells = self.all.where(self._where("slot", k)) if several else self.all
        at = 1 if several else k
        decided, true = cells.decision == at, cells.truth == at
        return np.stack(
            [
                np.bincount(cells.unit, cells.count * mark, self.counts.units)
                for mark in (decided & true, decided & ~true, ~decided & true)
            ],
            axis=1,
        ).astype(cells.count.dtype)

    def decided(self) -> float:
        """Return how many classes are decided a row, on average."""
        whole = float(self.all.count[self.all.decision == 1].sum())
        return whole / self.n if self.n else 0.0

    def undecided(self) -> ScoreStats:
        """Return pairs (1, was nothing decided)."""
        if self.counts.exclusive:
            decided = self._of_rows(self.all.decision == 1)
            return replace(decided, table=_turned(decided.table), parts=_turned(decided.parts))
        return self._of_all(self.all.decision < 0)

    def matrix(self) -> Mass:
        """Return counts (K, K + 2) by truth and decision: the K classes, NONE, REFER."""
        k, decision = self.counts.classes, self.all.decision
        column = np.select([decision == NONE, decision == REFER], [k, k + 1], decision)
        found = np.zeros((k, k + 2), self.all.count.dtype)
        np.add.at(found, (self.all.truth, column), self.all.count)
        return found

    def variance(self, value: Floats) -> float:
        """Return the variance of the sum of a value by cell (m,) over all rows.

        Independent rows vary by themselves, rows of a unit together.
        """
        if not self.counts.clustered:
            power = self.all.square if self.counts.weighted else self.all.count
            if self.counts.exclusive:
                # A wrong row is in two slots, its own and that of the decision; (a + b)^2 is at
                # most 2 (a^2 + b^2).
                power = power * np.where(self.all.truth == self.all.decision, 1.0, 2.0)
            return float(power @ value**2)
        _, index = np.unique(self.all.unit, return_inverse=True)
        sums = np.bincount(index, weights=value * self.all.count)
        size = len(sums)
        return float(((sums - sums.mean()) ** 2).sum()) * size / max(size - 1, 1)

    @cached_property
    def _total(self) -> _Pairs:
        nothing = np.zeros(len(self.all.count), np.bool_)
        return _Pairs.of(self.all, nothing, nothing)

    def _where(self, name: str, value: int) -> NDArray[np.intp]:
        order = self._order[name]
        low, high = np.searchsorted(getattr(self.all, name)[order], [value, value + 1])
        return np.sort(order[low:high])

    def _of_all(self, label: NDArray[np.bool_]) -> ScoreStats:
        return self._stats(_Pairs.of(self.all, np.ones(len(label), np.bool_), label))

    def _of_rows(self, label: NDArray[np.bool_]) -> ScoreStats:
        """Return pairs (1, label) of rows whose slots hold at most one cell with the label."""
        first, own = self.all.where(self._where("slot", 0)), self.all.where(label)
        yes, no = np.ones(len(first.count), np.bool_), np.zeros(len(first.count), np.bool_)
        some = np.ones(len(own.count), np.bool_)
        held = _Pairs.of(own, some, some)
        return self._stats(held.joined(_Pairs.of(first, yes, no).less(held)))

    def _stats(self, pairs: _Pairs) -> ScoreStats:
        weighted = self.counts.weighted
        parts = pairs.table(weighted) if self.counts.clustered else None
        return ScoreStats(pairs.whole().table(weighted), (0.5,), weighted=weighted, parts=parts)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Pairs:
    """Counts and sums of squares by unit, score (0, 1) and label: (units, 2, 2) each."""

    count: Mass
    square: Floats

    @classmethod
    def of(cls, cells: Cells, score: NDArray[np.bool_], label: NDArray[np.bool_]) -> _Pairs:
        index = (cells.unit * 2 + score) * 2 + label
        units = int(cells.unit.max(initial=-1)) + 1
        count = np.bincount(index, cells.count, 4 * units).astype(cells.count.dtype)
        square = np.bincount(index, cells.square, 4 * units).astype(np.float64)
        return cls(count.reshape(units, 2, 2), square.reshape(units, 2, 2))

    def less(self, own: _Pairs) -> _Pairs:
        """Return what is left of rows that all have label 0 and one score."""
        units = len(own.count)
        count, square = self.count.copy(), self.square.copy()
        score = int(count[:, 1, 0].any())
        count[:units, score, 0] -= own.count.sum(axis=(1, 2))
        square[:units, score, 0] -= own.square.sum(axis=(1, 2))
        return _Pairs(np.maximum(count, 0), np.maximum(square, 0))

    def joined(self, other: _Pairs) -> _Pairs:
        """Return the sum of both; `other` has as many units or more."""
        count, square = other.count.copy(), other.square.copy()
        count[: len(self.count)] += self.count
        square[: len(self.count)] += self.square
        return _Pairs(count, square)

    def whole(self) -> _Pairs:
        """Return the sum over units."""
        return _Pairs(self.count.sum(axis=0)[None], self.square.sum(axis=0)[None])

    def table(self, weighted: bool) -> CellTable:
        """Return the cells that hold rows, by unit and score."""
        keys = probability_keys(np.array([0.0, 1.0]))
        count, square = self.count.reshape(-1, 2), self.square.reshape(-1, 2)
        used = np.flatnonzero(count.any(axis=1))
        neg, pos = count[used].T
        return CellTable(
            (used // 2).astype(np.int32),
            keys[used % 2],
            pos,
            neg,
            np.zeros(len(used), count.dtype),
            square[used, 1] if weighted else None,
            square[used, 0] if weighted else None,
        )


def table_counts(stats: ScoreStats) -> tuple[float, float, float, float]:
    """Return tp, fp, fn, tn of pairs (decision, truth)."""
    decided = stats.key > 0
    tp, fp = float(stats.pos[decided].sum()), float(stats.neg[decided].sum())
    return tp, fp, float(stats.positives) - tp, float(stats.negatives) - fp


def _turned(table: CellTable | None) -> Any:
    """Return a table with the labels exchanged."""
    if table is None:
        return None
    return replace(table, pos=table.neg, neg=table.pos, pos_sq=table.neg_sq, neg_sq=table.pos_sq)


def units_of(clustered: bool) -> int | None:
    """Return how many units rows are counted by: the buckets of clusters, or none."""
    return BUCKETS if clustered else None
