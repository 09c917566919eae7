"""Decisions that are no single cut-off: abstention, prediction sets, a cost matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    Result = Mapping[str, Any]


def headline(result: Result) -> str:
    """Return the answer in a line; nothing for a result of cut-offs."""
    if result.get("abstain"):
        kept = result["abstain"]
        return (
            f"keep rows of confidence {figures.exact(kept['threshold'])} or more: "
            f"{percent(kept['coverage'])} of them, accuracy "
            f"{figures.with_interval(kept['accuracy'])} ({kept['constraint']}); refer the others"
        )
    if result.get("sets"):
        sets = result["sets"]
        within = {"class": " in each class", "group": " in each group"}.get(sets["by"], "")
        size = (sets.get("size") or {}).get("mean")
        return (
            f"{str(sets['method']).upper()} sets that hold the true class with probability "
            f"{figures.short(sets['coverage'])}{within}: {figures.metric(size)} classes on average"
        )
    if result.get("cost_matrix"):
        cost = result["cost_matrix"]
        return (
            f"decide the class of least expected cost: {figures.with_interval(cost['expected'])} a "
            f"row, where the most probable class costs {figures.metric(cost['most_probable'])}"
        )
    return ""


def tables(result: Result) -> list[Table | None]:
    """Return the tables of such a decision."""
    params = result.get("params") or {}
    return [
        _abstain(result["abstain"], params) if result.get("abstain") else None,
        _sets(result["sets"], params) if result.get("sets") else None,
        _costs(result["cost_matrix"]) if result.get("cost_matrix") else None,
        _decisions(result["cost_matrix"]) if result.get("cost_matrix") else None,
    ]


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal."""
    return figures.NONE if share is None else f"{100 * share:.1f}%"


def _title(where: Result) -> str:
    if where.get("kind", "overall") == "overall":
        return "overall"
    name = words.slice_name({"slice": where})
    return f"{where['column']}={name}" if where["kind"] == "group" else name


def _abstain(kept: Result, params: Result) -> Table:
    rows = [
        (
            Cell(_title(part.get("slice") or {})),
            Cell(figures.count(part["n"])),
            Cell(figures.count(part["kept"]), percent(part["coverage"])),
            Cell(figures.count(part["referred"])),
            Cell(figures.count(part["errors"])),
            figure("accuracy", part["accuracy"]),
            Cell(figures.metric(part["accuracy_of_all"])),
        )
        for part in [kept, *(kept.get("groups") or [])]
    ]
    columns = (
        Column("slice", left=True),
        Column("n"),
        Column("kept"),
        Column("referred"),
        Column("errors kept"),
        Column("accuracy of the kept", level(params)),
        Column("of all"),
    )
    area, excess = figures.metric(kept.get("area")), figures.metric(kept.get("excess_area"))
    note = f"area under the risk-coverage curve: {area}; {excess} more than a perfect order"
    return Table("Kept and referred", columns, tuple(rows), note=note)


def _sets(sets: Result, params: Result) -> Table:
    rows = []
    for part in sets["slices"]:
        quantile = part["quantile"]
        rows.append(
            (
                Cell(_title(part["slice"])),
                Cell(figures.count(part["n"])),
                Cell("every class" if quantile is None else figures.exact(quantile), "", "bold"),
                figure("coverage", part["coverage"]),
            )
        )
    columns = (
        Column("slice", left=True),
        Column("n"),
        Column("quantile"),
        Column("coverage", level(params)),
    )
    size = sets.get("size") or {}
    note = ""
    if size:
        note = (
            f"on these rows: {figures.metric(size['mean'])} classes a set, "
            f"{percent(size['single'])} of one class, {percent(size['empty'])} empty"
        )
    return Table("Prediction sets: nonconformity <= quantile", columns, tuple(rows), note=note)


def _costs(cost: Result) -> Table:
    constant = cost.get("best_constant") or {}
    names = cost["decisions"]
    rows = [
        (Cell("least expected cost", "", "bold"), figure("cost", cost["expected"])),
        (Cell("what the scores claim for it"), Cell(figures.metric(cost.get("claimed")))),
        (Cell("most probable class"), Cell(figures.metric(cost.get("most_probable")))),
    ]
    if constant:
        rows.append(
            (Cell(f"always {names[constant['decision']]}"), Cell(figures.metric(constant["cost"])))
        )
    return Table("Cost a row", (Column("decision", left=True), Column("cost")), tuple(rows))


def _decisions(cost: Result) -> Table | None:
    counts = cost.get("counts")
    if not counts or len(counts) > 20:
        return None
    names = [str(name) for name in cost["decisions"]]
    rows = tuple(
        (Cell(name), *(Cell(figures.count(value)) for value in row))
        for name, row in zip(names, counts, strict=False)
    )
    columns = (Column("true", left=True), *(Column(name) for name in names))
    return Table("Decisions: rows are the truth", columns, rows)
