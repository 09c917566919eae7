"""Charts about decisions: what acting on the scores costs and is worth, and what is left over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts.palette import QUIET
from calibcli.render.charts.vega import TICKS, band, keyed, layer, ring, series, square, unit
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.parts.curves import CostCurve, NetBenefit, RiskCoverage

    Spec = dict[str, Any]


def net_benefit(curves: Sequence[NetBenefit], *, title: str) -> Spec:
    """Return decision curves, before and after; dashed: acting on every row, and on none."""
    top = max(max(curve.model) for curve in curves)
    bottom = -max(top, 1e-6) / 5
    first = curves[0]
    everyone = [
        {"x": x, "y": round(y, 6)}
        for x, y in zip(first.threshold, first.all, strict=True)
        if y >= bottom
    ]
    y = _axis("net benefit", [bottom, max(top, 1e-6) * 1.05])
    x = unit("x", "threshold probability", TICKS)
    nobody = [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 0.0}]
    layers = [_dashed(everyone, x, y), _dashed(nobody, x, y)]
    last = curves[-1]
    if last.low is not None and last.high is not None:
        layers.insert(0, _benefit_band(last, bottom))
    for curve, name in zip(curves, series(len(curves)), strict=True):
        points = zip(curve.threshold, curve.model, strict=True)
        values = [{"x": x, "y": round(v, 6)} for x, v in points if v >= bottom]
        layers.append(_line(values, name, x, y))
    return square(layers, title)


def _benefit_band(curve: NetBenefit, bottom: float) -> Spec:
    ends = zip(curve.threshold, curve.low or (), curve.high or (), strict=True)
    values = [
        {"x": x, "low": round(max(low, bottom), 6), "high": round(max(high, bottom), 6)}
        for x, low, high in ends
    ]
    return band(values)


def cost(curves: Sequence[CostCurve], *, title: str) -> Spec:
    """Return the expected cost per row against the cut-off, before and after, and the cheapest."""
    top = max(max(curve.cost) for curve in curves)
    bottom = min(0.0, *(min(curve.cost) for curve in curves))
    y = _axis("expected cost per row", [bottom, top + max(abs(top), 1e-9) * 0.05])
    x = unit("x", "cut-off", TICKS)
    layers = []
    for curve, name in zip(curves, series(len(curves)), strict=True):
        points = zip(curve.threshold, curve.cost, strict=True)
        values = [{"x": min(x, 1), "y": v} for x, v in points]
        layers.append(_line(values, name, x, y))
    best = curves[-1].best
    at = [{"x": min(best.threshold, 1), "y": best.cost, "t": figures.short(best.threshold)}]
    right = best.threshold > 0.7
    look = {"dy": -12, "align": "right" if right else "left", "dx": -4 if right else 4}
    return square([*layers, *ring(at, "t", look)], title)


def risk_coverage(curves: Sequence[RiskCoverage], *, title: str) -> Spec:
    """Return risk-coverage curves, before and after: errors among the surest share of rows."""
    top = max(max(curve.risk) for curve in curves)
    y = _axis("share of errors", [0, max(top, 1e-6) * 1.05])
    x = unit("x", "share of rows kept", TICKS)
    layers = []
    for curve, name in zip(curves, series(len(curves)), strict=True):
        points = zip(curve.coverage, curve.risk, strict=True)
        values = [{"x": round(x, 6), "y": round(v, 6)} for x, v in points]
        layers.append(_line(values, name, x, y))
    return square(layers, title)


def _axis(title: str, domain: list[float]) -> Spec:
    return {
        "field": "y",
        "type": "quantitative",
        "title": title,
        "scale": {"domain": domain, "nice": False},
        "axis": {"tickCount": 5},
    }


def _dashed(values: list[dict[str, float]], x: Spec, y: Spec) -> Spec:
    mark = {"type": "line", "color": QUIET, "strokeWidth": 1.5, "strokeDash": [4, 4]}
    return layer(values, mark, {"x": x, "y": y})


def _line(values: list[dict[str, float]], name: str, x: Spec, y: Spec) -> Spec:
    return layer(values, {"type": "line", "strokeWidth": 2}, {"x": x, "y": y, **keyed(name)})
