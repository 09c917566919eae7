"""Counts in cells as narrow as the range of the scores allows, for ranking figures.

A tally in a grid keeps its sums in cells of one part in a thousand of a tail. Of several scores in
a cell the order is lost, and AUC or average precision may be off by it. So each row is also
counted by the leading bits of its place alone: as many bits as leave the range from the least to
the greatest score `CELLS` cells, and `LEAST_BITS` or more. A narrow band of scores is resolved as
well as a wide one.

Which bits these are depends on the least and the greatest score only, so any split of the rows
gives the same cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.statistics.keys import ONE_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.core.statistics.keys import Keys

    _Sparse = tuple[NDArray[Any], Keys, Counts, Counts]

CELLS = 1 << 18
"""Cells that the range of the scores is cut into, at least half of them, of all slots together."""
MOST_CELLS = 1 << 20
"""Cells of a range so wide that `LEAST_BITS` would be too many."""
LEAST_BITS = 13
"""More cost time: what is counted at random no longer fits a core's own cache."""
_MANTISSA = 52
_ONE = np.float32(1)
_SPARE: list[NDArray[np.float32]] = []
_MOST_SPARE = 4
_MOST_RECENT = 1 << 24
"""Rows that float32 counts exactly, at half the time that int64 takes."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RankCells:
    """Cells that hold rows, in score order: the places where they start and end, and their rows.

    A cell reaches from `start` up to `stop`, which belongs to the next.
    """

    start: Keys
    stop: Keys
    pos: Counts
    neg: Counts
    bits: int

    @property
    def mixed(self) -> NDArray[np.bool_]:
        """Whether a cell may hold several distinct scores."""
        mixed: NDArray[np.bool_] = self.stop > self.start + 1
        return mixed

    def parted(self, table: CellTable, edges: Keys) -> Self:
        """Return the cells split at edges, below and at which the cells of `table` are exact.

        Rows of one score are told from their neighbours there: both sides know exactly how many
        rows lie below a border.
        """
        points = np.sort(np.concatenate([edges, edges + 1]))
        home = np.searchsorted(self.start, points, side="right") - 1
        within = (home >= 0) & (self.start[home] < points) & (points < self.stop[home])
        if not within.any():
            return self
        points = _distinct(points[within])
        cells = _distinct(home[within])
        borders = _distinct(np.sort(np.concatenate([self.start[cells], points])))
        cell = cells[np.searchsorted(self.start[cells], borders, side="right") - 1]
        last = np.append(cell[1:] != cell[:-1], True)
        stop = np.where(last, self.stop[cell], np.append(borders[1:], 0))
        others = np.ones(len(self.start), np.bool_)
        others[cells] = False
        start = np.concatenate([self.start[others], borders])
        order = np.argsort(start, kind="stable")

        def joined(whole: Any, parts: Any) -> Any:
            return np.concatenate([whole[others], parts])[order]

        def counts(mine: Counts, theirs: Counts) -> Counts:
            below = np.append(0, np.cumsum(theirs))[np.searchsorted(table.key, borders)]
            fine = np.append(0, np.cumsum(mine))
            below = np.where(np.isin(borders, points), below, fine[cell])
            above = np.where(last, fine[cell + 1], np.append(below[1:], 0))
            # Sums of weights that should be equal may differ by their rounding.
            split: Counts = joined(mine, np.maximum(above - below, 0))
            return split

        pos, neg = counts(self.pos, table.pos), counts(self.neg, table.neg)
        return type(self)(start[order], joined(self.stop, stop), pos, neg, self.bits)

    def merge(self, other: Self) -> Self:
        """Return the counts of both sets of rows, in the wider of their cells."""
        bits = min(self.bits, other.bits)
        shift = _MANTISSA - bits
        start = np.concatenate([_floored(one.start, shift) for one in (self, other)])
        cells, index = np.unique(start, return_inverse=True)

        def total(name: str) -> Counts:
            counts = np.concatenate([getattr(one, name) for one in (self, other)])
            found = np.zeros(len(cells), counts.dtype)
            np.add.at(found, index, counts)
            return found

        return type(self)(cells, _stops(cells, shift), total("pos"), total("neg"), bits)


def _distinct(ordered: Keys) -> Keys:
    distinct: Keys = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return distinct


def _floored(place: Keys, shift: int) -> Keys:
    """Return where the cells of places start; 0 and 1 are cells of their own."""
    floored = (place >> shift) << shift
    return np.where(place == 0, 0, np.where(place == ONE_KEY, ONE_KEY, np.maximum(floored, 1)))


def _stops(start: Keys, shift: int) -> Keys:
    inner = np.minimum(((start >> shift) + 1) << shift, ONE_KEY)
    stops: Keys = np.where(start == 0, 1, np.where(start == ONE_KEY, ONE_KEY + 1, inner))
    return stops


class Ranks:
    """Counts by (slot, cell), for slots that may grow in number.

    Args:
        slots: how many there are.
        weighted: whether rows carry importance weights.
    """

    def __init__(self, slots: int, *, weighted: bool) -> None:
        self.slots = slots
        kind = np.float64 if weighted else np.int64
        self._ends = np.zeros((slots, 4), kind)  # rows of score 0 and of 1, negative and positive
        self._low, self._high = ONE_KEY, 0
        self._shift, self._first, self._width = 0, 0, 0
        self._counts: Counts = np.zeros(0, kind)
        self._recent = np.zeros(0, np.float32)
        self._rows = 0

    def add(
        self,
        place: Keys,
        label: NDArray[np.bool_],
        slot: NDArray[Any] | None,
        weight: NDArray[Any] | None,
    ) -> None:
        """Count rows (n,), n > 0."""
        index = self._index(place)
        if index is None:
            ends = (place == 0) | (place == ONE_KEY)
            if ends.any():
                at = (place[ends] > 0) * 2 + label[ends]
                at = at if slot is None else slot[ends] * np.int64(4) + at
                np.add.at(self._ends.reshape(-1), at, 1 if weight is None else weight[ends])
                if ends.all():
                    return
                place, label = place[~ends], label[~ends]
                slot = None if slot is None else slot[~ends]
                weight = None if weight is None else weight[~ends]
            self._cover(int(place.min()), int(place.max()))
            index = self._index(place)
            assert index is not None
        if slot is not None:
            index += slot * np.int64(self._width)
        index <<= 1
        index += label
        if weight is None and self._counts.dtype.kind != "f":
            self._rows += len(index)
            if self._rows > _MOST_RECENT:
                self._fold()
                self._rows = len(index)
            np.add.at(self._recent, index, _ONE)
        else:
            np.add.at(self._all(), index, 1 if weight is None else weight)

    def _index(self, place: Keys) -> NDArray[np.int64] | None:
        """Return the cell of each place, or None where there is none for one of them."""
        index = place >> self._shift
        index -= self._first
        # Below the first cell an index is negative, so a huge number without a sign.
        return index if int(index.view(np.uint64).max()) < self._width else None

    def _fold(self) -> None:
        """Add the recent rows to the others."""
        if self._rows:
            np.add(self._all(), self._recent, out=self._counts, casting="unsafe")
            self._recent[:] = 0
            self._rows = 0

    def _all(self) -> Counts:
        """Return the counts but for those of recent rows, with room for every cell."""
        if not self._counts.size:
            size = 2 * self.slots * self._width
            self._counts = np.zeros(size, self._counts.dtype)
        return self._counts

    def __del__(self) -> None:
        if len(_SPARE) < _MOST_SPARE:
            _SPARE.append(self._recent)

    def make_room(self, slots: int) -> None:
        """Have at least so many slots."""
        if slots > self.slots:
            more = np.zeros((slots - self.slots, 4), self._ends.dtype)
            self._ends = np.concatenate([self._ends, more])
            parts, self.slots = self.sparse(), slots
            self._allocate(*parts)

    def merge(self, other: Ranks, slot_map: NDArray[Any] | None = None) -> None:
        """Add the rows of another; `slot_map` gives the slot here of each slot there."""
        mapping = np.arange(other.slots) if slot_map is None else slot_map[: other.slots]
        np.add.at(self._ends, mapping, other._ends)
        if not other._width:
            return
        self._cover(other._low, other._high)
        before = other._first - self._first
        inside = before >= 0 and before + other._width <= self._width
        if slot_map is None and inside and other._shift == self._shift:
            mine = self._all().reshape(self.slots, self._width, 2)
            own = mine[: other.slots, before : before + other._width]
            for theirs in (other._counts, other._recent)[not other._counts.size :]:
                more = theirs.reshape(other.slots, other._width, 2)
                np.add(own, more, out=own, casting="unsafe")
        else:
            slot, place, pos, neg = other.sparse()
            self._cover(int(place.min()), int(place.max()))
            self._count(mapping[slot], place, pos, neg)

    def add_table(self, table: CellTable) -> None:
        """Add the cells of distinct scores."""
        slot, place = table.slot.astype(np.int64), table.places
        for right, counts in ((True, table.pos), (False, table.neg)):
            if len(table):
                self.add(place, np.full(len(table), right), slot, counts)

    def cells(self, slot: int, slots: int = 1) -> RankCells:
        """Return the cells of `slots` slots from `slot` on, as one."""
        self._settle()
        counts = self._all().reshape(self.slots, self._width, 2)[slot : slot + slots].sum(axis=0)
        used = np.flatnonzero(counts[:, 0] + counts[:, 1])
        start = np.maximum((used + self._first) << self._shift, 1)
        ends = self._ends[slot : slot + slots].sum(axis=0)
        low, high = int(ends[:2].any()), int(ends[2:].any())
        start = np.concatenate([np.zeros(low, np.int64), start, np.full(high, ONE_KEY)])
        neg, pos = (
            np.concatenate([ends[[k]][:low], counts[used, k], ends[[2 + k]][:high]]) for k in (0, 1)
        )
        return RankCells(start, _stops(start, self._shift), pos, neg, _MANTISSA - self._shift)

    def sparse(self) -> _Sparse:
        """Return slot, place of the start, positives and negatives of the cells that hold rows."""
        self._fold()
        counts = self._all().reshape(-1, 2)
        used = np.flatnonzero(counts[:, 0] + counts[:, 1])
        slot, cell = np.divmod(used, max(self._width, 1))
        place = np.maximum((cell + self._first) << self._shift, 1)
        return slot, place, counts[used, 1], counts[used, 0]

    def _count(self, slot: NDArray[Any], place: Keys, pos: Counts, neg: Counts) -> None:
        """Add cells that are no wider than those here."""
        index = (place >> self._shift) - self._first + slot * self._width
        np.add.at(self._all(), 2 * index, neg)
        np.add.at(self._counts, 2 * index + 1, pos)

    def _cover(self, low: int, high: int) -> None:
        """Have cells for places from `low` to `high`, as narrow as all that was seen allows."""
        low, high = min(low, self._low), max(high, self._high)
        shift = max(_shift(low, high, self.slots), self._shift)
        inside = self._first <= low >> shift and high >> shift < self._first + self._width
        if not inside or shift != self._shift:
            parts = self.sparse()
            self._low, self._high, self._shift = low, high, shift
            # Ends at multiples of a quarter of the range: others will have the same, mostly.
            first, last = low >> shift, high >> shift
            step = max((last - first).bit_length() - 2, 0)
            self._first = (first >> step) << step
            self._width = (((last >> step) + 1) << step) - self._first
            self._allocate(*parts)
        self._low, self._high = low, high

    def _settle(self) -> None:
        """Widen the cells to what the range of all rows asks for.

        Rows between the range that was seen and the last cell there is have widened it unseen.
        """
        self._fold()
        cells = self._all().reshape(self.slots, self._width, 2)
        used = np.flatnonzero((cells[..., 0] + cells[..., 1]).sum(axis=0))
        if used.size:
            low, high = ((int(used[k]) + self._first) << self._shift for k in (0, -1))
            if _shift(low, high, self.slots) > self._shift:
                slot, place, pos, neg = self.sparse()
                shift = _shift(low, high, self.slots)
                self._low, self._high, self._width = ONE_KEY, 0, 0
                self._shift, self._counts = shift, np.zeros(0, self._counts.dtype)
                self._recent = np.zeros(0, np.float32)
                self._cover(int(place.min()), int(place.max()))
                self._count(slot, place, pos, neg)

    def _allocate(self, *parts: Any) -> None:
        self._counts = np.zeros(0, self._counts.dtype)
        self._recent = _zeros(2 * self.slots * self._width)
        if len(parts[1]):
            self._count(*parts)


def _zeros(size: int) -> NDArray[np.float32]:
    """Return an array of zeros: of what is spare, for fresh pages cost more than their rows do."""
    try:
        spare = _SPARE.pop()
    except IndexError:
        return np.zeros(size, np.float32)
    if len(spare) < size:
        return np.zeros(size, np.float32)
    found = spare[:size]
    found[:] = 0
    return found


def _shift(low: int, high: int, slots: int) -> int:
    """Return how many last bits of places the cells leave out that reach from one to another."""
    for shift in range(_MANTISSA - 1):
        cells = ((high >> shift) - (low >> shift) + 1) * slots
        if cells <= CELLS or (shift >= _MANTISSA - LEAST_BITS and cells <= MOST_CELLS):
            return shift
    return _MANTISSA - 1
