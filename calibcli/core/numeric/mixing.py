"""A 64-bit mixing function: integers to integers that look drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACTOR = np.uint64(0x9E3779B97F4A7C15)


def mixed(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Return SplitMix64's output function of 64-bit integers (Steele, Lea, Flood 2014)."""
    hashed = values.astype(np.uint64)
    mix(hashed, np.empty_like(hashed))
    return hashed


def mix(z: NDArray[np.uint64], work: NDArray[np.uint64]) -> None:
    """Mix integers where they stand; `work` is an array of their shape, written over."""
    with np.errstate(over="ignore"):
        z += FACTOR
        z ^= np.right_shift(z, np.uint64(30), out=work)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= np.right_shift(z, np.uint64(27), out=work)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= np.right_shift(z, np.uint64(31), out=work)
