"""The rows that are most confidently wrong, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def worst_table(result: Mapping[str, Any]) -> Table | None:
    """Return one line a row, the most confidently wrong first; None where it was not asked for."""
    worst = result.get("worst")
    if not worst:
        return None
    shown = worst["rows"]
    keyed = any("key" in row for row in shown)
    mapped = any("probability" in row for row in shown)
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
            Cell(str(row["path"]).rpartition("/")[2]),
            Cell(figures.count(row["row"])),
            *([Cell(str(row.get("key", "")))] if keyed else []),
            Cell(figures.metric(row["score"])),
            *([Cell(figures.metric(row.get("probability")))] if mapped else []),
            Cell(str(row["predicted"])),
            Cell(str(row["label"])),
        )
        for row in shown
    )
    note = f"{len(shown)} of {figures.count(worst.get('wrong', 0))} that are wrong at one half"
    return Table("Worst rows", columns, rows, note)
