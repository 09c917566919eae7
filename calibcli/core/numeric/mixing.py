"""A 64-bit mixing function: integers to integers that look drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACTOR = np.uint64(0x9E3779B97F4A7C15)


def mixed(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Return SplitMix64's output function of 64-bit integers (Steele, Lea, Flood 2014)."""
    with np.errstate(over="ignore"):
        z = values.astype(np.uint64) + FACTOR
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        hashed: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return hashed
