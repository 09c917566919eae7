"""What every chart shares: its look, its axes, and the way from a specification to SVG."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from calibcli.render import names
from calibcli.render.palette import GRID, INK, MUTED, QUIET

if TYPE_CHECKING:
    from collections.abc import Sequence

    Spec = dict[str, Any]

VEGA_LITE: Final = "5.8"

_TAG: Final = re.compile(r"<[^>]*>")
_ID: Final = re.compile(r'( id="|url\(#)([^")]+)([")])')
_CONFIG: Final[dict[str, Any]] = {
    "aria": False,
    "background": None,
    "font": "sans-serif",
    "view": {"stroke": GRID},
    "axis": {
        "domainColor": QUIET,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 11,
        "labelLimit": 170,
        "tickColor": QUIET,
        "titleColor": INK,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    # Room for four characters: the plots of two charts side by side start at the same place.
    "axisLeft": {"minExtent": 26},
    "title": {"anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "offset": 10},
    "concat": {"spacing": 10},
}


def chart_svg(spec: Spec, identity: str) -> str:
    """Return the chart as SVG text, the same for the same specification.

    The renderer numbers its clip paths by a counter of the process; they are renamed after
    `identity` (letters and digits, unique in a page), so that bytes repeat and charts share a page.
    """
    import vl_convert

    svg = vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE)
    known: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        new = known.setdefault(match[2], f"{identity}-{len(known) + 1}")
        return f"{match[1]}{new}{match[3]}"

    # Inside tags only: a name in a label may look like an id, and is left alone.
    return _TAG.sub(lambda tag: _ID.sub(renamed, tag[0]), svg)


def specification(body: Spec, title: str) -> Spec:
    """Return a whole specification: the body, the shared look, and a title (a raw text)."""
    schema = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE}.0.json"
    head: Spec = {"$schema": schema, "config": _CONFIG}
    if title:
        head["title"] = names.visible(title)
    return {**head, **body}


def unit(name: str, title: str | None, ticks: Sequence[float], *, labels: bool = True) -> Spec:
    """Return an axis from 0 to 1."""
    axis: Spec = {"values": list(ticks), "format": ".1~f"}
    return {
        "field": name,
        "type": "quantitative",
        "title": title,
        "scale": {"domain": [0, 1], "nice": False},
        "axis": axis if labels else {**axis, "labels": False, "ticks": False},
    }


def field(name: str) -> Spec:
    """Return an encoding by a quantitative field."""
    return {"field": name, "type": "quantitative"}


def label(place: Spec, name: str, look: Spec) -> Spec:
    """Return a text mark that shows the field `name`."""
    encoding = {**place, "text": {"field": name, "type": "nominal"}}
    return {"mark": {"type": "text", **look}, "encoding": encoding}
