"""ECE of every class or group, with its interval: who is harmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts.palette import AFTER, BEFORE, QUIET
from calibcli.render.charts.vega import LABEL_EXPRESSION, SIDE, keyed_label, specification
from calibcli.render.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.measure import SliceResult

    Spec = dict[str, Any]


def dots(parts: Sequence[SliceResult], *, tolerance: float, title: str) -> Spec:
    """Return ECE with its interval, one line a slice, most harmful first; after beside before."""
    calibrated = words.any_calibrated(parts)
    order = sorted(parts, key=lambda part: -(words.ece_of(part) or 0.0))
    values = []
    for place, part in enumerate(order):
        for stage, source in (("before", part), ("after", part.calibrated)):
            ece = None if source is None else source.ece
            if ece is None or ece.value is None:
                continue
            label = keyed_label(place, part.where.title)
            values.append(
                {
                    "slice": label,
                    "ece": ece.value,
                    "low": ece.low,
                    "high": ece.high,
                    "stage": stage,
                }
            )
    y: Spec = {
        "field": "slice",
        "type": "nominal",
        "sort": None,
        "title": None,
        "axis": {"labelExpr": LABEL_EXPRESSION, "grid": False, "ticks": False},
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
