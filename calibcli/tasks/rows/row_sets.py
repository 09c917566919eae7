"""Rows of several labels to what each row has: at a few cut-offs, or under a rule's decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.objectives import ROWS
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.row_sets import row_figure
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.tasks.rows.by_unit import as_read

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from calibcli.tasks.rows.scan import Rows


class SetUnits:
    """An accumulator of the labels of rows, or of clusters of rows.

    Args:
        cuts: float64 (S,) increasing, of all labels.
    """

    def __init__(self, cuts: NDArray[np.float64]) -> None:
        self.cuts = cuts
        self.counts = UnitCounts()

    def add(self, rows: Rows) -> None:
        """Take in a batch; a label below 0 is missing."""
        values, labels = as_read(rows)
        # Keys are 2 (step + 1) + label; of labels below every cut-off the step is -1.
        key = 2 * np.searchsorted(self.cuts, values, side="right") + labels
        there = labels >= 0
        unit = np.broadcast_to(rows.own[:, None], key.shape)
        self.counts.add(0, unit[there], key[there])

    def merge(self, other: SetUnits) -> None:
        """Take in a later partition."""
        self.counts.merge(other.counts)

    def table(self) -> UnitTable:
        """Return what units have; `rows` are their labels."""
        own = self.counts.read()
        selected = own.where(own.key >= 2)
        return UnitTable.of(
            selected.keyed(selected.key - 2),
            own.where((own.key & 1) == 1),
            UnitRows.of(own),
            len(self.cuts),
            self.counts.share,
        )


class DecidedSets:
    """An accumulator of how right the sets of labels are that a rule selects, by member.

    Rows are units, whose figures are summed; of clusters it keeps what each of them has.
    """

    def __init__(self) -> None:
        self.sums = np.zeros((0, len(ROWS), 3))
        self.counts = UnitCounts()
        self.whole = True

    def add(self, rows: Rows, decision: NDArray[Any], member: NDArray[np.int64] | None) -> None:
        """Take in decisions (n, K) of a batch; a label below 0 is missing."""
        if rows.weight is not None:
            self.whole = False  # a mean in which every row counts once
            return
        there, selected = rows.label >= 0, decision == 1
        home = np.zeros(len(decision), np.int64) if member is None else member
        if rows.unit is None:
            real = rows.label == 1
            positives, chosen, true = (
                one.sum(axis=1) for one in (real, selected & there, selected & real)
            )
            sums = _moments(positives, chosen, true, home, int(home.max(initial=-1)) + 1)
            self.sums = _longer(self.sums, len(sums))
            self.sums[: len(sums)] += sums
            return
        slot = np.broadcast_to(home[:, None], there.shape)
        unit = np.broadcast_to(rows.unit[:, None], there.shape)
        key = 2 * selected + (rows.label == 1)
        self.counts.add(slot[there], unit[there], key[there])

    def merge(self, other: DecidedSets, members: NDArray[np.int64] | None = None) -> None:
        """Take in a later partition; `members` gives the member here of each one there."""
        place = np.arange(len(other.sums)) if members is None else members[: len(other.sums)]
        self.sums = _longer(self.sums, int(place.max(initial=-1)) + 1)
        self.sums[place] += other.sums
        self.counts.merge(other.counts, members)
        self.whole &= other.whole

    def moments(self, member: int) -> dict[str, tuple[int, float, float]] | None:
        """Return of each figure how many units have it, its sum and that of its squares.

        None where rows do not count once each.
        """
        if not self.whole:
            return None
        entries = self.counts.read().of_slots(member, member + 1)
        found = _longer(self.sums, member + 1)[member]
        if len(entries.unit):
            unit, place = np.unique(entries.unit, return_inverse=True)
            positives, chosen, true = (
                np.bincount(place, entries.count * own, len(unit)).astype(np.int64)
                for own in (entries.key & 1, entries.key >> 1, entries.key == 3)
            )
            found = _moments(positives, chosen, true, np.zeros(len(unit), np.int64), 1)[0]
        return {
            name: (round(n), total, squares)
            for name, (n, total, squares) in zip(sorted(ROWS), found.tolist(), strict=True)
        }


def _moments(
    positives: NDArray[np.int64],
    selected: NDArray[np.int64],
    true: NDArray[np.int64],
    member: NDArray[np.int64],
    members: int,
) -> NDArray[np.float64]:
    """Return number, sum and sum of squares of each figure of units, (members, figures, 3)."""
    found = np.zeros((members, len(ROWS), 3))
    for k, name in enumerate(sorted(ROWS)):
        value, there = row_figure(name, positives, selected, true)
        own, value = member[there], value[there]
        for power, weight in enumerate((np.ones(len(value)), value, value**2)):
            found[:, k, power] = np.bincount(own, weight, members)
    return found


def _longer(sums: NDArray[np.float64], members: int) -> NDArray[np.float64]:
    """Return sums with room for so many members."""
    if len(sums) >= members:
        return sums
    return np.concatenate([sums, np.zeros((members - len(sums), *sums.shape[1:]))])
