"""Counts of many classes that exclude each other: wide cells for what is small, fine for the rest.

The probabilities of a row sum to 1, so of K classes fewer than K / 8 have 8 / K or more. These, the
probabilities of the labels, and what lies where an edge splits a cell are counted one by one, in
fine cells of which few hold rows. All others are of classes that are not the label; their counts
stand in a table of (class, cell), where the cell is the leading bits of the probability.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.cells import TINY_KEY, UNIT_SHIFT, grid
from calibcli.core.statistics.counting.dense import FINEST_BITS, capacity, grid_bits
from calibcli.core.statistics.counting.parted import STAND_IN, Parted
from calibcli.core.statistics.keys import probability_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import Counts
    from calibcli.core.statistics.cells import Grid
    from calibcli.core.statistics.counting.class_rows import ClassRows
    from calibcli.core.statistics.keys import Keys

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

MANY_CLASSES = 65
"""Classes from which on the small probabilities of a row are worth a table of their own."""
_BITS = 6
_SLOTS = 1024
"""Slots up to which cells have `_BITS` mantissa bits."""
_LARGE = 8
"""The share of 1 / K from which on a probability is counted finely."""
_MANTISSA = 52
_PACKED_BITS = 62
"""Of an integer that holds a count and a sum of offsets."""
_PENDING = 1 << 18


def class_bits(slots: int) -> int:
    """Return the mantissa bits of the wide cells that keep the counts of this many slots small."""
    return grid_bits(slots, _BITS, _SLOTS)


def large_from(classes: int) -> float:
    """Return the probability from which on pairs are counted finely: a power of two."""
    return float(2.0 ** -max(math.ceil(math.log2(classes / _LARGE)), 1))


class ClassCells:
    """Counts by (slot, cell) of slots that are classes, one population after another.

    Its cells are those of a `Grid`, or the finest where few rows are: no coarser anyway.
    It takes what `Dense` does, and whole rows.
    """

    def __init__(self, cells: Grid, slots: int, classes: int, *, weighted: bool) -> None:
        self.cells = cells
        self.weighted = weighted
        self._kind = np.float64 if weighted else np.int64
        self._shift = _MANTISSA - cells.bits
        self._first = TINY_KEY >> self._shift  # cells 0 and 1 are that of 0 and of what is below
        self._large = int(np.float64(large_from(classes)).view(np.int64))
        self._width = (self._large >> self._shift) - self._first + 2
        self._fine = grid(FINEST_BITS, cells.edges)
        self._size = capacity(slots) * self._width
        self._split = self._split_cells()
        self._wide: list[Counts] | None = None
        self._packed: Ints | None = None
        self._rows = 0
        self._tables: list[CellTable] = []
        self._pending: list[CellTable] = []

    def _split_cells(self) -> NDArray[np.bool_] | None:
        """Return which wide cells an edge splits, None where it splits none."""
        inner = self.cells.starts[np.flatnonzero(self.cells.starts & self.cells.mask)]
        inner = inner[(inner > 1) & (inner < self._large)]
        if not inner.size:
            return None
        split = np.zeros(self._width, bool)
        split[np.maximum((inner >> self._shift) - self._first + 2, 1)] = True
        split[0] = split[1]
        return split

    # -- whole rows -----------------------------------------------------------------------------

    def part(self, rows: ClassRows) -> Parted:
        """Part the pairs of rows."""
        bits = rows.p.view(np.int64)
        fine = bits >= self._large
        if self._split is not None:
            fine |= self._split.take((bits >> self._shift) - (self._first - 2), mode="clip")
        known = np.flatnonzero(rows.label >= 0)
        fine[known, rows.label[known]] = True
        row, column = np.nonzero(fine)
        value = rows.p[row, column]
        small = np.array(rows.p, order="C")
        small[row, column] = STAND_IN
        key, label = probability_keys(value), column == rows.label[row]
        return Parted(small, row, column, key, label, rows.mass)

    def add_parted(self, parted: Parted, first: int) -> None:
        """Count parted rows, whose classes are the slots from `first` on."""
        index, offset = self._small(parted, first)
        if parted.mass is None:
            taken = (parted.column + first) * self._width + 2
            self._pack(index, offset, taken, len(parted.small))
        else:
            mass = np.repeat(parted.mass[:, None], parted.small.shape[1], axis=1)
            mass[parted.row, parted.column] = 0  # taken off again they would leave a remainder
            mass = mass.reshape(-1)
            counts, offsets, *squares = self._sums()
            np.add.at(counts, index, mass)
            np.add.at(offsets, index, offset * mass)
            for sums in squares:
                np.add.at(sums, index, mass * mass)
        self.add_rows(parted.key, parted.label, parted.column + first, parted.weight)

    def _small(self, parted: Parted, first: int) -> tuple[Ints, Ints]:
        """Return cell and offset of the wide pairs; those of stand-ins are taken off later."""
        bits = parted.small.view(np.int64)
        base = (np.arange(parted.small.shape[1]) + first) * self._width
        index = bits >> self._shift
        index += base - (self._first - 2)
        offset = bits & self.cells.mask
        offset >>= UNIT_SHIFT
        flat, distance = index.reshape(-1), offset.reshape(-1)
        if bits.size and bits.min() < TINY_KEY:
            far = np.flatnonzero(bits < TINY_KEY)
            own = bits.reshape(-1)[far]
            flat[far] = base[far % parted.small.shape[1]] + (own > 0)
            distance[far] = self.cells.offsets(own)
        return flat, distance

    def _pack(self, index: Ints, offset: Ints, taken: Ints, rows: int) -> None:
        """Count rows and sum their offsets in one integer a cell."""
        if self._rows + rows > self._most_rows:
            self._unpack()
        if self._packed is None:
            self._packed = np.zeros(self._size, np.int64)
        self._rows += rows
        offset += 1 << self._offset_bits
        np.add.at(self._packed, index, offset)
        np.subtract.at(self._packed, taken, 1 << self._offset_bits)

    @property
    def _most_rows(self) -> int:
        """Rows whose counts and summed offsets fit one integer a cell."""
        return 1 << (_PACKED_BITS - (self._shift - UNIT_SHIFT)) // 2

    @property
    def _offset_bits(self) -> int:
        """Bits of the summed offsets of as many rows as are packed."""
        return self._shift - UNIT_SHIFT + self._most_rows.bit_length() - 1

    def _sums(self) -> list[Counts]:
        """Return counts, summed offsets and, of weights, summed squares by wide cell.

        They take the memory of cells that are used.
        """
        if self._wide is None:
            self._wide = [
                np.zeros(self._size, self._kind) for _ in range(3 if self.weighted else 2)
            ]
        return self._wide

    def _unpack(self) -> None:
        if self._packed is not None:
            used = np.flatnonzero(self._packed)
            for sums, own in zip(self._sums(), self._unpacked(used), strict=False):
                sums[used] += own
            self._packed, self._rows = None, 0

    def _unpacked(self, cells: NDArray[np.intp]) -> tuple[Counts, Counts]:
        """Return what is packed of some cells: counts and summed offsets."""
        if self._packed is None:
            return np.zeros(len(cells), self._kind), np.zeros(len(cells), self._kind)
        packed = self._packed[cells]
        return packed >> self._offset_bits, packed & ((1 << self._offset_bits) - 1)

    def _starts(self, place: Keys) -> Keys:
        wide = self.cells.starts[self.cells.cells(place)]
        fine = self._fine.starts[self._fine.cells(place)]
        starts: Keys = np.where(place >= self._large, fine, wide)
        return starts

    def _hold(self, tables: Sequence[CellTable]) -> None:
        """Take in cells, and sum equal ones once as many wait for it as there are others."""
        self._pending += tables
        waiting = sum(map(len, self._pending))
        if waiting > max(_PENDING, sum(map(len, self._tables))):
            self._settle()

    def _settle(self) -> None:
        if self._pending:
            self._tables = [CellTable.concatenate([*self._tables, *self._pending])]
            self._pending = []

    # -- as `Dense` -----------------------------------------------------------------------------

    def add_rows(
        self,
        place: Keys,
        label: NDArray[np.bool_],
        slot: NDArray[np.integer[Any]] | None,
        weight: NDArray[Any] | None,
        *,
        only_at_edges: bool = False,
    ) -> None:
        """Count pairs (n,) of any slots."""
        slots = np.zeros(len(place), np.int32) if slot is None else slot
        mass = np.ones(len(place), self._kind) if weight is None else weight
        cells = CellTable.of_pairs(slots, place, label, mass)
        self.add_cells(cells, only_at_edges=only_at_edges)

    def add(self, other: ClassCells) -> None:
        """Add the counts of as many slots in the same grid."""
        if self._rows + other._rows > self._most_rows:
            self._unpack()
        if other._packed is not None:
            if self._packed is None:
                self._packed = np.zeros(self._size, np.int64)
            self._packed += other._packed
            self._rows += other._rows
        if other._wide is not None:
            for mine, theirs in zip(self._sums(), other._wide, strict=True):
                mine += theirs
        self._hold([*other._tables, *other._pending])

    def add_cells(self, table: CellTable, *, only_at_edges: bool = False) -> None:
        """Add cells that are no coarser: distinct scores, or a finer grid's.

        `only_at_edges` is that of `Dense`, where others are counted elsewhere; here none are.
        """
        assert not only_at_edges
        key, offset = self._starts(table.places), table.offsets_in(self.cells)
        bits = self.cells.bits
        self._hold([replace(table, key=key, offset=offset, bits=bits, logits=False)])

    def table(self) -> CellTable:
        """Return the cells that hold rows."""
        wide, fine = self._held()
        if self._split is not None:
            return CellTable.concatenate([wide, fine])
        # Of a slot the fine cells follow the wide ones.
        own = np.bincount(fine.slot, minlength=self._size // self._width)
        before = np.cumsum(own) - own
        return wide.among(fine, np.arange(len(wide)) + before[wide.slot])

    def _held(self) -> tuple[CellTable, CellTable]:
        """Return the wide cells that hold rows, and the others, sorted by slot and key each.

        No cell is in both, and of a slot the others follow unless an edge splits a wide cell.
        """
        self._settle()
        fine = self._tables[0] if self._tables else CellTable.empty(weighted=self.weighted)
        wide, at = self._in_wide(fine)
        held = np.zeros(self._size, bool) if self._packed is None else self._packed != 0
        if self._wide is not None:
            held |= self._wide[0] != 0
        held[at] = True
        used = np.flatnonzero(held)
        counts, offsets = self._unpacked(used)
        squares = None
        if self._wide is not None:
            counts, offsets = counts + self._wide[0][used], offsets + self._wide[1][used]
            squares = self._wide[2][used] if self.weighted else None
        positive = np.zeros_like(counts)
        sums = (positive, counts, offsets, np.zeros(len(used)) if self.weighted else None, squares)
        own, home = fine.rows(wide), np.searchsorted(used, at)
        theirs = (own.pos, own.neg, own.offset, own.pos_sq, own.neg_sq)
        for mine, others in zip(sums, theirs, strict=True):
            if mine is not None and others is not None:
                mine[home] += others
        slot, cell = np.divmod(used, self._width)
        start = np.where(cell > 1, (cell + self._first - 2) << self._shift, cell)
        found = CellTable(slot.astype(np.int32), start, *sums, self.cells.bits)
        return found, fine.rows(~wide)

    def _in_wide(self, fine: CellTable) -> tuple[NDArray[np.bool_], Ints]:
        """Return which of the cells that were counted one by one are wide, and where these are."""
        index = (fine.key >> self._shift) - (self._first - 2)
        np.maximum(index, fine.key > 0, out=index)
        wide = fine.key < self._large
        if self._split is not None:
            wide &= ~self._split.take(index, mode="clip")
        return wide, fine.slot[wide] * np.int64(self._width) + index[wide]
