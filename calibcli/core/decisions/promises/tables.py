"""What units have at candidates: their rows, and those that each next candidate selects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.decisions.promises.counts import Entries

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


class Shares:
    """What units have, with figures that are shares of it.

    Attributes:
        positives, rows: int64 (U,) of each unit.
    """

    __slots__ = ()
    positives: Ints
    rows: Ints

    def most(self, name: str) -> float:
        """Return the most that a figure of a unit counts as: 1 of a share."""
        return 1.0

    def figures(self, name: str, selected: Ints, true: Ints) -> tuple[Ints, Floats]:
        """Return which units have a figure, and the figure of each.

        Args:
            name: precision, npv, recall, fnr, specificity, fpr, or positive-rate.
            selected: int64 (U,) rows that a cut-off selects.
            true: int64 (U,) those of label 1 among them.
        """
        positives, rows = self.positives, self.rows
        if name == "precision":
            part, whole = true, selected
        elif name == "npv":
            part, whole = (rows - selected) - (positives - true), rows - selected
        elif name in ("recall", "fnr"):
            part, whole = (true if name == "recall" else positives - true), positives
        elif name in ("specificity", "fpr"):
            false = selected - true
            whole = rows - positives
            part = false if name == "fpr" else whole - false
        else:
            part, whole = selected, rows
        some = np.flatnonzero(whole > 0)
        return some, part[some] / whole[some]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnitRows:
    """Units (U,), by their mixed hashes in order, and the rows of each."""

    unit: NDArray[np.uint64]
    rows: Ints

    @classmethod
    def of(cls, entries: Entries) -> UnitRows:
        """Return the units of entries of rows that are counted once each."""
        unit, place = np.unique(entries.unit, return_inverse=True)
        return cls(unit, np.bincount(place, entries.count, len(unit)).astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnitTable(Shares):
    """What each unit has at each step.

    Attributes:
        positives, rows: int64 (U,) of each unit, in an order that has nothing to do with them.
        step: int64 (m,) the highest step whose cut-off selects the rows of an entry.
        place: int64 (m,) the unit of each entry; `right` bool (m,), `count` int64 (m,).
        steps: how many there are.
        share: of the units that were met, those that are here.
    """

    positives: Ints
    rows: Ints
    step: Ints
    place: Ints
    right: Bools
    count: Ints
    steps: int
    share: float = 1.0

    @classmethod
    def of(
        cls, selected: Entries, positives: Entries, units: UnitRows, steps: int, share: float = 1.0
    ) -> UnitTable:
        """Return the table of two sets of entries.

        Args:
            selected: rows that some step selects, with the key 2 step + label.
            positives: all rows of label 1.
            units: all of them.
            steps: how many there are.
            share: of the units that were met, those that are in the entries.
        """
        place, size = np.searchsorted(units.unit, positives.unit), len(units.unit)
        return cls(
            np.bincount(place, positives.count, size).astype(np.int64),
            units.rows,
            selected.key >> 1,
            np.searchsorted(units.unit, selected.unit),
            (selected.key & 1).astype(bool),
            selected.count,
            steps,
            share,
        )

    def walk(self, downward: bool) -> Iterator[tuple[int, Ints, Ints]]:
        """Yield each step with the rows that units have selected there (U,), and those of label 1.

        From the highest down, or from the lowest up. The arrays are changed by the next step.
        """
        order = np.argsort(self.step, kind="stable")
        bounds = np.searchsorted(self.step[order], np.arange(self.steps + 1))
        selected, true = np.zeros(len(self.rows), np.int64), np.zeros(len(self.rows), np.int64)

        def move(step: int, sign: int) -> None:
            own = order[bounds[step] : bounds[step + 1]]
            np.add.at(selected, self.place[own], sign * self.count[own])
            np.add.at(true, self.place[own], sign * self.count[own] * self.right[own])

        if downward:
            for step in range(self.steps - 1, -1, -1):
                move(step, 1)
                yield step, selected, true
        else:
            for step in range(self.steps):
                move(step, 1)
            for step in range(self.steps):
                yield step, selected, true
                move(step, -1)

    def at(self, step: int) -> tuple[Ints, Ints]:
        """Return the rows that units have selected at a step (U,), and those of label 1."""
        own = self.step >= step
        size, place, count = len(self.rows), self.place[own], self.count[own]
        selected = np.bincount(place, count, size).astype(np.int64)
        return selected, np.bincount(place, count * self.right[own], size).astype(np.int64)


class Table(Protocol):
    """What units have at each step: of rows, of masks of images, or of boxes."""

    @property
    def positives(self) -> Ints:
        """Rows of label 1 (U,)."""

    @property
    def rows(self) -> Ints:
        """All rows (U,)."""

    @property
    def share(self) -> float:
        """Of the units that were met, those that are here."""

    def walk(self, downward: bool) -> Iterator[tuple[int, Ints, Ints]]:
        """Yield each step with the rows that units have selected (U,), and those of label 1."""

    def at(self, step: int) -> tuple[Ints, Ints]:
        """Return the rows that units have selected at a step (U,), and those of label 1."""

    def most(self, name: str) -> float:
        """Return the most that a figure of a unit counts as."""

    def figures(self, name: str, selected: Ints, true: Ints) -> tuple[Ints, Floats]:
        """Return which units have a figure, and the figure of each, between 0 and `most`."""
