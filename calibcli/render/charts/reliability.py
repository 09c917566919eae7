"""Reliability diagrams, the CORP curve, and how ECE depends on the bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.base import plain
from calibcli.render.charts.palette import AFTER, BEFORE, PAPER
from calibcli.render.charts.vega import (
    COLORS,
    SIDE,
    SMALL,
    TICKS,
    band,
    diagonal,
    field,
    keyed,
    layer,
    place,
    series,
    specification,
    square,
    unit,
)
from calibcli.render.words import bins as regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.figures import Bin
    from calibcli.core.results.parts.curves import Band, BinnedEcePoint, CorpCurve
    from calibcli.tasks.words import Words

    Spec = dict[str, Any]

HISTOGRAM: Final = 56


def reliability(
    bins: Sequence[Bin],
    *,
    task: Words,
    title: str,
    color: str = BEFORE,
    within: Band | None = None,
    small: bool = False,
) -> Spec:
    """Return a reliability diagram: frequency and interval against score, and where the rows are.

    A filled point lies off the diagonal by more than its interval, a hollow one does not. `within`
    is where the points of an honest model would lie.
    """
    shade = [] if within is None else [_shade(bins, within)]
    return _diagram([(bins, color)], shade, task=task, title=title, small=small)


def reliability_pair(
    before: Sequence[Bin], after: Sequence[Bin], *, task: Words, title: str
) -> Spec:
    """Return one small diagram with before and after over each other."""
    return _diagram([(before, BEFORE), (after, AFTER)], [], task=task, title=title, small=True)


def _diagram(
    drawn: Sequence[tuple[Sequence[Bin], str]],
    shade: list[Spec],
    *,
    task: Words,
    title: str,
    small: bool,
) -> Spec:
    side = SMALL if small else SIDE
    ticks = [0, 0.5, 1] if small else TICKS
    x_title = None if small else f"mean {task.score}"
    line = diagonal()
    line["encoding"] = {
        "x": unit("x", None, ticks, labels=False),
        "y": unit("y", None if small else task.frequency, ticks),
    }
    layers = [line, *shade]
    for number, (bins, color) in enumerate(drawn):
        # Two sets of intervals on a small diagram hide each other: the later one has them.
        marks = _points(bins, color, small=small)
        layers += marks if number == len(drawn) - 1 else marks[1:]
    diagram = {"width": side, "height": side, "layer": layers}
    bars = [_histogram(bins, color, ticks, x_title, len(drawn)) for bins, color in drawn]
    histogram = {"width": side, "height": 22 if small else HISTOGRAM, "layer": bars}
    return specification({"vconcat": [diagram, histogram]}, title)


def _shade(bins: Sequence[Bin], within: Band) -> Spec:
    values = [
        {"x": b.score, "low": low, "high": high}
        for b, low, high in zip(bins, within.low, within.high, strict=True)
        if b.count and low is not None
    ]
    return band(values)


def _points(bins: Sequence[Bin], color: str, *, small: bool) -> list[Spec]:
    points = [
        {
            "x": b.score,
            "y": b.frequency,
            "low": b.frequency_low,
            "high": b.frequency_high,
            "off": regions.miss(b) > 1,
        }
        for b in bins
        if b.count
    ]
    known = [p for p in points if p["low"] is not None]
    rule = {"type": "rule", "color": color, "opacity": 0.6, "strokeWidth": 1.5}
    line = {"type": "line", "color": color, "strokeWidth": 1.5, "opacity": 0.8}
    mark = {"type": "point", "stroke": color, "strokeWidth": 1.8, "opacity": 1}
    mark |= {"size": 16 if small else 52}
    fill = {"condition": {"test": "datum.off", "value": color}, "value": PAPER}
    return [
        layer(known, rule, {"x": field("x"), "y": field("low"), "y2": {"field": "high"}}),
        layer(points, line, {**place(), "order": field("x")}),
        layer(points, mark, {**place(), "fill": fill}),
    ]


def _histogram(
    bins: Sequence[Bin], color: str, ticks: Sequence[float], x_title: str | None, shared: int
) -> Spec:
    values = [{"low": b.low, "high": b.high, "count": b.count} for b in bins if b.count]
    rows = {"tickCount": 2, "format": "~s", "grid": False}
    small = x_title is None
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "color": color, "opacity": 0.55 / shared + 0.1},
        "encoding": {
            "x": unit("low", x_title, ticks),
            "x2": {"field": "high"},
            "y": {
                "field": "count",
                "type": "quantitative",
                "title": None if small else "rows",
                "axis": None if small else rows,
            },
            "y2": {"datum": 0},
        },
    }


def corp(curves: Sequence[CorpCurve], *, task: Words, title: str) -> Spec:
    """Return CORP reliability curves, before and after; the band is that of the last."""
    line = diagonal()
    line["encoding"] = {
        "x": unit("x", task.score, TICKS),
        "y": unit("y", f"{task.frequency}, isotonic", TICKS),
    }
    layers = [line]
    within = curves[-1].band
    if within is not None:
        ends = zip(within.score, within.low, within.high, strict=True)
        layers.append(band([{"x": x, "low": low, "high": high} for x, low, high in ends]))
    for curve, name in zip(curves, series(len(curves)), strict=True):
        values = [
            {"x": round(x, 5), "y": round(y, 5), "i": i}
            for i, (x, y) in enumerate(zip(curve.score, curve.fitted, strict=True))
        ]
        encoding = {**place(), "order": field("i"), **keyed(name)}
        layers.append(layer(values, {"type": "line", "strokeWidth": 2}, encoding))
    return square(layers, title)


def ece_by_bins(curves: Sequence[Sequence[BinnedEcePoint]], *, title: str) -> Spec:
    """Return ECE against the number of bins, before and after; dashed: bins of equal mass."""
    numbers = sorted({row.bins for rows in curves for row in rows})
    x = {
        "field": "bins",
        "type": "quantitative",
        "title": "number of bins",
        "scale": {"type": "log", "domain": [numbers[0], numbers[-1]], "nice": False},
        "axis": {"values": numbers, "format": "d", "labelOverlap": "greedy"},
    }
    y = {
        "field": "ece",
        "type": "quantitative",
        "title": "ECE",
        "scale": {"zero": True, "nice": True},
        "axis": {"tickCount": 5},
    }
    layers: list[Spec] = []
    for rows, name in zip(curves, series(len(curves)), strict=True):
        for kind in ("width", "mass"):
            shown = [row for row in rows if row.binning == kind and row.ece is not None]
            mark: Spec = {"type": "line", "strokeWidth": 2, "point": {"size": 26}}
            if kind == "mass":
                mark = {"type": "line", "strokeWidth": 2, "strokeDash": [6, 4]}
            else:
                known = [plain(row) for row in shown if row.low is not None]
                shade = {"type": "area", "opacity": 0.18, "color": COLORS[name]}
                ends = {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}
                layers.append(layer(known, shade, ends))
            values = [plain(row) for row in shown]
            layers.append(layer(values, mark, {"x": x, "y": y, **keyed(name)}))
    return square(layers, title)
