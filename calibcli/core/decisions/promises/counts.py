"""Counts by unit: what each patient, prompt or image has at each of a few cut-offs. Mergeable.

Statistics keep 64 buckets of units, which are too few to test a mean over units with. Here every
unit is by itself, as long as the entries fit into memory; of more units an even share is kept, by a
hash of their identity, which is a smaller sample of the same population. Which units these are
depends on the entries alone, so that any order and division of the rows gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.mixing import mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

MOST_ENTRIES = 1 << 23
_WAITING = 1 << 20


@dataclass(frozen=True, slots=True)
class Entries:
    """Distinct (slot, unit, key), sorted in this order, and the rows behind each.

    Attributes:
        slot: int64 (m,).
        unit: uint64 (m,) mixed hashes: their order has nothing to do with the units.
        key: int64 (m,), whatever is counted.
        count: int64 (m,).
    """

    slot: Ints
    unit: Hashes
    key: Ints
    count: Ints

    def of_slots(self, low: int, high: int) -> Entries:
        """Return the entries of slots from `low` on, below `high`."""
        own = slice(*np.searchsorted(self.slot, [low, high]).tolist())
        return Entries(self.slot[own], self.unit[own], self.key[own], self.count[own])

    def where(self, some: NDArray[np.bool_]) -> Entries:
        """Return some of the entries."""
        own = np.flatnonzero(some)
        return Entries(self.slot[own], self.unit[own], self.key[own], self.count[own])

    def keyed(self, key: Ints) -> Entries:
        """Return the entries with other keys (m,)."""
        return replace(self, key=key)


class UnitCounts:
    """A mergeable count of (slot, unit, key).

    Args:
        limit: entries up to which every unit is kept.
    """

    def __init__(self, limit: int = MOST_ENTRIES) -> None:
        self.limit = limit
        self.halved = 0
        self._parts: list[Entries] = []
        self._waiting = 0

    @property
    def share(self) -> float:
        """The share of the units that is kept."""
        return 0.5**self.halved

    def add(
        self,
        slot: NDArray[Any] | int,
        unit: Hashes,
        key: NDArray[Any],
        count: NDArray[Any] | None = None,
    ) -> None:
        """Count rows (n,): their units' hashes, keys from 0 up, and the rows behind each."""
        if not len(unit):
            return
        keys = key.astype(np.int64, copy=False)
        counts = np.ones(len(unit), np.int64) if count is None else count.astype(np.int64)
        if unit.strides == (0,):  # one unit, once a row: pixels of an image
            unit = unit[:1]
            if np.ndim(slot) == 0 and count is None and int(keys.max()) < len(keys):
                every = np.bincount(keys)
                keys = np.flatnonzero(every)
                counts = every[keys].astype(np.int64)
        found = np.broadcast_to(mixed(unit), keys.shape)
        slots = np.broadcast_to(np.asarray(slot, np.int64), keys.shape)
        self._put(Entries(slots, found, keys, counts))

    def merge(self, other: UnitCounts, slots: Ints | None = None) -> None:
        """Add another count; `slots` gives the slot here of each slot there."""
        if other.halved > self.halved:
            self.halved = other.halved
            self._parts = [_kept(part, self.halved) for part in self._parts]
        for part in other._parts:
            here = part.slot if slots is None else slots[part.slot]
            self._put(Entries(here, part.unit, part.key, part.count))

    def read(self) -> Entries:
        """Return all entries."""
        self._compact()
        if not self._parts:
            none = np.zeros(0, np.int64)
            return Entries(none, none.astype(np.uint64), none, none)
        return self._parts[0]

    def _put(self, entries: Entries) -> None:
        own = _summed([_kept(entries, self.halved)])
        self._parts.append(own)
        self._waiting += len(own.slot)
        if self._waiting > _WAITING:
            self._compact()

    def _compact(self) -> None:
        self._waiting = 0
        if not self._parts:
            return
        whole = self._parts[0] if len(self._parts) == 1 else _summed(self._parts)
        while len(whole.slot) > self.limit and self.halved < 63:
            self.halved += 1
            whole = _kept(whole, self.halved)
        self._parts = [whole]


def _kept(entries: Entries, halved: int) -> Entries:
    """Return the entries of one in 2^halved units."""
    if not halved:
        return entries
    mask = np.uint64((1 << halved) - 1)
    return entries.where((entries.unit & mask) == 0)


def _summed(parts: list[Entries]) -> Entries:
    """Return the distinct entries, sorted, and the rows behind each."""
    slot, unit, key, count = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("slot", "unit", "key", "count")
    )
    if not len(slot):
        return Entries(slot, unit, key, count)
    order = np.lexsort((key, unit, slot))
    slot, unit, key, count = (values[order] for values in (slot, unit, key, count))
    fresh = (slot[1:] != slot[:-1]) | (unit[1:] != unit[:-1]) | (key[1:] != key[:-1])
    start = np.flatnonzero(np.append(True, fresh))
    return Entries(slot[start], unit[start], key[start], np.add.reduceat(count, start))
