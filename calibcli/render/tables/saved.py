"""Two saved results side by side as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.results.saved import Pair, SavedPair

NOTE = (
    "apart: the two intervals do not overlap. The interval of a difference on the same rows: "
    "calibcli measure SCORES --versus OTHER"
)


def saved_table(result: SavedPair) -> Table:
    """Return every figure of all rows, and the ECE of each class and group that is in both."""
    columns = (
        Column("figure", left=True),
        Column("first", "interval"),
        Column("second", "interval"),
        Column("difference"),
        Column("intervals", left=True),
    )
    return Table("Two results", columns, tuple(_rows(result)), NOTE)


def _rows(result: SavedPair) -> Iterator[tuple[Cell, ...]]:
    for name, pair in result.overall.metrics.items():
        yield _row(name, name, pair)
    for part in (*result.classes, *result.groups):
        if "ece" in part.metrics:
            yield _row(f"ece of {label(part.slice)}", "ece", part.metrics["ece"])


def _row(title: str, name: str, pair: Pair) -> tuple[Cell, ...]:
    apart = {None: "", True: "apart", False: "overlap"}[pair.apart]
    count = name in figures.COUNTS
    difference = figures.count(pair.difference) if count else figures.signed(pair.difference)
    sides = (_figure(name, side) for side in (pair.first, pair.second))
    said = Cell(apart, style="bold") if pair.apart else Cell(apart)
    return Cell(title), *sides, Cell(difference), said


def _figure(name: str, figure: Figure | None) -> Cell:
    if figure is None:
        return Cell(figures.NONE)
    text = figures.count(figure.value) if name in figures.COUNTS else figures.metric(figure.value)
    if figure.low is None or figure.high is None:
        return Cell(text)
    return Cell(text, f"[{figures.metric(figure.low)}, {figures.metric(figure.high)}]")


def label(where: Where) -> str:
    """Return `class 'cat'`, `camera front`, or `overall`."""
    if where.kind == "class":
        return f"class {where.name}"
    if where.kind == "group":
        return f"{where.column} {where.value}" + (f", class {where.label}" if where.label else "")
    return where.kind
