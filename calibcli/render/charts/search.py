"""What a search over regions found: the overlap with the truth against the cut-off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts.palette import ACCENT, AFTER, BEFORE, MUTED
from calibcli.render.charts.vega import SIDE, TICKS, field, specification, unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.parts.searches import RegionCurve

    Spec = dict[str, Any]

# Told apart by dashes too, for print and for eyes that do not tell the colours.
_LOOKS: Final = ((AFTER, [1, 0]), (BEFORE, [7, 3]), (ACCENT, [2, 3]), (MUTED, [8, 3, 2, 3]))
LINES: Final = len(_LOOKS)


def overlap(curves: Sequence[RegionCurve], *, metric: str, title: str) -> Spec:
    """Return the overlap against the cut-off, one line for each way to treat regions.

    At most `LINES` curves are drawn, in the order given.
    """
    drawn = list(curves)[:LINES]
    names = [setting(curve) for curve in drawn]
    scale = {"domain": names, "range": [color for color, _ in _LOOKS[: len(names)]]}
    legend = {"title": None, "symbolType": "stroke", "symbolStrokeWidth": 3, "columns": 2}
    color = {"type": "nominal", "scale": scale, "legend": legend}
    layers = []
    for curve, name, (_, dash) in zip(drawn, names, _LOOKS, strict=False):
        values = [
            {"x": round(x, 6), "y": round(y, 6)}
            for x, y in zip(curve.threshold, curve.overlaps[metric], strict=True)
            if y is not None
        ]
        layers.append(
            {
                "data": {"values": values},
                "mark": {"type": "line", "strokeWidth": 2, "strokeDash": dash},
                "encoding": {
                    "x": unit("x", "cut-off", TICKS),
                    "y": {
                        **field("y"),
                        "title": metric.replace("_", " "),
                        "scale": {"zero": True, "domainMax": 1},
                    },
                    "color": {**color, "datum": name},
                },
            }
        )
    return specification({"width": SIDE, "height": SIDE, "layer": layers}, title)


def setting(curve: RegionCurve) -> str:
    """Return how a curve treats regions, in words."""
    area = f"regions from {curve.min_area} pixels" if curve.min_area else "all regions"
    return f"{area}, holes filled" if curve.fill_holes else area
