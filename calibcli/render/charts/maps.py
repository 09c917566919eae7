"""The map of a calibrator, and what a cut-off decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts.palette import AFTER, INK, PAPER
from calibcli.render.charts.vega import (
    SIDE,
    TICKS,
    band,
    diagonal,
    label,
    layer,
    place,
    specification,
    square,
    unit,
)
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.parts.stored import MapPoint

    Spec = dict[str, Any]


def confusion(table: Confusion, *, title: str, below: bool = False) -> Spec:
    """Return a two by two confusion matrix, shaded by the share of each true label.

    `below`: low scores are positive.
    """
    tn = table.tn or 0
    positives, negatives = table.tp + table.fn, table.fp + tn
    at = figures.short(table.threshold)
    signs = ("<=", ">") if below else (">=", "<")
    said, not_said = (f"score {sign} {at}" for sign in signs)
    cells = [
        ("label 1", said, table.tp, positives, "TP"),
        ("label 1", not_said, table.fn, positives, "FN"),
        ("label 0", said, table.fp, negatives, "FP"),
        ("label 0", not_said, tn, negatives, "TN"),
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
    where: Spec = {
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
                **where,
                "opacity": {
                    "field": "share",
                    "type": "quantitative",
                    "scale": {"domain": [0, 1], "range": [0.06, 0.5]},
                    "legend": None,
                },
            },
        },
        label(where, "count", {"fontSize": 17, "fontWeight": 600, "dy": -9, "color": INK}),
        label(where, "percent", {"fontSize": 11, "dy": 13, "color": INK}),
    ]
    return specification(
        {"width": SIDE, "height": 200, "data": {"values": values}, "layer": layers}, title
    )


def calibration_map(points: Sequence[MapPoint], *, title: str) -> Spec:
    """Return the calibrated probability against the score, with its interval as a band."""
    values = [
        {"x": point.score, "y": point.probability, "low": point.low, "high": point.high}
        for point in points
    ]
    shade = band([value for value in values if value["low"] is not None], AFTER, 0.2)
    line = layer(values, {"type": "line", "color": AFTER, "strokeWidth": 2}, place())
    first = {
        **diagonal(),
        "encoding": {
            "x": unit("x", "score", TICKS),
            "y": unit("y", "calibrated probability", TICKS),
        },
    }
    return square([first, shade, line], title)
