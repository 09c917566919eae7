"""Probabilities and logits: one clip, one sigmoid, float64 before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_BLOCK = 1 << 16
"""Numbers whose passes are made one after another while they are in a core's cache."""
EPS = 1e-15
"""Symmetric clip of a probability before its logarithm, the same for every input dtype."""


def expit(z: ArrayLike) -> Array:
    """Return 1 / (1 + exp(-z)) in float64, without overflow; infinities give exactly 0 and 1."""
    logits = np.asarray(z, dtype=np.float64)
    tail = np.exp(-np.abs(logits))
    tail /= 1.0 + tail
    p: Array = np.where(logits > 0, 1.0 - tail, tail)
    return p


def logit(p: ArrayLike) -> Array:
    """Return log(p / (1 - p)) in float64 with p clipped to [EPS, 1 - EPS] on both sides alike."""
    probability = np.asarray(p, dtype=np.float64)
    tail = np.maximum(np.minimum(probability, 1.0 - probability), EPS)
    z: Array = np.copysign(np.log1p(-tail) - np.log(tail), probability - 0.5)
    return z


def clipped(p: ArrayLike) -> int:
    """Return how many probabilities `logit` clips."""
    probability = np.asarray(p, dtype=np.float64)
    return int(np.count_nonzero(np.minimum(probability, 1.0 - probability) < EPS))


def log_expit(z: ArrayLike) -> Array:
    """Return log(1 / (1 + exp(-z))) in float64, precise in both tails."""
    log_p: Array = -np.logaddexp(0.0, -np.asarray(z, dtype=np.float64))
    return log_p


def log_softmax(z: ArrayLike) -> Array:
    """Return the logarithm of softmax over the last axis in float64; infinities are legal."""
    shifted = _shifted(np.array(z, dtype=np.float64))
    log_p: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_p


def softmax(z: ArrayLike) -> Array:
    """Return softmax over the last axis in float64; infinities are legal.

    A logit of -inf gives 0; those of +inf share 1, and so do all when every one is -inf.
    """
    logits = np.asarray(z)
    if logits.ndim != 2 or not logits.size:
        return _softmax(np.array(logits, dtype=np.float64))
    p: Array = np.empty(logits.shape)
    rows = max(_BLOCK // logits.shape[1], 1)
    for start in range(0, len(logits), rows):  # that stay in the memory next to the processor
        own = p[start : start + rows]
        own[...] = logits[start : start + rows]
        _softmax(own)
    return p


def _softmax(z: Array) -> Array:
    """Overwrite logits with their softmax."""
    p = _shifted(z)
    np.exp(p, out=p)
    p /= p.sum(axis=-1, keepdims=True)
    return p


def _shifted(z: Array) -> Array:
    """Overwrite logits by themselves less the largest of their row, so that the largest is 0."""
    top = z.max(axis=-1, keepdims=True)
    if np.isfinite(top).all():
        z -= top
    else:
        with np.errstate(invalid="ignore"):  # inf - inf, where the answer is 0
            z[...] = np.where(z == top, 0.0, z - top)
    return z
