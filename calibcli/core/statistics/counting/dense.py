"""Counts of every cell of a grid, for each slot: what a tally adds rows to once it is in a grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable, count_by, squares_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import Counts
    from calibcli.core.statistics.cells import Grid
    from calibcli.core.statistics.keys import Keys

FINEST_BITS = 10
COARSEST_BITS = 2
_SLOTS = 4
"""Slots up to which a grid is of the finest cells."""


def capacity(slots: int) -> int:
    """Return for how many slots there is room: a power of two."""
    return 1 << max(slots - 1, 0).bit_length()


def grid_bits(slots: int, finest: int = FINEST_BITS, few: int = _SLOTS) -> int:
    """Return the mantissa bits that keep the counts of this many slots small.

    They are the `finest` up to `few` slots, and one less where there are twice as many.
    """
    surplus = max(capacity(slots) // few, 1).bit_length() - 1
    return max(finest - surplus, COARSEST_BITS)


class Dense:
    """Counts by (slot, cell), those that hold no rows included.

    Attributes:
        cells: the grid.
        counts: (size, 2) rows with label 0 and with label 1, or the sums of their weights.
        offsets: (size,) summed distances of the rows into their cells.
        squares: (size, 2) sums of squared weights; None when unweighted.
    """

    def __init__(self, cells: Grid, slots: int, *, weighted: bool) -> None:
        self.cells = cells
        size = capacity(slots) * len(cells)
        kind = np.float64 if weighted else np.int64
        self.counts: Counts = np.zeros((size, 2), kind)
        self.offsets: Counts = np.zeros(size, kind)
        self.squares = np.zeros((size, 2)) if weighted else None

    def add_rows(
        self,
        place: Keys,
        label: NDArray[np.bool_],
        slot: NDArray[np.integer[Any]] | None,
        weight: NDArray[Any] | None,
        *,
        only_at_edges: bool,
    ) -> None:
        """Count rows (n,), n > 0; `only_at_edges` those whose cells are split at edges alone."""
        index, at_edge = self.cells.located(place)
        if slot is not None:
            index += slot.astype(np.int64) * len(self.cells)
        low, high = int(index.min()), int(index.max()) + 1
        index -= low
        own, size = slice(low, high), high - low
        distance = self.cells.offsets(place)
        if weight is None:  # a float64 sum of integers this small is exact, and faster
            found = np.bincount(index, weights=distance.astype(np.float64), minlength=size)
            self.offsets[own] += found.astype(self.offsets.dtype, copy=False)
        else:
            np.add.at(self.offsets[own], index, distance * weight)
        squares = squares_by(index, label, size, weight)
        if self.squares is not None and squares is not None:
            self.squares[own] += squares
        if not only_at_edges:
            self.counts[own] += count_by(index, label, size, weight)
        elif at_edge.size:
            mass = None if weight is None else weight[at_edge]
            self.counts[own] += count_by(index[at_edge], label[at_edge], size, mass)

    def add(self, other: Dense) -> None:
        """Add the counts of as many slots in the same grid."""
        self.counts += other.counts
        self.offsets += other.offsets
        if self.squares is not None and other.squares is not None:
            self.squares += other.squares

    def add_cells(self, table: CellTable, *, only_at_edges: bool) -> None:
        """Add cells that are no coarser: distinct scores, or a finer grid's."""
        index, at_edge = self.cells.located(table.places)
        index += table.slot * np.int64(len(self.cells))
        counted = at_edge if only_at_edges else slice(None)
        np.add.at(self.counts[:, 1], index[counted], table.pos[counted])
        np.add.at(self.counts[:, 0], index[counted], table.neg[counted])
        np.add.at(self.offsets, index, table.offsets_in(self.cells))
        if self.squares is not None and table.pos_sq is not None and table.neg_sq is not None:
            np.add.at(self.squares[:, 1], index, table.pos_sq)
            np.add.at(self.squares[:, 0], index, table.neg_sq)

    def table(self, counts: Counts | None = None) -> CellTable:
        """Return the cells that hold rows, of these counts (size, 2); default its own."""
        counts = self.counts if counts is None else counts
        used = np.flatnonzero((counts[:, 0] != 0) | (counts[:, 1] != 0))
        slot, cell = np.divmod(used, len(self.cells))
        squares = self.squares
        return CellTable(
            slot.astype(np.int32),
            self.cells.starts[cell],
            counts[used, 1],
            counts[used, 0],
            self.offsets[used],
            None if squares is None else squares[used, 1],
            None if squares is None else squares[used, 0],
            self.cells.bits,
        )
