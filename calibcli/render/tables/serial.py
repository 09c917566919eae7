"""The series of periods, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.base import UNSET
from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from calibcli.core.results.comparisons import Period, Series
    from calibcli.core.results.measure import MeasureResult
    from calibcli.render.tables.layout import Row

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
    # Of raw scores the order is what there is.
    sure = "ece" if "ece" in metrics else "auc"

    def row(one: Period) -> Row:
        yield Column(visible(found.by), left=True), visible(one.value)
        yield Column("n"), figures.count(one.rows)
        for name in metrics:
            item = one.metrics.get(name)
            level, interval = (
                (tabulate.level(params), figures.interval(item)) if name == sure else ("", "")
            )
            yield Column(name, level), Cell(figures.named(name, item), interval)
        for name in drift:
            change = (one.drift or {}).get(name)
            p = None if change is None else change.p if name == "psi" else change.value
            low = p is not None and p is not UNSET and p < 1.0 - params.level
            told = Cell(figures.named(name, change), "", "warn" if low else "")
            yield Column("p of labels" if name == "reliability_p" else name), told
        bad = f"bad: {', '.join(map(visible, one.why))}" if one.bad else ""
        said = bad or ("changed" if one.changed else "")
        yield Column("", left=True), Cell(said, "", "bad" if one.bad else "")

    return Table.of(f"By {visible(found.by)}", map(row, rows), series_words(found))


def series_words(found: Series) -> str:
    """Return which period is the first bad one, and by what rule."""
    if not found.periods:
        return "No periods."
    first, changed = found.first_bad, found.first_changed
    said = "No bad period" if first is None else f"The first bad period is {visible(first)}"
    if changed is not None:
        said += f"; the first that surely differs from the reference is {visible(changed)}"
    return f"{said}. {words.sentence(found.rule)}"
