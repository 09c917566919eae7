"""Temperature scaling: one number, for binary logits and for rows of several classes.

Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks" (2017), section 4.
The loss is convex in b = 1/T, not in T, so b is what is searched for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.binary.logistic import MANY_CELLS, merged
from calibcli.core.calibrators.classes.moments import NEAR, Moments, step_of
from calibcli.core.calibrators.classes.row_scores import finite_rows
from calibcli.core.calibrators.classes.rows import RowSource
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
from calibcli.core.calibrators.types import CLASSES, SCORE, Calibrator, Space, Takes, limits_of
from calibcli.core.numeric.scales import expit, softmax
from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal
    from calibcli.core.statistics.stats import ScoreStats

Derivative = FloatArray
"""(5,): the loss and its first four derivatives in b."""
Derivatives = Callable[[float], Derivative]

BOUNDS = (0.01, 100.0)
"""Temperatures searched for logits of a usual size, a few units; see `bounds_of`."""
_USUAL = 3.0
_DECADES = 12.0
_MAX_STEPS = 200
_FIRST = 2000
"""Rows whose optimum a search begins at."""


@dataclass(frozen=True, slots=True)
class Temperature(Calibrator):
    """p = expit(z / T) for one logit, softmax(z / T) for a row of K.

    Attributes:
        temperature: T > 0; above 1 the scores were over-confident, below 1 under-confident.
        limits: see `certain_limits`; for one logit only.
        at_bound: whether the search ended at a bound; not part of the artifact.
    """

    temperature: float
    limits: Limits = (None, None)
    notes: tuple[str, ...] = ()
    at_bound: bool = False

    method: ClassVar[str] = "temperature"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE | CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 1

    @classmethod
    def fit(
        cls,
        data: ScoreStats | RowSource,
        *,
        bounds: tuple[float, float] | None = None,
        temperatures: Sequence[float] | None = None,
        prior: float = 0.0,
        start: Self | None = None,
    ) -> Self:
        """Fit by Newton's method in 1/T inside a shrinking bracket.

        Args:
            data: binary pairs, or rows of K logits or log-probabilities. Of rows two passes are
                usual, begun at the optimum of the first of them.
            bounds: lowest and highest temperature, by default `bounds_of` the mean size of the
                logits, or the mean distance of a row's highest logit from the others; reaching
                one leaves a note.
            temperatures: try only these and take the one of least log loss (ties: the first).
            prior: rows of `with_prior`.
            start: a fit of nearly the same rows.

        Raises:
            InputError: when only one class is present.
            UsageError: when a temperature in the list is not a positive number.
        """
        if not isinstance(data, RowSource):
            return cls._fit_pairs(data, bounds, temperatures, prior)
        data.summary.require_two_classes()
        if temperatures is not None:
            losses = [float(data.scan(Moments(b)).total[0]) for b in _inverses(temperatures)]
            return cls(float(temperatures[int(np.argmin(losses))]))
        return cls._of(_search(data, bounds, prior, start))

    @classmethod
    def _fit_pairs(
        cls,
        stats: ScoreStats,
        bounds: tuple[float, float] | None,
        temperatures: Sequence[float] | None,
        prior: float,
    ) -> Self:
        require_both_classes(stats)
        limits = certain_limits(stats)
        z = limited(stats.logit, limits)
        pos, neg = with_prior(z, evidence(stats), prior)
        derivatives = _binary_derivatives(z, pos, neg)
        if temperatures is not None:
            losses = [derivatives(b)[0] for b in _inverses(temperatures)]
            return cls(float(temperatures[int(np.argmin(losses))]), limits)
        if bounds is None:
            size = float((pos + neg) @ np.minimum(np.abs(z), 1e100) / (pos + neg).sum())
            bounds = bounds_of(size)
        begin = 1.0
        if len(z) > MANY_CELLS:
            few, few_pos, few_neg = merged(z[:, None], pos, neg)
            coarse = _binary_derivatives(few[:, 0], few_pos, few_neg)
            begin = 1.0 / _minimise(coarse, 1.0, bounds, tolerance=1e-4).temperature
        wrong = float(pos @ (z < 0.0) + neg @ (z > 0.0))
        found = _minimise(derivatives, begin, bounds, tolerance=1e-6, separated=wrong == 0.0)
        return cls._of(found, limits)

    @classmethod
    def fit_folds(
        cls, rows: RowSource, folds: Deal, whole: Self, *, prior: float = 0.0
    ) -> tuple[Self, ...]:
        """Return the fit of the rows outside each fold, in one pass where rows are many.

        The optima without a fold lie near that of all rows, on whose Taylor series they are read;
        one that does not is searched for by itself.
        """
        b = 1.0 / whole.temperature
        sums = rows.scan(Moments(b, folds, rows.summary.share(prior)))
        found = []
        for fold in range(len(sums.sums)):
            step = step_of(sums.outside(fold))
            if whole.at_bound or not abs(step) <= NEAR * b:
                found.append(cls.fit(rows.outside(folds, fold), prior=prior, start=whole))
            else:
                found.append(cls(1.0 / (b + step)))
        return tuple(found)

    @classmethod
    def _of(cls, found: _Minimum, limits: Limits = (None, None)) -> Self:
        return cls(found.temperature, limits, found.notes, found.at_bound)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of logits (n,), or of rows of logits (n, K)."""
        z = self.logits(x)
        return expit(z) if z.ndim == 1 else softmax(z)

    def logits(self, x: FloatArray) -> FloatArray:
        """Return logits (n,), or rows of logits (n, K), over T."""
        x = np.asarray(x, dtype=np.float64)
        return (limited(x, self.limits) if x.ndim == 1 else finite_rows(x)) / self.temperature

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(1/T, 1/T, 0)."""
        return 1.0 / self.temperature, 1.0 / self.temperature, 0.0

    def class_weights(self, n_classes: int) -> tuple[FloatArray, FloatArray]:
        """Return 1/T and zeros."""
        return np.full(n_classes, 1.0 / self.temperature), np.zeros(n_classes)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the temperature between two, one of which may be the identity."""
        ends = old.coefficients, new.coefficients
        slopes = [end[0] for end in ends if end is not None and end == (end[0], end[0], 0.0)]
        if len(slopes) < len(ends):
            return None
        inverse = float(between(slopes[0], slopes[1], step))
        return Temperature(1.0 / inverse, limits_of(new), new.notes) if inverse > 0.0 else None

    def pieces(self, *, logits: bool) -> Pieces:
        """Return one logistic curve."""
        slope = 1.0 / self.temperature
        return curve(
            self,
            lambda z: z / self.temperature,
            lambda _: Logistic(0.0, slope, 0.0),
            logits=logits,
            limits=self.limits,
        )

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the temperature is not positive.
        """
        temperature = float(payload["temperature"])
        if not temperature > 0.0:
            raise InputError("a temperature must be positive")
        return cls(temperature, limits_from(payload), tuple(payload["notes"]))


@dataclass(frozen=True, slots=True)
class _Minimum:
    """The temperature of least loss, what is to be said of it, and whether it is a bound."""

    temperature: float
    notes: tuple[str, ...] = ()
    at_bound: bool = False


def bounds_of(size: float) -> tuple[float, float]:
    """Return the lowest and highest temperature that are searched for logits of this size.

    They follow the scale of the logits by powers of ten: margins of support vector machines and
    energies run to thousands, cosine similarities to tenths.
    """
    decades = np.rint(np.log10(max(size, 1e-300) / _USUAL))
    scale = 10.0 ** float(np.clip(decades, -_DECADES, _DECADES))
    return BOUNDS[0] * min(scale, 1.0), BOUNDS[1] * max(scale, 1.0)


def _inverses(temperatures: Sequence[float]) -> list[float]:
    for t in temperatures:
        if not (math.isfinite(t) and t > 0):
            raise UsageError(f"a temperature must be a positive number, not {t:g}")
    if not temperatures:
        raise UsageError("no temperatures to try", hint="for example --temperatures 0.5,1,1.5,2")
    return [1.0 / t for t in temperatures]


def _binary_derivatives(z: FloatArray, pos: FloatArray, neg: FloatArray) -> Derivatives:
    """Return the summed log loss of expit(b z) over cells (C,), and its derivatives in b."""
    total = pos + neg

    def derivatives(b: float) -> Derivative:
        f = b * z
        tail = np.exp(-np.abs(f))
        log_tail = np.log1p(tail)
        loss = pos @ (log_tail - np.minimum(f, 0.0)) + neg @ (log_tail + np.maximum(f, 0.0))
        tail /= 1.0 + tail
        # pos expects 1 and neg expects 0; from the nearer tail neither difference cancels.
        upper = f > 0
        short = np.where(upper, tail, 1.0 - tail)
        over = np.where(upper, 1.0 - tail, tail)
        slope = z @ (neg * over - pos * short)
        variance = tail * (1.0 - tail)
        mass = total * variance * z * z
        third = (mass * z) @ (short - over)
        fourth = (mass * z * z) @ (1.0 - 6.0 * variance)
        return np.array([loss, slope, mass.sum(), third, fourth])

    return derivatives


def _search(
    rows: RowSource,
    bounds: tuple[float, float] | None,
    prior: float,
    start: Temperature | None,
) -> _Minimum:
    """Return the temperature of least loss."""
    weight = rows.summary.share(prior)
    begin = slope_of_the_first(rows) if start is None else 1.0 / start.temperature
    latest = first = rows.scan(Moments(begin, prior=weight))

    def derivatives(b: float) -> Derivative:
        nonlocal latest
        if b != latest.b:
            latest = rows.scan(Moments(b, prior=weight))
        return latest.total

    within = bounds_of(first.spread) if bounds is None else bounds
    separated = first.shortfall == 0.0 and not prior
    return _minimise(derivatives, begin, within, tolerance=NEAR, separated=separated)


def slope_of_the_first(rows: RowSource) -> float:
    """Return 1/T of the first rows, or 1 where they have no optimum inside moderate bounds."""
    batch = rows.head()
    if batch is None or not len(batch):
        return 1.0
    few = batch.take(np.arange(min(len(batch), _FIRST)))

    def derivatives(b: float) -> Derivative:
        sums = Moments(b)
        sums.add(few)
        return sums.total

    found = _minimise(derivatives, 1.0, BOUNDS, tolerance=1e-2)
    return 1.0 if found.notes else 1.0 / found.temperature


def _minimise(
    derivatives: Derivatives,
    start: float,
    bounds: tuple[float, float],
    *,
    tolerance: float,
    separated: bool = False,
) -> _Minimum:
    """Return the temperature of least loss within the bounds.

    `separated` tells that every label has the highest score of its row, for the note.
    """
    coldest, hottest = bounds
    low, high = 1.0 / hottest, 1.0 / coldest
    low_seen = high_seen = False
    b, previous = min(max(start, low), high), math.inf
    for _ in range(_MAX_STEPS):
        taylor = derivatives(b)
        slope, curve = float(taylor[1]), float(taylor[2])
        # Far from 0 separable labels underflow to this as well; near 0 only equal scores do.
        if slope == curve == 0.0 and not np.any(derivatives(1.0 / hottest)[1:3]):
            return _Minimum(1.0, ("all scores are equal: every temperature fits alike, 1 is kept",))
        if slope > 0.0:
            if b <= low:
                verb = "do not" if derivatives(0.0)[1] >= 0.0 else "hardly"
                return _bound(hottest, f"the scores {verb} rank the labels")
            high, high_seen = b, True
        elif slope < 0.0 or curve == 0.0:
            if b >= high and not high_seen:
                reason = "the scores separate the labels" if separated else "the loss falls further"
                return _bound(coldest, reason)
            low, low_seen = b, True
        step = step_of(taylor)
        if abs(step) <= tolerance * b:
            return _Minimum(1.0 / min(max(b + step, 1.0 / hottest), 1.0 / coldest))
        stalls = abs(step) > 0.5 * previous
        b, previous = _next(b, step, low, high, low_seen, high_seen, stalls), abs(step)
    return _Minimum(1.0 / b, ("the search for the temperature did not converge",))


def _bound(temperature: float, reason: str) -> _Minimum:
    return _Minimum(
        temperature, (f"temperature stopped at its bound {temperature:g}: {reason}",), at_bound=True
    )


def _next(
    b: float, step: float, low: float, high: float, low_seen: bool, high_seen: bool, stalls: bool
) -> float:
    """Return where to look next: Newton's point, a leap when it stalls, else a bisection."""
    new = b + step
    if step > 0 and not high_seen:
        return min(max(new, 8.0 * b) if stalls else min(new, 8.0 * b), high)
    if step < 0 and not low_seen:
        return max(min(new, b / 8.0) if stalls else max(new, b / 8.0), low)
    if not low < new < high or stalls:
        return math.sqrt(low * high)
    return new
