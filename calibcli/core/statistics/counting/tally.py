"""Counting pairs in one pass: a mergeable tally of (score, label) for many slots at once.

A slot is whatever the caller keeps apart: a class, a group, a bucket of clusters. A tally is
exact, its cells the distinct scores, until they outnumber `EXACT_CELLS`; then it falls into a
`Grid`. Which of the two depends on the data alone, never on its order or partition, and since
counts and offsets are integers, any split of the rows merges to the same tally.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.cells import Grid, grid
from calibcli.core.statistics.counting.class_cells import MANY_CLASSES, ClassCells, class_bits
from calibcli.core.statistics.counting.class_rows import Waiting
from calibcli.core.statistics.counting.dense import Dense, capacity, grid_bits
from calibcli.core.statistics.counting.distinct import Distinct
from calibcli.core.statistics.counting.ranks import Ranks
from calibcli.core.statistics.keys import key_logits, key_places
from calibcli.core.statistics.losses import SUMS, combine, row_losses, slot_losses, table_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import Counts
    from calibcli.core.statistics.counting.class_rows import ClassRows
    from calibcli.core.statistics.counting.ranks import RankCells
    from calibcli.core.statistics.keys import Keys

    Slots = NDArray[np.integer[Any]]

EXACT_CELLS = 1 << 18
"""Distinct scores up to which a slot stays exact; all slots together may hold four times more."""
_RANKED_SLOTS = 64
"""Slots up to which ranking figures are read from finer cells."""


class Tally:
    """An accumulator of pairs. `add` batches, `merge` tallies, read `table()` and `losses`.

    Args:
        slots: how many slots there are; more may appear in `add` and `merge`.
        edges: probabilities at which counts stay exact in a grid (bin edges, thresholds).
        weighted: whether rows carry importance weights (counts become float64 sums).
        logits: whether scores are logits, or come from them: their log loss is not clipped.
        by_logit: whether keys are those of logits; default `logits`.
        start_exact: False skips the exact phase where an earlier batch has shown it hopeless;
            the counts are the same either way.
        ranked: whether finer cells are kept in a grid, for ranking figures.
        classes: how many slots are classes of one row that exclude each other; 0 where none do.
    """

    def __init__(
        self,
        slots: int = 1,
        *,
        edges: tuple[float, ...] = (),
        weighted: bool = False,
        logits: bool = False,
        by_logit: bool | None = None,
        start_exact: bool = True,
        ranked: bool = False,
        classes: int = 0,
    ) -> None:
        self.slots = slots
        self.classes = classes if classes >= MANY_CLASSES else 0
        self.edges = edges
        self._finest = class_bits if self.classes else grid_bits
        self.weighted = weighted
        self.logits = logits
        self.by_logit = logits if by_logit is None else by_logit
        self._losses = np.zeros((slots, SUMS))
        self._summed: tuple[CellTable, NDArray[np.float64]] | None = None
        self._distinct = Distinct(weighted=weighted, logits=self.by_logit)
        self._fits: CellTable | None = None
        self._grid: Grid | None = None
        self.ranked = ranked
        self._ranks: Ranks | None = None
        self._in_ranks = False
        self._dense: Any = None  # Dense, or ClassCells where slots are classes
        self._waiting = Waiting(4 * EXACT_CELLS) if self.classes and start_exact else None
        self._read: CellTable | None = None
        if not start_exact:
            self.enter_grid()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as cells that hold rows, which are few."""
        names = ("slots", "classes", "edges", "weighted", "logits", "by_logit")
        options = {name: getattr(self, name) for name in names}
        return _restored, (options, self.losses, self.table(), self._ranks)

    @property
    def exact(self) -> bool:
        """Whether the cells are still the distinct scores; final only after `table()`."""
        return self._grid is None

    @property
    def bits(self) -> int | None:
        """Mantissa bits of the grid, or None while exact."""
        return None if self._grid is None else self._grid.bits

    def add(
        self,
        key: Keys,
        label: NDArray[Any],
        slot: Slots | None = None,
        weight: NDArray[Any] | None = None,
        score: NDArray[Any] | None = None,
    ) -> None:
        """Count a batch: keys (n,), labels (n,) of 0/1, optional slots and weights (n,).

        Weights are counts of identical rows, importance weights when the tally is weighted. `score`
        are the probabilities that the keys were made of, to spare working them out again.
        """
        if not len(key):
            return
        label, weight = label.astype(bool, copy=False), self._mass(weight, len(key))
        if slot is not None:
            self._make_room(int(slot.max()) + 1)
        if self._grid is not None:
            self._count_in(key, label, slot, weight, score)
            return
        self._distinct.add(key, label, slot, weight)
        self._stop_in_time()

    def _mass(self, weight: NDArray[Any] | None, rows: int) -> NDArray[Any] | None:
        """Return the mass of each row in the type of the counts; None for one each of counts."""
        if weight is None:
            return np.ones(rows) if self.weighted else None
        return weight.astype(np.float64 if self.weighted else np.int64, copy=False)

    def _stop_in_time(self) -> None:
        """Sum equal cells where so many are held that they may be too many."""
        if self._distinct.held > 8 * EXACT_CELLS or self._distinct.waiting > 1.5 * EXACT_CELLS:
            self._compact()
            if self._grid is None:
                self._distinct.expect()

    def add_rows(self, rows: ClassRows, first: int = 0) -> None:
        """Count whole rows of classes that exclude each other, the slots from `first` on.

        Rows of many classes wait until so many pairs differ that a grid is needed.
        """
        self._make_room(first + rows.classes)
        rows = replace(rows, mass=self._mass(rows.mass, len(rows)))
        if self._waiting is None:
            self._count_rows(rows, first)
        elif self._waiting.add(rows, first):
            if self._waiting.too_many:
                self.enter_grid()
            else:
                self._release_rows()

    def _count_rows(self, rows: ClassRows, first: int) -> None:
        if isinstance(self._dense, ClassCells):
            self._read = None
            own = self._losses[first : first + rows.classes]
            for some in rows.blocks():
                parted = self._dense.part(some)
                combine(own, parted.losses(clip=not self.logits))
                self._dense.add_parted(parted, first)
        elif self._grid is None:
            self._distinct.add_table(rows.cells(first))
            self._stop_in_time()
        else:
            key, label, column, mass = rows.pairs()
            self.add(key, label, column + first, mass)

    def _release_rows(self) -> None:
        """Count the rows that have waited, and let none wait any more."""
        if self._waiting is not None:
            rows, self._waiting = self._waiting.rows, None
            for own, first in rows:
                self._count_rows(own, first)

    def merge(self, other: Tally, slot_map: Slots | None = None) -> None:
        """Add another tally; `slot_map` gives the slot here of each slot there."""
        mapping = np.arange(other.slots) if slot_map is None else slot_map[: other.slots]
        if len(mapping):
            self._make_room(int(mapping.max()) + 1)
        other._compact()
        if other._grid is not None:
            self.enter_grid()
            for there, here in enumerate(mapping.tolist()):
                combine(self._losses[here], other._losses[there])
            ranks = self._ranks
            if slot_map is None and self._grid is other._grid and self.slots == other.slots:
                self._read = None
                if self._in_ranks is not other._in_ranks:
                    self._count_here()
                    other._count_here()
                self._dense.add(other._dense)
            else:
                self.add_table(other.table().in_slots(slot_map))
            if ranks is not None and other._ranks is not None:
                ranks.merge(other._ranks, slot_map)
                self._ranks = ranks  # the cells of a grid have brought no finer ones
            else:
                self._drop_ranks()
            return
        self.add_table(other.table().in_slots(slot_map))

    def add_table(self, table: CellTable) -> None:
        """Add counts in sparse form, exact or of any grid; a grid's bring no losses with them."""
        if len(table):
            self._make_room(int(table.slot[-1]) + 1)
        if table.bits is not None:
            self.enter_grid()
            self.coarsen_to(table.bits)
            if len(table):
                self._drop_ranks()
        if self._grid is None:
            if len(table) and table.logits is not self.by_logit:
                self.leave_logits()
                table = table.by_place()
            self._distinct.add_table(table)
            self._compact()
        else:
            self._add_to(table)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Sums of losses by slot (slots, 4); see `losses.SUMS`."""
        self._compact()
        if self._grid is not None:
            return self._losses
        table = self.table()
        # Every slot of a tally asks for its own row: the sums of one table are made once.
        if self._summed is None or self._summed[0] is not table:
            self._summed = table, table_losses(table, self.slots, clip=not self.logits)
        return self._summed[1]

    def table(self) -> CellTable:
        """Return the counts so far, sorted by slot and key; cells that hold rows only."""
        self._compact()
        if self._grid is None:
            return self._distinct.table()
        if self._read is None:
            if self._in_ranks:
                self._read = self._dense.table(self._all_counts())
            else:
                self._read = self._dense.table()
        return self._read

    def of_slots(self, first: int, stop: int) -> CellTable:
        """Return the cells of some slots, as those of one slot."""
        return self.table().slots(first, stop)

    def leave_logits(self) -> None:
        """Keep distinct scores by their place from now on, to be joined with others."""
        if self.by_logit and self._grid is None:
            table = self._distinct.table().by_place()
            self._distinct, self.by_logit = Distinct(weighted=self.weighted), False
            self._distinct.add_table(table)

    def ranks(self, slot: int, slots: int = 1) -> RankCells | None:
        """Return the finer cells of `slots` slots from `slot` on; None where none are kept."""
        self._compact()
        return None if self._ranks is None else self._ranks.cells(slot, slots)

    def enter_grid(self) -> None:
        """Give up the distinct scores for the cells of a grid, if that has not happened yet."""
        if self._grid is not None:
            return
        tables, waiting = self._distinct.release()
        self._allocate(self._finest(self.slots))
        if self.ranked and self.slots <= _RANKED_SLOTS:
            self._ranks = Ranks(self.slots, weighted=self.weighted)
            # Of one slot a row is counted once: in `_ranks`, unless an edge splits its cell.
            self._in_ranks = self.slots == 1
        for table in tables:
            self._add_to(table)
        for key, label, weight in waiting:
            self._count_in(key, label, None, weight)
        self._release_rows()

    def _all_counts(self) -> Counts:
        """Return the counts by cell (size, 2), with those that `_ranks` alone holds."""
        assert self._ranks is not None
        dense: Dense = self._dense
        counts = dense.counts.copy()
        _, place, pos, neg = self._ranks.sparse()
        index, at_edge = dense.cells.located(place)
        pos[at_edge] = neg[at_edge] = 0
        np.add.at(counts[:, 1], index, pos)
        np.add.at(counts[:, 0], index, neg)
        return counts

    def _count_here(self) -> None:
        """Count everything in the grid itself from now on."""
        if self._in_ranks:
            self._dense.counts = self._all_counts()
            self._in_ranks = False

    def _drop_ranks(self) -> None:
        """Keep no finer cells any more; what they alone hold is counted in the grid first."""
        self._count_here()
        self._ranks = None

    def _compact(self) -> None:
        """Sum what was added, and leave the exact phase where there are too many cells.

        More rows never make fewer cells, of a slot or in all, so a part of the data never is in
        the grid when the whole is not.
        """
        self._release_rows()
        if self._grid is not None:
            return
        if self._distinct.outnumber(EXACT_CELLS):
            self.enter_grid()
            return
        table = self._distinct.table()
        if table is self._fits:
            return
        self._fits = table
        if len(table) > EXACT_CELLS and (
            len(table) > 4 * EXACT_CELLS or np.bincount(table.slot).max() > EXACT_CELLS
        ):
            self.enter_grid()

    def _make_room(self, slots: int) -> None:
        if slots <= self.slots:
            return
        self._losses = np.concatenate([self._losses, np.zeros((slots - self.slots, SUMS))])
        self._count_here()
        old, self.slots = self.slots, slots
        if slots > _RANKED_SLOTS:
            self._drop_ranks()
        elif self._ranks is not None:
            self._ranks.make_room(slots)
        if self._grid is None or capacity(slots) == capacity(old):
            return
        table = self.table()
        self._allocate(min(self._grid.bits, self._finest(slots)))
        self._add_to(table)

    def _allocate(self, bits: int) -> None:
        self._read, self._grid = None, grid(bits, self.edges)
        if self.classes:
            self._dense = ClassCells(self._grid, self.slots, self.classes, weighted=self.weighted)
        else:
            self._dense = Dense(self._grid, self.slots, weighted=self.weighted)

    def coarsen_to(self, bits: int) -> None:
        """Widen the cells of a tally in the grid to `bits` mantissa bits; finer ones only."""
        if self._grid is not None and bits < self._grid.bits:
            table = self.table()
            self._in_ranks = False
            self._allocate(bits)
            self._add_to(table)

    def _count_in(
        self,
        key: Keys,
        label: NDArray[np.bool_],
        slot: Slots | None,
        weight: NDArray[Any] | None,
        score: NDArray[Any] | None = None,
    ) -> None:
        """Count rows in the grid, and sum their losses exactly."""
        self._read = None
        place = key_places(key, logits=self.by_logit)
        logit, clip = key_logits(key) if self.by_logit else None, not self.logits
        if slot is None:
            own = row_losses(place, label, weight, logit, clip=clip, score=score)[None]
        else:
            own = slot_losses(place, label, slot, weight, self.slots, logit, clip=clip)
        combine(self._losses[: len(own)], own)
        if self._ranks is not None:
            self._ranks.add(place, label, slot, weight)
        self._dense.add_rows(place, label, slot, weight, only_at_edges=self._in_ranks)

    def _add_to(self, table: CellTable) -> None:
        """Add cells that are no coarser than the grid: distinct scores, or a finer grid's."""
        self._read = None
        if table.bits is None:
            combine(self._losses, table_losses(table, self.slots, clip=not self.logits))
            if self._ranks is not None:
                self._ranks.add_table(table)
        else:
            self._count_here()
        self._dense.add_cells(table, only_at_edges=self._in_ranks)


def _restored(
    options: dict[str, Any], losses: NDArray[np.float64], table: CellTable, ranks: Ranks | None
) -> Tally:
    found = Tally(**options, start_exact=table.bits is None)
    found.add_table(table)
    if not found.exact:
        found._losses, found._ranks = losses, ranks
    return found
