"""Figures of a choice on rows that it has not seen, as they stand in the JSON.

`cross_fitted` holds each figure of the decisions that folds get from the choice of the others. The
intervals of the figures on these rows are those of the cross-fitted ones: a chosen cut-off was
chosen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.decisions.cross_fit import FOLDS, moved, widened
from calibcli.core.decisions.guarantees import rounded_up
from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.objectives import FIGURES
from calibcli.core.results.figures import Figure
from calibcli.core.results.threshold import CrossFitted
from calibcli.core.results.warning import Warning
from calibcli.workflows.measure.decided.judged import table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from calibcli.core.decisions.cross_fit import CellFamily, Place
    from calibcli.core.decisions.cross_fit import CrossFitted as Folds
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.threshold import CutOff
    from calibcli.workflows.threshold.wish import Wish

SHOWN = ("precision", "recall", "f1", "specificity", "fpr")
SAME = {"dice": "f1"}
"""Figures of a table that objectives know by another name."""


def honest(
    family: CellFamily,
    found: Folds,
    chosen: Place,
    wish: Wish,
    level: float,
    rows: float,
    spread: tuple[float, float] | None = None,
    *,
    shown: Sequence[str] = SHOWN,
) -> CrossFitted:
    """Return the cross-fitted figures of one cut-off.

    Args:
        family: its candidates.
        found: the choices of the folds.
        chosen: the choice of all rows.
        wish: what was to be achieved.
        level: of the intervals.
        rows: how many rows there are.
        shown: which figures of a table there are.
        spread: by how much the objective on these rows is above and below the ends of its interval.
    """
    if found.counts is None:
        return CrossFitted(FOLDS, reason=failed_words(found))
    table = table_of(Judged(found.counts).of_class(1), level)
    figures: dict[str, Any] = {
        name: with_move(table.rates[name], moved(family, found, chosen, FIGURES[name]), level)
        for name in shown
    }
    value = figures.get(SAME.get(wish.objective.name, wish.objective.name))
    if value is None:
        move = moved(family, found, chosen, wish.objective.function)
        value = _objective(table, wish, spread, move, level)
    needed = {
        str(one): _needed(figures[one.name], one, rows)
        for one in wish.constraints
        if one.name in figures
    }
    return CrossFitted(FOLDS, value, **figures, rows_needed=needed or None)


def move_between(gaps: ArrayLike) -> float:
    """Return how far a figure moves between choices: the root mean square of the gaps known."""
    every = np.asarray(gaps, np.float64)
    known = every[np.isfinite(every)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def with_move(figure: Figure, move: float, level: float, *, share: bool = True) -> Figure:
    """Return a figure whose interval knows how far it moves between the choices."""
    if figure.value is None or figure.low is None or figure.high is None:
        return figure
    low, high = widened(figure.value, figure.low, figure.high, move, level, share=share)
    return structs.replace(figure, low=low, high=high)


def failed_words(found: Folds) -> str:
    """Return why there are no cross-fitted figures."""
    return f"without {found.failed} of {len(found.places)} folds no cut-off meets the bounds"


def crossed(item: CutOff, entry: CrossFitted) -> CutOff:
    """Return a chosen cut-off whose figures have the ends of the cross-fitted ones."""
    table = item.confusion
    assert table is not None
    told = {
        name: ended(figure, getattr(entry, name), entry.reason)
        for name in SHOWN
        if (figure := getattr(table, name)).value is not None
    }
    return structs.replace(
        item,
        value=ended(item.reached, entry.value),
        confusion=structs.replace(table, **told),
        cross_fitted=entry,
    )


def ended(figure: Figure | None, like: Figure | None, reason: str | None = None) -> Figure:
    """Return a figure with the ends of another, or with none and a reason."""
    assert figure is not None
    low, high = (None, None) if like is None else (like.low, like.high)
    said = figure.reason if reason is None else f"no interval: {reason}"
    return structs.replace(figure, low=low, high=high, reason=said)


def _objective(
    table: Confusion, wish: Wish, spread: tuple[float, float] | None, move: float, level: float
) -> Figure:
    counts = (np.asarray(float(count or 0.0)) for count in table.counts.values())
    value = float(wish.objective.function(*counts))
    if math.isnan(value):
        return Figure(None)
    if spread is None:
        return Figure(value)
    low, high = widened(value, value - spread[0], value + spread[1], move, level, share=False)
    return Figure(value, low, high)


def _needed(figure: Figure, constraint: Constraint, rows: float) -> int | None:
    """Return about how many rows like these would show a target; None where these do not tell."""
    value, end = figure.value, _end(figure, constraint)
    if value is None or end is None:
        return None
    sign = 1.0 if constraint.at_least else -1.0
    margin = sign * (value - constraint.target)
    if margin <= 0.0:
        return None
    # Wilson's end is at e where (value - e)^2 = z^2 e (1 - e) / n.
    target = constraint.target

    def weight(at: float) -> float:
        return float(at * (1.0 - at) / (value - at) ** 2)

    here = weight(end) if 0.0 < end < 1.0 and end != value else 0.0
    more = rows * weight(target) / here if here else 0.0
    if not more:
        return None
    return rounded_up(more)


def _end(figure: Figure, constraint: Constraint) -> float | None:
    """Return the end of a figure's interval that a target is held against."""
    return figure.low if constraint.at_least else figure.high


def not_shown(items: Sequence[CutOff], wish: Wish) -> list[Warning]:
    """Return a warning for each target that cross-fitting does not show to be met."""
    found = []
    entries = [item.cross_fitted for item in items if item.cross_fitted is not None]
    for constraint in wish.constraints:
        missed = []
        for entry in entries:
            figure = getattr(entry, constraint.name, None)
            if figure is None:
                continue
            end = _end(figure, constraint)
            if end is not None and not bool(constraint.met(np.asarray(end))):
                missed.append((figure, (entry.rows_needed or {}).get(str(constraint))))
        if not missed:
            continue
        if len(items) > 1:
            said = f"in {len(missed)} of {len(items)} slices"
        else:
            figure, needed = missed[0]
            said = f"cross-fitted it is {figure.value:.4g} [{figure.low:.4g}, {figure.high:.4g}]"
            if needed is not None:
                said += f", and about {needed:,} rows like these would show it"
        text = f"that {constraint} holds on new rows is not shown: {said}"
        found.append(Warning("not-shown", text))
    return found
