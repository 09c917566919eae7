"""Units to buckets: what is independent, in few enough parts to be counted apart.

Up to `BUCKETS` units each have a bucket of their own; more of them share buckets, by a hash of
their identity. Which of the two it is depends on the units alone, so any division of the rows
merges to the same buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.statistics.stats import BUCKETS, buckets_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Hashes = NDArray[np.uint64]

_ALL = 2**64 - 1
_LOOK = 4 * BUCKETS
"""Rows that show soon enough where there are too many units."""


class Units:
    """The units that were met, and the bucket of each. Mergeable.

    Attributes:
        known: the bucket of each unit by its hash, while each has its own; None when they share
            buckets.
    """

    def __init__(self, known: Iterable[int] | None = ()) -> None:
        self.known: dict[int, int] | None = None
        if known is not None:
            self.known = {unit: place for place, unit in enumerate(known)}
        self._index()

    def _index(self) -> None:
        found = np.array(list(self.known or ()), np.uint64)
        self._place = np.argsort(found)
        self._sorted = found[self._place]

    def fresh(self, unit: Hashes) -> list[int]:
        """Return the units of rows (n,) that were not met yet; of too many some are enough."""
        if self.known is None or not len(unit):
            return []
        if len(unit) == 1 or unit.strides == (0,):  # one unit, once a row
            return [] if int(unit[0]) in self.known else [int(unit[0])]
        if len(self._sorted):
            at = np.minimum(np.searchsorted(self._sorted, unit), len(self._sorted) - 1)
            unit = unit[self._sorted[at] != unit]
        found: list[int] = np.unique(unit[:_LOOK]).tolist()
        if self.fits(found) and len(unit) > _LOOK:
            found = np.unique(unit).tolist()
        return found

    def fits(self, fresh: list[int]) -> bool:
        """Return whether these units too can have a bucket each."""
        return self.known is not None and len(self.known) + len(fresh) <= BUCKETS

    def extend(self, fresh: list[int]) -> None:
        """Give each of these units a bucket of its own."""
        if fresh and self.known is not None:
            for unit in fresh:
                self.known[unit] = len(self.known)
            self._index()

    def share(self) -> Ints | None:
        """Let units share buckets from now on; return the new bucket of each bucket so far."""
        if self.known is None:
            return None
        moved = np.zeros(BUCKETS, np.int64)
        moved[: len(self.known)] = buckets_of(np.array(list(self.known), np.uint64))
        self.known = None
        self._index()
        return moved

    def buckets(self, unit: Hashes) -> Ints:
        """Return the bucket of each unit (n,), which have been taken in."""
        if self.known is None:
            return buckets_of(unit)
        return self._place[np.searchsorted(self._sorted, unit)]

    def bucket(self, unit: int) -> int:
        """Return the bucket of one unit, which has been taken in."""
        return bucket_of(unit) if self.known is None else self.known[unit]

    def merge(self, other: Units) -> tuple[Ints | None, Ints | None]:
        """Take in other units; return the bucket here of each bucket here, and of each there.

        None stands for the same.
        """
        if other.known is None:
            return self.share(), None
        if self.known is None:
            return None, other.share()
        hashes = np.array(list(other.known), np.uint64)
        fresh = self.fresh(hashes)
        if not self.fits(fresh):
            return self.share(), other.share()
        self.extend(fresh)
        there = np.zeros(BUCKETS, np.int64)
        there[: len(hashes)] = self.buckets(hashes)
        return None, there

    def rank(self) -> Ints | None:
        """Return the place of each bucket in the order of its unit's hash; None where shared."""
        if self.known is None:
            return None
        rank = np.arange(BUCKETS)
        rank[self._place] = np.arange(len(self._place))
        return rank

    def ordered(self) -> tuple[int, ...] | None:
        """Return the hashes of the units, each in the bucket of its place; None where shared."""
        return None if self.known is None else tuple(sorted(self.known))


def buckets_of_all(unit: Hashes) -> Ints:
    """Return the bucket of each unit (n,), where these are all that there are."""
    distinct, place = np.unique(unit, return_inverse=True)
    return place.astype(np.int64) if len(distinct) <= BUCKETS else buckets_of(unit)


def bucket_of(unit: int) -> int:
    """Return the shared bucket of one unit, as `buckets_of` does of many."""
    mixed = (unit * 0x9E3779B97F4A7C15) & _ALL
    mixed = ((mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9) & _ALL
    return mixed >> 58
