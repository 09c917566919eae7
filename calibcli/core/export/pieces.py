"""A binary calibrator as pieces over the raw score: what is exported as SQL and as Python.

The breakpoints are the very doubles at which `calibrate` changes its formula, found by bisection
over the floating-point numbers, so a score on an edge falls on the same side after export. A
piece is a constant, a line in the probability, or a logistic curve; where a score is clipped,
limited or saturated, the piece is the constant that `calibrate` returns there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import (
    Beta,
    Histogram,
    Identity,
    Isotonic,
    Platt,
    ScalingBinning,
    Spline,
    Temperature,
    VennAbers,
    calibrate,
)
from calibcli.core.numeric.scales import expit, logit
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.types import Limits

    Array = NDArray[np.float64]
    Rule = Callable[[Array], NDArray[np.bool_]]

_SATURATED = 700.0
"""Beyond this exponent a logistic curve is within 1e-304 of 0 or 1, and exp would overflow."""


@dataclass(frozen=True, slots=True)
class Constant:
    """The value itself."""

    value: float


@dataclass(frozen=True, slots=True)
class Linear:
    """base + slope * (p - origin) of the probability p."""

    base: float
    slope: float
    origin: float


@dataclass(frozen=True, slots=True)
class Logistic:
    """expit(base + slope * (z - origin)) of the logit z."""

    base: float
    slope: float
    origin: float


@dataclass(frozen=True, slots=True)
class BetaCurve:
    """expit(a log p - b log(1 - p) + c); `upper` on logits of 0 and above."""

    a: float
    b: float
    c: float
    upper: bool


Piece = Constant | Linear | Logistic | BetaCurve


@dataclass(frozen=True, slots=True)
class Pieces:
    """A map of the raw score.

    Attributes:
        logits: whether the score is a logit; else a probability.
        starts: the first score of each piece but the first, increasing.
        pieces: one more than `starts`.
        odds: what the odds of each `Linear` piece are still to be multiplied by.
    """

    logits: bool
    starts: tuple[float, ...]
    pieces: tuple[Piece, ...]
    odds: float = 1.0

    def shifted(self, odds: float) -> Pieces:
        """Return the same map with its odds multiplied: another prevalence."""

        def one(piece: Piece) -> Piece:
            if isinstance(piece, Constant):
                return Constant(odds * piece.value / (1.0 + (odds - 1.0) * piece.value))
            if isinstance(piece, Logistic):
                return replace(piece, base=piece.base + math.log(odds))
            if isinstance(piece, BetaCurve):
                return replace(piece, c=piece.c + math.log(odds))
            return piece

        return Pieces(self.logits, self.starts, tuple(map(one, self.pieces)), self.odds * odds)


def pieces_of(calibrator: Calibrator, *, logits: bool) -> Pieces:
    """Return a binary calibrator as pieces over scores of this kind.

    Raises:
        UsageError: a calibrator that is no such map.
    """
    known = type(calibrator) in _STEPS or type(calibrator) in _CURVES
    if not known:
        raise UsageError(
            f"a {calibrator.method} calibrator cannot be written as one expression",
            "use apply, or fit another method",
        )
    steps, curve = _STEPS.get(type(calibrator)), _CURVES.get(type(calibrator))
    starts = steps(calibrator, logits) if steps else _curve_starts(calibrator, logits)
    points = np.append(-np.inf if logits else 0.0, starts)
    value = calibrate(calibrator, points, logits=logits)
    found: list[Piece] = []
    kept: list[float] = []
    for point, constant in zip(points.tolist(), value.tolist(), strict=True):
        piece = curve(calibrator, logits, max(point, -1e308)) if curve else None
        piece = Constant(constant) if piece is None else piece
        if found and piece == found[-1]:
            continue
        if found:
            kept.append(point)
        found.append(piece)
    return Pieces(logits, tuple(kept), tuple(found))


# -- bisection over doubles ------------------------------------------------------------------------


def _ordered(x: Array) -> NDArray[np.int64]:
    """Return integers in the order of the doubles."""
    bits = x.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def _doubles(order: NDArray[np.int64]) -> Array:
    bits = np.where(order < 0, np.int64(-(2**63)) - order, order)
    return bits.view(np.float64)


def firsts(rule: Callable[[Array, Array], NDArray[np.bool_]], at: Array, *, logits: bool) -> Array:
    """Return the first double s at which rule(s, at) holds, for each of `at`; rule never reverts.

    A rule that holds from the lowest score on, or never, begins no piece and is left out.
    """
    ends = np.array([-np.inf, np.inf] if logits else [0.0, 1.0])
    low = np.full(len(at), _ordered(ends)[0])
    high = np.full(len(at), _ordered(ends)[1])
    inside = ~rule(_doubles(low), at) & rule(_doubles(high), at)
    low, high, at = low[inside], high[inside], at[inside]
    while (low + 1 < high).any():
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        held = rule(_doubles(middle), at)
        low, high = np.where(held, low, middle), np.where(held, middle, high)
    found = _doubles(high) + 0.0
    return found[np.abs(found) < 1e308]


def _probability(s: Array, logits: bool) -> Array:
    return expit(s) if logits else s


def _reach(at: Array, *, logits: bool) -> Array:
    """Return the first scores whose probability reaches each of `at`."""
    return firsts(lambda s, x: _probability(s, logits) >= x, at, logits=logits)


def _beyond(at: Array, *, logits: bool) -> Array:
    """Return the first scores whose probability is above each of `at`."""
    return firsts(lambda s, x: _probability(s, logits) > x, at, logits=logits)


# -- steps -----------------------------------------------------------------------------------------


def _histogram(one: Histogram, logits: bool) -> Array:
    return _beyond(one.edges, logits=logits)


def _isotonic(one: Isotonic, logits: bool) -> Array:
    return np.unique(_reach(one.x, logits=logits))


def _venn_abers(one: VennAbers, logits: bool) -> Array:
    below, above = _reach(one.x0, logits=logits), _beyond(one.x1, logits=logits)
    return np.unique(np.concatenate([below, above]))


def _scaling_binning(one: ScalingBinning, logits: bool) -> Array:
    falling = one.scaling.a > 0

    def rule(s: Array, edge: Array) -> NDArray[np.bool_]:
        above = one.scaling.apply(s if logits else logit(s)) > edge
        return ~above if falling else above

    return np.unique(firsts(rule, one.edges, logits=logits))


_STEPS: dict[type, Callable[..., Array]] = {
    Histogram: _histogram,
    Isotonic: _isotonic,
    VennAbers: _venn_abers,
    ScalingBinning: _scaling_binning,
}


# -- curves ----------------------------------------------------------------------------------------


def _logit(s: Array, logits: bool) -> Array:
    return s if logits else logit(s)


def _bounds(one: Calibrator, logits: bool) -> tuple[float, float]:
    """Return the logits at and beyond which the map is constant."""
    low, high = (-np.inf, np.inf) if logits else (float(logit(0.0)), float(logit(1.0)))
    limits: Limits = getattr(one, "limits", (None, None))
    if isinstance(one, Spline):
        limits = float(one.x[0]), float(one.x[-1])
    low = low if limits[0] is None else max(low, limits[0])
    high = high if limits[1] is None else min(high, limits[1])
    return low, high


def _exponent(one: Calibrator, z: Array) -> Array:
    """Return the logit of what the map returns for logits inside its bounds."""
    z = np.clip(z, -1e300, 1e300)
    if isinstance(one, Temperature):
        return z / one.temperature
    if isinstance(one, Platt):
        return -(one.a * z + one.b)
    if isinstance(one, Beta):
        rest = np.logaddexp(0.0, -np.abs(z))
        low, high = np.minimum(z, 0.0) - rest, np.maximum(z, 0.0) + rest
        exponent: Array = one.a * low + one.b * high + one.c
        return exponent
    if isinstance(one, Spline):
        return np.interp(z, one.x, one.y)
    return z


def _curve_starts(one: Calibrator, logits: bool) -> Array:
    """Return where a curve leaves and meets its bounds, saturates, or bends."""
    if isinstance(one, Identity) and not logits:
        return np.zeros(0)
    low, high = _bounds(one, logits)
    falling = isinstance(one, Platt) and one.a > 0

    def above(s: Array, x: Array) -> NDArray[np.bool_]:
        return _logit(s, logits) > x

    def reached(s: Array, x: Array) -> NDArray[np.bool_]:
        return _logit(s, logits) >= x

    def size(s: Array) -> Array:
        exponent = _exponent(one, _logit(s, logits))
        return -exponent if falling else exponent

    def grown(s: Array, x: Array) -> NDArray[np.bool_]:
        return size(s) >= x

    def outgrown(s: Array, x: Array) -> NDArray[np.bool_]:
        return size(s) > x

    found = [
        firsts(above, np.array([low]), logits=logits),
        firsts(reached, np.array([high]), logits=logits),
        firsts(grown, np.array([-_SATURATED]), logits=logits),
        firsts(outgrown, np.array([_SATURATED]), logits=logits),
    ]
    if isinstance(one, Spline):
        found.append(firsts(reached, one.x, logits=logits))
    if isinstance(one, Beta) and logits:
        found.append(np.zeros(1))
    starts: Array = np.unique(np.concatenate(found))
    return starts


def _curve(one: Calibrator, logits: bool, s: float) -> Piece | None:
    """Return the piece that begins at s; None for a constant."""
    if isinstance(one, Identity) and not logits:
        return Linear(0.0, 1.0, 0.0)
    z = float(_logit(np.array([s]), logits)[0])
    low, high = _bounds(one, logits)
    exponent = float(_exponent(one, np.array([z]))[0])
    if z <= low or z >= high or abs(exponent) > _SATURATED:
        return None
    if isinstance(one, Temperature):
        return Logistic(0.0, 1.0 / one.temperature, 0.0)
    if isinstance(one, Platt):
        return Logistic(-one.b, -one.a, 0.0) if one.a != 0.0 else None
    if isinstance(one, Beta):
        return BetaCurve(one.a, one.b, one.c, logits and z >= 0.0) if one.a or one.b else None
    if isinstance(one, Spline):
        k = int(np.searchsorted(one.x, z, side="right")) - 1
        slope = float((one.y[k + 1] - one.y[k]) / (one.x[k + 1] - one.x[k]))
        return Logistic(float(one.y[k]), slope, float(one.x[k])) if slope else None
    return Logistic(0.0, 1.0, 0.0)


def _isotonic_piece(one: Isotonic, logits: bool, s: float) -> Piece | None:
    if one.interpolation == "step":
        return None
    p = float(_probability(np.array([s]), logits)[0])
    k = int(np.searchsorted(one.x, p, side="right")) - 1
    if not 0 <= k < len(one.x) - 1 or one.y[k] == one.y[k + 1]:
        return None
    slope = float((one.y[k + 1] - one.y[k]) / (one.x[k + 1] - one.x[k]))
    return Linear(float(one.y[k]), slope, float(one.x[k]))


_CURVES: dict[type, Callable[..., Piece | None]] = {
    Identity: _curve,
    Temperature: _curve,
    Platt: _curve,
    Beta: _curve,
    Spline: _curve,
    Isotonic: _isotonic_piece,
}

__all__ = [
    "BetaCurve",
    "Constant",
    "Linear",
    "Logistic",
    "Piece",
    "Pieces",
    "firsts",
    "pieces_of",
]
