"""Charts about decisions: net benefit, and risk against coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts import SIDE
from calibcli.render.palette import AFTER, BEFORE, QUIET
from calibcli.render.vega import specification, unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Spec = dict[str, Any]
    Result = Mapping[str, Any]

TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]


def net_benefit(curves: Sequence[Result], *, title: str) -> Spec:
    """Return decision curves, before and after; dashed: acting on every row, and on none."""
    top = max(max(curve["model"]) for curve in curves)
    bottom = -max(top, 1e-6) / 5
    first = curves[0]
    everyone = [
        {"x": x, "y": round(y, 6)}
        for x, y in zip(first["threshold"], first["all"], strict=True)
        if y >= bottom
    ]
    y = _axis("y", "net benefit", [bottom, max(top, 1e-6) * 1.05])
    layers = [
        _line(everyone, QUIET, dashed=True, y=y, x_title="threshold probability"),
        _line(
            [{"x": 0, "y": 0}, {"x": 1, "y": 0}],
            QUIET,
            dashed=True,
            y=y,
            x_title="threshold probability",
        ),
    ]
    for curve, color in zip(curves, _colors(curves), strict=True):
        points = zip(curve["threshold"], curve["model"], strict=True)
        values = [{"x": x, "y": round(v, 6)} for x, v in points if v >= bottom]
        layers.append(_line(values, color, y=y, x_title="threshold probability"))
    return specification({"width": SIDE, "height": SIDE, "layer": layers}, title)


def risk_coverage(curves: Sequence[Result], *, title: str) -> Spec:
    """Return risk-coverage curves, before and after: errors among the surest share of rows."""
    top = max(max(curve["risk"]) for curve in curves)
    y = _axis("y", "share of errors", [0, max(top, 1e-6) * 1.05])
    layers = []
    for curve, color in zip(curves, _colors(curves), strict=True):
        points = zip(curve["coverage"], curve["risk"], strict=True)
        values = [{"x": round(x, 6), "y": round(v, 6)} for x, v in points]
        layers.append(_line(values, color, y=y, x_title="share of rows kept"))
    return specification({"width": SIDE, "height": SIDE, "layer": layers}, title)


def _colors(curves: Sequence[Result]) -> list[str]:
    return [BEFORE, AFTER] if len(curves) == 2 else [AFTER]


def _axis(name: str, title: str, domain: list[float]) -> Spec:
    return {
        "field": name,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": domain, "nice": False},
        "axis": {"tickCount": 5},
    }


def _line(
    values: list[dict[str, float]],
    color: str,
    *,
    y: Spec,
    dashed: bool = False,
    x_title: str | None = None,
) -> Spec:
    mark: Spec = {"type": "line", "color": color, "strokeWidth": 1.5 if dashed else 2}
    if dashed:
        mark["strokeDash"] = [4, 4]
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {"x": unit("x", x_title, TICKS), "y": y},
    }
