"""Beta calibration: separate slopes for the evidence for and against label 1.

Kull, Silva Filho and Flach, "Beta calibration: a well-founded and easily implemented
improvement on logistic calibration for binary classifiers" (AISTATS 2017).
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
    separates,
    with_prior,
)
from calibcli.core.calibrators.pieces import curve
from calibcli.core.calibrators.piecewise import BetaCurve, Piece, Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes, limits_of
from calibcli.core.numeric.scales import expit, log_expit
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class Beta(Calibrator):
    """logit(p') = a log(p) - b log(1 - p) + c; never decreasing, identity at a = b = 1, c = 0.

    Attributes:
        a: slope of log p, at least 0; it rules the low scores.
        b: slope of -log(1 - p), at least 0; it rules the high scores.
        c: level.
        limits: see `certain_limits`.
    """

    a: float
    b: float
    c: float
    limits: Limits = (None, None)
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "beta"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 3

    @classmethod
    def fit(cls, stats: ScoreStats, *, smoothing: bool | None = None, prior: float = 0.0) -> Self:
        """Fit from collapsed pairs by maximum likelihood under a, b >= 0.

        The loss is convex, so where a slope of the free fit is negative the optimum has a slope
        of 0; each such face is fitted, checked again, and the better one taken.

        Args:
            stats: pairs of both labels.
            smoothing: Lin, Lin and Weng's targets, which keep separable labels finite; by default
                only where the scores separate the labels, and a note says so.
            prior: rows of `with_prior`.

        Raises:
            InputError: when only one class is present.
        """
        require_both_classes(stats)
        limits = certain_limits(stats)
        x = limited(stats.logit, limits)
        used = x[stats.total > 0]
        endless = (
            smoothing is None and not prior and used.min() < used.max() and separates(x, stats)
        )
        labels = lin_targets(stats) if smoothing or endless else evidence(stats)
        pos, neg = with_prior(x, labels, prior)
        columns = np.column_stack([log_expit(x), -log_expit(-x), np.ones_like(x)])
        if used.min() == used.max():
            level, _ = fit_logistic(columns[:, 2:], pos, neg, np.zeros(1), offset=x)
            note = "all scores are equal: only their level is corrected, both slopes stay 1"
            return cls(1.0, 1.0, float(level[0]), limits, (note,))
        theta = _constrained(columns, pos, neg)
        notes: tuple[str, ...] = ()
        if endless:
            notes = ("the scores separate the labels: fitted to smoothed targets, as for Platt",)
        elif theta[0] == theta[1] == 0.0:
            notes = ("the fitted map is constant: higher scores do not mean label 1",)
        return cls(float(theta[0]), float(theta[1]), float(theta[2]), limits, notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of logits, any shape."""
        return expit(self.logits(x))

    def logits(self, x: FloatArray) -> FloatArray:
        """Return calibrated logits of logits, any shape."""
        z = limited(x, self.limits)
        return self.a * log_expit(z) - self.b * log_expit(-z) + self.c

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(a, b, c)."""
        return self.a, self.b, self.c

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the curve between two, where it does not fall."""
        before, after = old.coefficients, new.coefficients
        if before is None or after is None:
            return None
        a, b, c = (float(between(u, v, step)) for u, v in zip(before, after, strict=True))
        return Beta(a, b, c, limits_of(new), new.notes) if min(a, b) >= 0.0 else None

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a curve below a logit of 0, and one above it, whose exponentials are small."""

        def exponent(z: FloatArray) -> FloatArray:
            return self.a * log_expit(z) - self.b * log_expit(-z) + self.c

        def piece(z: float) -> Piece | None:
            upper = logits and z >= 0.0
            return BetaCurve(self.a, self.b, self.c, upper) if self.a or self.b else None

        bends = np.zeros(1) if logits else None
        return curve(self, exponent, piece, logits=logits, limits=self.limits, bends=bends)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when a slope is negative.
        """
        a, b, c = (float(payload[name]) for name in ("a", "b", "c"))
        if a < 0 or b < 0:
            raise InputError("the slopes of a beta calibrator cannot be negative")
        return cls(a, b, c, limits_from(payload), tuple(payload["notes"]))


def _constrained(columns: FloatArray, pos: FloatArray, neg: FloatArray) -> FloatArray:
    """Return (a, b, c) of least loss with a, b >= 0."""
    free, _ = fit_logistic(columns, pos, neg, np.array([1.0, 1.0, 0.0]))
    if free[0] >= 0 and free[1] >= 0:
        return free
    best, least = np.zeros(3), np.inf
    for kept in ([0, 2], [1, 2], [2]):
        start = np.array([1.0, 0.0]) if len(kept) == 2 else np.zeros(1)
        part, loss = fit_logistic(columns[:, kept], pos, neg, start)
        theta = np.zeros(3)
        theta[kept] = part
        if (theta[:2] >= 0).all() and loss < least:
            best, least = theta, loss
    return best
