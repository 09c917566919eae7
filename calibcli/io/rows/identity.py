"""Rows that are known by what they hold, not by their place.

A row of several classes or labels is a unit, and units fall into buckets. A bucket by position
would give other folds and intervals in another order, in shards and as counts. So a row's unit is
the hash of what it holds and of how many rows before it hold the same: copies are alike, so it is
nothing which of them has which number. Numbers are found in one pass over a small data set; rows
of a large one keep the units of their places, which then are many in every bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np

from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.buckets import BUCKETS, buckets_of
from calibcli.io.content import row_hashes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.io.rows.batch import RowBatch

    Hashes = NDArray[np.uint64]
    Ints = NDArray[np.int64]

MOST_ROWS = 1 << 18
MOST_VALUES = 1 << 22
"""Rows, and scores in all of them, up to which copies are numbered."""
_OF_BUCKET = np.zeros(BUCKETS, np.uint64)
"""A unit of each bucket."""
_units = np.arange(1, 4096, dtype=np.uint64)
_OF_BUCKET[buckets_of(_units)] = _units


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Copies:
    """How many rows before each row of a partition (n,) hold the same.

    Attributes:
        before: (n,).
        exact: whether rows that are counted stand for few enough to be told apart.
    """

    before: Ints
    exact: bool

    def apart(self, batch: RowBatch, start: int) -> RowBatch:
        """Return a batch, whose first row is row `start` of the partition, with units.

        A row that stands for c rows is split into c rows, or into as many as there are buckets.
        """
        hashes = _hashes(batch)
        before = self.before[start : start + len(batch)]
        if batch.count is None:
            return replace(batch, unit=_unit(hashes, before))
        few = batch.count <= BUCKETS
        size = np.where(few, np.maximum(batch.count, 1), BUCKETS)
        rows = np.repeat(np.arange(len(batch)), size)
        begin = np.cumsum(size) - size
        nth = np.arange(len(rows)) - begin[rows]
        unit = _unit(hashes[rows], before[rows] + nth)
        count = np.minimum(batch.count[rows], 1)
        for row in np.flatnonzero(~few):
            where = slice(begin[row], begin[row] + BUCKETS)
            unit[where] = _OF_BUCKET
            count[where] = self._spread(hashes[row], int(before[row]), int(batch.count[row]))
        found = replace(batch.take(rows), unit=unit, count=count)
        if found.weight is None:
            return found
        # The weight is of all rows that a row stands for.
        share = count / np.maximum(batch.count, 1)[rows]
        return replace(found, weight=found.weight * share)

    def _spread(self, hashed: np.uint64, before: int, rows: int) -> Ints:
        """Return how many of the copies of a row are in each bucket (64,)."""
        if self.exact:
            copies = np.arange(before, before + rows)
            found: Ints = np.bincount(buckets_of(_unit(hashed, copies)), minlength=BUCKETS)
            return found
        rng = np.random.default_rng([int(hashed), before, rows])
        return rng.multinomial(rows, np.full(BUCKETS, 1.0 / BUCKETS)).astype(np.int64)


def _unit(hashed: Hashes | np.uint64, nth: Ints) -> Hashes:
    with np.errstate(over="ignore"):
        return mixed(hashed + mixed(nth))


def _hashes(batch: RowBatch) -> Hashes:
    """Return a hash of scores, label and groups of each row (n,)."""
    found = row_hashes(batch.scores if batch.models is None else batch.models[:, 0])
    # A gap is a gap, however it is written.
    parts = [] if batch.labels is None else [row_hashes(np.maximum(batch.labels, -1))]
    for group in batch.groups:
        values = [crc32(value.encode("utf-8", "surrogatepass")) for value in group.values]
        parts.append(mixed(np.array(values, np.uint64))[group.codes])
    with np.errstate(over="ignore"):
        for part in parts:
            found = mixed(found * np.uint64(3) + part)
    return found


class Part(Protocol):
    """What is read by itself."""

    @property
    def rows(self) -> int | None:
        """How many rows it has, or None where only reading tells."""

    def batches(self) -> Iterator[RowBatch]:
        """Read it from its beginning."""


def copies_of(partitions: Sequence[Part], width: int) -> list[Copies] | None:
    """Return the copies of each partition, or None where there are too many rows.

    Args:
        partitions: all of a data set.
        width: scores of a row.

    Raises:
        InputError: rows that cannot be used.
    """
    most = min(MOST_ROWS, MOST_VALUES // max(width, 1))
    if sum(part.rows or 0 for part in partitions) > most:
        return None
    hashes: list[Hashes] = []
    counts: list[Ints] = []
    weights: list[NDArray[np.float64]] = []
    sizes: list[int] = []
    for part in partitions:
        size = 0
        for batch in part.batches():
            hashes.append(_hashes(batch))
            counts.append(np.ones(len(batch), np.int64) if batch.count is None else batch.count)
            weights.append(np.zeros(len(batch)) if batch.weight is None else batch.weight)
            size += len(batch)
            if size + sum(sizes) > most:
                return None
        sizes.append(size)
    if not hashes:
        return None
    every, count = np.concatenate(hashes), np.concatenate(counts)
    # Copies of other weights are numbered by them, so that the unit of weights is nothing.
    order = np.lexsort((np.concatenate(weights) / np.maximum(count, 1), every))
    whole = np.cumsum(count[order]) - count[order]
    first = np.flatnonzero(np.r_[True, np.diff(every[order]) != 0]) if len(order) else order
    start = np.repeat(whole[first], np.diff(np.r_[first, len(order)]))
    before = np.empty(len(order), np.int64)
    before[order] = whole - start
    ends = np.cumsum(sizes)
    exact = int(count.sum()) <= MOST_ROWS
    return [Copies(before[end - n : end], exact) for n, end in zip(sizes, ends, strict=True)]
