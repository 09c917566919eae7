"""Colours of charts and page: Okabe and Ito's, which colour-blind readers tell apart.

A chart is drawn once, in the light theme's colours; the page's style sheet maps each of them to
its dark counterpart by the attribute that carries it. So the picture alone and the picture in the
page are the same bytes.

Source: Okabe, Ito, "Color Universal Design", 2008.
"""

from __future__ import annotations

from typing import Final

INK: Final = "#1d2330"
MUTED: Final = "#596273"
GRID: Final = "#e3e6ec"
PAPER: Final = "#ffffff"
BEFORE: Final = "#c2410c"
AFTER: Final = "#0068a8"
QUIET: Final = "#9aa3b2"
ACCENT: Final = "#6d3fa8"

# What each becomes on a dark ground; contrast with #14171d is at least 4.5 for text colours.
DARK: Final = {
    INK: "#e8ebf1",
    MUTED: "#a3acbd",
    GRID: "#2c323d",
    PAPER: "#14171d",
    BEFORE: "#ff9a5c",
    AFTER: "#5cb8f2",
    QUIET: "#6b7485",
    ACCENT: "#c3a3f0",
}
