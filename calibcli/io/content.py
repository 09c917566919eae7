"""What rows, images and boxes are known by, wherever they come from: hashes of their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.mixing import FACTOR, mixed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FOLD = np.uint64(32)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Content:
    """Hashes by value: not of labels, nor of texts.

    Attributes:
        hashes: uint64 (m,) of each row, image or box.
        counts: int64 (m,) how many identical ones each stands for, or None.
        digits: bits of the scores' floating point type.
        certain: whether only copies are equal, so much is each known by.
    """

    hashes: NDArray[np.uint64]
    counts: NDArray[np.int64] | None = None
    digits: int = 64
    certain: bool = False


def rounded(scores: NDArray[Any], digits: int | None) -> tuple[NDArray[Any], int]:
    """Return scores, rounded to a floating point type of fewer bits, and the bits of their own."""
    own = 8 * scores.dtype.itemsize if scores.dtype.kind == "f" else 64
    if digits is not None and digits < own:
        scores = scores.astype(f"f{digits // 8}")
    return scores, own


def row_hashes(scores: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row of scores, (n,) or (n, K), of any float type."""
    values = scores.astype(np.float64) + 0.0  # -0.0 is 0.0
    bits = values.view(np.uint64)
    if bits.ndim == 1:
        return mixed(bits)
    factors = mixed(np.arange(bits.shape[1])) | np.uint64(1)
    # The low bits of a short float are zeros, and a multiplication would keep them so.
    folded = bits ^ (bits >> _FOLD)
    with np.errstate(over="ignore"):
        folded *= factors
        return mixed(folded.sum(axis=1, dtype=np.uint64) ^ FACTOR)
