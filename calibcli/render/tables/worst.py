"""The rows that are most confidently wrong, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from calibcli.core.results.measure import MeasureResult


def worst_table(result: MeasureResult) -> Table | None:
    """Return one line a row, the most confidently wrong first; None where it was not asked for."""
    worst = result.worst
    if worst is None:
        return None
    shown = worst.rows
    keyed = any(row.key is not None for row in shown)
    mapped = any(row.probability is not None for row in shown)
    columns = (
        Column("most confidently wrong", left=True),
        Column("row"),
        *([Column("key", left=True)] if keyed else []),
        Column("score"),
        *([Column("calibrated")] if mapped else []),
        Column("predicted", left=True),
        Column("label", left=True),
    )
    rows = tuple(
        (
            Cell(row.path.rpartition("/")[2]),
            Cell(figures.count(row.row)),
            *([Cell(row.key or "")] if keyed else []),
            Cell(figures.metric(row.score)),
            *([Cell(figures.metric(row.probability))] if mapped else []),
            Cell(str(row.predicted)),
            Cell(str(row.label)),
        )
        for row in shown
    )
    note = f"{len(shown)} of {figures.count(worst.wrong)} that are wrong at one half"
    return Table("Worst rows", columns, rows, note)
