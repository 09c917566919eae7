"""Two saved results side by side, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from calibcli.render.formats.markdown import markdown_table
from calibcli.render.tables.layout import text_table, wrapped
from calibcli.render.tables.saved import label, saved_table
from calibcli.render.words import figures, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.results.saved import SavedPair

HEADER: Final = (
    "slice", "metric", "first", "first_low", "first_high", "second", "second_low", "second_high",
    "difference", "apart",
)  # fmt: skip


def render_text(result: SavedPair, width: int | None) -> str:
    """Return the two results as text: what is apart, and every figure."""
    lines = [*_head(result), *(f"warning: {one}" for one in result.warnings)]
    head = [line for text in lines for line in wrapped(names.visible(text), width)]
    return "\n".join([*head, "", *text_table(saved_table(result), width=width)]) + "\n"


def render_markdown(result: SavedPair, _: int | None) -> str:
    """Return the two results as Markdown."""
    first, *head = _head(result)
    paragraphs = ["## Two results", f"**{names.markdown(first)}**"]
    paragraphs += [names.markdown(text) for text in head]
    paragraphs += [f"Warning: {names.markdown(one)}" for one in result.warnings]
    return "\n\n".join([*paragraphs, markdown_table(saved_table(result))]) + "\n"


def render_csv(result: SavedPair, _: int | None) -> str:
    """Return the two results as CSV: one figure of one slice a row."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(HEADER)
    for part in result.slices:
        for name, pair in part.metrics.items():
            sides = [
                [None] * 3 if side is None else [side.value, side.low, side.high]
                for side in (pair.first, pair.second)
            ]
            apart = "" if pair.apart is None else str(pair.apart).lower()
            where = names.csv(label(part.slice))
            rows.writerow([where, name, *sides[0], *sides[1], pair.difference, apart])
    return text.getvalue()


def _head(result: SavedPair) -> list[str]:
    apart = [name for name, pair in result.overall.metrics.items() if pair.apart]
    known = [name for name, pair in result.overall.metrics.items() if pair.apart is not None]
    first, second = (f"{one.path} ({figures.count(one.rows)} rows)" for one in result.inputs)
    said = f"Intervals of {', '.join(apart)} do not overlap" if apart else "All intervals overlap"
    return [f"{said} ({len(known)} figures with intervals in both)", f"{first} and {second}"]


FORMS: Final[dict[str, Callable[[SavedPair, int | None], str]]] = {
    "table": render_text,
    "md": render_markdown,
    "csv": render_csv,
}
