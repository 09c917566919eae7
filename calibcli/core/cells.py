"""Where a score becomes a cell: an order-preserving integer key, and grids of keys.

A probability p is kept by its nearer tail q = min(p, 1 - p), whose float64 bits are an integer
that grows with q. `key = bits(q)` below one half and `2 * bits(1/2) - bits(q)` above it, so keys
sort as probabilities do, no distinct probability is lost (1 - p is exact above one half), and
the leading bits of a key are a cell of constant relative width in *both* tails. A logit z has
q = expit(-|z|), which never rounds to 1, so logits keep their order out to +-745 (only those
less than 1e-15 apart can share a key).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]

HALF_KEY = int(np.float64(0.5).view(np.int64))
ONE_KEY = 2 * HALF_KEY
_MANTISSA = 52
_TINY_KEY = int(np.float64(2.0**-64).view(np.int64))
_LAST_KEY = ONE_KEY - _TINY_KEY
UNIT_SHIFT = 22
"""Offsets inside a cell count units of 2**22 keys: 2**-30 of the tail, so sums stay integers."""
_END_SHIFT = 42  # the two end cells span 959 octaves; their units are 2**-10 of one


def probability_keys(p: NDArray[np.floating[Any]]) -> Keys:
    """Return the int64 keys of probabilities in [0, 1]; any float dtype, compared in float64."""
    promoted = np.asarray(p, dtype=np.float64)
    tail = np.minimum(promoted, 1.0 - promoted)
    tail += 0.0  # turns -0.0, whose bits are negative, into 0.0
    return _keys(tail, promoted > 0.5)


def logit_keys(z: NDArray[np.floating[Any]]) -> Keys:
    """Return the int64 keys of logits, infinities included; any float dtype."""
    promoted = np.asarray(z, dtype=np.float64)
    tail = np.exp(-np.abs(promoted))
    tail /= 1.0 + tail
    return _keys(tail, promoted > 0)


def _keys(tail: NDArray[np.float64], upper: NDArray[np.bool_]) -> Keys:
    bits = tail.view(np.int64)
    key: Keys = np.where(upper, ONE_KEY - bits, bits)
    return key


def key_tails(key: Keys) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (q, upper) of each key: the nearer tail, and whether it is 1 - p rather than p."""
    upper = key > HALF_KEY
    return np.where(upper, ONE_KEY - key, key).view(np.float64), upper


def key_probabilities(key: Keys) -> NDArray[np.float64]:
    """Return the probability of each key; exact for keys made from probabilities."""
    tail, upper = key_tails(key)
    return np.where(upper, 1.0 - tail, tail)


def cell_mask(bits: int) -> int:
    """Return the bits of a key that lie inside a cell of a grid of `bits` mantissa bits."""
    return (1 << (_MANTISSA - bits)) - 1


def cell_base(start: Keys, bits: int) -> Keys:
    """Return the key from which the offsets in a cell that starts at `start` are counted."""
    base = start & ~np.int64(cell_mask(bits))
    return np.select([start < _TINY_KEY, start >= _LAST_KEY], [0, _LAST_KEY], base)


@dataclass(frozen=True)
class Grid:
    """Cells of fixed relative width: the leading `bits` of the tail's mantissa, split at edges.

    Every edge e is a cell of its own, so counts below, at and above e are exact whatever the
    width; 0 and 1 are such points too. Tails below 2**-64 share one cell a side.
    """

    bits: int
    edges: tuple[float, ...] = ()
    starts: Keys = field(init=False, repr=False, compare=False)
    _first: NDArray[np.int32] = field(init=False, repr=False, compare=False)
    _split: NDArray[np.bool_] = field(init=False, repr=False, compare=False)
    _inner: Keys = field(init=False, repr=False, compare=False)
    _inner_before: NDArray[np.int32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shift = _MANTISSA - self.bits
        lowest, highest = _TINY_KEY >> shift, (ONE_KEY - _TINY_KEY) >> shift
        coarse = np.arange(lowest - 1, highest + 1, dtype=np.int64) << shift
        coarse[0] = 0
        points = probability_keys(np.array([0.0, *self.edges, 1.0]))
        inner = np.unique(np.concatenate([points, points + 1]))
        home = np.searchsorted(coarse, inner, side="right") - 1
        fresh = (inner <= ONE_KEY) & (coarse[home] != inner)
        inner, home = inner[fresh], home[fresh]
        before = np.searchsorted(inner, coarse, side="left")
        put = object.__setattr__
        put(self, "starts", np.insert(coarse, home + 1, inner))
        put(self, "_first", (np.arange(len(coarse)) + before).astype(np.int32))
        put(self, "_split", np.bincount(home, minlength=len(coarse)) > 0)
        put(self, "_inner", inner)
        put(self, "_inner_before", before.astype(np.int32))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def mask(self) -> int:
        """The bits of a key that lie inside a cell."""
        return cell_mask(self.bits)

    def cells(self, key: Keys) -> NDArray[np.int32]:
        """Return the index of the cell of each key, in O(1) a key."""
        shift = _MANTISSA - self.bits
        raw = key >> shift
        raw -= (_TINY_KEY >> shift) - 1
        np.clip(raw, 0, len(self._first) - 1, out=raw)
        cell: NDArray[np.int32] = self._first[raw]
        at_edge = np.flatnonzero(self._split[raw])
        if at_edge.size:
            subset = raw[at_edge]
            inside = np.searchsorted(self._inner, key[at_edge], side="right")
            cell[at_edge] += (inside - self._inner_before[subset]).astype(np.int32)
        return cell

    def offsets(self, key: Keys) -> Keys:
        """Return how far each key lies into its cell, in units of 2**UNIT_SHIFT keys."""
        offset = (key & self.mask) >> UNIT_SHIFT
        ends = np.flatnonzero((key < _TINY_KEY) | (key >= _LAST_KEY))
        if ends.size:
            far = key[ends]
            offset[ends] = (far - cell_base(far, self.bits)) >> _END_SHIFT
        return offset

    def mean_keys(self, start: Keys, offset: NDArray[Any], count: NDArray[Any]) -> Keys:
        """Return the mean key of each cell from its start and the sum of its offsets."""
        share = np.divide(offset, count, out=np.zeros(len(start)), where=count > 0)
        ends = (start < _TINY_KEY) | (start >= _LAST_KEY)
        unit = np.where(ends, float(1 << _END_SHIFT), float(1 << UNIT_SHIFT))
        mean = cell_base(start, self.bits) + (share * unit).astype(np.int64)
        following = np.append(self.starts, ONE_KEY + 1)[
            np.searchsorted(self.starts, start, side="right")
        ]
        inside: Keys = np.clip(mean, start, following - 1)
        return inside


@lru_cache(maxsize=64)
def grid(bits: int, edges: tuple[float, ...]) -> Grid:
    """Return the grid of this many bits with these edges, made once a process."""
    return Grid(bits, edges)
