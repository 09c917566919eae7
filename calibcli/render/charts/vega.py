"""What every chart shares: its look, its axes, and the way from a specification to SVG."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from calibcli.engines.drawer import VEGA_LITE, Drawer, DrawerGoneError
from calibcli.errors import InputError
from calibcli.render.charts.palette import ACCENT, AFTER, BEFORE, GRID, INK, MUTED, PAPER, QUIET
from calibcli.render.words import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    Spec = dict[str, Any]
    Values = Sequence[dict[str, Any]]


SIDE: Final = 300
SMALL: Final = 150
LABEL_LIMIT: Final = 170
_WIDEST: Final = 11
"""Pixels of the widest letter of a label; those that take two columns are below two of it."""
TICKS: Final = (0, 0.2, 0.4, 0.6, 0.8, 1)
_drawer: Drawer | None = None
COLORS: Final = {"": AFTER, "before": BEFORE, "after": AFTER}

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
        "labelLimit": LABEL_LIMIT,
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
    "legend": {"orient": "top", "labelColor": MUTED, "labelFontSize": 11, "offset": 6},
}


def chart_svg(spec: Spec, identity: str) -> str:
    """Return the chart as SVG text, the same for the same specification.

    The renderer numbers its clip paths by a counter of the process; they are renamed after
    `identity` (letters and digits, unique in a page), so that bytes repeat and charts share a page.
    """
    svg = _drawn(spec, "svg").decode()
    known: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        new = known.setdefault(match[2], f"{identity}-{len(known) + 1}")
        return f"{match[1]}{new}{match[3]}"

    # Inside tags only: a name in a label may look like an id, and is left alone.
    return _TAG.sub(lambda tag: _ID.sub(renamed, tag[0]), svg)


def begin() -> None:
    """Let the process that draws get ready while this one works."""
    global _drawer  # noqa: PLW0603  (one for the process: it takes most of a second to start)
    if _drawer is None:
        import atexit

        _drawer = Drawer()
        atexit.register(_end)


def _end() -> None:
    global _drawer  # noqa: PLW0603
    if _drawer is not None:
        _drawer.close()
    _drawer = None


def _drawn(spec: Spec, kind: str) -> bytes:
    begin()
    assert _drawer is not None
    try:
        return _drawer.draw(json.dumps(spec).encode(), kind)
    except DrawerGoneError:
        _end()
        raise InputError(
            "the charts cannot be drawn: what draws them has ended, as it does without memory",
            "it reserves addresses of some 100 GB: lift `ulimit -v`, or take --format json",
        ) from None


def chart_png(spec: Spec) -> bytes:
    """Return the chart as a PNG picture on white paper."""
    return _drawn(_on_paper(spec), "png")


def picture_svg(spec: Spec) -> str:
    """Return the chart as an SVG file of its own, on white paper."""
    return chart_svg(_on_paper(spec), "clip")


def _on_paper(spec: Spec) -> Spec:
    return {**spec, "config": {**spec["config"], "background": PAPER}}


def specification(body: Spec, title: str) -> Spec:
    """Return a whole specification: the body, the shared look, and a title (a raw text)."""
    schema = f"https://vega.github.io/schema/vega-lite/v{VEGA_LITE}.0.json"
    head: Spec = {"$schema": schema, "config": _CONFIG}
    if title:
        # Vega takes a title that is the name of a method of objects ("constructor") for one. The
        # blank at the end, which it does not draw, makes it another text.
        head["title"] = f"{names.visible(title)} "
    return {**head, **body}


SEPARATOR: Final = "\u241f"
LABEL_EXPRESSION: Final = f"slice(datum.label, indexof(datum.label, '{SEPARATOR}') + 1)"


def keyed_label(place: int, name: object, limit: int = LABEL_LIMIT) -> str:
    """Return the value of an axis that `LABEL_EXPRESSION` shows as a name.

    Two names may look alike; the place keeps them apart. Where a label is too long, Vega cuts it
    between UTF-16 units, also inside a character beyond the first 65,536, and then cannot draw it:
    a name with one is cut here so that it fits, at the width of the widest letters.

    Args:
        place: where it stands among the others.
        name: as it came from a file.
        limit: the axis's `labelLimit`, in pixels.
    """
    text = names.visible(name)
    if any(ord(char) > 0xFFFF for char in text):
        text = names.cut(text, limit // _WIDEST)
    return f"{place}{SEPARATOR}{text}"


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


def series(number: int) -> tuple[str, ...]:
    """Return the names of one curve (which needs none) or of two."""
    return ("before", "after") if number == 2 else ("",)


def keyed(name: str) -> Spec:
    """Return the colour of one of `series`, with a legend where there are two."""
    if not name:
        return {"color": {"value": COLORS[name]}}
    scale = {"domain": ["before", "after"], "range": [BEFORE, AFTER]}
    legend = {"title": None, "symbolType": "stroke", "symbolStrokeWidth": 3}
    return {"color": {"datum": name, "type": "nominal", "scale": scale, "legend": legend}}


def diagonal() -> Spec:
    """Return the dashed line from (0, 0) to (1, 1)."""
    return dashed([{"x": 0, "y": 0}, {"x": 1, "y": 1}])


def dashed(values: Values) -> Spec:
    """Return a quiet dashed line."""
    mark = {"type": "line", "color": QUIET, "strokeDash": [4, 4], "strokeWidth": 1.5}
    return layer(values, mark, place())


def layer(values: Values, mark: Spec, encoding: Spec) -> Spec:
    """Return a mark with data of its own."""
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def place() -> Spec:
    """Return the encoding by the fields x and y."""
    return {"x": field("x"), "y": field("y")}


def band(values: Values, color: str = QUIET, opacity: float = 0.3) -> Spec:
    """Return the area between the fields low and high."""
    ends = {"x": field("x"), "y": field("low"), "y2": {"field": "high"}}
    return layer(values, {"type": "area", "color": color, "opacity": opacity}, ends)


def ring(values: Values, name: str, look: Spec) -> list[Spec]:
    """Return a ring at each point, with the field `name` as its label, which looks so."""
    mark = {"type": "point", "stroke": ACCENT, "fill": PAPER, "size": 90, "strokeWidth": 2.5}
    text = {"fontSize": 12, "color": ACCENT, "fontWeight": 600, **look}
    data = {"values": values}
    return [
        layer(values, {**mark, "opacity": 1}, place()),
        {"data": data, **label(place(), name, text)},
    ]


def square(layers: Sequence[Spec], title: str) -> Spec:
    """Return the specification of a square chart of some layers."""
    return specification({"width": SIDE, "height": SIDE, "layer": list(layers)}, title)


def field(name: str) -> Spec:
    """Return an encoding by a quantitative field."""
    return {"field": name, "type": "quantitative"}


def label(place: Spec, name: str, look: Spec) -> Spec:
    """Return a text mark that shows the field `name`."""
    encoding = {**place, "text": {"field": name, "type": "nominal"}}
    return {"mark": {"type": "text", **look}, "encoding": encoding}
