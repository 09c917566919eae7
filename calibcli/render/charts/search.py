"""What a search found: of regions the overlap by cut-off, of boxes precision against recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts.palette import ACCENT, AFTER, BEFORE, MUTED
from calibcli.render.charts.vega import TICKS, field, label, layer, ring, square, unit
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.parts.searches import RegionCurve, TradeOffCurve

    Spec = dict[str, Any]

# Told apart by dashes too, for print and for eyes that do not tell the colours.
_DASHES: Final = ([1, 0], [7, 3], [2, 3], [8, 3, 2, 3])
_REGIONS: Final = tuple(zip((AFTER, BEFORE, ACCENT, MUTED), _DASHES, strict=True))
_BOXES: Final = tuple(zip((AFTER, BEFORE, MUTED, ACCENT), _DASHES, strict=True))
LINES: Final = len(_DASHES)
_APART: Final = 0.055


def overlap(curves: Sequence[RegionCurve], *, metric: str, title: str) -> Spec:
    """Return the overlap against the cut-off, one line for each way to treat regions.

    At most `LINES` curves are drawn, in the order given.
    """
    drawn = list(curves)[:LINES]
    names = [setting(curve) for curve in drawn]
    scale = {"domain": names, "range": [color for color, _ in _REGIONS[: len(names)]]}
    legend = {"title": None, "symbolType": "stroke", "symbolStrokeWidth": 3, "columns": 2}
    color = {"type": "nominal", "scale": scale, "legend": legend}
    layers = []
    for curve, name, (_, dash) in zip(drawn, names, _REGIONS, strict=False):
        values = [
            {"x": round(x, 6), "y": round(y, 6)}
            for x, y in zip(curve.threshold, curve.overlaps[metric], strict=True)
            if y is not None
        ]
        overlap = {"title": metric.replace("_", " "), "scale": {"zero": True, "domainMax": 1}}
        encoding = {
            "x": unit("x", "cut-off", TICKS),
            "y": {**field("y"), **overlap},
            "color": {**color, "datum": name},
        }
        mark = {"type": "line", "strokeWidth": 2, "strokeDash": dash}
        layers.append(layer(values, mark, encoding))
    return square(layers, title)


def setting(curve: RegionCurve) -> str:
    """Return how a curve treats regions, in words."""
    area = f"regions from {curve.min_area} pixels" if curve.min_area else "all regions"
    return f"{area}, holes filled" if curve.fill_holes else area


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
    for curve, (color, dash), end in zip(drawn, _BOXES, ends, strict=False):
        pairs = zip(curve.recall, curve.precision, strict=True)
        values = [{"x": x, "y": y} for x, y in pairs]
        line = {"type": "line", "color": color, "strokeWidth": 2, "strokeDash": dash}
        # By threshold: of equal recall precision falls, which an order by x would shuffle.
        layers.append(layer(values, line, {**_axes(), "order": {"value": 0}}))
        last = {"x": curve.recall[-1], "y": curve.precision[-1]}
        leader = {"type": "line", "color": color, "strokeWidth": 1, "opacity": 0.35}
        layers.append(layer([last, {"x": 1.0, "y": end}], leader, _axes()))
        at = [{"x": 1.0, "y": end, "t": f"IoU {figures.short(curve.nms_iou)}"}]
        look = {"fontSize": 11, "color": color, "align": "left", "dx": 6, "fontWeight": 600}
        layers.append({"data": {"values": at}, **label(_axes(), "t", look)})
    if point is not None:
        recall, precision, text = point
        side = {"align": "right", "dx": 6} if recall > 0.85 else {"align": "left", "dx": 8}
        at = [{"x": recall, "y": precision, "t": text}]
        layers += ring(at, "t", {**side, "dy": -13})
    return square(layers, title)


def _axes() -> Spec:
    return {"x": unit("x", "recall", TICKS), "y": unit("y", "precision", TICKS)}


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
