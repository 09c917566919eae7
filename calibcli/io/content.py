"""What rows, images and boxes are known by, wherever they come from: hashes of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.mixing import FACTOR, mix, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLD = np.uint64(32)
_BLOCK = 1 << 15
"""Rows that are hashed at once: what is worked on then stays in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Content:
    """Hashes by value: not of labels, nor of texts.

    Attributes:
        hashes: uint64 (m,) of each row, image or box.
        counts: int64 (m,) how many identical ones each stands for, or None.
        digits: bits of the scores' floating point type.
        certain: whether only copies are equal, so much is each known by.
        rows: how many there are, where those with hashes above a limit are left out.
    """

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64] | None = None
    digits: int = 64
    certain: bool = False
    rows: int | None = None


def rounded(scores: NDArray[Any], digits: int | None) -> tuple[NDArray[Any], int]:
    """Return scores, rounded to a floating point type of fewer bits, and the bits of their own."""
    own = 8 * scores.dtype.itemsize if scores.dtype.kind == "f" else 64
    if digits is not None and digits < own:
        scores = scores.astype(f"f{digits // 8}")
    return scores, own


def row_hashes(scores: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row of scores, (n,) or (n, K), of any float type."""
    values = np.add(scores, 0.0, dtype=np.float64)  # -0.0 is 0.0
    bits = values.view(np.uint64)
    if bits.ndim == 1:
        return mixed(bits)
    factors = mixed(np.arange(bits.shape[1])) | np.uint64(1)
    # The low bits of a short float are zeros, and a multiplication would keep them so.
    folded = bits ^ (bits >> _FOLD)
    with np.errstate(over="ignore"):
        folded *= factors
        return mixed(folded.sum(axis=1, dtype=np.uint64) ^ FACTOR)


def low_hashes(scores: NDArray[Any], limit: int) -> NDArray[np.uint64]:
    """Return those of `row_hashes` of scores (n,) that are at most `limit`, in the same order."""
    size = min(len(scores), _BLOCK)
    values, work, found = np.empty(size), np.empty(size, np.uint64), []
    for start in range(0, len(scores), _BLOCK):
        some = scores[start : start + _BLOCK]
        hashes = np.add(some, 0.0, out=values[: len(some)], dtype=np.float64).view(np.uint64)
        mix(hashes, work[: len(some)])
        found.append(hashes[hashes <= np.uint64(limit)])
    return np.concatenate(found) if found else np.zeros(0, np.uint64)
