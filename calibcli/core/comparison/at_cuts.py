"""What two models or two samples do at one cut-off in the score's own unit, and how sure that is.

Two models on the same rows are paired: rows that both decide alike cancel (see `decided`). Where
they decide all rows alike that a figure is of, the interval is that of no event in n rows: at the
level 1 - a no more than -ln(a/2) rows would have differed (Hanley and Lippman-Hand, "If nothing
goes wrong, is everything all right?", 1983). Two samples are independent, and their intervals are
joined as Zou and Donner's (`paired.bounds_apart`), which holds where each of the two does, also at
0 and 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from calibcli.core.comparison.change import changed
from calibcli.core.comparison.decided import compare, gradients
from calibcli.core.comparison.paired import bounds_apart
from calibcli.core.decisions.objectives import (
    f1,
    fpr,
    positive_rate,
    precision,
    recall,
    specificity,
)
from calibcli.core.results.comparisons import Difference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.comparison.decided import Duel
    from calibcli.core.decisions.objectives import Figure
    from calibcli.core.results.comparisons import Compared
    from calibcli.core.results.figures import Figure as Told

AT_CUTS: Final[dict[str, Figure]] = {
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "specificity": specificity,
    "fpr": fpr,
    "positive_rate": positive_rate,
}
"""Figures at a cut-off, functions of (tp, fp, fn, tn); all but the last need labels."""
_UNDEFINED: Final = "no such rows at this cut-off"


def name_at(figure: str, cut: float) -> str:
    """Return how a figure at a cut-off is called: `precision@600`."""
    return f"{figure}@{cut!r}".removesuffix(".0")


def paired_at(duel: Duel, figure: Figure, confidence: float | None) -> Difference:
    """Return a figure of the second model's decisions less that of the first's."""
    found = compare(duel, figure, confidence or 0.95)
    if found is None:
        first, second = (_alone(duel, figure, side) for side in (duel.old, duel.new))
        return Difference.of(first, second, reason=_UNDEFINED)
    if confidence is None:
        return Difference.of(found.old, found.new)
    ends = found.difference.low, found.difference.high
    if ends[0] == ends[1]:  # none of the rows that count here is decided differently
        reach = _unseen(duel, figure, confidence)
        ends = -reach, reach
    return Difference.of(found.old, found.new, ends)


def _alone(duel: Duel, figure: Figure, decision: NDArray[np.int64]) -> float | None:
    """Return a figure of one model's decisions; None where it is undefined."""
    found = float(np.asarray(figure(*duel.tables(decision, duel.at_prior(None)).T)).item())
    return None if math.isnan(found) else found


def _unseen(duel: Duel, figure: Figure, confidence: float) -> float:
    """Return how far as many rows move a figure as may differ where none has been seen to."""
    _, slope = gradients(figure, duel.tables(duel.old, duel.at_prior(None)))
    gradient = np.nan_to_num(slope[0])
    moved = max(abs(gradient[0] - gradient[2]), abs(gradient[1] - gradient[3]))
    return float(-math.log((1.0 - confidence) / 2.0) * moved)


def apart_at(reference: Told, current: Told) -> Compared:
    """Return the change of a figure at a cut-off between two independent samples."""
    for one, where in ((reference, " in the reference"), (current, "")):
        if one.value is None:
            return changed(reason=f"{one.reason}{where}")
    told = [(one.value, one.low, one.high, "") for one in (reference, current)]
    ends = bounds_apart(told[0], told[1])
    low, high = ends or (None, None)
    return changed(reference.value, current.value, low, high)
