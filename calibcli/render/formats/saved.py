"""Two saved results side by side, as text, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Final

from calibcli.render.formats.markdown import markdown_table
from calibcli.render.tables.layout import Cell, Column, Table, text_table, wrapped
from calibcli.render.words import figures, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.results.saved import Pair, SavedPair
    from calibcli.render.tables.layout import Row

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
            where = names.csv(_label(part.slice))
            rows.writerow([where, name, *sides[0], *sides[1], pair.difference, apart])
    return text.getvalue()


def _head(result: SavedPair) -> list[str]:
    apart = [name for name, pair in result.overall.metrics.items() if pair.apart]
    known = [name for name, pair in result.overall.metrics.items() if pair.apart is not None]
    first, second = (f"{one.path} ({figures.count(one.rows)} rows)" for one in result.inputs)
    said = f"Intervals of {', '.join(apart)} do not overlap" if apart else "All intervals overlap"
    return [f"{said} ({len(known)} figures with intervals in both)", f"{first} and {second}"]


_NOTE = (
    "apart: the two intervals do not overlap. The interval of a difference on the same rows: "
    "calibcli measure SCORES --versus OTHER"
)


def saved_table(result: SavedPair) -> Table:
    """Return every figure of all rows, and the ECE of each class and group that is in both."""
    return Table.of("Two results", _rows(result), _NOTE)


def _rows(result: SavedPair) -> Iterator[Row]:
    for name, pair in result.overall.metrics.items():
        yield _row(name, name, pair)
    for part in (*result.classes, *result.groups):
        if "ece" in part.metrics:
            yield _row(f"ece of {_label(part.slice)}", "ece", part.metrics["ece"])


def _row(title: str, name: str, pair: Pair) -> Row:
    apart = {None: "", True: "apart", False: "overlap"}[pair.apart]
    count = name in figures.COUNTS
    yield Column("figure", left=True), title
    yield Column("first", "interval"), _figure(name, pair.first)
    yield Column("second", "interval"), _figure(name, pair.second)
    difference = figures.count(pair.difference) if count else figures.signed(pair.difference)
    yield Column("difference"), difference
    yield Column("intervals", left=True), Cell(apart, style="bold" if pair.apart else "")


def _figure(name: str, figure: Figure | None) -> Cell:
    if figure is None:
        return Cell(figures.NONE)
    return Cell(figures.named(name, figure), figures.interval(figure))


def _label(where: Where) -> str:
    """Return `class 'cat'`, `camera front`, or `overall`."""
    if where.kind == "class":
        return f"class {where.name}"
    if where.kind == "group":
        return f"{where.column} {where.value}" + (f", class {where.label}" if where.label else "")
    return where.kind


FORMS: Final[dict[str, Callable[[SavedPair, int | None], str]]] = {
    "table": render_text,
    "md": render_markdown,
    "csv": render_csv,
}
