"""Figures of a choice on rows that it has not seen, as they stand in the JSON.

`cross_fitted` holds each figure of the decisions that folds get from the choice of the others. The
intervals of the figures on these rows are those of the cross-fitted ones: a chosen cut-off was
chosen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.cross_fit import FOLDS, CrossFitted, moved, widened
from calibcli.core.decisions.guarantees import rounded_up
from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.objectives import FIGURES
from calibcli.core.results.warning import Warning
from calibcli.workflows.measure.decided.judged import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.cross_fit import Family, Place
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
SHOWN = ("precision", "recall", "f1", "specificity", "fpr")
_SAME = {"dice": "f1"}


def honest(
    family: Family,
    found: CrossFitted,
    chosen: Place,
    wish: Wish,
    level: float,
    rows: float,
    spread: tuple[float, float] | None = None,
    *,
    shown: Sequence[str] = SHOWN,
) -> Result:
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
        return {"folds": FOLDS, "reason": failed_words(found)}
    table = table_of(Judged(found.counts).of_class(1), level)
    entry: Result = {"folds": FOLDS, "value": None}
    for name in shown:
        move = moved(family, found, chosen, FIGURES[name])
        entry[name] = with_move(table[name], move, level)
    name = _SAME.get(wish.objective.name, wish.objective.name)
    move = moved(family, found, chosen, wish.objective.function)
    entry["value"] = entry[name] if name in entry else _objective(table, wish, spread, move, level)
    needed = {str(one): _needed(entry, one, rows) for one in wish.constraints if one.name in entry}
    if needed:
        entry["rows_needed"] = needed
    return entry


def with_move(
    figure: Mapping[str, Any], move: float, level: float, *, share: bool = True
) -> Result:
    """Return a figure whose interval knows how far it moves between the choices."""
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None or low is None or high is None:
        return dict(figure)
    low, high = widened(value, low, high, move, level, share=share)
    return {**figure, "low": low, "high": high}


def failed_words(found: CrossFitted) -> str:
    """Return why there are no cross-fitted figures."""
    return f"without {found.failed} of {len(found.places)} folds no cut-off meets the bounds"


def apply_ends(item: Result, entry: Result) -> None:
    """Give the figures of a chosen cut-off the ends of the cross-fitted ones, in place."""
    table = item["confusion"]
    for name in SHOWN:
        figure = table.get(name)
        if not isinstance(figure, dict) or figure["value"] is None:
            continue
        other = entry.get(name) or {"low": None, "high": None}
        figure["low"], figure["high"] = other["low"], other["high"]
        if "reason" in entry:
            figure["reason"] = f"no interval: {entry['reason']}"
    value = entry.get("value") or {"low": None, "high": None}
    item["value"]["low"], item["value"]["high"] = value["low"], value["high"]


def _objective(
    table: Result, wish: Wish, spread: tuple[float, float] | None, move: float, level: float
) -> Result:
    counts = (np.asarray(float(table[key])) for key in ("tp", "fp", "fn", "tn"))
    value = float(wish.objective.function(*counts))
    if math.isnan(value):
        return {"value": None, "low": None, "high": None}
    if spread is None:
        return {"value": value, "low": None, "high": None}
    low, high = widened(value, value - spread[0], value + spread[1], move, level, share=False)
    return {"value": value, "low": low, "high": high}


def _needed(entry: Result, constraint: Constraint, rows: float) -> int | None:
    """Return about how many rows like these would show a target; None where these do not tell."""
    value, end = entry[constraint.name]["value"], _end(entry, constraint)
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


def _end(entry: Result, constraint: Constraint) -> float | None:
    """Return the end of a figure's interval that a target is held against."""
    end: float | None = entry[constraint.name]["low" if constraint.at_least else "high"]
    return end


def not_shown(items: Sequence[Result], wish: Wish) -> list[Warning]:
    """Return a warning for each target that cross-fitting does not show to be met."""
    found = []
    told = [item.get("cross_fitted") or {} for item in items]
    entries = [entry for entry in told if "value" in entry]
    for constraint in wish.constraints:
        missed = []
        for entry in entries:
            end = _end(entry, constraint) if constraint.name in entry else None
            if end is not None and not bool(constraint.met(np.asarray(end))):
                missed.append(entry)
        if not missed:
            continue
        if len(items) > 1:
            said = f"in {len(missed)} of {len(items)} slices"
        else:
            figure = missed[0][constraint.name]
            needed = missed[0].get("rows_needed", {}).get(str(constraint))
            ends = f"[{figure['low']:.4g}, {figure['high']:.4g}]"
            said = f"cross-fitted it is {figure['value']:.4g} {ends}"
            if needed is not None:
                said += f", and about {needed:,} rows like these would show it"
        text = f"that {constraint} holds on new rows is not shown: {said}"
        found.append(Warning("not-shown", text))
    return found
