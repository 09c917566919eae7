"""Vector scaling: a slope and an intercept for each class's logit.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.rows import blocks, finite_rows, raised, resolved_floor
from calibcli.core.calibrators.types import (
    MULTICLASS,
    Calibrator,
    FloatArray,
    RowSource,
    Space,
    array,
    between,
    floats,
    require_two_classes,
)
from calibcli.core.numeric.scales import log_softmax, softmax
from calibcli.errors import InputError

_MAX_STEPS = 100
_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class Vector(Calibrator):
    """p = softmax(w * z + c), slopes and intercepts by class; identity is w = 1, c = 0.

    Attributes:
        w: (K,) slopes.
        c: (K,) intercepts.
        floor: logits below it are read as it (see `resolved_floor`), or None.
    """

    w: FloatArray
    c: FloatArray
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "vector"
    space: ClassVar[Space] = "logit"
    tasks: ClassVar[frozenset[str]] = MULTICLASS
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 10

    @classmethod
    def fit_rows(cls, rows: RowSource, n_classes: int, *, start: Self | None = None) -> Self:
        """Fit by Newton's method, a pass a step.

        Each slope and intercept has a normal prior of variance 1 about the identity, which
        weighs as much as a row: it settles what softmax leaves open, and the intercept of a
        class that is absent from the labels.

        Raises:
            InputError: when the labels are all of one class.
        """
        floor = resolved_floor(rows)
        w = np.ones(n_classes) if start is None else start.w
        c = np.zeros(n_classes) if start is None else start.c
        loss, gradient, hessian = _derivatives(rows, floor, w, c)
        for _ in range(_MAX_STEPS):
            step = -np.linalg.solve(hessian, gradient)
            decrease = float(gradient @ step)
            if decrease > -1e-13 * max(loss, 1.0):
                w, c = w + step[:n_classes], c + step[n_classes:]
                break
            size = 1.0
            for _ in range(40):
                trial_w, trial_c = w + size * step[:n_classes], c + size * step[n_classes:]
                found = _derivatives(rows, floor, trial_w, trial_c)
                if found[0] <= loss + 1e-4 * size * decrease:
                    break
                size /= 2.0
            else:
                break
            (loss, gradient, hessian), w, c = found, trial_w, trial_c
        notes: tuple[str, ...] = ()
        if (w <= 0).any():
            worst = ", ".join(str(k) for k in np.flatnonzero(w <= 0)[:5])
            notes = (f"the slope of class {worst} is not positive: its score tells nothing",)
        return cls(array(w), array(c), floor, notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits (n, K)."""
        return softmax(raised(finite_rows(x), self.floor) * self.w + self.c)

    def class_weights(self, n_classes: int) -> tuple[FloatArray, FloatArray] | None:
        """Return the slopes and intercepts."""
        return (self.w, self.c) if len(self.w) == n_classes else None

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the slopes and intercepts between two; a temperature is such a map too."""
        before, after = old.class_weights(len(self.w)), new.class_weights(len(self.w))
        if before is None or after is None:
            return None
        w, c = (array(between(a, b, step)) for a, b in zip(before, after, strict=True))
        floor = next(one.floor for one in (new, old) if isinstance(one, Vector))
        return Vector(w, c, floor, new.notes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "w": floats(self.w),
            "c": floats(self.c),
            "floor": self.floor,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when slopes and intercepts do not fit together.
        """
        w, c, floor = array(payload["w"]), array(payload["c"]), payload["floor"]
        if w.ndim != 1 or w.shape != c.shape:
            raise InputError("a vector calibrator needs a slope and an intercept for each class")
        return cls(w, c, None if floor is None else float(floor), tuple(payload["notes"]))


def _derivatives(
    rows: RowSource, floor: float | None, w: FloatArray, c: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Return the penalised summed log loss, its gradient (2K,) and its Hessian (2K, 2K)."""
    size = len(w)
    away = np.concatenate([w - 1.0, c])
    loss = 0.5 * _PRIOR * float(away @ away)
    gradient, hessian = _PRIOR * away, _PRIOR * np.eye(2 * size)
    classes = np.zeros(size)
    for raw, label, weight in blocks(rows()):
        z = raised(raw, floor)
        # From the logits: the logarithm of a probability that underflows would be flat.
        logs = log_softmax(z * w + c)
        p = np.exp(logs)
        loss -= float(weight @ logs[np.arange(len(p)), label])
        classes += np.bincount(label, weights=weight, minlength=size)
        residual = p * weight[:, None]
        residual[np.arange(len(p)), label] -= weight
        gradient += np.concatenate([(residual * z).sum(axis=0), residual.sum(axis=0)])
        # d logit_k / d (w_k, c_k) = (z_k, 1), so every block is diag(p) - p pᵀ seen through it.
        scaled = p * z
        through = np.hstack([scaled, p])
        hessian -= (through * weight[:, None]).T @ through
        own = np.arange(size)
        cross = weight @ scaled
        hessian[own, own] += weight @ (scaled * z)
        hessian[own, own + size] += cross
        hessian[own + size, own] += cross
        hessian[own + size, own + size] += weight @ p
    require_two_classes(classes)
    return loss, gradient, hessian
