"""What has drifted from the reference, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.base import UNSET, UnsetType
from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.comparisons import Compared, Drift, DriftedSlice
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult
    from calibcli.render.tables.layout import Row, Style

_TESTS = ("reliability_p", "recalibration_p")
_DISTANCES = ("psi", "ks", "js", "class_psi")


def drift_tables(result: MeasureResult) -> list[Table]:
    """Return the tables of what has drifted; none without --reference."""
    found = result.drift
    if found is None:
        return []
    params = result.conventions
    path = visible(found.reference.path)
    tables = [_table(found.metrics, params, f"Drift from {path}", _note(found))]
    if found.calibrated is not None:
        after = found.calibrated.metrics
        tables.append(_table(after, params, f"Drift from {path}, after calibration", ""))
    classes = _classes_table(found, params, path)
    return tables if classes is None else [*tables, classes]


def _note(found: Drift) -> str:
    said = [words.sentence(found.verdict)]
    said += [f"{names}: {text}." for names, text in found.assumptions.items()]
    if found.reference.digest is not None:
        said.append(f"The reference rows are {words.short_digest(found.reference.digest)}.")
    return " ".join(said)


def _table(metrics: Mapping[str, Compared], params: Conventions, caption: str, note: str) -> Table:
    rows = tuple(_row(name, item, params) for name, item in metrics.items())
    columns = (
        Column("figure", left=True),
        Column("reference"),
        Column("current"),
        Column("change", tabulate.level(params)),
        Column("by chance"),
        Column("p"),
    )
    return Table(caption, columns, rows, note)


def _row(name: str, item: Compared, params: Conventions) -> tuple[Cell, ...]:
    value = item.value
    if value is None:
        blank = Cell("")
        return (Cell(name), blank, blank, Cell("-", item.reason or ""), blank, blank)
    if name in _TESTS:
        return (*map(Cell, (name, "", "", "", "")), _p_cell(value, params))
    shown, detail = figures.valued(name, value), figures.interval(item)
    before, now, chance, p = map(_known, (item.reference, item.current, item.expected, item.p))
    if name in _DISTANCES:
        middle = Cell(""), Cell(""), Cell(shown, detail), Cell(figures.valued(name, chance))
        return (Cell(name), *middle, _p_cell(p, params))
    first = Cell(name), Cell(figures.valued(name, before))
    if item.current is UNSET:  # an estimate of the current figure, not of a change
        return (*first, Cell(shown, detail), Cell(""), Cell(""), Cell(""))
    change = Cell(shown, detail, tabulate.sure_style(name, item.low, item.high))
    return (*first, Cell(figures.valued(name, now)), change, Cell(""), _p_cell(p, params))


def _known(value: float | UnsetType | None) -> float | None:
    return None if value is UNSET else value


def _p_cell(p: float | None, params: Conventions) -> Cell:
    if p is None:
        return Cell("")
    sure = p < 1.0 - params.level
    return Cell("<0.0001" if p < 1e-4 else f"{p:.4f}", "", "warn" if sure else "")


def _classes_table(found: Drift, params: Conventions, path: str) -> Table | None:
    parts = found.classes
    if not parts:
        return None
    names = [name for name in ("psi", "ks", "mean_score", "ece") if name in parts[0].metrics]

    def row(part: DriftedSlice) -> Row:
        yield Column("class", left=True), visible(part.slice.title)
        for name in names:
            item = part.metrics[name]
            p = _known(item.p)
            mark: Style = "warn" if p is not None and p < 1 - params.level else ""
            yield Column(name), Cell(figures.named(name, item), figures.interval(item), mark)

    return Table.of(f"Drift of each class from {path}", map(row, parts))
