"""Passes over rows of K logits: cache-sized float64 blocks, and what infinities stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import logit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from calibcli.core.calibrators.types import FloatArray, IntArray, RowBatch, RowSource

BLOCK = 1 << 16
"""Numbers in a block: half a megabyte of float64, which stays in a core's cache."""


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
    out: FloatArray = np.log(np.maximum(np.asarray(p, dtype=np.float64), LOG_FLOOR))
    return out


def resolved_floor(rows: RowSource) -> float | None:
    """Return the log-probability to put exact zeros at, or None where there are none. One pass.

    Probabilities of exactly 0 are rounded ones. Where a fit has a weight for each class, their
    clipped logarithm would decide it, so they are put at half the least probability that is not
    zero: the substitution of half the detection limit, as `certain_limits` does for one score.
    """
    zero = np.log(LOG_FLOOR)
    least, zeros = np.inf, False
    for z, _, _ in blocks(rows()):
        above = z[z > zero]
        zeros = zeros or bool((z == zero).any())
        least = min(least, float(above.min(initial=np.inf)))
    return least - float(np.log(2.0)) if zeros and np.isfinite(least) else None


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


def blocks(batches: Iterable[RowBatch]) -> Iterator[tuple[FloatArray, IntArray, FloatArray]]:
    """Yield (z, label, weight) in float64 blocks of at most `BLOCK` numbers."""
    for z, label, weight, _ in batches:
        height = max(BLOCK // max(z.shape[1], 1), 1)
        for start in range(0, len(z), height):
            rows = slice(start, start + height)
            w = (
                np.ones(len(label[rows]))
                if weight is None
                else np.asarray(weight[rows], np.float64)
            )
            yield finite_rows(z[rows]), label[rows], w


class TemperatureSums:
    """Loss of softmax(b z) and its first two derivatives in b, summed over rows, for several b.

    With d = z - max(z): loss = log S0 - b d_y, slope = S1/S0 - d_y, curve = S2/S0 - (S1/S0)^2,
    where Sm is the sum of d^m exp(b d) over the classes. `shortfall` is the sum of -d_y: 0 where
    every label has the highest logit.
    """

    def __init__(self, inverse: list[float], n_classes: int) -> None:
        self.inverse = inverse
        self.loss = np.zeros(len(inverse))
        self.slope = np.zeros(len(inverse))
        self.curve = np.zeros(len(inverse))
        self.classes = np.zeros(n_classes)
        self.shortfall = self._distance = 0.0

    @property
    def spread(self) -> float:
        """Mean distance of a row's highest logit from the mean of the others."""
        others = max(len(self.classes) - 1, 1)
        return self._distance / others / max(float(self.classes.sum()), 1e-300)

    def derivatives(self) -> tuple[float, float, float]:
        """Return loss, slope and curve of the first b."""
        return float(self.loss[0]), float(self.slope[0]), float(self.curve[0])

    def add(self, batches: Iterable[RowBatch]) -> TemperatureSums:
        """Add the rows of these batches; returns itself."""
        for z, label, weight in blocks(batches):
            self.classes += np.bincount(label, weights=weight, minlength=len(self.classes))
            d = z - z.max(axis=1, keepdims=True)
            truth = d[np.arange(len(d)), label]
            squares = d * d
            self.shortfall -= float(weight @ truth)
            self._distance -= float(weight @ d.sum(axis=1))
            e = np.empty_like(d)
            for i, b in enumerate(self.inverse):
                np.multiply(d, b, out=e)
                np.exp(e, out=e)
                s0 = e.sum(axis=1)
                mean = np.einsum("ij,ij->i", e, d) / s0
                self.loss[i] += weight @ (np.log(s0) - b * truth)
                self.slope[i] += weight @ (mean - truth)
                self.curve[i] += weight @ (np.einsum("ij,ij->i", e, squares) / s0 - mean**2)
        return self


def fold_rows(rows: RowSource, folds: int, fold: int, *, inside: bool) -> RowSource:
    """Return the rows of one fold (`inside`), or the rows of all the others."""

    def source() -> Iterator[RowBatch]:
        for z, label, weight, bucket in rows():
            chosen = (np.asarray(bucket) % folds == fold) == inside
            if chosen.any():
                w = None if weight is None else weight[chosen]
                yield z[chosen], label[chosen], w, bucket[chosen]

    return source
