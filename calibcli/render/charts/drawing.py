"""A figure: a chart and its words, whatever medium shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.render.words.names import visible

if TYPE_CHECKING:
    Spec = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and its words.

    Attributes:
        identity: letters, digits and hyphens: its id in a page, its name as a file.
        spec: the Vega-Lite specification.
        says: what a screen reader reads in its place (raw text).
        caption: lines of (stage, raw text); the stage is "before", "after" or "".
    """

    identity: str
    spec: Spec
    says: str
    caption: tuple[tuple[str, str], ...] = ()


def short(name: str, limit: int = 22) -> str:
    """Return a name that shows what it is and fits over a small chart."""
    text = visible(name)
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"
