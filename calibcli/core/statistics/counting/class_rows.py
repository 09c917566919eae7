"""Whole rows of classes that exclude each other: a pair (probability, is it the label) for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.keys import probability_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys

    Ints = NDArray[np.int64]

_BLOCK = 1 << 17
_MET_BITS = 24
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ClassRows:
    """Rows of classes that exclude each other.

    Attributes:
        p: float64 (n, K), probabilities.
        label: int64 (n,) classes; below 0 where it is not known, and no class is true.
        mass: (n,) importance weights, or how many rows each stands for; None for one each.
    """

    p: NDArray[np.float64]
    label: Ints
    mass: NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.p)

    @property
    def classes(self) -> int:
        """K."""
        return int(self.p.shape[1])

    def blocks(self) -> Iterator[ClassRows]:
        """Yield the rows, few at a time, whose pairs stay in the memory of a core."""
        size = max(_BLOCK // self.classes, 1)
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def take(self, rows: NDArray[Any] | slice) -> ClassRows:
        """Return some of the rows, by a mask, a slice or by numbers."""
        mass = None if self.mass is None else self.mass[rows]
        return ClassRows(self.p[rows], self.label[rows], mass)

    def pairs(self) -> tuple[Keys, NDArray[np.bool_], Ints, NDArray[Any] | None]:
        """Return keys, whether each is the label, classes and masses of the pairs (n * K,)."""
        columns = np.arange(self.classes)
        truth = self.label[:, None] == columns
        mass = None if self.mass is None else np.repeat(self.mass, self.classes)
        key = probability_keys(self.p.reshape(-1))
        return key, truth.reshape(-1), np.tile(columns, len(self)), mass

    def cells(self, first: int) -> CellTable:
        """Return the pairs by distinct score; the slots of the classes begin at `first`."""
        rows = self if self.mass is None else self.take(self.mass != 0)
        key = probability_keys(np.ascontiguousarray(rows.p.T))
        order = np.argsort(key, axis=1)
        key = np.take_along_axis(key, order, axis=1)
        column = np.arange(rows.classes)
        truth = rows.label[order] == column[:, None]
        mass = np.ones(key.size, np.int64)
        if rows.mass is not None:
            mass = rows.mass[order].reshape(-1)
        slot = np.repeat(column + first, len(rows))
        return CellTable.of_pairs(slot, key.reshape(-1), truth.reshape(-1), mass).summed()

    def of_labels(self) -> tuple[Keys, Ints, NDArray[Any] | None]:
        """Return keys (m,), classes and masses of the pairs of each row's own label."""
        known = np.flatnonzero(self.label >= 0)
        label = self.label[known]
        key = probability_keys(self.p[known, label])
        return key, label, None if self.mass is None else self.mass[known]


class Waiting:
    """Rows that wait uncounted until it is known whether their distinct pairs are too many.

    Attributes:
        rows: with the slot of their first class.
    """

    def __init__(self, limit: int) -> None:
        self.rows: list[tuple[ClassRows, int]] = []
        self._limit = limit
        self._pairs = 0
        self._met = np.zeros(1 << _MET_BITS, bool)

    def add(self, rows: ClassRows, first: int) -> bool:
        """Take in rows, and return whether they have waited long enough."""
        self.rows.append((rows, first))
        self._pairs += rows.p.size
        slot = np.arange(first + 1, first + 1 + rows.classes).astype(np.uint64)
        mixed = rows.p.view(np.uint64) * _ODD
        mixed ^= slot * _ODD
        mixed *= _ODD
        mixed >>= np.uint64(64 - _MET_BITS)
        self._met[mixed] = True
        return self._pairs > 1.5 * self._limit

    @property
    def too_many(self) -> bool:
        """Whether the distinct pairs (class, probability) are more than the limit for sure.

        There are at least as many as have different hashes.
        """
        return int(np.count_nonzero(self._met)) > self._limit
