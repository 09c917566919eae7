"""How a map of one score becomes pieces over the raw score, see `piecewise`.

The breakpoints are the very doubles at which `calibrate` changes its formula, found by bisection
over the floating-point numbers, so a score on an edge falls on the same side after export. A
piece is a constant, a line in the probability, or a logistic curve; where a score is clipped,
limited or saturated, the piece is the constant that `calibrate` returns there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.piecewise import Constant, Piece, Pieces
from calibcli.core.calibrators.registry import calibrate
from calibcli.core.numeric.scales import expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import Limits
    from calibcli.core.calibrators.types import Calibrator

    Array = NDArray[np.float64]

_SATURATED = 700.0
"""Beyond this exponent a logistic curve is within 1e-304 of 0 or 1, and exp would overflow."""


# -- bisection over doubles ------------------------------------------------------------------------


def ordered(x: Array) -> NDArray[np.int64]:
    """Return integers in the order of the doubles."""
    bits = x.view(np.int64)
    return np.where(bits < 0, np.int64(-(2**63)) - bits, bits)


def doubles(order: NDArray[np.int64]) -> Array:
    """Return the doubles of integers in their order."""
    bits = np.where(order < 0, np.int64(-(2**63)) - order, order)
    return bits.view(np.float64)


def firsts(rule: Callable[[Array, Array], NDArray[np.bool_]], at: Array, *, logits: bool) -> Array:
    """Return the first double s at which rule(s, at) holds, for each of `at`; rule never reverts.

    A rule that holds from the lowest score on, or never, begins no piece and is left out.
    """
    ends = np.array([-np.inf, np.inf] if logits else [0.0, 1.0])
    low = np.full(len(at), ordered(ends)[0])
    high = np.full(len(at), ordered(ends)[1])
    inside = ~rule(doubles(low), at) & rule(doubles(high), at)
    low, high, at = low[inside], high[inside], at[inside]
    while (low + 1 < high).any():
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        held = rule(doubles(middle), at)
        low, high = np.where(held, low, middle), np.where(held, middle, high)
    found = doubles(high) + 0.0
    return found[np.abs(found) < 1e308]


def probability_of(s: Array, *, logits: bool) -> Array:
    """Return the probability of scores."""
    return expit(s) if logits else s


def logit_of(s: Array, *, logits: bool) -> Array:
    """Return the logit of scores."""
    return s if logits else logit(s)


def reaching(at: Array, *, logits: bool) -> Array:
    """Return the first scores whose probability reaches each of `at`."""
    return firsts(lambda s, x: probability_of(s, logits=logits) >= x, at, logits=logits)


def logits_reaching(at: Array, *, logits: bool) -> Array:
    """Return the first scores whose logit reaches each of `at`."""
    return firsts(lambda s, x: logit_of(s, logits=logits) >= x, at, logits=logits)


def beyond(at: Array, *, logits: bool) -> Array:
    """Return the first scores whose probability is above each of `at`."""
    return firsts(lambda s, x: probability_of(s, logits=logits) > x, at, logits=logits)


# -- assembly --------------------------------------------------------------------------------------


def assembled(
    calibrator: Calibrator,
    starts: Array,
    piece_at: Callable[[float], Piece | None] | None = None,
    *,
    logits: bool,
) -> Pieces:
    """Return a map that changes its formula at `starts` only.

    Args:
        calibrator: the map.
        starts: (m,) scores.
        piece_at: the piece that begins at a score, None for a constant; by default all are.
        logits: whether scores are logits.
    """
    points = np.append(-np.inf if logits else 0.0, np.unique(starts))
    value = calibrate(calibrator, points, logits=logits)
    found: list[Piece] = []
    kept: list[float] = []
    for point, constant in zip(points.tolist(), value.tolist(), strict=True):
        piece = piece_at(max(point, -1e308)) if piece_at else None
        piece = Constant(constant) if piece is None else piece
        if found and piece == found[-1]:
            continue
        if found:
            kept.append(point)
        found.append(piece)
    return Pieces(logits, tuple(kept), tuple(found))


def curve(
    calibrator: Calibrator,
    exponent: Callable[[Array], Array],
    piece_at: Callable[[float], Piece | None],
    *,
    logits: bool,
    limits: Limits = (None, None),
    bends: Array | None = None,
    falling: bool = False,
) -> Pieces:
    """Return a map of the logit z that is a logistic curve inside its limits.

    Args:
        calibrator: the map.
        exponent: the logit of what it returns, for logits inside the limits.
        piece_at: the piece at a logit strictly inside the limits, None for a constant.
        logits: whether scores are logits.
        limits: logits at and beyond which the map is constant.
        bends: logits at which it changes its formula.
        falling: whether it decreases.
    """
    low, high = (-np.inf, np.inf) if logits else (float(logit(0.0)), float(logit(1.0)))
    low = low if limits[0] is None else max(low, limits[0])
    high = high if limits[1] is None else min(high, limits[1])

    def inner(z: Array) -> Array:
        return exponent(np.clip(z, -1e300, 1e300))

    def above(s: Array, x: Array) -> NDArray[np.bool_]:
        return logit_of(s, logits=logits) > x

    def reached(s: Array, x: Array) -> NDArray[np.bool_]:
        return logit_of(s, logits=logits) >= x

    def size(s: Array) -> Array:
        found = inner(logit_of(s, logits=logits))
        return -found if falling else found

    starts = [
        firsts(above, np.array([low]), logits=logits),
        firsts(reached, np.array([high]), logits=logits),
        firsts(lambda s, x: size(s) >= x, np.array([-_SATURATED]), logits=logits),
        firsts(lambda s, x: size(s) > x, np.array([_SATURATED]), logits=logits),
        firsts(reached, np.zeros(0) if bends is None else bends, logits=logits),
    ]

    def inside(s: float) -> Piece | None:
        z = float(logit_of(np.array([s]), logits=logits)[0])
        if z <= low or z >= high or abs(float(inner(np.array([z]))[0])) > _SATURATED:
            return None
        return piece_at(z)

    return assembled(calibrator, np.concatenate(starts), inside, logits=logits)
