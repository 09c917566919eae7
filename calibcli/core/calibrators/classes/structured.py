"""Structured matrix and vector scaling: temperature first, then what more the data can pay for.

Berta, Holzmüller, Jordan and Bach, "Structured matrix scaling for multi-class calibration"
(AISTATS 2026). After temperature scaling, the logits are mapped by a matrix whose diagonal, whose
off-diagonal entries and whose intercepts are held at the identity by ridge penalties that need no
tuning: K / n for each diagonal entry and intercept and K (K - 1) / n for each other entry, of the
mean log loss. As in the authors' release, the scaled probabilities are mixed with one row of equal
ones in n, so that no exact zero decides a linear map.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.regression import Learned, minimise, minimise_folds
from calibcli.core.calibrators.classes.regression_problem import (
    Problem,
    identity_map,
    logits_of,
    without_each,
)
from calibcli.core.calibrators.classes.row_scores import finite_rows
from calibcli.core.calibrators.evidence import FloatArray, array
from calibcli.core.calibrators.temperature import Temperature
from calibcli.core.calibrators.types import CLASSES, Calibrator, Space, Takes
from calibcli.core.numeric.scales import softmax
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowSource, Summary


@dataclass(frozen=True, slots=True)
class StructuredMatrix(Calibrator):
    """p = softmax(W u + c) of u = log((1 - e) softmax(z / T) + e / K).

    Attributes:
        temperature: T.
        share: e, the part of each row that is equal probabilities.
        theta: W and, in the last column, c: (K, K + 1), or (K, 2) of a diagonal W.
        at_bound: whether the temperature ended at a bound; not part of the artifact.
        learned: the curvature, for `fit_folds`; not part of the artifact.
    """

    temperature: float
    share: float
    theta: FloatArray
    notes: tuple[str, ...] = ()
    at_bound: bool = False
    learned: Learned | None = field(default=None, repr=False, compare=False)

    method: ClassVar[str] = "sms"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 11
    diagonal: ClassVar[bool] = False

    @classmethod
    def fit(cls, rows: RowSource, *, start: Self | None = None, prior: float = 0.0) -> Self:
        """Fit in passes; see `regression`.

        Args:
            rows: source of passes.
            start: a fit of nearly the same rows.
            prior: rows that are as the scores say, see `with_prior`.

        Raises:
            InputError: when the labels are all of one class.
        """
        begin = None if start is None else Temperature(start.temperature)
        scaled = Temperature.fit(rows, start=begin, prior=prior)
        problem = cls._problem(rows, rows.summary, scaled, prior)
        theta = None if start is None else start.theta
        learned = Learned()
        theta = minimise(problem, theta, tolerance=1e-9 if start is None else 1e-6, learned=learned)
        return replace(cls._of(theta, problem, scaled), learned=learned)

    @classmethod
    def fit_folds(
        cls, rows: RowSource, folds: Deal, whole: Self, *, prior: float = 0.0
    ) -> tuple[Self, ...]:
        """Return the fits of the rows outside each fold, side by side: a pass a step for all.

        Raises:
            InputError: when the labels outside a fold are all of one class.
        """
        heat = Temperature(whole.temperature, at_bound=whole.at_bound)
        scaled = Temperature.fit_folds(rows, folds, heat, prior=prior)

        def problem(fold: int, rest: Summary) -> Problem:
            return cls._problem(rows, rest, scaled[fold], prior)

        problems = without_each(rows, folds, problem)
        found = minimise_folds(problems, folds, whole.theta, learned=whole.learned)
        parts = zip(found, problems, scaled, strict=True)
        return tuple(cls._of(theta, made, one) for theta, made, one in parts)

    @classmethod
    def _problem(
        cls, rows: RowSource, summary: Summary, scaled: Temperature, prior: float
    ) -> Problem:
        size = rows.n_classes
        centre = identity_map(size, diagonal=cls.diagonal)
        penalty = np.full(centre.shape, 2.0 * size)
        if not cls.diagonal:
            penalty[:, :-1] += 2.0 * size * (size - 2) * (1.0 - np.eye(size))
        share = 1.0 / (summary.effective + 1.0)
        features = Warm(scaled.temperature, share)
        return Problem(rows, features, penalty, centre, summary.share(prior))

    @classmethod
    def _of(cls, theta: FloatArray, problem: Problem, scaled: Temperature) -> Self:
        assert isinstance(problem.features, Warm)
        share = problem.features.share
        return cls(scaled.temperature, share, array(theta), scaled.notes, scaled.at_bound)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits or log-probabilities (n, K)."""
        return softmax(self.logits(x))

    def logits(self, x: FloatArray) -> FloatArray:
        """Return calibrated rows of logits (n, K)."""
        features = Warm(self.temperature, self.share)(finite_rows(x))
        return logits_of(features, self.theta, diagonal=self.diagonal)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: entries that cannot be.
        """
        theta = array(payload["theta"])
        temperature, share = float(payload["temperature"]), float(payload["share"])
        width = 2 if cls.diagonal else len(theta) + 1
        if theta.ndim != 2 or theta.shape[1] != width:
            raise InputError(f"the weights of a {cls.method} calibrator have the wrong shape")
        if not (temperature > 0.0 and 0.0 <= share <= 1.0):
            raise InputError("a temperature must be positive, and a share lie between 0 and 1")
        return cls(temperature, share, theta, tuple(payload["notes"]))


@dataclass(frozen=True, slots=True)
class StructuredVector(StructuredMatrix):
    """The same with a diagonal W."""

    method: ClassVar[str] = "svs"
    complexity: ClassVar[int] = 10
    diagonal: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Warm:
    """The features: u of the temperature and the share."""

    temperature: float
    share: float

    def __call__(self, z: FloatArray) -> FloatArray:
        """Return u (n, K) of logits (n, K)."""
        p = softmax(z / self.temperature)
        p *= 1.0 - self.share
        p += self.share / p.shape[1]
        return np.log(p, out=p)
