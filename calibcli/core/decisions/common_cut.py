"""One cut-off for all classes: the best mean of their F1, or the best F1 of all decisions together.

The mean over classes (macro) weighs a rare class as much as a frequent one; F1 of the pooled counts
(micro) weighs every decision alike (Lipton, Elkan and Naryanaswamy, "Optimal thresholding of
classifiers to maximize F1 measure", 2014). Both are exact: every score of every class is a
candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.objectives import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.objectives import Array
    from calibcli.core.decisions.thresholds import Curve


@dataclass(frozen=True, slots=True)
class CommonCut:
    """A cut-off of all classes, the figure there, and how many candidates do as well."""

    threshold: float
    value: float
    tied: int


def best_common(curves: Sequence[Curve], *, pooled: bool) -> CommonCut | None:
    """Return the best cut-off; of equal ones the highest. None where F1 is undefined at each.

    Args:
        curves: the candidates of each class.
        pooled: whether F1 is of the pooled counts, or the mean over classes that occur or are
            decided for.
    """
    candidates = np.unique(np.concatenate([curve.threshold for curve in curves]))
    over = np.zeros(len(candidates))
    under = np.zeros(len(candidates))
    for curve in curves:
        top, bottom = _parts(curve, pooled=pooled)
        over += _at(candidates, curve, top)
        under += _at(candidates, curve, bottom)
    value = np.full(len(candidates), -np.inf)
    np.divide(over, under, out=value, where=under > 0)
    best = float(value.max(initial=-np.inf))
    if best == -np.inf:
        return None
    tied = np.flatnonzero(value >= best - TOLERANCE)
    place = int(tied[-1])
    return CommonCut(float(candidates[place]), float(value[place]), len(tied))


def common_value(curves: Sequence[Curve], threshold: float, *, pooled: bool) -> float:
    """Return the figure of one cut-off for all classes, NaN where it is undefined."""
    over = under = 0.0
    for curve in curves:
        top, bottom = _parts(curve, pooled=pooled)
        place = curve.index(threshold)
        over += float(top[place])
        under += float(bottom[place])
    return over / under if under else float("nan")


def _parts(curve: Curve, *, pooled: bool) -> tuple[Array, Array]:
    """Return what a class adds to the figure's numerator and denominator at each candidate."""
    tp, fp, fn = (np.asarray(one, np.float64) for one in (curve.tp, curve.fp, curve.fn))
    size = 2.0 * tp + fp + fn
    if pooled:
        return 2.0 * tp, size
    there = size > 0
    return np.divide(2.0 * tp, size, out=np.zeros(len(tp)), where=there), there.astype(np.float64)


def _at(candidates: Array, curve: Curve, value: Array) -> Array:
    """Return a class's value at the candidates of all: that of its least one from there up."""
    place = np.searchsorted(curve.threshold, candidates, side="left")
    found: Array = value[np.minimum(place, len(value) - 1)]
    return found
