"""Rows found by a key: a hash table over the keys of one file, asked for those of another.

It takes some 20 bytes a key, whatever the keys are, and the other file only streams past.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from calibcli.core.numeric.mixing import mixed

_STEP = 2**17
_LEAST_BITS = 4


class DuplicateKeyError(Exception):
    """A key comes twice; `row` is the 0-based row of the second."""

    def __init__(self, row: int) -> None:
        super().__init__("a key comes twice")
        self.row = row


def compound(parts: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """Return hashes (n,) of the values of several columns together."""
    total = parts[0]
    for part in parts[1:]:
        with np.errstate(over="ignore"):
            total = mixed(total * np.uint64(3) + part)
    return total


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KeyIndex:
    """The row of each key.

    Attributes:
        hashes: uint64 (n,), mixed well: the leading bits tell where a search begins.
        table: int32 or int64 (2^m,), the row of a key at the first free place from there; -1: none.
    """

    hashes: NDArray[np.uint64]
    table: NDArray[np.signedinteger]

    @classmethod
    def of(cls, hashes: NDArray[np.uint64]) -> KeyIndex:
        """Index keys.

        Raises:
            DuplicateKeyError: a key that comes twice.
        """
        # Between 30 and 60 percent full: most keys are at the first place.
        bits = max(_LEAST_BITS, (2 * len(hashes)).bit_length())
        kind = np.int32 if len(hashes) < 2**31 else np.int64
        index = cls(hashes, np.full(1 << bits, -1, kind))
        for first in range(0, len(hashes), _STEP):
            index._add(first, min(first + _STEP, len(hashes)))
        return index

    def _places(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        bits = len(self.table).bit_length() - 1
        return (hashes >> np.uint64(64 - bits)).astype(np.int64)

    def _add(self, first: int, stop: int) -> None:
        """Add some rows: each takes its place if it is free, and looks further where it is not."""
        place = self._places(self.hashes[first:stop])
        row = np.arange(first, stop, dtype=self.table.dtype)
        while row.size:
            free = self.table[place] < 0
            self.table[place[free]] = row[free]
            there = self.table[place]
            moving = there != row
            row, there = row[moving], there[moving]
            same = np.flatnonzero(self.hashes[there] == self.hashes[row])
            if same.size:
                raise DuplicateKeyError(int(max(row[same[0]], there[same[0]])))
            place = (place[moving] + 1) & (len(self.table) - 1)

    def rows(self, hashes: NDArray[np.uint64], near: int = 0) -> NDArray[np.int64]:
        """Return the row of each key (m,); -1 where it is unknown.

        `near` is a row at which they may all begin in the same order.
        """
        if np.array_equal(self.hashes[near : near + len(hashes)], hashes):
            return np.arange(near, near + len(hashes))
        place = self._places(hashes)
        row = self.table[place].astype(np.int64)
        if not len(self.hashes):
            return row
        elsewhere = np.flatnonzero((row >= 0) & (self.hashes[row] != hashes))
        row[elsewhere] = -1
        place = place[elsewhere]
        while elsewhere.size:
            place = (place + 1) & (len(self.table) - 1)
            found = self.table[place].astype(np.int64)
            there = found >= 0
            elsewhere, place, found = elsewhere[there], place[there], found[there]
            same = self.hashes[found] == hashes[elsewhere]
            row[elsewhere[same]] = found[same]
            elsewhere, place = elsewhere[~same], place[~same]
        return row


class Joins:
    """Which rows of a file that is looked up by key have been found, by all partitions together."""

    def __init__(self) -> None:
        self.found: NDArray[np.bool_] | None = None
        self.unmatched: dict[int, int] = {}
        self._lock = Lock()

    def known(self, partition: int) -> bool:
        """Whether a partition has been read to its end."""
        return partition in self.unmatched

    def add(self, rows: NDArray[np.int64], size: int) -> int | None:
        """Take in the rows (n,) that were found, of `size` in all; -1 for none.

        Returns:
            The place of the first row that was found before, or None.
        """
        matched = rows[rows >= 0]
        with self._lock:
            if self.found is None:
                self.found = np.zeros(size, bool)
            again = self.found[matched]
            self.found[matched] = True
        if not again.any():
            order = np.sort(matched)
            if not (order[1:] == order[:-1]).any():
                return None
            first = np.unique(matched, return_index=True)[1]
            again = np.ones(len(matched), bool)
            again[first] = False
        return int(np.flatnonzero(rows >= 0)[again.argmax()])

    def finish(self, partition: int, unmatched: int) -> None:
        """Note how many rows of a partition were not found."""
        self.unmatched[partition] = unmatched

    def state(self) -> tuple[NDArray[np.bool_] | None, dict[int, int]]:
        """Return which rows were found, and how many of each partition were not."""
        return self.found, self.unmatched

    def take(self, state: tuple[NDArray[np.bool_] | None, dict[int, int]]) -> bool:
        """Take in what another process has found; return whether a row was found before."""
        found, unmatched = state
        self.unmatched |= unmatched
        if self.found is None or found is None:
            self.found = found if self.found is None else self.found
            return False
        twice = bool((self.found & found).any())
        self.found |= found
        return twice
