"""The series of periods, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.base import UNSET
from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from calibcli.core.results.comparisons import Period, Series
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult

_METRICS = (
    "prevalence",
    "accuracy",
    "mean_score",
    "ece",
    "brier",
    "nll",
    "auc",
    "average_precision",
)
_DRIFT = ("psi", "reliability_p")


def series_table(result: MeasureResult) -> Table | None:
    """Return the periods in order; None without --by."""
    found = result.series
    if found is None:
        return None
    params = result.conventions
    rows = found.periods
    metrics = [name for name in _METRICS if any(name in row.metrics for row in rows)]
    drift = [name for name in _DRIFT if any(name in (row.drift or {}) for row in rows)]
    level = tabulate.level(params)
    columns = [Column(visible(found.by), left=True), Column("n")]
    ranked = "ece" not in metrics  # raw scores: the order is what there is
    sure = ("auc",) if ranked else ("ece",)
    columns += [Column(name, level if name in sure else "") for name in metrics]
    columns += [Column("p of labels" if name == "reliability_p" else name) for name in drift]
    columns.append(Column("", left=True))
    shown = tuple(_row(row, metrics, drift, params, sure) for row in rows)
    caption = f"By {visible(found.by)}"
    return Table(caption, tuple(columns), shown, series_words(found))


def series_words(found: Series) -> str:
    """Return which period is the first bad one, and by what rule."""
    if not found.periods:
        return "No periods."
    first, changed = found.first_bad, found.first_changed
    said = "No bad period" if first is None else f"The first bad period is {visible(first)}"
    if changed is not None:
        said += f"; the first that surely differs from the reference is {visible(changed)}"
    rule = found.rule
    return f"{said}. {rule[:1].upper()}{rule[1:]}."


def _row(
    row: Period,
    metrics: list[str],
    drift: list[str],
    params: Conventions,
    sure: tuple[str, ...],
) -> tuple[Cell, ...]:
    cells = [Cell(visible(row.value)), Cell(figures.count(row.rows))]
    for name in metrics:
        item = row.metrics.get(name)
        interval = figures.interval(item) if name in sure else ""
        cells.append(Cell(figures.named(name, item), interval))
    alpha = 1.0 - params.level
    for name in drift:
        change = (row.drift or {}).get(name)
        p = None if change is None else change.p if name == "psi" else change.value
        style: Style = "warn" if p is not None and p is not UNSET and p < alpha else ""
        cells.append(Cell(figures.named(name, change), "", style))
    told = f"bad: {', '.join(map(visible, row.why))}" if row.bad else ""
    if not told and row.changed:
        told = "changed"
    cells.append(Cell(told, "", "bad" if row.bad else ""))
    return tuple(cells)
