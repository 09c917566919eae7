"""Softmax temperatures by sums over rows: the loss in b = 1/T and its derivatives, by fold.

With d = z - max(z) of a row, the loss is log S0 - b d_y, S0 the sum of exp(b d) over the classes.
Its first derivative is the mean of d under softmax(b d) less d_y, and the next three are the second
to fourth cumulants of d. They are the Taylor series of the loss about b, so one pass finds the
optimum of all rows, and of the rows outside each fold, wherever these lie near b.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.scales import softmax

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowBatch
    from calibcli.core.calibrators.evidence import FloatArray

ORDERS = 5
"""The loss and four derivatives."""
NEAR = 3e-3
"""Relative steps up to which the fourth derivative leaves an error of 1e-9 at most."""


class Moments:
    """Sums over rows at one b, by fold of the rows' buckets.

    Args:
        b: 1/T.
        folds: (64,) the fold of each bucket, or None for all rows together.
        prior: weight of a label that is as the scores say, for a weight of 1 of the label itself.

    Attributes:
        sums: (F, 5): the loss and its derivatives in b.
        weight: summed; `distance` that of a row's highest logit from the mean of the others.
        shortfall: sum of -d_y: 0 where every label has the highest logit.
    """

    def __init__(self, b: float, folds: Deal | None = None, prior: float = 0.0) -> None:
        self.b, self.folds, self.prior = b, folds, prior
        self.sums = np.zeros((1 if folds is None else int(folds.max()) + 1, ORDERS))
        self.weight = self.shortfall = self.distance = 0.0

    def fresh(self) -> Moments:
        """Return one that holds nothing."""
        return Moments(self.b, self.folds, self.prior)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        for block in rows.blocks():
            top = block.z.max(axis=1)
            width = block.z.shape[1]
            self.distance += float(block.weight @ (width * top - block.z.sum(axis=1))) / max(
                width - 1, 1
            )
            d = block.z - top[:, None]
            truth = d[block.truth]
            self.weight += float(block.weight.sum())
            self.shortfall -= float(block.weight @ truth)
            target, mass = truth, 1.0
            if self.prior:
                said = np.einsum("ij,ij->i", softmax(d), d)
                target, mass = truth + self.prior * said, 1.0 + self.prior
            e = self.b * d
            np.exp(e, out=e)
            s0 = e.sum(axis=1)
            square = d * d
            raw = np.empty((4, len(d)))
            raw[0], raw[1] = np.vecdot(e, d), np.vecdot(e, square)
            e *= square
            raw[2], raw[3] = np.vecdot(e, d), np.vecdot(e, square)
            m1, m2, m3, m4 = raw / s0
            k2 = m2 - m1**2
            k3 = m3 - 3.0 * m1 * m2 + 2.0 * m1**3
            k4 = m4 - 4.0 * m1 * m3 - 3.0 * m2**2 + 12.0 * m1**2 * m2 - 6.0 * m1**4
            loss = mass * np.log(s0) - self.b * target
            values = (loss, mass * m1 - target, mass * k2, mass * k3, mass * k4)
            if self.folds is None:
                self.sums[0] += [float(block.weight @ value) for value in values]
                continue
            fold = self.folds[np.asarray(block.bucket)]
            for order, value in enumerate(values):
                self.sums[:, order] += np.bincount(fold, block.weight * value, len(self.sums))

    def merge(self, other: Moments) -> None:
        """Take in other rows."""
        self.sums += other.sums
        self.weight += other.weight
        self.shortfall += other.shortfall
        self.distance += other.distance

    @property
    def spread(self) -> float:
        """Mean distance of a row's highest logit from the mean of the others."""
        return self.distance / max(self.weight, 1e-300)

    @property
    def total(self) -> FloatArray:
        """The loss of all rows and its derivatives (5,)."""
        return np.asarray(self.sums.sum(axis=0))

    def outside(self, fold: int) -> FloatArray:
        """Return those of the rows outside a fold (5,)."""
        return np.asarray(np.delete(self.sums, fold, axis=0).sum(axis=0))


def step_of(taylor: FloatArray) -> float:
    """Return the step from b to the minimum of a loss by its derivatives (5,); else Newton's.

    Returns:
        The step; infinite where the loss has no curvature.
    """
    slope, curve, third, fourth = (float(value) for value in taylor[1:])
    if curve <= 0.0:
        return float(np.copysign(np.inf, -slope or 1.0))
    step = newton = -slope / curve
    for _ in range(20):
        gradient = slope + step * (curve + step * (third / 2.0 + step * fourth / 6.0))
        bend = curve + step * (third + step * fourth / 2.0)
        if bend <= 0.1 * curve:
            return newton
        change = gradient / bend
        step -= change
        if abs(change) <= 1e-12 * abs(step):
            break
    return step if abs(step) <= 2.0 * abs(newton) else newton
