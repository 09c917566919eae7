"""Matrix scaling and Dirichlet calibration: every class's logit from all of them.

Matrix scaling is Guo et al. (2017), section 4.2; Dirichlet calibration, the same map of
log-probabilities, and the off-diagonal and intercept regularisation (ODIR) of both are Kull et
al., "Beyond temperature scaling" (NeurIPS 2019). With strength s, what is added to the summed log
loss is s/2 times the squares of the off-diagonal weights, and squares of weight 1/2 that hold
the diagonal at 1 and the intercepts at 0 as loosely as one row would: ODIR with
lambda = s K (K - 1) / (2 n) and mu = K / (2 n).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.regression import minimise, minimise_folds
from calibcli.core.calibrators.classes.regression_problem import (
    Problem,
    identity_map,
    logits_of,
    without_each,
)
from calibcli.core.calibrators.classes.regression_sums import Sums
from calibcli.core.calibrators.classes.row_scores import finite_rows, raised
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.evidence import FloatArray, array, between
from calibcli.core.calibrators.temperature import slope_of_the_first
from calibcli.core.calibrators.types import CLASSES, Calibrator, Space, Takes
from calibcli.core.numeric.scales import log_softmax, softmax
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowSource, Summary

STRENGTHS = (1e5, 1e4, 1e3, 1e2, 1e1, 1e0)
"""Weights of the squared off-diagonal weights that are tried, strongest first."""
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Matrix(Calibrator):
    """p = softmax(W z + c) of the logits z as they are.

    Attributes:
        theta: (K, K + 1): W and, in the last column, c.
        strength: weight of the squared off-diagonal weights; chosen by held-out log loss.
        floor: logits below it are read as it (see `RowSource.floor`), or None.
    """

    theta: FloatArray
    strength: float
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "matrix"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 12

    @classmethod
    def features(cls, z: FloatArray, floor: float | None) -> FloatArray:
        """Return what the affine map is of: the logits."""
        return raised(z, floor)

    @classmethod
    def fit(
        cls,
        rows: RowSource,
        *,
        strength: float | None = None,
        start: Self | None = None,
        prior: float = 0.0,
    ) -> Self:
        """Fit in passes.

        Args:
            rows: source of passes.
            strength: of the penalty; else `start`'s, else the best of `STRENGTHS` on the rows
                whose bucket is a multiple of 5, fitted on the others.
            start: a fit of nearly the same rows.
            prior: rows that are as the scores say, see `with_prior`.

        Raises:
            InputError: when the labels are all of one class.
        """
        floor = rows.floor if start is None else start.floor
        if start is not None:
            strength, theta = start.strength if strength is None else strength, start.theta
        else:
            theta = identity_map(rows.n_classes, slope=slope_of_the_first(rows))
            if strength is None:
                strength, theta = cls._best(rows, floor, theta, prior)
        tolerance = 1e-9 if start is None else 1e-6
        problem = cls._problem(rows, floor, strength, rows.summary.share(prior))
        return cls(array(minimise(problem, theta, tolerance=tolerance)), strength, floor)

    @classmethod
    def fit_folds(
        cls, rows: RowSource, folds: Deal, whole: Self, *, prior: float = 0.0
    ) -> tuple[Self, ...]:
        """Return the fits of the rows outside each fold, side by side: a pass a step for all.

        Raises:
            InputError: when the labels outside a fold are all of one class.
        """

        def problem(_: int, rest: Summary) -> Problem:
            return cls._problem(rows, whole.floor, whole.strength, rest.share(prior))

        found = minimise_folds(without_each(rows, folds, problem), folds, whole.theta)
        return tuple(cls(array(theta), whole.strength, whole.floor) for theta in found)

    @classmethod
    def _problem(
        cls, rows: RowSource, floor: float | None, strength: float, prior: float
    ) -> Problem:
        features, centre = partial(cls.features, floor=floor), identity_map(rows.n_classes)
        return Problem(rows, features, odir(rows.n_classes, strength), centre, prior)

    @classmethod
    def _best(
        cls, rows: RowSource, floor: float | None, theta: FloatArray, prior: float
    ) -> tuple[float, FloatArray]:
        """Return the strength of least held-out loss, and the parameters that had it."""
        inside, outside = rows.outside(deal(_FOLDS), 0), rows.inside(deal(_FOLDS), 0)
        weight = rows.summary.share(prior)
        best, least, latest = (STRENGTHS[0], theta), np.inf, theta
        for tried in STRENGTHS:
            problem = cls._problem(inside, floor, tried, weight)
            try:
                latest = minimise(problem, latest, tolerance=1e-3)
            except InputError:
                break  # one class without the held-out rows: the strongest is the safest
            loss = outside.scan(Sums(problem, latest)).loss
            if loss >= least:
                break
            best, least = (tried, latest), loss
        return best

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits or log-probabilities (n, K)."""
        return softmax(self.logits(x))

    def logits(self, x: FloatArray) -> FloatArray:
        """Return calibrated rows of logits (n, K)."""
        features = self.features(finite_rows(x), self.floor)
        return logits_of(features, self.theta, diagonal=False)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the weights between two; simpler maps of the same features are such maps too."""
        before, after = self._weights_of(old), self._weights_of(new)
        if before is None or after is None:
            return None
        return type(self)(array(between(before, after, step)), self.strength, self.floor, new.notes)

    def _weights_of(self, one: Calibrator) -> FloatArray | None:
        size = len(self.theta)
        if isinstance(one, Matrix):
            return one.theta if type(one) is type(self) and len(one.theta) == size else None
        weights = one.class_weights(size)
        return None if weights is None else np.hstack([np.diag(weights[0]), weights[1][:, None]])

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the weights are not K rows of K + 1.
        """
        theta, floor = array(payload["theta"]), payload["floor"]
        if theta.ndim != 2 or theta.shape[1] != theta.shape[0] + 1:
            raise InputError("the weights of K classes must be K rows of K + 1 numbers")
        notes = tuple(payload["notes"])
        return cls(
            theta, float(payload["strength"]), None if floor is None else float(floor), notes
        )


@dataclass(frozen=True, slots=True)
class Dirichlet(Matrix):
    """p = softmax(W log p + c); the same as `Matrix` where the scores are probabilities."""

    method: ClassVar[str] = "dirichlet"
    complexity: ClassVar[int] = 13

    @classmethod
    def features(cls, z: FloatArray, floor: float | None) -> FloatArray:
        """Return what the affine map is of: log-probabilities."""
        return log_softmax(raised(z, floor))

    def _weights_of(self, one: Calibrator) -> FloatArray | None:
        # Slopes of logits by class are not slopes of log-probabilities; one slope for all is.
        weights = one.class_weights(len(self.theta))
        if weights is not None and len(np.unique(weights[0])) > 1:
            return None
        return Matrix._weights_of(self, one)


def odir(n_classes: int, strength: float) -> FloatArray:
    """Return the penalty (K, K + 1): `strength` off the diagonal, 1 on it and on intercepts."""
    penalty = np.full((n_classes, n_classes + 1), strength)
    own = np.arange(n_classes)
    penalty[own, own] = penalty[:, -1] = 1.0
    return penalty
