"""What the scores of a row stand for: infinities, exact zeros, one class against the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import FloatArray

LOG_FLOOR = 1e-12
"""Least probability of a class whose logarithm is fitted. Rounded outputs hold many exact zeros,
and how low they are put decides the temperature: 1e-12 is what published temperatures used."""


def finite_rows(z: NDArray[np.floating[Any]]) -> FloatArray:
    """Return float64 rows; a row with an infinity becomes the logarithms that it stands for.

    Such a row is its softmax, clipped at `LOG_FLOOR` like probabilities: -inf is a probability
    of 0, and +inf of 1 shared by the infinities. Every weight times a logit is then finite.
    """
    out: FloatArray = np.asarray(z, dtype=np.float64)
    infinite = ~np.isfinite(out).all(axis=-1)
    if not infinite.any():
        return out
    out = out.copy()
    rows = out[infinite]
    top = np.isposinf(rows)
    certain = top.any(axis=-1)
    rows[certain] = np.where(top[certain], 0.0, -np.inf)
    shifted = rows - rows.max(axis=-1, keepdims=True)
    p = np.exp(shifted)
    p /= p.sum(axis=-1, keepdims=True)
    out[infinite] = np.log(np.maximum(p, LOG_FLOOR))
    return out


def clipped_log(p: NDArray[np.floating[Any]]) -> FloatArray:
    """Return float64 log-probabilities, clipped at `LOG_FLOOR` whatever the input dtype."""
    out: FloatArray = np.maximum(np.asarray(p, dtype=np.float64), LOG_FLOOR)
    return np.log(out, out=out)


def raised(z: FloatArray, floor: float | None) -> FloatArray:
    """Return logits that are no lower than the floor."""
    return z if floor is None else np.maximum(z, floor)


def one_vs_rest_logits(z: NDArray[np.floating[Any]]) -> FloatArray:
    """Return log(p_k / (1 - p_k)) of softmax rows (n, K), precise when one class is near 1.

    Clipped at the logit of 1 - 1e-15, like a probability.
    """
    z = finite_rows(z)
    weights = np.exp(z - z.max(axis=1, keepdims=True))
    rest = weights.sum(axis=1, keepdims=True) - weights
    # Only beside the largest term does the subtraction cancel, so that one is summed afresh.
    row, top = np.arange(len(z)), z.argmax(axis=1)
    others = weights.copy()
    others[row, top] = 0.0
    rest[row, top] = others.sum(axis=1)
    tiny = np.finfo(np.float64).tiny
    limit = float(-logit(0.0))
    odds = np.log(np.maximum(weights, tiny)) - np.log(np.maximum(rest, tiny))
    out: FloatArray = np.clip(odds, -limit, limit)
    return out
