"""Counts of decisions as pairs (decision, truth), which every figure of a decision is read from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import NONE, REFER
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.keys import probability_keys
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.counts import Cells, Floats, Mass, RuleCounts


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
