"""Where a score becomes a cell: grids of places, of constant relative width in both tails."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.keys import ONE_KEY, probability_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys

_MANTISSA = 52
TINY_KEY = int(np.float64(2.0**-64).view(np.int64))
"""The key below which tails share one cell."""
_LAST_KEY = ONE_KEY - TINY_KEY
UNIT_SHIFT = 22
"""Offsets inside a cell count units of 2**22 keys: 2**-30 of the tail, so sums stay integers."""
_END_SHIFT = 42  # the two end cells span 959 octaves; their units are 2**-10 of one


def cell_mask(bits: int) -> int:
    """Return the bits of a key that lie inside a cell of a grid of `bits` mantissa bits."""
    return (1 << (_MANTISSA - bits)) - 1


def cell_base(start: Keys, bits: int) -> Keys:
    """Return the key from which the offsets in a cell that starts at `start` are counted."""
    base = start & ~np.int64(cell_mask(bits))
    return np.select([start < TINY_KEY, start >= _LAST_KEY], [0, _LAST_KEY], base)


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """Cells of fixed relative width: the leading `bits` of the tail's mantissa, split at edges.

    Every edge e is a cell of its own, so counts below, at and above e are exact whatever the
    width; 0 and 1 are such points too. Tails below 2**-64 share one cell a side.
    """

    bits: int
    edges: tuple[float, ...] = ()
    starts: Keys = field(init=False, repr=False, compare=False)
    _first: Keys = field(init=False, repr=False, compare=False)
    _inner: Keys = field(init=False, repr=False, compare=False)
    _inner_before: Keys = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shift = _MANTISSA - self.bits
        lowest, highest = TINY_KEY >> shift, (ONE_KEY - TINY_KEY) >> shift
        coarse = np.arange(lowest - 1, highest + 1, dtype=np.int64) << shift
        coarse[0] = 0
        points = probability_keys(np.array([0.0, *self.edges, 1.0]))
        inner = np.unique(np.concatenate([points, points + 1]))
        home = np.searchsorted(coarse, inner, side="right") - 1
        fresh = (inner <= ONE_KEY) & (coarse[home] != inner)
        inner, home = inner[fresh], home[fresh]
        before = np.searchsorted(inner, coarse, side="left")
        first = np.arange(len(coarse)) + before
        first[home] = ~first[home]  # negative: split at an edge
        put = object.__setattr__
        put(self, "starts", np.insert(coarse, home + 1, inner))
        put(self, "_first", first)
        put(self, "_inner", inner)
        put(self, "_inner_before", before)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def mask(self) -> int:
        """The bits of a key that lie inside a cell."""
        return cell_mask(self.bits)

    def cells(self, key: Keys) -> NDArray[np.int64]:
        """Return the index of the cell of each key, in O(1) a key."""
        return self.located(key)[0]

    def located(self, key: Keys) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Return the index of the cell of each key, and which keys' cells were split at edges."""
        raw = self._raw(key)
        cell = self._first.take(raw, mode="clip")
        at_edge = np.flatnonzero(cell < 0)
        if at_edge.size:
            subset = np.clip(raw[at_edge], 0, len(self._first) - 1)
            inside = np.searchsorted(self._inner, key[at_edge], side="right")
            cell[at_edge] = inside - self._inner_before[subset] + ~cell[at_edge]
        return cell, at_edge

    def _raw(self, key: Keys) -> Keys:
        """Return the number of the cell of each key as if no edge split any; below 0 for tails."""
        shift = _MANTISSA - self.bits
        raw = key >> shift
        raw -= (TINY_KEY >> shift) - 1
        return raw

    def offsets(self, key: Keys) -> Keys:
        """Return how far each key lies into its cell, in units of 2**UNIT_SHIFT keys."""
        offset = key & self.mask
        offset >>= UNIT_SHIFT
        if key.size and (key.min() < TINY_KEY or key.max() >= _LAST_KEY):
            ends = np.flatnonzero((key < TINY_KEY) | (key >= _LAST_KEY))
            far = key[ends]
            offset[ends] = (far - cell_base(far, self.bits)) >> _END_SHIFT
        return offset

    def mean_keys(self, start: Keys, offset: NDArray[Any], count: NDArray[Any]) -> Keys:
        """Return the mean key of each cell from its start and the sum of its offsets."""
        share = np.divide(offset, count, out=np.zeros(len(start)), where=count > 0)
        share *= float(1 << UNIT_SHIFT)
        mean = start & ~np.int64(self.mask)
        ends = np.flatnonzero((start < TINY_KEY) | (start >= _LAST_KEY))
        if ends.size:
            mean[ends] = cell_base(start[ends], self.bits)
            share[ends] *= float(1 << (_END_SHIFT - UNIT_SHIFT))
        mean += share.astype(np.int64)
        split = self._split(start)
        if split.size:
            own = start[split]
            mean[split] = np.clip(mean[split], own, self._following(own) - 1)
        return mean

    def mixed(self, start: Keys) -> NDArray[np.bool_]:
        """Return whether each cell may hold several distinct scores; edges never do."""
        mixed = np.ones(len(start), np.bool_)
        split = self._split(start)
        mixed[split] = self._following(start[split]) > start[split] + 1
        return mixed

    def _split(self, start: Keys) -> NDArray[np.intp]:
        """Return which cells are parts of one that an edge splits."""
        return np.flatnonzero(self._first.take(self._raw(start), mode="clip") < 0)

    def _following(self, start: Keys) -> Keys:
        following: Keys = np.append(self.starts, ONE_KEY + 1)[
            np.searchsorted(self.starts, start, side="right")
        ]
        return following


@lru_cache(maxsize=64)
def grid(bits: int, edges: tuple[float, ...]) -> Grid:
    """Return the grid of this many bits with these edges, made once a process."""
    return Grid(bits, edges)
