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
from typing import Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.affine import Features, fit_affine, map_rows
from calibcli.core.calibrators.classes.rows import (
    blocks,
    finite_rows,
    fold_rows,
    raised,
    resolved_floor,
)
from calibcli.core.calibrators.classes.vector import Vector
from calibcli.core.calibrators.types import (
    MULTICLASS,
    Calibrator,
    FloatArray,
    RowSource,
    Space,
    array,
    between,
)
from calibcli.core.numeric.scales import EPS, log_softmax
from calibcli.errors import InputError

STRENGTHS = (1e5, 1e4, 1e3, 1e2, 1e1, 1e0)
"""Weights of the squared off-diagonal weights that are tried, strongest first."""
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Matrix(Calibrator):
    """p = softmax(W z + c) of the logits z as they are.

    Attributes:
        theta: (K, K + 1): W and, in the last column, c.
        strength: weight of the squared off-diagonal weights; chosen by held-out log loss.
        floor: logits below it are read as it (see `resolved_floor`), or None.
    """

    theta: FloatArray
    strength: float
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "matrix"
    space: ClassVar[Space] = "logit"
    tasks: ClassVar[frozenset[str]] = MULTICLASS
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 11

    @classmethod
    def fit_rows(
        cls,
        rows: RowSource,
        n_classes: int,
        *,
        strength: float | None = None,
        start: Self | None = None,
    ) -> Self:
        """Fit in passes: Newton's method up to 12 classes, L-BFGS beyond.

        Args:
            rows: source of passes.
            n_classes: K.
            strength: of the penalty; else `start`'s, else the best of `STRENGTHS` on the rows
                whose bucket is a multiple of 5, fitted on the others.
            start: a fit of nearly the same rows.

        Raises:
            InputError: when the labels are all of one class.
        """
        return cls(*_fit(rows, n_classes, _as_they_are, strength, start))

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits (n, K)."""
        return map_rows(raised(finite_rows(x), self.floor), self.theta)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the weights between two; vector and temperature scaling are such maps too."""
        before, after = _weights_of(old, self), _weights_of(new, self)
        if before is None or after is None:
            return None
        theta = array(between(before, after, step))
        return Matrix(theta, self.strength, self.floor, new.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the weights are not K rows of K + 1.
        """
        return cls(*_from_dict(payload))


@dataclass(frozen=True, slots=True)
class Dirichlet(Calibrator):
    """p = softmax(W log p + c); the same as `Matrix` where the scores are probabilities.

    Attributes:
        theta: (K, K + 1): W and, in the last column, c.
        strength: weight of the squared off-diagonal weights; chosen by held-out log loss.
        floor: logits below it are read as it (see `resolved_floor`), or None.
    """

    theta: FloatArray
    strength: float
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "dirichlet"
    space: ClassVar[Space] = "logit"
    tasks: ClassVar[frozenset[str]] = MULTICLASS
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 12

    @classmethod
    def fit_rows(
        cls,
        rows: RowSource,
        n_classes: int,
        *,
        strength: float | None = None,
        start: Self | None = None,
    ) -> Self:
        """Fit in passes, as `Matrix.fit_rows` does.

        Raises:
            InputError: when the labels are all of one class.
        """
        return cls(*_fit(rows, n_classes, log_softmax, strength, start))

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits or log-probabilities (n, K)."""
        return map_rows(log_softmax(raised(finite_rows(x), self.floor)), self.theta)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the weights between two; temperature scaling is such a map too."""
        before, after = _weights_of(old, self), _weights_of(new, self)
        if before is None or after is None:
            return None
        theta = array(between(before, after, step))
        return Dirichlet(theta, self.strength, self.floor, new.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return _to_dict(self)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the weights are not K rows of K + 1.
        """
        return cls(*_from_dict(payload))


def _as_they_are(z: FloatArray) -> FloatArray:
    return z


def odir(n_classes: int, strength: float) -> FloatArray:
    """Return the penalty (K, K + 1): `strength` off the diagonal, 1 on it and on intercepts."""
    penalty = np.full((n_classes, n_classes + 1), strength)
    own = np.arange(n_classes)
    penalty[own, own] = penalty[:, -1] = 1.0
    return penalty


def _fit(
    rows: RowSource,
    n_classes: int,
    features: Features,
    strength: float | None,
    start: Matrix | Dirichlet | None,
) -> tuple[FloatArray, float, float | None]:
    floor = resolved_floor(rows)

    def prepared(z: FloatArray) -> FloatArray:
        return features(raised(z, floor))

    theta = None if start is None else start.theta
    if strength is None:
        strength = start.strength if start is not None else None
    if strength is None:
        strength, theta = _best_strength(rows, n_classes, prepared)
    theta = fit_affine(rows, prepared, odir(n_classes, strength), theta)
    theta.setflags(write=False)
    return theta, strength, floor


def _best_strength(
    rows: RowSource, n_classes: int, features: Features
) -> tuple[float, FloatArray | None]:
    """Return the strength of least held-out log loss, and its fit; stops when it has risen."""
    inside = fold_rows(rows, _FOLDS, 0, inside=False)
    outside = fold_rows(rows, _FOLDS, 0, inside=True)
    best, theta, least = STRENGTHS[0], None, np.inf
    latest: FloatArray | None = None
    for strength in STRENGTHS:
        try:
            latest = fit_affine(inside, features, odir(n_classes, strength), latest)
        except InputError:
            break  # one class without the held-out rows: the strongest is the safest
        loss = 0.0
        for z, label, weight in blocks(outside()):
            p = map_rows(features(z), latest)[np.arange(len(label)), label]
            loss -= float(weight @ np.log(np.maximum(p, EPS)))
        if loss >= least:
            break
        best, theta, least = strength, latest, loss
    return best, theta


def _weights_of(one: Calibrator, like: Matrix | Dirichlet) -> FloatArray | None:
    """Return a map as the weights of another kind, which holds it as a special case."""
    size = len(like.theta)
    if isinstance(one, Matrix | Dirichlet):
        return one.theta if type(one) is type(like) and len(one.theta) == size else None
    if isinstance(one, Vector) and isinstance(like, Dirichlet):
        return None  # slopes of logits are not slopes of log-probabilities
    weights = one.class_weights(size)
    return None if weights is None else np.hstack([np.diag(weights[0]), weights[1][:, None]])


def _to_dict(calibrator: Matrix | Dirichlet) -> dict[str, Any]:
    return {
        "method": calibrator.method,
        "theta": calibrator.theta.tolist(),
        "strength": calibrator.strength,
        "floor": calibrator.floor,
        "notes": list(calibrator.notes),
    }


def _from_dict(payload: dict[str, Any]) -> tuple[FloatArray, float, float | None, tuple[str, ...]]:
    theta, floor = array(payload["theta"]), payload["floor"]
    if theta.ndim != 2 or theta.shape[1] != theta.shape[0] + 1:
        raise InputError("the weights of K classes must be K rows of K + 1 numbers")
    notes = tuple(payload["notes"])
    return theta, float(payload["strength"]), None if floor is None else float(floor), notes
