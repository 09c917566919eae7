"""Vector scaling: a slope and an intercept for each class's logit.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.regression import minimise, minimise_folds
from calibcli.core.calibrators.classes.regression_problem import Problem, identity_map, without_each
from calibcli.core.calibrators.classes.row_scores import finite_rows, raised
from calibcli.core.calibrators.evidence import FloatArray, array, between
from calibcli.core.calibrators.temperature import slope_of_the_first
from calibcli.core.calibrators.types import CLASSES, Calibrator, Space, Takes
from calibcli.core.numeric.scales import softmax
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowSource, Summary

_PRIOR = 1.0


@dataclass(frozen=True, slots=True)
class Vector(Calibrator):
    """p = softmax(w * z + c), slopes and intercepts by class; identity is w = 1, c = 0.

    Attributes:
        w: (K,) slopes.
        c: (K,) intercepts.
        floor: logits below it are read as it (see `RowSource.floor`), or None.
    """

    w: FloatArray
    c: FloatArray
    floor: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "vector"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 10

    @classmethod
    def fit(cls, rows: RowSource, *, start: Self | None = None, prior: float = 0.0) -> Self:
        """Fit by maximum likelihood, a pass a step.

        Each slope and intercept has a normal prior of variance 1 about the identity, which
        weighs as much as a row: it settles what softmax leaves open, and the intercept of a
        class that is absent from the labels.

        Raises:
            InputError: when the labels are all of one class.
        """
        floor = rows.floor if start is None else start.floor
        problem = _problem(rows, floor, rows.summary.share(prior))
        if start is None:
            begin = identity_map(rows.n_classes, diagonal=True, slope=slope_of_the_first(rows))
        else:
            begin = np.column_stack([start.w, start.c])
        return cls._of(minimise(problem, begin), floor)

    @classmethod
    def fit_folds(
        cls, rows: RowSource, folds: Deal, whole: Self, *, prior: float = 0.0
    ) -> tuple[Self, ...]:
        """Return the fits of the rows outside each fold, side by side: a pass a step for all.

        Raises:
            InputError: when the labels outside a fold are all of one class.
        """

        def problem(_: int, rest: Summary) -> Problem:
            return _problem(rows, whole.floor, rest.share(prior))

        begin = np.column_stack([whole.w, whole.c])
        found = minimise_folds(without_each(rows, folds, problem), folds, begin)
        return tuple(cls._of(theta, whole.floor) for theta in found)

    @classmethod
    def _of(cls, theta: FloatArray, floor: float | None) -> Self:
        w, c = theta.T
        notes: tuple[str, ...] = ()
        if (w <= 0).any():
            worst = int(np.argmin(w))
            notes = (f"the slope of class {worst} is not positive: its score tells nothing",)
        return cls(array(w), array(c), floor, notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n, K) of rows of logits (n, K)."""
        return softmax(self.logits(x))

    def logits(self, x: FloatArray) -> FloatArray:
        """Return calibrated rows of logits (n, K)."""
        return raised(finite_rows(x), self.floor) * self.w + self.c

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


def _problem(rows: RowSource, floor: float | None, prior: float) -> Problem:
    penalty = np.full((rows.n_classes, 2), _PRIOR)
    centre = identity_map(rows.n_classes, diagonal=True)
    return Problem(rows, partial(raised, floor=floor), penalty, centre, prior)
