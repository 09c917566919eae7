"""Penalised logistic regression on a linear spline that never falls.

Newton's method, each step the least of a square within the bounds, damped by a multiple of the
upper bound of the loss's curvature (Boehning and Lindsay 1988), since curvature vanishes where
scores saturate. The penalty is a square and needs no damping: a multiple of its large entries would
hold up the straight line, which costs none. Folds are solved beside each other, as stacks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import FloatArray, IntArray

_MAX_STEPS = 400
_MOST_DAMPING = 1e6
_NEAR = 1e-4
"""Damping up to which a step is as good as Newton's."""
_ROUNDING = 1e-14
_LITTLE = 1e-10
"""Part of the loss that a step may still promise at the end."""
_MAX_PIVOTS = 200
_TRIES = 4
_TINY = 1e-13


@dataclass(frozen=True, slots=True, eq=False)
class BentLine:
    """A linear spline at some points: its value at the first knot, and the slope of each piece.

    Slopes are rises over the whole range of the knots, so that they depend on no unit.

    Attributes:
        squares: (G, 2 m - 1) squares of the share of each knot in the value at each point, and
            products of the shares of neighbours.
        lines: (m, m) values at the knots of a unit of each parameter.
        bends: (m - 2, m) roots of the penalty of weight 1.
        basis: (G, m) values at the points of a unit of each parameter.
    """

    squares: FloatArray
    lines: FloatArray
    bends: FloatArray
    basis: FloatArray

    @classmethod
    def of(cls, points: FloatArray, knots: FloatArray, bends: FloatArray) -> BentLine:
        """Return the spline at points (G,) with knots (m,) that increase; constant beyond them."""
        gaps = np.diff(knots) / (knots[-1] - knots[0])
        inside = np.clip((points[:, None] - knots[:-1]) / np.diff(knots), 0.0, 1.0)
        edge = np.ones((len(points), 1))
        hats = np.hstack([edge, inside]) - np.hstack([inside, 0.0 * edge])
        squares = np.hstack([hats * hats, hats[:, :-1] * hats[:, 1:]])
        lines = np.tril(np.ones((len(knots), len(knots))))
        lines[:, 1:] *= gaps
        return cls(squares, lines, bends, np.hstack([edge, inside * gaps]))

    def curvature(self, weight: FloatArray) -> FloatArray:
        """Return the sums of weight (F, G) times the squares of the basis (F, m, m)."""
        size = len(self.lines)
        sums = weight @ self.squares
        found = np.zeros((len(weight), size * size))
        found[:, :: size + 1] = sums[:, :size]
        found[:, 1 :: size + 1] = found[:, size :: size + 1] = sums[:, size:]
        return np.asarray(self.lines.T @ found.reshape(-1, size, size) @ self.lines)

    def minimise(
        self, pos: FloatArray, neg: FloatArray, penalty: float, theta: FloatArray
    ) -> FloatArray:
        """Return the parameters of least penalised log loss with slopes of at least 0.

        Args:
            pos: (F, G) weight on outcome 1 of each of F problems.
            neg: (F, G) weight on outcome 0.
            penalty: weight of the squared bends.
            theta: (F, m) where to begin, within the bounds.
        """
        theta, running = theta.copy(), np.arange(len(theta))
        bends = np.sqrt(penalty) * self.bends
        curb = 2.0 * bends.T @ bends
        bound = self.curvature(0.25 * (pos + neg))
        damping = np.full(len(theta), _NEAR)
        at = _At.of(self, bends, theta, pos, neg)
        free = np.ones(theta.shape, dtype=bool)
        for _ in range(_MAX_STEPS):
            block = self.curvature(at.variance) + curb + damping[:, None, None] * bound
            new, free = _least_square(block, at.gradient - _times(block, at.theta), free)
            there = _At.of(self, bends, new, at.pos, at.neg)
            promised = np.minimum(np.vecdot(at.gradient, new - at.theta), 0.0)
            taken = there.value <= at.value + 1e-4 * promised + _ROUNDING * np.abs(at.value)
            done = (-promised <= _LITTLE * at.value) & (damping <= _NEAR)
            damping = np.where(taken, np.maximum(damping / 64.0, 1e-12), damping * 8.0)
            done |= damping > _MOST_DAMPING
            at = there if taken.all() else at.replaced(there, taken)
            if done.any():
                theta[running[done]] = at.theta[done]
                if done.all():
                    return theta
                left = ~done
                running, damping, free = running[left], damping[left], free[left]
                at, bound = at.kept(left), bound[left]
        theta[running] = at.theta
        return theta


def _times(block: FloatArray, x: FloatArray) -> FloatArray:
    return np.asarray((block @ x[:, :, None])[:, :, 0])


def _least_square(
    block: FloatArray, linear: FloatArray, free: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the least of x' B x / 2 + l' x where all but the first of x are at least 0.

    By block principal pivoting (Portugal, Judice and Vicente 1994): all that is on the wrong side
    of its bound changes sides at once, and one at a time where that does not help.

    Args:
        block: (F, m, m) positive definite.
        linear: (F, m).
        free: (F, m) guess of what is above 0.

    Returns:
        x (F, m), and what is free.
    """
    size = linear.shape[1]
    own = np.arange(size)
    small = _TINY * np.abs(linear).max(axis=1, keepdims=True)
    ridge = _TINY * block[:, own, own].max(axis=1, keepdims=True)
    fewest, tries = np.full(len(linear), size + 1), np.full(len(linear), _TRIES)
    for _ in range(_MAX_PIVOTS):
        inner = block * (free[:, :, None] & free[:, None, :])
        inner[:, own, own] += ~free + ridge
        x = np.asarray(np.linalg.solve(inner, -(linear * free)[:, :, None])[:, :, 0], np.float64)
        low = x < -_TINY * np.abs(x).max(axis=1, keepdims=True)
        wrong = np.where(free, low, _times(block, x) + linear < -small)
        wrong[:, 0] = False
        left: IntArray = wrong.sum(axis=1)
        if not left.any():
            break
        tries = np.where(left < fewest, _TRIES, tries - 1)
        fewest = np.minimum(fewest, left)
        last = size - 1 - wrong[:, ::-1].argmax(axis=1)
        free = free ^ (wrong & ((tries > 0)[:, None] | (own == last[:, None])))
    x[:, 1:] = np.maximum(x[:, 1:], 0.0)
    return x, free


@dataclass(frozen=True, slots=True, eq=False)
class _At:
    """The problems at some parameters: penalised losses (F,), and what a step there needs."""

    theta: FloatArray
    pos: FloatArray
    neg: FloatArray
    value: FloatArray
    gradient: FloatArray
    variance: FloatArray

    @classmethod
    def of(
        cls,
        line: BentLine,
        bends: FloatArray,
        theta: FloatArray,
        pos: FloatArray,
        neg: FloatArray,
    ) -> _At:
        f, bent = theta @ line.basis.T, theta @ bends.T
        tail = np.exp(-np.abs(f))
        logs = np.log1p(tail)
        value = np.vecdot(pos, logs - np.minimum(f, 0.0)) + np.vecdot(bent, bent)
        value += np.vecdot(neg, logs + np.maximum(f, 0.0))
        tail /= 1.0 + tail
        total = pos + neg
        p = np.where(f > 0, 1.0 - tail, tail)
        gradient = (total * p - pos) @ line.basis + 2.0 * bent @ bends
        return cls(theta, pos, neg, value, gradient, total * tail * (1.0 - tail))

    def replaced(self, other: _At, where: FloatArray) -> _At:
        """Return the other's problems in some places, and its own in the rest."""
        wide = where[:, None]
        return _At(
            np.where(wide, other.theta, self.theta),
            self.pos,
            self.neg,
            np.where(where, other.value, self.value),
            np.where(wide, other.gradient, self.gradient),
            np.where(wide, other.variance, self.variance),
        )

    def kept(self, which: FloatArray) -> _At:
        """Return some of the problems."""
        return _At(
            self.theta[which],
            self.pos[which],
            self.neg[which],
            self.value[which],
            self.gradient[which],
            self.variance[which],
        )
