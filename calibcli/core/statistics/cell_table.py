"""CellTable: counts by (slot, key), the sparse form in which tallies are read and merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.statistics.cells import cell_base
from calibcli.core.statistics.keys import key_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cells import Grid
    from calibcli.core.statistics.keys import Keys

    Counts = NDArray[Any]  # int64 counts of rows, or float64 sums of weights

_COLUMNS = ("slot", "key", "pos", "neg", "offset", "pos_sq", "neg_sq")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CellTable:
    """Counts by (slot, key), sorted by both.

    Attributes:
        slot: what the caller keeps apart (a class, a group, a bucket of clusters).
        key: the key of a distinct score, or the place where the cell of a grid starts (see `keys`).
        pos: rows with label 1 (int64), or the sum of their weights (float64); `neg` with label 0.
        offset: the summed distance of the rows into the cell.
        pos_sq: sums of squared weights of the rows with label 1, None when unweighted; `neg_sq`.
        bits: which grid the cells are of; None when they are distinct scores.
        logits: whether the distinct scores are logits, kept by their own key.
    """

    slot: NDArray[np.int32]
    key: Keys
    pos: Counts
    neg: Counts
    offset: Counts
    pos_sq: NDArray[np.float64] | None = None
    neg_sq: NDArray[np.float64] | None = None
    bits: int | None = None
    logits: bool = False

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def empty(cls, *, weighted: bool, logits: bool = False) -> Self:
        """Return a table without cells."""
        none = np.zeros(0, np.float64 if weighted else np.int64)
        squares = np.zeros(0) if weighted else None
        slot, key = np.zeros(0, np.int32), np.zeros(0, np.int64)
        return cls(slot, key, none, none, none, squares, squares, logits=logits)

    @classmethod
    def of_pairs(
        cls,
        slot: NDArray[np.integer[Any]],
        key: Keys,
        label: NDArray[np.bool_],
        mass: NDArray[Any],
    ) -> Self:
        """Return pairs (n,) one by one, unsorted; masses are int64 counts, or float64 weights."""
        pos, neg = mass * label, mass * ~label
        squares = (pos * mass, neg * mass) if mass.dtype == np.float64 else (None, None)
        return cls(slot.astype(np.int32), key, pos, neg, np.zeros_like(mass), *squares)

    @classmethod
    def stacked(cls, tables: list[Self]) -> Self:
        """Return tables of one grid one after another."""
        columns: dict[str, Any] = {}
        for name in _COLUMNS:
            parts = [getattr(table, name) for table in tables]
            columns[name] = None if parts[0] is None else np.concatenate(parts)
        return cls(**columns, bits=tables[0].bits, logits=tables[0].logits)

    def among(self, others: Self, at: NDArray[np.intp]) -> Self:
        """Return these cells at places `at` of all, and others of one grid at the places left."""
        size = len(self) + len(others)
        left = np.ones(size, np.bool_)
        left[at] = False
        columns: dict[str, Any] = {}
        for name in _COLUMNS:
            mine, theirs = getattr(self, name), getattr(others, name)
            if mine is not None:
                columns[name] = np.empty(size, mine.dtype)
                columns[name][at], columns[name][left] = mine, theirs
        return replace(self, **columns)

    @classmethod
    def concatenate(cls, tables: list[Self]) -> Self:
        """Return the union of tables of one grid, equal (slot, key) summed, sorted."""
        both = cls.stacked(tables)
        return both.rows(_sorted(both.slot, both.key)).summed()

    def summed(self) -> Self:
        """Return the cells of a sorted table with equal (slot, key) summed."""
        fresh = np.ones(len(self), dtype=bool)
        fresh[1:] = (self.key[1:] != self.key[:-1]) | (self.slot[1:] != self.slot[:-1])
        if fresh.all():
            return self
        starts = np.flatnonzero(fresh)
        sums: dict[str, Any] = {}
        for name in _COLUMNS[2:]:
            column = getattr(self, name)
            sums[name] = None if column is None else np.add.reduceat(column, starts)
        return replace(self, slot=self.slot[starts], key=self.key[starts], **sums)

    def offsets_in(self, cells: Grid) -> Counts:
        """Return the summed distances of the rows into the cells of a grid that is no finer."""
        base = self.places if self.bits is None else cell_base(self.key, self.bits)
        offsets: Counts = self.offset + cells.offsets(base) * (self.pos + self.neg)
        return offsets

    def coarser(self, cells: Grid) -> Self:
        """Return the counts in the cells of a grid that is no finer than these."""
        key, offset = cells.starts[cells.cells(self.places)], self.offsets_in(cells)
        return replace(self, key=key, offset=offset, bits=cells.bits, logits=False).summed()

    def rows(self, which: NDArray[Any] | slice) -> Self:
        """Return the cells that an index, a mask or a slice selects."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        kept: dict[str, Any] = {
            name: None if c is None else c[which] for name, c in columns.items()
        }
        return replace(self, **kept)

    def without(self, held: Self) -> Self:
        """Return the counts less those of some of the rows, in cells of the same grid; one slot.

        Of counts only: weights would leave what rounding makes of them.
        """
        place = np.searchsorted(self.key, held.key)
        left: dict[str, Any] = {}
        for name in ("pos", "neg", "offset"):
            left[name] = getattr(self, name).copy()
            left[name][place] -= getattr(held, name)
        return replace(self, **left).rows((left["pos"] > 0) | (left["neg"] > 0))

    def between(self, first: int, stop: int) -> Self:
        """Return the cells of slots `first` to `stop`."""
        low, high = np.searchsorted(self.slot, np.array([first, stop], self.slot.dtype))
        return self.rows(slice(int(low), int(high)))

    def slots(self, first: int, stop: int, keep: int = 1) -> Self:
        """Return slots `first` to `stop`, each summed into its remainder modulo `keep`."""
        own = self.between(first, stop)
        own = replace(own, slot=own.slot % np.int32(keep))
        return own if stop - first <= keep else self.concatenate([own])

    def in_slots(self, slot: NDArray[np.integer[Any]] | None) -> Self:
        """Return the same counts in other slots, by slot; None for the same ones."""
        if slot is None:
            return self
        return self.concatenate([replace(self, slot=slot[self.slot].astype(np.int32))])

    def moved(self, key: Keys, *, logits: bool = False) -> Self:
        """Return the same counts at other scores (C,), equal ones summed."""
        offset = np.zeros_like(self.offset)
        return self.concatenate([replace(self, key=key, offset=offset, bits=None, logits=logits)])

    @property
    def places(self) -> Keys:
        """The place of each cell, by which probabilities are compared (see `keys`)."""
        return key_places(self.key, logits=self.logits)

    def by_place(self) -> Self:
        """Return the same counts kept by place, those of equal place summed."""
        return self.moved(self.places) if self.logits else self


def _sorted(slot: NDArray[np.int32], key: Keys) -> NDArray[np.intp]:
    """Return the stable order by slot, then key, as `np.lexsort((key, slot))` does.

    Few slots are parted by a radix sort and sorted one by one, in a third of the time: what is
    sorted is then small, and mostly in runs, for tables are sorted before they are joined.
    """
    if not slot.any():
        return np.argsort(key, kind="stable")
    slots = int(slot.max()) + 1
    if slots > 2**15 or 32 * slots > len(slot):
        return np.lexsort((key, slot))
    order = np.argsort(slot.astype(np.int16), kind="stable")
    ends = np.cumsum(np.bincount(slot, minlength=slots)).tolist()
    for start, end in zip([0, *ends], ends, strict=False):
        own = order[start:end]
        order[start:end] = own[np.argsort(key[own], kind="stable")]
    return order


def exact_cells(
    key: Keys,
    label: NDArray[np.bool_],
    slot: NDArray[np.integer[Any]] | None = None,
    weight: NDArray[Any] | None = None,
    *,
    logits: bool = False,
) -> CellTable:
    """Return one batch collapsed by distinct (slot, key); rows of weight 0 leave no cell.

    Args:
        key: (n,), n > 0, in any order.
        label: (n,) booleans.
        slot: (n,) from 0, or None for all 0.
        weight: (n,) int64 counts of identical rows, or float64 importance weights.
        logits: whether keys are of logits.
    """
    distinct = distinct_keys(key)
    slots = 1 if slot is None else int(slot.max()) + 1
    if slots > 1 and slots * len(distinct) > 4 * len(key):
        return replace(_sparse_cells(key, label, slot, weight), logits=logits)
    index = np.searchsorted(distinct, key)
    if slot is not None:
        index += slot.astype(np.int64) * len(distinct)
    size = slots * len(distinct)
    counts = count_by(index, label, size, weight)
    squares = squares_by(index, label, size, weight)
    used = np.flatnonzero(counts.any(axis=1))
    return CellTable(
        (used // len(distinct)).astype(np.int32),
        distinct[used % len(distinct)],
        counts[used, 1],
        counts[used, 0],
        np.zeros(len(used), counts.dtype),
        None if squares is None else squares[used, 1],
        None if squares is None else squares[used, 0],
        logits=logits,
    )


def distinct_keys(key: Keys) -> Keys:
    """Return the distinct keys of rows (n,), n > 0, in order."""
    ordered = np.sort(key)
    distinct: Keys = ordered[np.append(True, ordered[1:] != ordered[:-1])]
    return distinct


def _sparse_cells(
    key: Keys,
    label: NDArray[np.bool_],
    slot: NDArray[np.integer[Any]] | None,
    weight: NDArray[Any] | None,
) -> CellTable:
    """Do the same by sorting: better where most (slot, key) pairs do not occur."""
    mass = np.ones(len(key), np.int64) if weight is None else weight
    slots = np.zeros(len(key), np.int32) if slot is None else slot
    cells = CellTable.of_pairs(slots, key, label, mass)
    return CellTable.concatenate([cells.rows(mass != 0)])


def count_by(
    index: NDArray[Any], label: NDArray[np.bool_], size: int, weight: NDArray[Any] | None
) -> Counts:
    """Return counts (size, 2) by index and label: int64, or float64 for float weights."""
    joint = index.astype(np.int64)
    joint <<= 1
    joint += label.astype(np.int64)
    found = np.bincount(joint, weights=weight, minlength=2 * size)
    kind = np.int64 if weight is None else weight.dtype
    return found.astype(kind, copy=False).reshape(size, 2)


def squares_by(
    index: NDArray[Any], label: NDArray[np.bool_], size: int, weight: NDArray[Any] | None
) -> NDArray[np.float64] | None:
    """Return sums of squared weights (size, 2), or None for counts."""
    if weight is None or weight.dtype != np.float64:
        return None
    return count_by(index, label, size, weight**2)
