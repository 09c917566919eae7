"""Rows by their distinct scores, while these are few: the exact phase of a tally."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import (
    CellTable,
    count_by,
    distinct_keys,
    exact_cells,
    squares_by,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys

    Slots = NDArray[np.integer[Any]]
    Label = NDArray[np.bool_]
    Weight = NDArray[Any] | None
    Rows = tuple[Keys, Label, Weight]

_SAMPLE = 4096
_REPEATED = 0.9
_SPARE_BITS = 3
_MOST_BITS = 20
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Distinct:
    """Counts by (slot, distinct score).

    Rows of one slot whose scores mostly differ wait uncounted: sorting enough of them once tells
    that a grid is needed. Rows whose scores repeat are counted by a hash of the scores met so
    far, and only new scores are sorted.
    """

    def __init__(self, *, weighted: bool, logits: bool = False) -> None:
        self.weighted = weighted
        self.logits = logits
        self.waiting = 0
        self._tables: list[CellTable] = []
        self._rows: list[Rows] = []
        self._known: _Known | None = None

    @property
    def held(self) -> int:
        """Cells of the tables, before equal ones are summed."""
        return sum(map(len, self._tables))

    def add(self, key: Keys, label: Label, slot: Slots | None, weight: Weight) -> None:
        """Count rows (n,), n > 0; see `Tally.add`."""
        if slot is not None:
            self._tables.append(exact_cells(key, label, slot, weight, logits=self.logits))
            return
        if self._known is not None:
            rows = self._known.add(key, label, weight)
            if rows is None:
                return
            key, label, weight = rows
        self._rows.append((key, label, weight))
        self.waiting += len(key)
        if self._known is None and not self._tables and _repeats(key):
            self.expect()

    def add_table(self, table: CellTable) -> None:
        """Add counts by distinct score."""
        self._tables.append(table)

    def table(self) -> CellTable:
        """Return the counts so far, sorted by slot and key."""
        if self.waiting:
            self._tables.append(exact_cells(*_joined(self._take_rows()), logits=self.logits))
        if self._known is not None:
            self._tables.append(self._known.table())
            self._known = None
        if not self._tables:
            return CellTable.empty(weighted=self.weighted, logits=self.logits)
        if len(self._tables) > 1:
            self._tables = [CellTable.concatenate(self._tables)]
        return self._tables[0]

    def expect(self) -> None:
        """Count rows of the scores met so far faster from now on."""
        table = self.table()
        if len(table) and not table.slot[-1]:
            self._known = _Known(table.key, weighted=self.weighted, logits=self.logits)

    def outnumber(self, limit: int) -> bool:
        """Return whether the scores of the waiting rows alone are more than `limit`."""
        if self.waiting <= limit or any(weight is not None for _, _, weight in self._rows):
            return False
        return len(distinct_keys(np.concatenate([key for key, _, _ in self._rows]))) > limit

    def release(self) -> tuple[list[CellTable], list[Rows]]:
        """Return everything, counted and waiting, and keep nothing."""
        if self._known is not None:
            self._tables.append(self._known.table())
        tables, self._tables, self._known = self._tables, [], None
        return tables, self._take_rows()

    def _take_rows(self) -> list[Rows]:
        rows, self._rows, self.waiting = self._rows, [], 0
        return rows


def _joined(rows: list[Rows]) -> tuple[Keys, Label, None, Weight]:
    if len(rows) == 1:
        return rows[0][0], rows[0][1], None, rows[0][2]
    key, label = (np.concatenate([part[i] for part in rows]) for i in (0, 1))
    if all(weight is None for _, _, weight in rows):
        return key, label, None, None
    masses = [np.ones(len(k), np.int64) if weight is None else weight for k, _, weight in rows]
    return key, label, None, np.concatenate(masses)


def _repeats(key: Keys) -> bool:
    sample = key[:_SAMPLE]
    return len(distinct_keys(sample)) < _REPEATED * len(sample)


class _Known:
    """Counts of scores that are known, found by a hash; two scores may share one, not rows."""

    def __init__(self, key: Keys, *, weighted: bool, logits: bool) -> None:
        self.key = key
        self.logits = logits
        bits = min(len(key).bit_length() + _SPARE_BITS, _MOST_BITS)
        self._shift = np.uint64(64 - bits)
        self._place = np.zeros(1 << bits, np.int32)
        self._place[self._hash(key)] = np.arange(len(key))
        self._counts = np.zeros((len(key), 2), np.float64 if weighted else np.int64)
        self._squares = np.zeros((len(key), 2)) if weighted else None

    def _hash(self, key: Keys) -> NDArray[np.intp]:
        mixed = key.view(np.uint64) * _ODD
        mixed >>= self._shift
        return mixed.view(np.intp)

    def add(self, key: Keys, label: Label, weight: Weight) -> Rows | None:
        """Count the rows of known scores, and return the others."""
        index = self._place.take(self._hash(key))
        known = self.key.take(index) == key
        others: Rows | None = None
        if not known.all():
            left = ~known
            others = key[left], label[left], None if weight is None else weight[left]
            index, label = index[known], label[known]
            weight = None if weight is None else weight[known]
        size = len(self.key)
        self._counts += count_by(index, label, size, weight)
        squares = squares_by(index, label, size, weight)
        if self._squares is not None and squares is not None:
            self._squares += squares
        return others

    def table(self) -> CellTable:
        """Return the counts of the scores that were met."""
        used = np.flatnonzero(self._counts.any(axis=1))
        counts, squares = self._counts[used], self._squares
        return CellTable(
            np.zeros(len(used), np.int32),
            self.key[used],
            counts[:, 1],
            counts[:, 0],
            np.zeros(len(used), counts.dtype),
            None if squares is None else squares[used, 1],
            None if squares is None else squares[used, 0],
            logits=self.logits,
        )
