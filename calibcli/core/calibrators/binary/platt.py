"""Platt scaling on the logit: a slope and an intercept.

Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with the targets and the
Newton method of Lin, Lin and Weng, "A Note on Platt's Probabilistic Outputs for Support Vector
Machines", Machine Learning 68 (2007).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.binary.logistic import fit_logistic, lin_targets
from calibcli.core.calibrators.evidence import (
    FloatArray,
    Limits,
    between,
    certain_limits,
    evidence,
    limited,
    limits_from,
    require_both_classes,
    with_prior,
)
from calibcli.core.calibrators.pieces import curve
from calibcli.core.calibrators.piecewise import Logistic, Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes, limits_of
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class Platt(Calibrator):
    """p = 1 / (1 + exp(A s + B)) of the logit s; identity is A = -1, B = 0.

    Attributes:
        a: A, negative where higher scores mean label 1.
        b: B.
        limits: see `certain_limits`.
    """

    a: float
    b: float
    limits: Limits = (None, None)
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "platt"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 2

    @classmethod
    def fit(cls, stats: ScoreStats, *, smoothing: bool = True, prior: float = 0.0) -> Self:
        """Fit from collapsed pairs.

        Args:
            stats: pairs of both labels.
            smoothing: targets (N₊+1)/(N₊+2) and 1/(N₋+2) instead of 1 and 0, which keeps the
                optimum finite; without it separable labels end at a very steep slope.
            prior: rows of `with_prior`.

        Raises:
            InputError: when only one class is present.
        """
        require_both_classes(stats)
        limits = certain_limits(stats)
        z = limited(stats.logit, limits)
        labels = lin_targets(stats) if smoothing else evidence(stats)
        pos, neg = with_prior(z, labels, prior)
        used = z[stats.total > 0]
        start = np.array([1.0, 0.0])
        if used.min() == used.max():
            shift, _ = fit_logistic(np.ones((len(z), 1)), pos, neg, np.zeros(1), offset=z)
            note = "all scores are equal: only their level is corrected, the slope stays 1"
            return cls(-1.0, -float(shift[0]), limits, (note,))
        theta, _ = fit_logistic(np.column_stack([z, np.ones_like(z)]), pos, neg, start)
        notes: tuple[str, ...] = ()
        if theta[0] <= 0:
            notes = ("the fitted slope is not positive: higher scores do not mean label 1",)
        return cls(-float(theta[0]), -float(theta[1]), limits, notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of logits, any shape."""
        return expit(self.logits(x))

    def logits(self, x: FloatArray) -> FloatArray:
        """Return the line of logits, any shape."""
        return -(self.a * limited(x, self.limits) + self.b)

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(-A, -A, -B)."""
        return -self.a, -self.a, -self.b

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the line between two lines."""
        before, after = old.coefficients, new.coefficients
        if before is None or after is None or before[0] != before[1] or after[0] != after[1]:
            return None
        slope, level = (float(between(before[i], after[i], step)) for i in (0, 2))
        return Platt(-slope, -level, limits_of(new), new.notes)

    def pieces(self, *, logits: bool) -> Pieces:
        """Return one logistic curve."""
        return curve(
            self,
            lambda z: -(self.a * z + self.b),
            lambda _: Logistic(-self.b, -self.a, 0.0) if self.a != 0.0 else None,
            logits=logits,
            limits=self.limits,
            falling=self.a > 0,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "A": self.a,
            "B": self.b,
            "limits": list(self.limits),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""
        a, b = float(payload["A"]), float(payload["B"])
        return cls(a, b, limits_from(payload), tuple(payload["notes"]))
