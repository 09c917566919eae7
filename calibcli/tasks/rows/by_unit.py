"""Rows to what units have at a few cut-offs, for promises by patient, prompt, video or image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.core.decisions.rules import won

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.tasks.rows.scan import Rows

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp] | None
    Scored = Callable[[Rows], tuple[NDArray[Any], NDArray[Any]]]


class _Parts:
    """The rows of each part: all, and those of each value of a group column.

    Args:
        place: of the group column, or None.
        values: of it, which are the parts after that of all rows.
    """

    def __init__(self, place: int | None, values: Sequence[str]) -> None:
        self.place = place
        self._number = {name: number for number, name in enumerate(values, 1)}

    def of(self, rows: Rows) -> Iterator[tuple[int, Places]]:
        """Yield each part that a batch has rows of, and which; None for all."""
        yield 0, None
        if self.place is not None:
            codes, names = rows.groups[self.place]
            part = np.array([self._number.get(name, 0) for name in names], np.int64)[codes]
            for number in np.unique(part[part > 0]).tolist():
                yield number, np.flatnonzero(part == number)


class ScoreUnits:
    """An accumulator of scores that are cut one by one: one a row, or one for each label.

    Args:
        scored: makes values and labels (n, K) of rows; a label below 0 is missing.
        cuts: the cut-offs of the steps of each class (K,), of each part.
        place, values: of the groups, see `_Parts`.
    """

    def __init__(
        self,
        scored: Scored,
        cuts: Sequence[Sequence[Floats]],
        place: int | None = None,
        values: Sequence[str] = (),
    ) -> None:
        self.scored, self.cuts = scored, cuts
        self.parts = _Parts(place, values)
        self.counts = UnitCounts()
        self.size = len(cuts[0])

    def add(self, rows: Rows) -> None:
        """Take in a batch."""
        assert rows.unit is not None
        values, labels = self.scored(rows)
        for part, own in self.parts.of(rows):
            unit = rows.unit if own is None else rows.unit[own]
            weight = rows.weight if own is None or rows.weight is None else rows.weight[own]
            for k, cuts in enumerate(self.cuts[part]):
                value, label = values[:, k], labels[:, k]
                if own is not None:
                    value, label = value[own], label[own]
                # Keys are 2 (step + 1) + label; of rows below every cut-off the step is -1.
                key = 2 * np.searchsorted(cuts, value, side="right") + label
                mine, mass = unit, weight
                if label.min(initial=0) < 0:
                    there = label >= 0
                    key, mine = key[there], unit[there]
                    mass = None if weight is None else weight[there]
                self.counts.add(part * self.size + k, mine, key, mass)

    def merge(self, other: Self) -> None:
        """Take in a later partition."""
        self.counts.merge(other.counts)

    def table(self, part: int, k: int) -> UnitTable:
        """Return the table of a class, or of the one score, in a part."""
        slot = part * self.size + k
        own = self.counts.read().of_slots(slot, slot + 1)
        selected = own.where(own.key >= 2)
        selected = selected.keyed(selected.key - 2)
        positives = own.where((own.key & 1) == 1)
        steps = len(self.cuts[part][k])
        return UnitTable.of(selected, positives, UnitRows.of(own), steps, self.counts.share)


class WonUnits:
    """An accumulator of classes that exclude each other: of the rows that each class wins.

    Args:
        weights: (K,) of the competition; the largest probability / weight wins.
        cuts: the cut-offs of the steps of each class, of each part.
        place, values: of the groups, see `_Parts`.
    """

    def __init__(
        self,
        weights: Floats,
        cuts: Sequence[Sequence[Floats]],
        place: int | None = None,
        values: Sequence[str] = (),
    ) -> None:
        self.weights, self.cuts = weights, cuts
        self.parts = _Parts(place, values)
        self.counts = UnitCounts()
        self.size = len(weights)
        self._units: dict[int, UnitRows] = {}

    def add(self, rows: Rows) -> None:
        """Take in a batch; slots of won rows are even, those of all rows by their class odd."""
        assert rows.unit is not None
        winner, p = won(rows.p, self.weights)
        for part, own in self.parts.of(rows):
            unit, label, weight = rows.unit, rows.label, rows.weight
            win, value = winner, p
            if own is not None:
                unit, label, win, value = unit[own], label[own], winner[own], p[own]
                weight = None if weight is None else weight[own]
            base = part * self.size
            self.counts.add(2 * (base + label) + 1, unit, np.zeros(len(label), np.int64), weight)
            step = np.zeros(len(win), np.int64)
            for k in np.unique(win).tolist():
                mine = win == k
                step[mine] = np.searchsorted(self.cuts[part][k], value[mine], side="right")
            some = step > 0
            key = (2 * (step - 1) + (win == label))[some]
            mass = None if weight is None else weight[some]
            self.counts.add(2 * (base + win[some]), unit[some], key, mass)

    def merge(self, other: Self) -> None:
        """Take in a later partition."""
        self.counts.merge(other.counts)

    def table(self, part: int, k: int) -> UnitTable:
        """Return the table of a class in a part."""
        entries, first = self.counts.read(), part * self.size
        if part not in self._units:
            every = entries.of_slots(2 * first, 2 * (first + self.size))
            self._units[part] = UnitRows.of(every.where(every.slot % 2 == 1))
        slot = 2 * (first + k)
        return UnitTable.of(
            entries.of_slots(slot, slot + 1),
            entries.of_slots(slot + 1, slot + 2),
            self._units[part],
            len(self.cuts[part][k]),
            self.counts.share,
        )


Tables = ScoreUnits | WonUnits
"""What units have, by part (all rows, and then groups) and by class."""


def as_read(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the scores (n, K) that cut-offs are compared with, and 0/1 labels (n, K)."""
    if rows.label.ndim == 2:
        return (rows.p if rows.logits is None else rows.logits), rows.label
    value = rows.p[:, 1] if rows.logits is None else rows.logits
    return value[:, None], rows.label[:, None]


def confidence_of_score(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return how sure a binary decision at 0.5 is (n, 1), and whether it is right."""
    p = rows.p[:, 1]
    positive = p >= 0.5
    value = np.where(positive, p, 1.0 - p)
    return value[:, None], (positive == (rows.label == 1))[:, None].astype(np.int64)


def confidence_of_top(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the probability of the most probable class (n, 1), and whether it is right."""
    top = rows.p.argmax(axis=1)
    value = rows.p[np.arange(len(top)), top]
    return value[:, None], (top == rows.label)[:, None].astype(np.int64)
