"""Charts as Vega-Lite specifications: plain dicts, pure functions of a result.

One specification serves the page and the static pictures. Names reach a specification only as data
values, spelt out by `names.visible`; no name is ever a field, an expression or a title's markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render import figures, names, regions, words
from calibcli.render.palette import ACCENT, AFTER, BEFORE, INK, PAPER, QUIET
from calibcli.render.vega import field, label, specification, unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Spec = dict[str, Any]
    Result = Mapping[str, Any]

SIDE: Final = 300
SMALL: Final = 150


def reliability(
    bins: Sequence[Result], *, task: str, title: str, color: str = BEFORE, small: bool = False
) -> Spec:
    """Return a reliability diagram: frequency and interval against score, and where the rows are.

    A filled point lies off the diagonal by more than its interval, a hollow one does not.
    """
    return _reliability([(bins, color)], task=task, title=title, small=small)


def reliability_pair(
    before: Sequence[Result], after: Sequence[Result], *, task: str, title: str
) -> Spec:
    """Return one small diagram with before and after over each other."""
    return _reliability([(before, BEFORE), (after, AFTER)], task=task, title=title, small=True)


def _reliability(
    series: Sequence[tuple[Sequence[Result], str]], *, task: str, title: str, small: bool
) -> Spec:
    side = SMALL if small else SIDE
    score, frequency = words.score_word(task)
    ticks = [0, 0.5, 1] if small else [0, 0.2, 0.4, 0.6, 0.8, 1]
    x_title = None if small else f"mean {score}"
    layers: list[Spec] = [
        {
            "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
            "mark": {"type": "line", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5},
            "encoding": {
                "x": unit("x", None, ticks, labels=False),
                "y": unit("y", None if small else frequency, ticks),
            },
        }
    ]
    for place, (bins, color) in enumerate(series):
        # Two sets of intervals on a small diagram hide each other: the later one has them.
        marks = _reliability_layers(bins, color, small=small)
        layers += marks if place == len(series) - 1 else marks[1:]
    diagram = {"width": side, "height": side, "layer": layers}
    histogram = {
        "width": side,
        "height": 22 if small else 56,
        "layer": [
            {
                "data": {"values": _bars(bins)},
                "mark": {"type": "rect", "color": color, "opacity": 0.55 / len(series) + 0.1},
                "encoding": {
                    "x": unit("low", x_title, ticks),
                    "x2": {"field": "high"},
                    "y": {
                        "field": "count",
                        "type": "quantitative",
                        "title": None if small else "rows",
                        "axis": None if small else {"tickCount": 2, "format": "~s", "grid": False},
                    },
                    "y2": {"datum": 0},
                },
            }
            for bins, color in series
        ],
    }
    return specification({"vconcat": [diagram, histogram]}, title)


def _reliability_layers(bins: Sequence[Result], color: str, *, small: bool) -> list[Spec]:
    filled = [b for b in bins if b["count"]]
    points = [
        {
            "x": b["score"],
            "y": b["frequency"],
            "low": b.get("frequency_low"),
            "high": b.get("frequency_high"),
            "off": regions.miss(b) > 1,
        }
        for b in filled
    ]
    x, y = field("x"), field("y")
    return [
        {
            "data": {"values": [p for p in points if p["low"] is not None]},
            "mark": {"type": "rule", "color": color, "opacity": 0.6, "strokeWidth": 1.5},
            "encoding": {"x": x, "y": field("low"), "y2": {"field": "high"}},
        },
        {
            "data": {"values": points},
            "mark": {"type": "line", "color": color, "strokeWidth": 1.5, "opacity": 0.8},
            "encoding": {"x": x, "y": y, "order": field("x")},
        },
        {
            "data": {"values": points},
            "mark": {
                "type": "point",
                "stroke": color,
                "strokeWidth": 1.8,
                "opacity": 1,
                "size": 16 if small else 52,
            },
            "encoding": {
                "x": x,
                "y": y,
                "fill": {"condition": {"test": "datum.off", "value": color}, "value": PAPER},
            },
        },
    ]


def _bars(bins: Sequence[Result]) -> list[dict[str, float]]:
    return [{"low": b["low"], "high": b["high"], "count": b["count"]} for b in bins if b["count"]]


def roc(lines: Sequence[tuple[Result, bool]], points: Sequence[Result], *, title: str) -> Spec:
    """Return ROC curves (curve, emphasised) and the chosen points {"x", "y", "label"}."""
    layers = [_chance([{"x": 0, "y": 0}, {"x": 1, "y": 1}])]
    for curve, strong in lines:
        layers.append(_curve(curve["fpr"], curve["tpr"], strong=strong))
    return _square([*layers, *_chosen(points)], "false positive rate", "recall", title)


def precision_recall(
    lines: Sequence[tuple[Result, bool]],
    points: Sequence[Result],
    *,
    prevalence: float | None,
    title: str,
) -> Spec:
    """Return precision-recall curves; dashed: the prevalence, the precision of chance."""
    layers = []
    if prevalence is not None:
        layers.append(_chance([{"x": 0, "y": prevalence}, {"x": 1, "y": prevalence}]))
    for curve, strong in lines:
        layers.append(_curve(curve["recall"], curve["precision"], strong=strong))
    return _square([*layers, *_chosen(points)], "recall", "precision", title)


def confusion(table: Result, *, title: str) -> Spec:
    """Return a two by two confusion matrix, shaded by the share of each true label."""
    positives, negatives = table["tp"] + table["fn"], table["fp"] + table["tn"]
    at = figures.short(table["threshold"])
    said, not_said = f"score >= {at}", f"score < {at}"
    cells = [
        ("label 1", said, table["tp"], positives, "TP"),
        ("label 1", not_said, table["fn"], positives, "FN"),
        ("label 0", said, table["fp"], negatives, "FP"),
        ("label 0", not_said, table["tn"], negatives, "TN"),
    ]
    values = [
        {
            "row": row,
            "column": column,
            "share": count / total if total else 0.0,
            "count": f"{short} {figures.count(count)}",
            "percent": f"{100 * count / total:.1f}% of {row}" if total else "no rows",
        }
        for row, column, count, total, short in cells
    ]
    axis = {"domain": False, "ticks": False, "labelFontSize": 12, "title": None}
    place: Spec = {
        "x": {
            "field": "column",
            "type": "nominal",
            "sort": None,
            "axis": {**axis, "orient": "top", "labelAngle": 0},
        },
        "y": {"field": "row", "type": "nominal", "sort": None, "axis": axis},
    }
    layers = [
        {
            "mark": {"type": "rect", "color": AFTER, "stroke": PAPER, "strokeWidth": 3},
            "encoding": {
                **place,
                "opacity": {
                    "field": "share",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [0.06, 0.5]},
                    "legend": None,
                },
            },
        },
        label(place, "count", {"fontSize": 17, "fontWeight": 600, "dy": -9, "color": INK}),
        label(place, "percent", {"fontSize": 11, "dy": 13, "color": INK}),
    ]
    return specification(
        {"width": SIDE, "height": 200, "data": {"values": values}, "layer": layers}, title
    )


def calibration_map(points: Sequence[Result], *, title: str) -> Spec:
    """Return the calibrated probability against the score, with its interval as a band."""
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    values = [
        {
            "x": point["score"],
            "y": point["probability"],
            "low": point.get("low"),
            "high": point.get("high"),
        }
        for point in points
    ]
    x, y = field("x"), field("y")
    diagonal = {
        "data": {"values": [{"x": 0, "y": 0}, {"x": 1, "y": 1}]},
        "mark": {"type": "line", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5},
    }
    band = {
        "data": {"values": [value for value in values if value["low"] is not None]},
        "mark": {"type": "area", "color": AFTER, "opacity": 0.2},
        "encoding": {"x": x, "y": field("low"), "y2": {"field": "high"}},
    }
    line = {
        "data": {"values": values},
        "mark": {"type": "line", "color": AFTER, "strokeWidth": 2},
        "encoding": {"x": x, "y": y},
    }
    first = {
        **diagonal,
        "encoding": {
            "x": unit("x", "score", ticks),
            "y": unit("y", "calibrated probability", ticks),
        },
    }
    body = {"width": SIDE, "height": SIDE, "layer": [first, band, line]}
    return specification(body, title)


def dots(parts: Sequence[Result], *, tolerance: float, title: str) -> Spec:
    """Return ECE with its interval, one line a slice, most harmful first; after beside before."""
    calibrated = any(part.get("calibrated") for part in parts)
    order = sorted(parts, key=lambda part: -(words.ece_of(part, calibrated=calibrated) or 0.0))
    values = []
    for place, part in enumerate(order):
        for stage, source in (("before", part), ("after", part.get("calibrated"))):
            entry = ((source or {}).get("metrics") or {}).get("ece") or {}
            if entry.get("value") is None:
                continue
            label = f"{place}\u241f{names.visible(words.slice_name(part))}"
            values.append(
                {
                    "slice": label,
                    "ece": entry["value"],
                    "low": entry.get("low"),
                    "high": entry.get("high"),
                    "stage": stage,
                }
            )
    # Two slices may share a visible name; the place before it keeps their lines apart.
    y: Spec = {
        "field": "slice",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelExpr": "split(datum.label, '\u241f')[1]", "grid": False, "ticks": False},
    }
    if calibrated:
        offset: Spec = {
            "yOffset": {"field": "stage", "type": "nominal", "sort": ["before", "after"]}
        }
    else:
        offset = {}
    x = {
        "field": "ece",
        "type": "quantitative",
        "title": "ECE",
        "scale": {"domainMin": 0},
        "axis": {"tickCount": 5},
    }
    color = {
        "field": "stage",
        "type": "nominal",
        "scale": {"domain": ["before", "after"], "range": [BEFORE, AFTER]},
        "legend": None,
    }
    layers = [
        {
            "data": {"values": [{"tolerance": tolerance}]},
            "mark": {"type": "rule", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5},
            "encoding": {"x": {"field": "tolerance", "type": "quantitative"}},
        },
        {
            "transform": [{"filter": "isValid(datum.low)"}],
            "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55},
            "encoding": {
                "y": y,
                **offset,
                "x": {**x, "field": "low"},
                "x2": {"field": "high"},
                "color": color,
            },
        },
        {
            "mark": {"type": "point", "filled": True, "size": 46, "opacity": 1},
            "encoding": {"y": y, **offset, "x": x, "color": color},
        },
    ]
    step = 26 if calibrated else 20
    height = {"step": step, "for": "position"} if calibrated else {"step": step}
    # The page may set a wider face than the one that was measured.
    body: Spec = {"padding": {"left": 26, "right": 10, "top": 5, "bottom": 5}}
    body |= {"width": SIDE + 60, "height": height, "data": {"values": values}, "layer": layers}
    return specification(body, title)


def _square(layers: list[Spec], x: str, y: str, title: str) -> Spec:
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    first = {**layers[0], "encoding": {"x": unit("x", x, ticks), "y": unit("y", y, ticks)}}
    body = {"width": SIDE, "height": SIDE, "layer": [first, *layers[1:]]}
    return specification(body, title)


def _chance(values: list[dict[str, float]]) -> Spec:
    return {
        "data": {"values": values},
        "mark": {"type": "line", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5},
        "encoding": {"x": field("x"), "y": field("y")},
    }


def _curve(xs: Sequence[float], ys: Sequence[float], *, strong: bool) -> Spec:
    values = [
        {"x": round(x, 5), "y": round(y, 5), "i": i}
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]
    mark: Spec = {"type": "line", "color": AFTER, "strokeWidth": 2}
    if not strong:
        mark = {"type": "line", "color": QUIET, "strokeWidth": 1, "opacity": 0.7}
    order = {"field": "i", "type": "quantitative"}
    encoding = {"x": field("x"), "y": field("y"), "order": order}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def _chosen(points: Sequence[Result]) -> list[Spec]:
    if not points:
        return []
    data = {"values": [dict(point) for point in points]}
    place = {"x": field("x"), "y": field("y")}
    ring = {"type": "point", "stroke": ACCENT, "fill": PAPER, "size": 90, "strokeWidth": 2.5}
    text = {"fontSize": 12, "color": ACCENT, "fontWeight": 600, "align": "left"}
    text |= {"dx": 9, "dy": 11}
    return [
        {"data": data, "mark": {**ring, "opacity": 1}, "encoding": place},
        {"data": data, **label(place, "label", text)},
    ]
