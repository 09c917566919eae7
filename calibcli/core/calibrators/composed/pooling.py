"""Several probabilities of one row to one: the linear and the logarithmic opinion pool.

Genest and Zidek, "Combining probability distributions: a critique and an annotated bibliography"
(1986). Of binary probabilities the logarithmic pool is the weighted mean of the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from calibcli.core.numeric.scales import expit, logit

if TYPE_CHECKING:
    from calibcli.core.calibrators.evidence import FloatArray

Pool = Literal["linear", "logit"]

_TINIEST = 1e-300


def linear_pool(parts: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """Return the weighted mean of probabilities of one shape; the weights sum to 1."""
    total = np.zeros(np.shape(parts[0]))
    for part, weight in zip(parts, weights, strict=True):
        total += weight * part
    return total


def log_pool(
    parts: Sequence[FloatArray], weights: Sequence[float] | Sequence[FloatArray]
) -> FloatArray:
    """Return expit of the weighted mean of logits: binary probabilities of one shape.

    A weight is a number, or an array that fits the parts' last axis.
    """
    total = np.zeros(np.shape(parts[0]))
    for part, weight in zip(parts, weights, strict=True):
        total += np.asarray(weight, dtype=np.float64) * logit(part)
    return expit(total)


def mean_logs(parts: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """Return the weighted mean of the logarithms of parts of one shape."""
    total = np.zeros(np.shape(parts[0]))
    for part, weight in zip(parts, weights, strict=True):
        total += weight * np.log(np.maximum(part, _TINIEST))
    return total


def log_pool_rows(parts: Sequence[FloatArray], weights: Sequence[float]) -> FloatArray:
    """Return the normalised weighted geometric mean of rows of class probabilities (n, K)."""
    total = mean_logs(parts, weights)
    total -= total.max(axis=1, keepdims=True)
    np.exp(total, out=total)
    total /= total.sum(axis=1, keepdims=True)
    return total
