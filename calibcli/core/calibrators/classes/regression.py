"""Multinomial logistic regression on rows of K numbers: the fit of vector and matrix maps.

Logits are f = W x + c, W full or diagonal. What is minimised is the summed log loss plus half the
weighted squares of the parameters' distance from a centre. With few parameters by Newton's method;
with many by L-BFGS (Nocedal 1980) in coordinates in which each class's own curvature is round
(a block-Jacobi preconditioner), so that a step costs one pass and few are needed. Memory does not
grow with the rows. Fits outside each fold are searched for side by side, so that a row is read once
a step for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.classes.regression_sums import WIDE, Sums, Together

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.regression_problem import Problem
    from calibcli.core.calibrators.classes.rows import Deal, RowSource
    from calibcli.core.calibrators.evidence import FloatArray

    Search = Generator[Sums, Sums, FloatArray]
    """Asks for sums, is given them, and returns the parameters in the end."""

NEWTON_PARAMETERS = 320
"""Up to so many parameters the whole Hessian is summed."""
BLOCK_WORK = 3e10
"""Multiplications up to which each class's block of the Hessian is summed; else its diagonal."""
_WIDE_TOLERANCE = 1e-5
"""Nats of all rows that rounding leaves undecided where products are of float32."""
_TOLERANCE_OF_A_ROW = 2e-9
"""Nats a row that such a search may leave too: the log loss then moves by less than 1e-6 of it."""
_MAX_STEPS = 100
_MAX_PASSES = 200
_MEMORY = 15
_MEMORY_NUMBERS = 6e6
"""Numbers that the memory of a search has at most, but for four steps."""


@dataclass(slots=True, eq=False, repr=False)
class Learned:
    """What a search of many steps has found out of the curvature, for searches near its end.

    Attributes:
        precondition: multiplies a gradient by the inverse of each class's own curvature.
        pairs: how far parameters moved, and by how much the gradient changed.
    """

    precondition: Callable[[FloatArray], FloatArray] | None = None
    pairs: list[tuple[FloatArray, FloatArray]] = field(default_factory=list)


def minimise(
    problem: Problem,
    start: FloatArray | None = None,
    *,
    tolerance: float = 1e-9,
    learned: Learned | None = None,
) -> FloatArray:
    """Return the parameters of least penalised loss.

    Args:
        problem: what is minimised.
        start: where to begin, else at the centre.
        tolerance: of the loss that is left to gain, in nats of all rows together.
        learned: is told what was found out of the curvature.

    Raises:
        InputError: when the labels are all of one class.
    """
    problem.rows.summary.require_two_classes()
    theta = problem.centre if start is None else start
    search = _search(problem, theta, tolerance, Learned() if learned is None else learned)
    return _settled(problem.rows, [search], None)[0]


def minimise_folds(
    problems: Sequence[Problem],
    folds: Deal,
    start: FloatArray,
    *,
    tolerance: float = 1e-6,
    learned: Learned | None = None,
) -> list[FloatArray]:
    """Return the parameters of least loss of problems of the same rows, see `without_each`.

    Args:
        problems: one a fold.
        folds: (64,) the fold of each bucket.
        start: where to begin.
        tolerance: see `minimise`.
        learned: what the search of all rows has found out of the curvature, which is nearly theirs.
    """
    known = Learned() if learned is None else learned
    searches = [
        _search(one, start, tolerance, Learned(known.precondition, known.pairs)) for one in problems
    ]
    return _settled(problems[0].rows, searches, folds)


def _settled(rows: RowSource, searches: list[Search], folds: Deal | None) -> list[FloatArray]:
    """Return what searches end with, that are given what they ask for from one pass a step."""
    found: dict[int, FloatArray] = {}
    asked = {place: next(search) for place, search in enumerate(searches)}
    while asked:
        passed = rows.scan(Together(list(asked.values()), folds))
        given = dict(zip(asked, passed.parts, strict=True))
        asked = {}
        for place, sums in given.items():
            try:
                asked[place] = searches[place].send(sums)
            except StopIteration as end:
                found[place] = end.value
    return [found[place] for place in range(len(searches))]


def _search(problem: Problem, theta: FloatArray, tolerance: float, learned: Learned) -> Search:
    if theta.size <= NEWTON_PARAMETERS:
        return _by_newton(problem, theta)
    return _by_lbfgs(problem, theta, tolerance, learned)


def _by_newton(problem: Problem, theta: FloatArray) -> Search:
    sums = yield Sums(problem, theta, "whole")
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
            sums = yield Sums(problem, here.theta + size * step, "whole")
            there = sums.step()
            if there.value <= here.value + 1e-4 * size * decrease:
                break
            size /= 2.0
        else:
            return here.theta
        here = there
    return here.theta


def _by_lbfgs(problem: Problem, theta: FloatArray, tolerance: float, learned: Learned) -> Search:
    mass = float(problem.rows.summary.classes.sum())
    heavy = not problem.diagonal and mass * theta.size * theta.shape[1] > BLOCK_WORK
    curvature = "entries" if heavy else "blocks"
    memory = int(np.clip(_MEMORY_NUMBERS / theta.size, 4, _MEMORY))
    wide = not problem.diagonal and len(theta) >= WIDE
    kept = np.float32 if wide else np.float64
    if wide:
        tolerance = max(tolerance, _WIDE_TOLERANCE, _TOLERANCE_OF_A_ROW * mass)
    theta = problem.centre + _level(theta - problem.centre, problem.penalty)
    precondition = learned.precondition
    sums = yield Sums(problem, theta, curvature if precondition is None else "")
    if precondition is None:
        precondition = _preconditioner(sums, problem.penalty)
    here = sums.step()
    pairs = learned.pairs
    for steps in range(_MAX_PASSES):
        learned.precondition, learned.pairs = precondition, pairs
        step = -_two_loop(here.gradient, pairs, precondition)
        decrease = float(np.sum(here.gradient * step))
        if decrease >= 0.0:  # rounding has spoilt the memory
            pairs, step = [], -precondition(here.gradient)
            decrease = float(np.sum(here.gradient * step))
        if -0.5 * decrease <= tolerance:
            break
        # The curvature of the beginning is soon far from that of the end.
        again = curvature if problem.diagonal and steps == 1 else ""
        length = 1.0
        for _ in range(30):
            sums = yield Sums(problem, here.theta + length * step, again)
            there = sums.step()
            if there.value <= here.value + 1e-4 * length * decrease:
                break
            length /= 2.0
        else:
            break
        if again:
            precondition = _preconditioner(sums, problem.penalty)
        moved, bent = there.theta - here.theta, there.gradient - here.gradient
        if float(np.sum(moved * bent)) > 0.0:
            pairs = [*pairs[-memory + 1 :], (moved.astype(kept), bent.astype(kept))]
        here = there
    return here.theta


def _preconditioner(sums: Sums, penalty: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return what multiplies a gradient by the inverse of the blocks, or of what is known of them.

    Where only a block's diagonal and its column of the intercept are summed, the features are
    taken to vary apart around their means (K, K), weighted as the class is in doubt: the block is
    then a diagonal and one product of two vectors (Sherman and Morrison 1950). Logarithms of
    probabilities have large means, so that all weights of a class together move its logit far.
    """
    hessian = sums.hessian
    if hessian.ndim == 2:
        mass = np.maximum(hessian[:, -1:], 1e-300)
        mean = np.hstack([sums.first / mass, np.ones_like(mass)])
        apart = penalty.copy()
        apart[:, :-1] += np.maximum(hessian[:, :-1] - sums.first * mean[:, :-1], 0.0)
        apart += 1e-6 * hessian
        share = mean / apart
        doubt = (1.0 / mass[:, 0] + np.einsum("ij,ij->i", mean, share))[:, None]

        def together(gradient: FloatArray) -> FloatArray:
            step = gradient / apart
            step -= share * (np.einsum("ij,ij->i", mean, step)[:, None] / doubt)
            return _level(step, penalty)

        return together
    width = hessian.shape[1]
    own = np.arange(width)
    blocks = hessian.copy()
    blocks[:, own, own] += penalty + 1e-12 * np.trace(hessian, axis1=1, axis2=2)[:, None]
    inverse = np.linalg.inv(blocks)

    def solved(gradient: FloatArray) -> FloatArray:
        return _level(np.einsum("kij,kj->ki", inverse, gradient), penalty)

    return solved


def _level(step: FloatArray, penalty: FloatArray) -> FloatArray:
    """Take the part out of parameters that moves all intercepts alike, which the loss cannot feel.

    A penalty that holds all of them by the same weight has them at the mean of its centre.
    """
    if np.ptp(penalty[:, -1]) == 0.0:
        step[:, -1] -= step[:, -1].mean()
    return step


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
