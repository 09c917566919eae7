"""Multinomial logistic regression on rows of K numbers: the fit of vector and matrix maps.

Logits are f = W x + c, W full or diagonal. What is minimised is the summed log loss plus half the
weighted squares of the parameters' distance from a centre. With few parameters by Newton's method;
with many by L-BFGS (Nocedal 1980) in coordinates in which each class's own curvature is round
(a block-Jacobi preconditioner), so that a step costs one pass and few are needed. Memory does not
grow with the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.scales import log_softmax, softmax

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import RowBatch, RowSource
    from calibcli.core.calibrators.evidence import FloatArray

Features = Callable[["FloatArray"], "FloatArray"]
"""What is done to a block of finite logits (n, K) before the affine map."""

NEWTON_PARAMETERS = 320
"""Up to so many parameters the whole Hessian is summed."""
BLOCK_WORK = 3e10
"""Multiplications up to which each class's block of the Hessian is summed; else its diagonal."""
_MAX_STEPS = 100
_MAX_PASSES = 200
_MEMORY = 15


@dataclass(frozen=True, slots=True)
class Problem:
    """What is minimised.

    Attributes:
        rows: source of passes.
        features: done to the logits first.
        penalty: weight of each parameter's squared distance from `centre`, halved: (K, 2) of
            slopes and intercepts for a diagonal W, (K, K + 1) for a full one, c in the last column.
        centre: where the penalty pulls to, of the same shape.
        prior: weight of labels that are as the scores say, for a weight of 1 of the labels.
    """

    rows: RowSource
    features: Features
    penalty: FloatArray
    centre: FloatArray
    prior: float = 0.0

    @property
    def diagonal(self) -> bool:
        """Whether W is diagonal."""
        return self.penalty.shape[1] == 2 and len(self.penalty) > 1

    def penalised(self, theta: FloatArray, loss: float, gradient: FloatArray) -> Step:
        """Return the value and the gradient with the penalty."""
        away = theta - self.centre
        value = loss + 0.5 * float(np.sum(self.penalty * away**2))
        return Step(theta, value, gradient + self.penalty * away)


@dataclass(frozen=True, slots=True)
class Step:
    """Parameters, the penalised loss and its gradient there."""

    theta: FloatArray
    value: float
    gradient: FloatArray


def identity_map(n_classes: int, *, diagonal: bool = False) -> FloatArray:
    """Return the parameters of the identity: (I, 0)."""
    if diagonal:
        return np.repeat([[1.0, 0.0]], n_classes, axis=0)
    return np.hstack([np.eye(n_classes), np.zeros((n_classes, 1))])


def logits_of(x: FloatArray, theta: FloatArray, *, diagonal: bool) -> FloatArray:
    """Return W x + c (n, K) of features (n, K)."""
    f: FloatArray = x * theta[:, 0] if diagonal else x @ theta[:, :-1].T
    f += theta[:, -1]
    return f


class Sums:
    """Loss and gradient over rows, and where asked for the Hessian, its blocks or its diagonal.

    Attributes:
        loss: summed log loss; `gradient` in the shape of theta.
        hessian: (P, P) of theta.ravel() for "whole"; for "blocks" (K, m, m), m columns of theta.
    """

    def __init__(self, problem: Problem, theta: FloatArray, curvature: str = "") -> None:
        self.problem, self.theta, self.curvature = problem, theta, curvature
        self.loss = 0.0
        self.gradient = np.zeros_like(theta)
        size, width = theta.shape
        shape = {"whole": (theta.size, theta.size), "blocks": (size, width, width)}
        self.hessian = np.zeros(shape.get(curvature, theta.shape if curvature else (0,)))

    def fresh(self) -> Sums:
        """Return one that holds nothing."""
        return Sums(self.problem, self.theta, self.curvature)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        problem, prior = self.problem, self.problem.prior
        for block in rows.blocks():
            x = problem.features(block.z)
            # From the logits: the logarithm of a probability that underflows would be flat.
            logs = log_softmax(logits_of(x, self.theta, diagonal=problem.diagonal))
            p = np.exp(logs)
            mass = block.weight * (1.0 + prior)
            self.loss -= float(block.weight @ logs[block.truth])
            residual = p * mass[:, None]
            residual[block.truth] -= block.weight
            if prior:
                said = softmax(block.z) * (prior * block.weight)[:, None]
                self.loss -= float(np.sum(said * logs))
                residual -= said
            if problem.diagonal:
                self.gradient[:, 0] += np.einsum("ij,ij->j", residual, x)
            else:
                self.gradient[:, :-1] += residual.T @ x
            self.gradient[:, -1] += residual.sum(axis=0)
            if self.curvature:
                _CURVATURES[self.curvature, problem.diagonal](self.hessian, x, p, mass)

    def merge(self, other: Sums) -> None:
        """Take in other rows."""
        self.loss += other.loss
        self.gradient += other.gradient
        self.hessian += other.hessian

    def step(self) -> Step:
        """Return the value and the gradient with the penalty."""
        return self.problem.penalised(self.theta, self.loss, self.gradient)


def _whole_diagonal(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    """Columns of theta are interleaved: parameter 2k is the slope of class k."""
    size = p.shape[1]
    through = np.stack([p * x, p], axis=2).reshape(len(p), 2 * size)
    hessian -= (through * mass[:, None]).T @ through
    own = hessian.reshape(size, 2, size, 2)
    blocks = np.zeros((size, 2, 2))
    _blocks_diagonal(blocks, x, p, mass, square=False)
    at = np.arange(size)
    own[at, :, at, :] += blocks


def _blocks_diagonal(
    hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray, *, square: bool = True
) -> None:
    weight = p * mass[:, None]
    if square:
        weight *= 1.0 - p
    slope = np.einsum("ij,ij->j", weight, x)
    hessian[:, 0, 0] += np.einsum("ij,ij,ij->j", weight, x, x)
    hessian[:, 0, 1] += slope
    hessian[:, 1, 0] += slope
    hessian[:, 1, 1] += weight.sum(axis=0)


def _whole_full(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    size = p.shape[1]
    x = np.column_stack([x, np.ones(len(x))])
    found = hessian.reshape(size, size + 1, size, size + 1)
    for j in range(size):
        for k in range(j + 1):
            part = (x * (mass * p[:, j] * ((1.0 if j == k else 0.0) - p[:, k]))[:, None]).T @ x
            found[j, :, k] += part
            if j != k:
                found[k, :, j] += part


def _blocks_full(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    x = np.column_stack([x, np.ones(len(x))])
    for k in range(p.shape[1]):
        hessian[k] += (x * (mass * p[:, k] * (1.0 - p[:, k]))[:, None]).T @ x


def _entries_full(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    weight = p * (1.0 - p) * mass[:, None]
    hessian[:, :-1] += weight.T @ (x * x)
    hessian[:, -1] += weight.sum(axis=0)


_CURVATURES: dict[tuple[str, bool], Callable[..., None]] = {
    ("whole", True): _whole_diagonal,
    ("whole", False): _whole_full,
    ("blocks", True): _blocks_diagonal,
    ("blocks", False): _blocks_full,
    ("entries", False): _entries_full,
}


def minimise(
    problem: Problem, start: FloatArray | None = None, *, tolerance: float = 1e-9
) -> FloatArray:
    """Return the parameters of least penalised loss.

    Args:
        problem: what is minimised.
        start: where to begin, else at the centre.
        tolerance: of the loss that is left to gain, in nats of all rows together.

    Raises:
        InputError: when the labels are all of one class.
    """
    problem.rows.summary.require_two_classes()
    theta = problem.centre if start is None else start
    if theta.size <= NEWTON_PARAMETERS:
        return _by_newton(problem, theta)
    return _by_lbfgs(problem, theta, tolerance)


def _by_newton(problem: Problem, theta: FloatArray) -> FloatArray:
    sums = problem.rows.scan(Sums(problem, theta, "whole"))
    here = sums.step()
    for _ in range(_MAX_STEPS):
        hessian = sums.hessian + np.diag(problem.penalty.ravel())
        solved = np.linalg.lstsq(hessian, here.gradient.ravel(), rcond=1e-13)[0]
        step: FloatArray = -np.asarray(solved).reshape(theta.shape)
        decrease = float(np.sum(here.gradient * step))
        if decrease > -1e-13 * max(here.value, 1.0):
            return here.theta + step
        size = 1.0
        for _ in range(40):
            sums = problem.rows.scan(Sums(problem, here.theta + size * step, "whole"))
            there = sums.step()
            if there.value <= here.value + 1e-4 * size * decrease:
                break
            size /= 2.0
        else:
            return here.theta
        here = there
    return here.theta


def _by_lbfgs(problem: Problem, theta: FloatArray, tolerance: float) -> FloatArray:
    work = float(problem.rows.summary.classes.sum()) * theta.size * theta.shape[1]
    curvature = "blocks" if problem.diagonal or work <= BLOCK_WORK else "entries"
    sums = problem.rows.scan(Sums(problem, theta, curvature))
    precondition = _preconditioner(sums.hessian, problem.penalty)
    here = sums.step()
    pairs: list[tuple[FloatArray, FloatArray]] = []
    for _ in range(_MAX_PASSES):
        step = -_two_loop(here.gradient, pairs, precondition)
        decrease = float(np.sum(here.gradient * step))
        if decrease >= 0.0:  # rounding has spoilt the memory
            pairs, step = [], -precondition(here.gradient)
            decrease = float(np.sum(here.gradient * step))
        if -0.5 * decrease <= tolerance:
            break
        length = 1.0
        for _ in range(30):
            there = problem.rows.scan(Sums(problem, here.theta + length * step)).step()
            if there.value <= here.value + 1e-4 * length * decrease:
                break
            length /= 2.0
        else:
            break
        moved, bent = there.theta - here.theta, there.gradient - here.gradient
        if float(np.sum(moved * bent)) > 0.0:
            pairs = [*pairs[-_MEMORY + 1 :], (moved, bent)]
        here = there
    return here.theta


def _preconditioner(hessian: FloatArray, penalty: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return what multiplies a gradient by the inverse of the blocks, or of the entries."""
    if hessian.ndim == 2:
        entries = hessian + penalty
        return lambda gradient: gradient / entries
    width = hessian.shape[1]
    own = np.arange(width)
    blocks = hessian.copy()
    blocks[:, own, own] += penalty + 1e-12 * np.trace(hessian, axis1=1, axis2=2)[:, None]
    inverse = np.linalg.inv(blocks)

    def solved(gradient: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("kij,kj->ki", inverse, gradient))

    return solved


def _two_loop(
    gradient: FloatArray,
    pairs: list[tuple[FloatArray, FloatArray]],
    precondition: Callable[[FloatArray], FloatArray],
) -> FloatArray:
    """Return the inverse Hessian's estimate times a gradient (Nocedal and Wright 2006, 7.4)."""
    found, shares = gradient, []
    for moved, bent in reversed(pairs):
        share = float(np.sum(moved * found) / np.sum(moved * bent))
        found = found - share * bent
        shares.append(share)
    found = precondition(found)
    for (moved, bent), share in zip(pairs, reversed(shares), strict=True):
        back = float(np.sum(bent * found) / np.sum(moved * bent))
        found = found + (share - back) * moved
    return found
