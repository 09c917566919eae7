"""What has drifted from the reference, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.results.comparisons import Sample
from calibcli.core.results.reading import typed_as
from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.render.tables.layout import Cell as Row

    Result = Mapping[str, Any]

_TESTS = ("reliability_p", "recalibration_p")
_DISTANCES = ("psi", "ks", "js", "class_psi")


def drift_tables(result: Result) -> list[Table]:
    """Return the tables of what has drifted; none without --reference."""
    found = result.get("drift")
    if not found:
        return []
    params = result.get("params") or {}
    path = visible(found["reference"]["path"])
    tables = [_table(found["metrics"], params, f"Drift from {path}", _note(found))]
    if found.get("calibrated"):
        after = found["calibrated"]["metrics"]
        tables.append(_table(after, params, f"Drift from {path}, after calibration", ""))
    classes = _classes_table(found, params, path)
    return tables if classes is None else [*tables, classes]


def _note(found: Result) -> str:
    said = [_sentence(found["verdict"])]
    said += [f"{names}: {text}." for names, text in found["assumptions"].items()]
    reference = typed_as(found["reference"], Sample)
    if reference.digest is not None:
        said.append(f"The reference rows are {words.short_digest(reference.digest)}.")
    return " ".join(said)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(metrics: Result, params: Result, caption: str, note: str) -> Table:
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


def _row(name: str, item: Result, params: Result) -> tuple[Row, ...]:
    value = item.get("value")
    if value is None:
        blank = Cell("")
        return (Cell(name), blank, blank, Cell("-", item.get("reason") or ""), blank, blank)
    if name in _TESTS:
        return (*map(Cell, (name, "", "", "", "")), _p_cell(value, params))
    shown = figures.named(name, {"value": value})
    detail = figures.interval(item)
    if name in _DISTANCES:
        chance = figures.named(name, {"value": item.get("expected")})
        cells = Cell(name), Cell(""), Cell(""), Cell(shown, detail), Cell(chance)
        return (*cells, _p_cell(item.get("p"), params))
    before = figures.named(name, {"value": item.get("reference")})
    if "current" not in item:  # an estimate of the current figure, not of a change
        return Cell(name), Cell(before), Cell(shown, detail), Cell(""), Cell(""), Cell("")
    now = figures.named(name, {"value": item["current"]})
    change = Cell(shown, detail, _style(name, item))
    return Cell(name), Cell(before), Cell(now), change, Cell(""), _p_cell(item.get("p"), params)


def _p_cell(p: float | None, params: Result) -> Cell:
    if p is None:
        return Cell("")
    sure = p < 1.0 - words.confidence_of(params)
    return Cell("<0.0001" if p < 1e-4 else f"{p:.4f}", "", "warn" if sure else "")


def _style(name: str, item: Result) -> Style:
    low, high = item.get("low"), item.get("high")
    if low is None or high is None or low <= 0.0 <= high:
        return ""
    better = tabulate.HIGHER_IS_BETTER if low > 0.0 else tabulate.LOWER_IS_BETTER
    worse = tabulate.LOWER_IS_BETTER if low > 0.0 else tabulate.HIGHER_IS_BETTER
    return "good" if name in better else "bad" if name in worse else ""


def _classes_table(found: Result, params: Result, path: str) -> Table | None:
    parts = found.get("classes") or []
    if not parts:
        return None
    names = [name for name in ("psi", "ks", "mean_score", "ece") if name in parts[0]["metrics"]]
    rows = []
    for part in parts:
        cells = [Cell(visible(part["slice"]["name"]))]
        for name in names:
            item = part["metrics"][name]
            shown = figures.named(name, {"value": item.get("value")})
            p = item.get("p")
            mark: Style = "warn" if p is not None and p < 1 - words.confidence_of(params) else ""
            cells.append(Cell(shown, figures.interval(item), mark))
        rows.append(tuple(cells))
    columns = (Column("class", left=True), *(Column(name) for name in names))
    return Table(f"Drift of each class from {path}", columns, tuple(rows), "")
