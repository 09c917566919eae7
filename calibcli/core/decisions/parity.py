"""Group thresholds with equal recall or equal fpr, and what one cut-off does in each group.

Deterministic: a group's level is met from the safe side at one of its own scores, never by
randomizing between two, so levels agree up to the step of one score (Hardt, Price and Srebro 2016
randomize instead).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.objectives import TOLERANCE, Array, Constraint, Objective, fpr, recall
from calibcli.core.decisions.thresholds import Confusion, Curve
from calibcli.errors import UsageError

Equal = Literal["recall", "fpr"]


@dataclass(frozen=True, slots=True)
class GroupThresholds:
    """One threshold for each group, at one common level.

    level: the recall each group has at least, or the fpr each has at most. reached: what it has.
    value: the objective over all groups together.
    """

    equal: Equal
    level: float
    thresholds: dict[str, float]
    confusions: dict[str, Confusion]
    reached: dict[str, float]
    value: float | None


def equal_thresholds(
    curves: Mapping[str, Curve],
    equal: Equal,
    *,
    level: float | None = None,
    objective: Objective | None = None,
) -> GroupThresholds:
    """Return thresholds that give every group the same recall or the same fpr.

    With a level each group takes the highest threshold with recall >= level, or the lowest with
    fpr <= level. Without one, every level that any group can have is tried, and the one with the
    best objective over all rows together is taken (ties: the lower fpr, the higher recall).

    Raises UsageError when a group has no row of the class in question.
    """
    if level is None and objective is None:
        raise ValueError("a level or an objective")
    if level is not None and not 0 <= level <= 1:
        raise UsageError(f"a level of {equal} lies between 0 and 1, not {level!r}")
    figure = recall if equal == "recall" else fpr
    for name, curve in curves.items():
        if not (curve.positives if equal == "recall" else curve.negatives):
            kind = "positives" if equal == "recall" else "negatives"
            raise UsageError(f"group {name!r} has no {kind}, so its {equal} is undefined")
    share = {name: curve.figure(figure) for name, curve in curves.items()}
    levels = np.unique(np.concatenate(list(share.values()))) if level is None else np.array([level])
    found = {name: _places(share[name], levels, equal) for name in curves}
    pooled = [np.zeros(levels.size) for _ in range(4)]
    for name, curve in curves.items():
        for total, count in zip(pooled, (curve.tp, curve.fp, curve.fn, curve.tn), strict=True):
            total += count[found[name]]
    best, value = 0, None
    if objective is not None:
        score = objective.function(*pooled)
        if not np.isnan(score).all():
            signed = score if objective.larger_is_better else -score
            top = float(np.nanmax(signed))
            ties = np.flatnonzero(signed >= top - TOLERANCE * max(1.0, abs(top)))
            best = int(ties[-1] if equal == "recall" else ties[0])
            value = float(score[best])
    at = {name: int(found[name][best]) for name in curves}
    return GroupThresholds(
        equal=equal,
        level=float(levels[best]),
        thresholds={name: float(curves[name].threshold[i]) for name, i in at.items()},
        confusions={name: curves[name].confusion(i) for name, i in at.items()},
        reached={name: float(share[name][i]) for name, i in at.items()},
        value=value,
    )


def broken(confusion: Confusion, constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
    """Return the constraints that a table does not meet; an undefined figure does not meet one."""
    values = [confusion.figure(c.function) for c in constraints]
    return tuple(
        c
        for c, v in zip(constraints, values, strict=True)
        if v is None or not bool(c.met(np.asarray(v)))
    )


def _places(share: Array, levels: Array, equal: Equal) -> NDArray[np.intp]:
    """Return each level's candidate; `share` decreases as the threshold rises."""
    rising = share[::-1]
    if equal == "recall":
        place = np.searchsorted(rising, levels - TOLERANCE, side="left")
        return share.size - 1 - np.minimum(place, share.size - 1)
    place = np.searchsorted(rising, levels + TOLERANCE, side="right") - 1
    return share.size - 1 - np.maximum(place, 0)
