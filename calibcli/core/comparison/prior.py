"""Another prevalence than the calibrator's: probabilities shifted to it, and its estimate.

Where only the frequency of the classes differs from the rows that the calibrator was fitted on
(label shift: within a class the scores are as they were), Bayes' rule multiplies the odds of each
class by the ratio of new to old prevalence. The new prevalence can be read from unlabelled scores
by maximum likelihood: Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier
to new a priori probabilities: a simple procedure", Neural Computation 14 (2002), whose EM
converges to the maximum computed here. The likelihood is concave.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.special import norm_ppf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_HALVINGS = 80
_EM_STEPS = 5000
_EM_TOLERANCE = 1e-9


def odds_factor(old: float, new: float) -> float:
    """Return what the odds of label 1 are multiplied by; both strictly between 0 and 1."""
    return new / (1.0 - new) * ((1.0 - old) / old)


def shifted(p: Array, old: float, new: float) -> Array:
    """Return probabilities of label 1 (any shape) at prevalence `new` instead of `old`."""
    factor = odds_factor(old, new)
    up, down = factor * p, 1.0 - p
    moved: Array = up / (up + down)
    return moved


def shifted_rows(p: Array, old: Array, new: Array) -> Array:
    """Return rows of class probabilities (n, K) at class frequencies `new` (K,), not `old` (K,).

    A class that was absent when fitting keeps its probability's share as it is.
    """
    factor = np.divide(new, old, out=np.ones_like(new), where=old > 0)
    moved = p * factor
    total = moved.sum(axis=1, keepdims=True)
    out: Array = np.where(total > 0, moved / np.where(total > 0, total, 1.0), p)
    return out


@dataclass(frozen=True, slots=True)
class Estimate:
    """A prevalence read from unlabelled scores.

    Attributes:
        value: (1,) of label 1, or (K,) of each class.
        low: lower end of each interval; `high` the upper one.
        effective: as many labelled rows would tell each prevalence as precisely; NaN at an end.
    """

    value: Array
    low: Array
    high: Array
    effective: Array


def estimate(
    p: Array,
    mass: Array,
    old: float,
    confidence: float = 0.95,
    *,
    quantile: float | None = None,
    error: float = 0.0,
) -> Estimate:
    """Return the most likely prevalence of label 1 with its likelihood-ratio interval.

    Args:
        p: (m,) calibrated probabilities of unlabelled rows.
        mass: (m,) how many rows have each.
        old: prevalence that they are calibrated at, strictly between 0 and 1.
        confidence: level of the interval. It is the sampling error of these rows alone.
        quantile: in place of the normal one, where rows are not independent.
        error: half the width of what else is unsure, added in quadrature.
    """
    one, zero = p / old, (1.0 - p) / (1.0 - old)

    def slope(q: float) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            part = (one - zero) / (q * one + (1.0 - q) * zero)
        return float(mass @ part)

    def likelihood(q: float) -> float:
        with np.errstate(divide="ignore"):
            return float(mass @ np.log(q * one + (1.0 - q) * zero))

    value = falling_root(slope, 0.0, 1.0)
    normal = norm_ppf((1.0 + confidence) / 2.0)
    reach = (normal if quantile is None else quantile) ** 2 / 2.0
    top = likelihood(value)

    def outside(q: float) -> float:
        return likelihood(q) - top + reach

    low = 0.0 if outside(0.0) >= 0.0 else falling_root(lambda q: -outside(q), 0.0, value)
    high = 1.0 if outside(1.0) >= 0.0 else falling_root(outside, value, 1.0)
    part = (one - zero) / (value * one + (1.0 - value) * zero) if 0.0 < value < 1.0 else np.zeros(0)
    information = float(mass @ part**2) if len(part) else math.nan
    effective = value * (1.0 - value) * information
    if quantile is not None or error:
        # The width of the interval against what independent labelled rows would leave.
        low = max(0.0, value - math.hypot(value - low, error))
        high = min(1.0, value + math.hypot(high - value, error))
        half = (high - low) / 2.0
        effective = value * (1.0 - value) * (normal / half) ** 2 if half > 0.0 else effective
    return Estimate(*(np.array([v]) for v in (value, low, high, effective)))


def falling_root(falling: object, low: float, high: float) -> float:
    """Return where a falling function crosses 0, or the end nearest to it, by bisection."""
    assert callable(falling)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if falling(middle) > 0.0:
            low = middle
        else:
            high = middle
    # Bisection halves towards an end for ever without reaching it.
    return 0.0 if high < 1e-20 else 1.0 if low > 1.0 - 1e-15 else (low + high) / 2.0


def estimate_rows(p: Array, mass: Array, old: Array, confidence: float = 0.95) -> Estimate:
    """Return the most likely frequency of each class by EM, with intervals.

    Args:
        p: (m, K) calibrated probabilities of unlabelled rows.
        mass: (m,) how many rows each stands for.
        old: (K,) class frequencies that they are calibrated at.
        confidence: level of the intervals, from the observed information: the sampling error of
            these rows alone. They are rough near 0.
    """
    present = old > 0
    ratio = np.divide(p, old, out=np.zeros_like(p), where=present)
    share = mass / mass.sum()
    value = np.where(present, old, 0.0) / old[present].sum()
    for _ in range(_EM_STEPS):
        joint = ratio * value
        total = joint.sum(axis=1, keepdims=True)
        following = share @ np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
        following /= following.sum()
        moved = float(np.abs(following - value).max())
        value = following
        if moved < _EM_TOLERANCE:
            break
    error = _errors(ratio, value, mass)
    reach = norm_ppf((1.0 + confidence) / 2.0) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = value * (1.0 - value) / error**2
    low, high = np.clip(value - reach, 0.0, 1.0), np.clip(value + reach, 0.0, 1.0)
    return Estimate(value, low, high, effective)


def _errors(ratio: Array, value: Array, mass: Array) -> Array:
    """Return standard errors (K,) from the observed information on the simplex."""
    free = np.flatnonzero(value > 1e-8)
    errors = np.zeros(len(value))
    if len(free) < 2:
        return errors
    part = ratio[:, free] / np.maximum(ratio @ value, 1e-300)[:, None]
    contrast = part[:, :-1] - part[:, -1:]
    information = (contrast * mass[:, None]).T @ contrast
    covariance = np.linalg.pinv(information)
    errors[free[:-1]] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    errors[free[-1]] = math.sqrt(max(float(covariance.sum()), 0.0))
    return errors
