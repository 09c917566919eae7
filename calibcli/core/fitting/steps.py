"""A part of the way from one calibrator to another.

One night's rows fix a map only up to their noise. A map that follows each night wholly is as noisy
as a night; one that goes a part of the way remembers the nights before (Brown, "Statistical
Forecasting for Inventory Control", 1959: exponential smoothing). The step is taken in the
parameters of maps whose logits are linear in them (temperature in 1/T), where it is the weighted
geometric mean of the two maps' odds: the logarithmic pool of `pooling`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import (
    Beta,
    Dirichlet,
    Identity,
    Matrix,
    OneVsRest,
    Platt,
    Temperature,
    Vector,
)
from calibcli.core.calibrators.types import array

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.types import FloatArray, Limits


def stepped(old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
    """Return what lies a part of the way from `old` to `new`.

    Args:
        old: where the step begins.
        new: where a step of 1 ends. Of its limits and its notes the outcome has the same.
        step: from 0 to 1.

    Returns:
        The calibrator; None where the two have no parameters in common (free-form maps).
    """
    if step == 1.0:
        return new
    if isinstance(old, OneVsRest) and isinstance(new, OneVsRest):
        return _each(old, new, step)
    for end in (new, old):
        if isinstance(end, Matrix | Dirichlet):
            return _affine(old, new, step, end)
    if isinstance(old, Vector) or isinstance(new, Vector):
        return _vector(old, new, step)
    if isinstance(old, Identity | Temperature) and isinstance(new, Identity | Temperature):
        slope = float(_mix(1.0 / _temperature(old), 1.0 / _temperature(new), step))
        return Temperature(1.0 / slope, _limits(new), new.notes)
    return _binary(old, new, step)


def _each(old: OneVsRest, new: OneVsRest, step: float) -> OneVsRest | None:
    if old.normalize != new.normalize or len(old.calibrators) != len(new.calibrators):
        return None
    pairs = zip(old.calibrators, new.calibrators, strict=True)
    between = [stepped(before, after, step) for before, after in pairs]
    found = tuple(one for one in between if one is not None)
    if len(found) < len(between):
        return None
    return OneVsRest(found, new.normalize, new.floor, new.notes)


def _affine(
    old: Calibrator, new: Calibrator, step: float, like: Matrix | Dirichlet
) -> Calibrator | None:
    before, after = _theta(old, like), _theta(new, like)
    if before is None or after is None:
        return None
    return type(like)(array(_mix(before, after, step)), like.strength, like.floor, new.notes)


def _theta(one: Calibrator, like: Matrix | Dirichlet) -> FloatArray | None:
    """Return a map as the weights of another kind, which holds it as a special case."""
    size = len(like.theta)
    if isinstance(one, Matrix | Dirichlet):
        return one.theta if type(one) is type(like) and len(one.theta) == size else None
    if isinstance(one, Vector) and isinstance(like, Dirichlet):
        return None  # slopes of logits are not slopes of log-probabilities
    found = _slopes(one, size)
    return None if found is None else np.hstack([np.diag(found[0]), found[1][:, None]])


def _vector(old: Calibrator, new: Calibrator, step: float) -> Vector | None:
    size = len(old.w if isinstance(old, Vector) else new.w if isinstance(new, Vector) else ())
    before, after = _slopes(old, size), _slopes(new, size)
    if before is None or after is None:
        return None
    floors = [one.floor for one in (new, old) if isinstance(one, Vector)]
    w, c = (_mix(a, b, step) for a, b in zip(before, after, strict=True))
    return Vector(array(w), array(c), floors[0], new.notes)


def _slopes(one: Calibrator, size: int) -> tuple[FloatArray, FloatArray] | None:
    if isinstance(one, Vector):
        return (one.w, one.c) if len(one.w) == size else None
    if isinstance(one, Identity | Temperature):
        return np.full(size, 1.0 / _temperature(one)), np.zeros(size)
    return None


def _temperature(one: Identity | Temperature) -> float:
    return one.temperature if isinstance(one, Temperature) else 1.0


def _binary(old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
    """Mix (a, b, c) of logit p' = a log p - b log(1 - p) + c; Platt's slope is both a and b."""
    before, after = _coefficients(old), _coefficients(new)
    if before is None or after is None:
        return None
    a, b, c = (float(_mix(u, v, step)) for u, v in zip(before, after, strict=True))
    if a == b:
        return Platt(-a, -c, _limits(new), new.notes)
    return Beta(a, b, c, _limits(new), new.notes) if min(a, b) >= 0.0 else None


def _coefficients(one: Calibrator) -> tuple[float, float, float] | None:
    if isinstance(one, Beta):
        return one.a, one.b, one.c
    if isinstance(one, Platt):
        return -one.a, -one.a, -one.b
    if isinstance(one, Identity | Temperature):
        slope = 1.0 / _temperature(one)
        return slope, slope, 0.0
    return None


def _limits(one: Calibrator) -> Limits:
    return one.limits if isinstance(one, Beta | Platt | Temperature) else (None, None)


def _mix(old: FloatArray | float, new: FloatArray | float, step: float) -> FloatArray:
    return np.asarray((1.0 - step) * np.asarray(old) + step * np.asarray(new))
