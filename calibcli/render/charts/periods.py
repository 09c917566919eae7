"""ECE and PSI of periods in order: when did it begin to go wrong?"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts.palette import ACCENT, AFTER, PAPER, QUIET
from calibcli.render.charts.vega import LABEL_EXPRESSION, keyed_label, specification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.results.comparisons import Period
    from calibcli.core.results.figures import Interval

    Spec = dict[str, Any]

MOST: Final = 200
TITLES: Final = {"ece": "ECE", "psi": "PSI"}
_WIDTH: Final = 440
_LABELS: Final = 6
_LABEL: Final = 70
"""Pixels of a label."""


def known(periods: Sequence[Period], name: str) -> bool:
    """Return whether any period has this figure."""
    return any(_value_of(row, name) is not None for row in periods)


def _value_of(row: Period, name: str) -> float | None:
    entry = entry_of(row, name)
    return None if entry is None else entry.value


def thinned(periods: Sequence[Period], most: int = MOST) -> list[Period]:
    """Return at most `most` periods in order, one of each run of neighbours.

    Of a run its first bad one, else its first changed one, else that with the highest ECE (PSI
    where there is none).
    """
    n = len(periods)
    if n <= most:
        return list(periods)
    ends = [i * n // most for i in range(most + 1)]
    runs = [periods[low:high] for low, high in pairwise(ends)]
    return [max(run, key=_urgency) for run in runs]


def _urgency(row: Period) -> tuple[bool, bool, float]:
    if row.bad or row.changed:
        return row.bad, True, 0.0
    values = (_value_of(row, name) for name in TITLES)
    return False, False, next((value for value in values if value is not None), -1.0)


def series(
    periods: Sequence[Period], names: Sequence[str], limits: Mapping[str, float], *, title: str
) -> Spec:
    """Return one panel a figure of `names` ("ece", "psi"), above each other, over the periods.

    `limits` are drawn dashed. A bad period has a ring, a changed one is a diamond.
    """
    keys = [keyed_label(place, row.value, _LABEL) for place, row in enumerate(periods)]
    step = -(-len(keys) // _LABELS)
    panels = []
    for name in names:
        values = [_value(key, row, name) for key, row in zip(keys, periods, strict=True)]
        # A period without the figure leaves a gap in the line.
        panels.append(
            _panel(
                values,
                keys,
                keys[::step],
                TITLES[name],
                limits.get(name),
                last=name == names[-1],
            )
        )
    return specification({"vconcat": panels}, title)


def _value(key: str, row: Period, name: str) -> dict[str, Any]:
    entry = entry_of(row, name)
    low, high = (None, None) if entry is None else (entry.low, entry.high)
    state = {"bad": row.bad, "changed": bool(row.changed)}
    return {"period": key, "y": _value_of(row, name), "low": low, "high": high, **state}


def entry_of(row: Period, name: str) -> Interval | None:
    """Return the value and the interval of "ece" or "psi" in a period; None without any."""
    found: Mapping[str, Interval] = row.metrics if name == "ece" else row.drift or {}
    return found.get(name)


def _panel(
    values: list[dict[str, Any]],
    keys: list[str],
    labelled: list[str],
    title: str,
    limit: float | None,
    *,
    last: bool,
) -> Spec:
    axis: Spec = {"values": labelled, "labelExpr": LABEL_EXPRESSION}
    axis |= {"labelAngle": 0, "labelLimit": _LABEL, "labelOverlap": True, "grid": False}
    axis |= {} if last else {"labels": False, "ticks": False}
    x: Spec = {"field": "period", "type": "ordinal", "sort": None, "title": None}
    x |= {"scale": {"type": "point", "domain": keys, "padding": 0.5}, "axis": axis}
    y: Spec = {"field": "y", "type": "quantitative", "title": title}
    y |= {"scale": {"zero": True}, "axis": {"tickCount": 5}}
    place = {"x": x, "y": y}
    size = 46 if len(keys) <= 60 else 16
    layers: list[Spec] = []
    if limit is not None:
        mark = {"type": "rule", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5}
        encoding = {"y": {**y, "field": "limit"}}
        layers.append({"data": {"values": [{"limit": limit}]}, "mark": mark, "encoding": encoding})
    layers += [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "color": AFTER, "strokeWidth": 2, "opacity": 0.35},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": {"type": "line", "color": AFTER, "strokeWidth": 1.5}, "encoding": place},
        _points("datum.bad", place, {"stroke": ACCENT, "fill": PAPER, "size": 4.5 * size}),
        _points("!datum.changed", place, {"stroke": AFTER, "fill": AFTER, "size": size}),
        _points("datum.changed", place, {"shape": "diamond", "stroke": AFTER, "fill": AFTER,
                                         "size": 1.8 * size}),
    ]  # fmt: skip
    return {"width": _WIDTH, "height": 170, "data": {"values": values}, "layer": layers}


def _points(which: str, place: Spec, look: Spec) -> Spec:
    mark = {"type": "point", "opacity": 1, "strokeWidth": 2, **look}
    return {
        "transform": [{"filter": f"isValid(datum.y) && {which}"}],
        "mark": mark,
        "encoding": place,
    }
