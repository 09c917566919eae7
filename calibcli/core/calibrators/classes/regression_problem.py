"""What the fit of an affine map of rows minimises, and the map itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowSource, Summary
    from calibcli.core.calibrators.evidence import FloatArray

Features = Callable[["FloatArray"], "FloatArray"]
"""What is done to a block of finite logits (n, K) before the affine map."""


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
        without: the fold whose rows are left out, where there are folds.
    """

    rows: RowSource
    features: Features
    penalty: FloatArray
    centre: FloatArray
    prior: float = 0.0
    without: int | None = None

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


def without_each(
    rows: RowSource, folds: Deal, problem: Callable[[int, Summary], Problem]
) -> list[Problem]:
    """Return the problems of the rows outside each fold.

    Args:
        rows: source of passes.
        folds: (64,) the fold of each bucket.
        problem: makes one of all rows from the number of a fold and the weights outside it.

    Raises:
        InputError: when the labels outside a fold are all of one class.
    """
    found = []
    for fold in range(int(folds.max()) + 1):
        rest = rows.outside_summary(folds, fold)
        rest.require_two_classes()
        found.append(replace(problem(fold, rest), without=fold))
    return found


def identity_map(n_classes: int, *, diagonal: bool = False, slope: float = 1.0) -> FloatArray:
    """Return the parameters of the identity: (I, 0), or of a multiple of it."""
    if diagonal:
        return np.repeat([[slope, 0.0]], n_classes, axis=0)
    return np.hstack([slope * np.eye(n_classes), np.zeros((n_classes, 1))])


def logits_of(x: FloatArray, theta: FloatArray, *, diagonal: bool) -> FloatArray:
    """Return W x + c (n, K) of features (n, K)."""
    f: FloatArray = x * theta[:, 0] if diagonal else x @ theta[:, :-1].T
    f += theta[:, -1]
    return f
