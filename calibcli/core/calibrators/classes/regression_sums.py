"""What a pass over the rows of a multinomial regression adds up: loss, gradient and curvature."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np

from calibcli.core.calibrators.classes.rows import fold_blocks
from calibcli.core.numeric.scales import softmax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators.classes.regression_problem import Problem, Step
    from calibcli.core.calibrators.classes.rows import Block, Deal, RowBatch
    from calibcli.core.calibrators.evidence import FloatArray

WIDE = 256
"""From so many classes on products of matrices are of float32, but for what a class gives its own
logit: what the others add is small, and so is its rounding."""
_HEIGHT = 1024
"""Rows that are multiplied at once where classes are many."""
_PRODUCTS = 1 << 16
"""Products of parameters of rows that are made at once."""


class Sums:
    """Loss and gradient over rows, and where asked for the Hessian, its blocks or its diagonal.

    Attributes:
        loss: summed log loss; `gradient` in the shape of theta.
        hessian: (P, P) of theta.ravel() for "whole"; for "blocks" (K, m, m), m columns of theta;
            for "entries" (K, K + 1), the diagonal alone.
        first: for "entries" (K, K), what of the blocks is of features and intercept.
    """

    def __init__(
        self,
        problem: Problem,
        theta: FloatArray,
        curvature: str = "",
        like: _DiagonalMap | _FullMap | None = None,
    ) -> None:
        self.problem, self.theta, self.curvature = problem, theta, curvature
        self.loss = 0.0
        self.gradient = np.zeros_like(theta)
        size, width = theta.shape
        shape = {"whole": (theta.size, theta.size), "blocks": (size, width, width)}
        self.hessian = np.zeros(shape.get(curvature, theta.shape if curvature else (0,)))
        kind = _DiagonalMap if problem.diagonal else _FullMap
        self.map = kind(theta) if like is None else like.fresh()
        entries = curvature == "entries"
        self.first = np.zeros((size, size) if entries else (0,))
        wide = size >= WIDE and entries
        self.squares = _Products(size) if wide else None
        self.means = _Products(size) if wide else None

    def fresh(self) -> Self:
        """Return one that holds nothing."""
        return type(self)(self.problem, self.theta, self.curvature, self.map)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        for block in rows.blocks():
            self.add_block(block)
        self.finish()

    def finish(self) -> None:
        """Add up what waits to be multiplied."""
        self.map.finish(self.gradient)
        if self.squares is not None and self.means is not None:
            self.hessian[:, :-1] += self.squares.finish()
            self.first += self.means.finish()

    def add_block(self, block: Block) -> None:
        """Take in rows that stay in a core's cache."""
        problem, prior = self.problem, self.problem.prior
        x = problem.features(block.z)
        f = self.map.logits(x)
        f -= f.max(axis=1)[:, None]
        # From the logits: the logarithm of a probability that underflows would be flat.
        truth = f[block.truth]
        said = softmax(block.z) * (prior * block.weight)[:, None] if prior else None
        if said is not None:
            self.loss -= float(np.sum(said * f))
        np.exp(f, out=f)
        total = f.sum(axis=1)
        mass = block.weight * (1.0 + prior)
        self.loss += float(mass @ np.log(total) - block.weight @ truth)
        f *= (mass / total)[:, None]
        if self.curvature:
            p = f / np.where(mass > 0.0, mass, 1.0)[:, None]
            if self.curvature == "entries":
                self._add_entries(x, p, mass)
            else:
                _CURVATURES[self.curvature, problem.diagonal](self.hessian, x, p, mass)
        f[block.truth] -= block.weight
        if said is not None:
            f -= said
        self.map.add_gradient(self.gradient, f, x)

    def _add_entries(self, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
        weight, square = p * (1.0 - p) * mass[:, None], x * x
        self.hessian[:, -1] += weight.sum(axis=0)
        if self.squares is None or self.means is None:
            self.hessian[:, :-1] += weight.T @ square
            self.first += weight.T @ x
        else:
            self.hessian[:, :-1] += self.squares.add(weight, square)
            self.first += self.means.add(weight, x)

    def step(self) -> Step:
        """Return the value and the gradient with the penalty."""
        return self.problem.penalised(self.theta, self.loss, self.gradient)

    def merge(self, other: Self) -> None:
        """Take in other rows."""
        self.loss += other.loss
        self.gradient += other.gradient
        self.hessian += other.hessian
        self.first += other.first


class Together:
    """Sums of several problems in one pass, each over the rows outside its fold, if it has one."""

    def __init__(self, parts: Sequence[Sums], folds: Deal | None) -> None:
        self.parts, self.folds = list(parts), folds

    def fresh(self) -> Together:
        """Return one that holds nothing."""
        return Together([one.fresh() for one in self.parts], self.folds)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        for fold, block in fold_blocks(rows, self.folds):
            for one in self.parts:
                if fold is None or one.problem.without != fold:
                    one.add_block(block)
        for one in self.parts:
            one.finish()

    def merge(self, other: Together) -> None:
        """Take in other rows."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.merge(theirs)


# -- logits and gradients --------------------------------------------------------------------------


class _DiagonalMap:
    """w x + c."""

    def __init__(self, theta: FloatArray) -> None:
        self.slope, self.level = theta[:, 0].copy(), theta[:, 1].copy()

    def fresh(self) -> _DiagonalMap:
        """Return the same."""
        return self

    def logits(self, x: FloatArray) -> FloatArray:
        """Return them (n, K) of features (n, K)."""
        f: FloatArray = x * self.slope
        f += self.level
        return f

    def add_gradient(self, gradient: FloatArray, residual: FloatArray, x: FloatArray) -> None:
        """Add rows' residuals (n, K) times what they are of."""
        gradient[:, 0] += np.einsum("ij,ij->j", residual, x)
        gradient[:, 1] += residual.sum(axis=0)

    def finish(self, gradient: FloatArray) -> None:
        """Nothing waits."""


class _FullMap:
    """W x + c."""

    def __init__(self, theta: FloatArray) -> None:
        self.level = theta[:, -1].copy()
        self.weights = theta[:, :-1].T
        self.wide = len(theta) >= WIDE
        if self.wide:
            self.slope = theta.diagonal().copy()
            self.weights = self.weights.astype(np.float32, order="C")
            np.fill_diagonal(self.weights, 0.0)
            self.products = _Products(len(theta))

    def fresh(self) -> _FullMap:
        """Return the same, with nothing that waits."""
        found = copy(self)
        if self.wide:
            found.products = _Products(len(self.level))
        return found

    def logits(self, x: FloatArray) -> FloatArray:
        """Return them (n, K) of features (n, K)."""
        f: FloatArray
        if self.wide:
            f = x * self.slope
            f += x.astype(np.float32) @ self.weights
        else:
            f = x @ self.weights
        f += self.level
        return f

    def add_gradient(self, gradient: FloatArray, residual: FloatArray, x: FloatArray) -> None:
        """Add rows' residuals (n, K) times what they are of."""
        gradient[:, -1] += residual.sum(axis=0)
        if not self.wide:
            gradient[:, :-1] += residual.T @ x
            return
        at = np.arange(len(self.slope))
        gradient[at, at] += np.einsum("ij,ij->j", residual, x)
        self._add_cross(gradient, self.products.add(residual, x))

    def finish(self, gradient: FloatArray) -> None:
        """Add up what waits to be multiplied."""
        if self.wide:
            self._add_cross(gradient, self.products.finish())

    def _add_cross(self, gradient: FloatArray, found: NDArray[np.float32] | float) -> None:
        if not isinstance(found, float):
            np.fill_diagonal(found, 0.0)
            gradient[:, :-1] += found


class _Products:
    """Sums of products of two columns over rows, in float32, of many rows at once.

    One block of rows has fewer numbers than what it is multiplied to.
    """

    def __init__(self, size: int) -> None:
        self.size, self.filled = size, 0
        self.left = self.right = np.empty((0, size), np.float32)

    def add(self, left: FloatArray, right: FloatArray) -> NDArray[np.float32] | float:
        """Take in rows (n, K), (n, K); return the sums (K, K) of those that waited before, or 0."""
        found: NDArray[np.float32] | float = 0.0
        if self.filled + len(left) > len(self.left):
            found = self.finish()
            if len(left) > len(self.left):
                height = max(len(left), _HEIGHT)
                self.left = np.empty((height, self.size), np.float32)
                self.right = np.empty((height, self.size), np.float32)
        rows = slice(self.filled, self.filled + len(left))
        self.left[rows], self.right[rows] = left, right
        self.filled = rows.stop
        return found

    def finish(self) -> NDArray[np.float32] | float:
        """Return the sums (K, K) of what waits, or 0 where nothing does."""
        if not self.filled:
            return 0.0
        found = self.left[: self.filled].T @ self.right[: self.filled]
        self.filled = 0
        return np.asarray(found, np.float32)


# -- curvature -------------------------------------------------------------------------------------


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
    hessian[:, 1, 1] += weight.sum(axis=0)
    weight *= x
    slope = weight.sum(axis=0)
    hessian[:, 0, 1] += slope
    hessian[:, 1, 0] += slope
    hessian[:, 0, 0] += np.einsum("ij,ij->j", weight, x)


def _whole_full(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    """Both factors of a row, diag(p) - p p' and x x', are symmetric: half of each is multiplied."""
    size = p.shape[1]
    (first, second), (left, right) = np.triu_indices(size), np.triu_indices(size + 1)
    found = np.zeros((len(first), len(left)))
    height = max(_PRODUCTS // (size * (size + 1)), 1)
    for start in range(0, len(x), height):
        rows = slice(start, start + height)
        share, some = np.ascontiguousarray(p[rows].T), np.ones((size + 1, len(x[rows])))
        some[:-1] = x[rows].T
        through = share[first] * -share[second]
        through[first == second] += share
        through *= mass[rows]
        found += through @ (some[left] * some[right]).T
    of, at = np.empty((size, size), int), np.empty((size + 1, size + 1), int)
    of[first, second] = of[second, first] = np.arange(len(first))
    at[left, right] = at[right, left] = np.arange(len(left))
    hessian += found[of[:, None, :, None], at[:, None, :]].reshape(hessian.shape)


def _blocks_full(hessian: FloatArray, x: FloatArray, p: FloatArray, mass: FloatArray) -> None:
    x = np.column_stack([x, np.ones(len(x))])
    for k in range(p.shape[1]):
        hessian[k] += (x * (mass * p[:, k] * (1.0 - p[:, k]))[:, None]).T @ x


_CURVATURES: dict[tuple[str, bool], Callable[..., None]] = {
    ("whole", True): _whole_diagonal,
    ("whole", False): _whole_full,
    ("blocks", True): _blocks_diagonal,
    ("blocks", False): _blocks_full,
}
