"""Precision against recall of detections, a line for each IoU of non-maximum suppression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts.palette import ACCENT, AFTER, BEFORE, MUTED, PAPER
from calibcli.render.charts.vega import SIDE, TICKS, field, label, specification, unit
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.parts.searches import TradeOffCurve

    Spec = dict[str, Any]

# Told apart by dashes and by their labels too, for print and for eyes that do not tell the colours.
_LOOKS: Final = ((AFTER, [1, 0]), (BEFORE, [7, 3]), (MUTED, [2, 3]), (ACCENT, [8, 3, 2, 3]))
LINES: Final = len(_LOOKS)
_APART: Final = 0.055


def trade_off(
    curves: Sequence[TradeOffCurve], point: tuple[float, float, str] | None, *, title: str
) -> Spec:
    """Return a panel: a line for each curve, with its label.

    At most `LINES` curves are drawn, in the order given; `point` is recall, precision and label of
    the choice, which gets a ring.
    """
    drawn = [curve for curve in curves if curve.recall][:LINES]
    ends = _spread([curve.precision[-1] or 0.0 for curve in drawn])
    layers: list[Spec] = []
    # The solid line lies lowest: it would hide the others where they coincide.
    for curve, (color, dash), end in zip(drawn, _LOOKS, ends, strict=False):
        pairs = zip(curve.recall, curve.precision, strict=True)
        values = [{"x": x, "y": y} for x, y in pairs]
        line = {"type": "line", "color": color, "strokeWidth": 2, "strokeDash": dash}
        # By threshold: of equal recall precision falls, which an order by x would shuffle.
        encoding = {**_axes(), "order": {"value": 0}}
        layers.append({"data": {"values": values}, "mark": line, "encoding": encoding})
        last = {"x": curve.recall[-1], "y": curve.precision[-1]}
        leader = {"type": "line", "color": color, "strokeWidth": 1, "opacity": 0.35}
        way = {"values": [last, {"x": 1.0, "y": end}]}
        layers.append({"data": way, "mark": leader, "encoding": _axes()})
        at = [{"x": 1.0, "y": end, "t": f"IoU {figures.short(curve.nms_iou)}"}]
        look = {"fontSize": 11, "color": color, "align": "left", "dx": 6, "fontWeight": 600}
        layers.append({"data": {"values": at}, **label(_axes(), "t", look)})
    if point is not None:
        recall, precision, text = point
        at = [{"x": recall, "y": precision, "t": text}]
        ring = {"type": "point", "stroke": ACCENT, "fill": PAPER, "size": 90, "strokeWidth": 2.5}
        edge = recall > 0.85
        look = {"fontSize": 12, "color": ACCENT, "fontWeight": 600}
        look |= {"align": "right", "dx": 6} if edge else {"align": "left", "dx": 8}
        look |= {"dy": -13}
        layers += [
            {"data": {"values": at}, "mark": {**ring, "opacity": 1}, "encoding": _place()},
            {"data": {"values": at}, **label(_place(), "t", look)},
        ]
    return specification({"width": SIDE, "height": SIDE, "layer": layers}, title)


def _axes() -> Spec:
    return {"x": unit("x", "recall", TICKS), "y": unit("y", "precision", TICKS)}


def _place() -> Spec:
    return {"x": field("x"), "y": field("y")}


def _spread(values: Sequence[float]) -> list[float]:
    """Return heights for labels near `values`, at least `_APART` from each other, from 0 to 1."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    placed = [0.0] * len(values)
    low = 0.0
    for i in order:
        placed[i] = low = max(values[i], low)
        low += _APART
    high = 1.0
    for i in reversed(order):
        placed[i] = high = min(placed[i], high)
        high -= _APART
    return placed
