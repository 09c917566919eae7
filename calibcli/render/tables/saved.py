"""Two saved results side by side as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.results.saved import Pair, SavedPair
    from calibcli.render.tables.layout import Row

NOTE = (
    "apart: the two intervals do not overlap. The interval of a difference on the same rows: "
    "calibcli measure SCORES --versus OTHER"
)


def saved_table(result: SavedPair) -> Table:
    """Return every figure of all rows, and the ECE of each class and group that is in both."""
    return Table.of("Two results", _rows(result), NOTE)


def _rows(result: SavedPair) -> Iterator[Row]:
    for name, pair in result.overall.metrics.items():
        yield _row(name, name, pair)
    for part in (*result.classes, *result.groups):
        if "ece" in part.metrics:
            yield _row(f"ece of {label(part.slice)}", "ece", part.metrics["ece"])


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


def label(where: Where) -> str:
    """Return `class 'cat'`, `camera front`, or `overall`."""
    if where.kind == "class":
        return f"class {where.name}"
    if where.kind == "group":
        return f"{where.column} {where.value}" + (f", class {where.label}" if where.label else "")
    return where.kind
