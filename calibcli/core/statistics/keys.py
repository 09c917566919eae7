"""Order-preserving integers of scores: the key, which parts all scores, and the place in a grid.

A probability p is kept by its nearer tail q = min(p, 1 - p), whose float64 bits are an integer that
grows with q. `bits(q)` below one half and `2 * bits(1/2) - bits(q)` above it is an integer that
sorts as probabilities do, loses none of them (1 - p is exact above one half), and whose leading
bits are a cell of constant relative width in *both* tails. It is both the key and the place.

A logit's key is its own float64, as an integer: logits are parted however large they are, and read
back exactly. Its place is that of the probability with the tail q = expit(-|z|), which never rounds
to 1: edges, grids and sums are of probabilities, whatever the scores were. Beyond 708, where tails
are no normal numbers, places only tell which logit is larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.int64]

HALF_KEY = int(np.float64(0.5).view(np.int64))
ONE_KEY = 2 * HALF_KEY
_FAR = 708.0
_FAR_BITS = int(np.float64(_FAR).view(np.int64))
_NORMAL = 1 << 52
"""Bits of the least normal float64; exp(-708) is above it."""
_SIGN = np.int64(np.iinfo(np.int64).max)
"""All bits of a float64 but its sign."""


def probability_keys(p: NDArray[np.floating[Any]]) -> Keys:
    """Return the int64 keys of probabilities in [0, 1]; any float dtype, compared in float64."""
    promoted = np.asarray(p, dtype=np.float64)
    tail = np.asarray(1.0 - promoted)
    np.minimum(promoted, tail, out=tail)
    tail += 0.0  # turns -0.0, whose bits are negative, into 0.0
    return tail_keys(tail, np.asarray(0.5 - promoted))


def logit_keys(z: NDArray[np.floating[Any]]) -> Keys:
    """Return the int64 keys of logits, infinities included; any float dtype."""
    key: Keys = np.add(z, 0.0, dtype=np.float64).view(np.int64)  # -0.0 is 0.0
    sign = key >> 63
    key &= _SIGN
    key ^= sign
    key -= sign
    return key


def key_logits(key: Keys) -> NDArray[np.float64]:
    """Return the logit of each key, exactly."""
    return np.copysign(np.abs(key).view(np.float64), key)


def key_places(key: Keys, *, logits: bool) -> Keys:
    """Return the place of each key: its own where keys are of probabilities."""
    return logit_places(key_logits(key)) if logits else key


def logit_places(z: NDArray[np.float64]) -> Keys:
    """Return the places of logits; float64."""
    size = np.abs(z)
    far = np.flatnonzero(size > _FAR) if size.size and size.max() > _FAR else None
    tail = np.negative(size)
    np.exp(tail, out=tail)
    tail /= 1.0 + tail
    if far is not None:
        beyond = (size[far].view(np.int64) - _FAR_BITS) >> 10
        smallest = np.maximum(_NORMAL - 1 - beyond, 1)
        tail.view(np.int64)[far] = np.where(np.isinf(size[far]), 0, smallest)
    return tail_keys(tail, np.asarray(0.0 - z))


def tail_keys(tail: NDArray[np.float64], side: NDArray[np.float64]) -> Keys:
    """Return the keys of tails; `side` is negative above one half. Both are written over.

    A key is HALF_KEY -+ (HALF_KEY - bits). The sign is taken by arithmetic: to choose between
    two arrays row by row (`np.where`) is a guess of the processor that scores defeat, and costs
    ten times as much.
    """
    sign = side.view(np.int64)
    sign >>= 63
    key: Keys = tail.view(np.int64)
    np.subtract(HALF_KEY, key, out=key)
    key ^= sign
    key -= sign
    np.subtract(HALF_KEY, key, out=key)
    return key


def key_tails(place: Keys) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return (q, upper) of each place: the nearer tail, and whether it is 1 - p rather than p."""
    distance = np.asarray(HALF_KEY - place)
    np.abs(distance, out=distance)
    np.subtract(HALF_KEY, distance, out=distance)
    return distance.view(np.float64), place > HALF_KEY


def key_probabilities(place: Keys) -> NDArray[np.float64]:
    """Return the probability of each place; exact for keys made from probabilities."""
    tail, upper = key_tails(place)
    return np.where(upper, 1.0 - tail, tail)
