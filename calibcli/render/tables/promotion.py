"""What a promotion says: the decision and its reason, then what was compared and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.tables.common import gates_table, level
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    Result = Mapping[str, Any]

_DECISIONS: Final = {
    "promoted": "Promoted",
    "would-promote": "Would be promoted (dry run)",
    "kept": "Kept",
    "rolled-back": "Rolled back",
    "refused": "Refused",
}
_CHECKS: Final = {
    "rows": "rows",
    "positives": "rows of the rarest label",
    "psi": "PSI of the scores",
    "odds": "odds of label 1, changed by a factor of",
    "class_psi": "PSI of the classes",
    "auc": "change of the AUC",
    "accuracy": "change of the accuracy",
}
_SCORES: Final = {"nll": "log loss", "brier": "Brier score"}


def headline(result: Result) -> str:
    """Return the decision and why."""
    return f"{_DECISIONS[result['decision']]}: {result['reason']}"


def facts(result: Result) -> list[str]:
    """Return lines about the two calibrators and where they are."""
    champion, challenger = result["champion"], result["challenger"]
    lines = []
    if result["decision"] == "rolled-back":
        lines.append(f"in place: {_named(challenger)}")
        if champion:
            lines.append(f"kept as {result['previous']}: {_named(champion)}")
        return lines
    if champion:
        lines.append(f"champion: {_named(champion)}")
    if challenger:
        way = _way(challenger.get("step", 1.0))
        lines.append(f"challenger: {_named(challenger)}{way}")
    if result["previous"]:
        lines.append(f"the champion is kept as {result['previous']}")
    return lines


def _named(one: Result) -> str:
    return f"{one['method']}, from {figures.count(one['rows'])} rows"


def _way(step: float) -> str:
    return "" if step == 1.0 else f", {figures.short(step)} of the way from the champion"


def tables(result: Result) -> list[Table]:
    """Return the steps that were compared, the checks, and the gates."""
    found = [_steps(result), _constraints(result), _checks(result), gates_table(result["gates"])]
    return [table for table in found if table is not None]


def _steps(result: Result) -> Table | None:
    compared = result["comparison"]
    if not compared:
        return None
    title = _SCORES.get(compared["score"], compared["score"])
    if not compared["steps"]:
        return _pair(compared, title)
    chosen = (result["challenger"] or {}).get("step")
    columns = (
        Column("", left=True),
        Column("way from the champion"),
        Column(f"cross-fitted {title}"),
        Column("difference", level({"confidence": compared["confidence"]})),
    )
    rows = [(Cell("champion"), Cell(""), Cell(figures.metric(compared["champion"])), Cell(""))]
    for step in compared["steps"]:
        interval = f"[{figures.signed(step['low'])}, {figures.signed(step['high'])}]"
        taken = "challenger" if step["step"] == chosen else ""
        rows.append(
            (
                Cell(taken),
                Cell(figures.short(step["step"])),
                Cell(figures.metric(step["loss"])),
                Cell(
                    figures.signed(step["difference"]),
                    interval,
                    "good" if step["high"] < 0 else "",
                ),
            )
        )
    several = len(compared["steps"]) > 1
    note = "The intervals hold together." if several else ""
    return Table("Held out", columns, tuple(rows), note)


def _pair(compared: Result, title: str) -> Table | None:
    """Return the objective of the cut-offs in use and of the new ones."""
    if compared["difference"] is None:
        return None
    columns = (
        Column("", left=True),
        Column(f"held-out {title}"),
        Column("difference", level({"confidence": compared["confidence"]})),
    )
    interval = f"[{figures.signed(compared['low'])}, {figures.signed(compared['high'])}]"
    better = compared["low"] > 0 if compared["larger_is_better"] else compared["high"] < 0
    gap = Cell(figures.signed(compared["difference"]), interval, "good" if better else "")
    rows = (
        (Cell("champion"), Cell(figures.metric(compared["champion"])), Cell("")),
        (Cell("challenger"), Cell(figures.metric(compared["challenger"])), gap),
    )
    return Table("Decisions", columns, rows)


def _constraints(result: Result) -> Table | None:
    items = (result["comparison"] or {}).get("constraints") or []
    if not items:
        return None
    columns = (Column("", left=True), Column("champion"), Column("challenger"))

    def cell(one: Any) -> Cell:
        if one is None:
            return Cell("")
        ends = f"[{figures.metric(one['low'])}, {figures.metric(one['high'])}]"
        return Cell(figures.metric(one["value"]), ends)

    rows = []
    for one in items:
        where = one["slice"]
        name = where.get("class") or where.get("name")
        value = f"{where['column']}={where['value']}" if "column" in where else None
        told = ", ".join(filter(None, (value, name, one["constraint"])))
        rows.append((Cell(told), cell(one["champion"]), cell(one["challenger"])))
    return Table("Constraints", columns, tuple(rows), "The intervals hold together.")


def _checks(result: Result) -> Table | None:
    if not result["checks"]:
        return None
    columns = (Column("check", left=True), Column("value"), Column("limit"), Column("", left=True))
    rows = tuple(
        (
            Cell(_CHECKS.get(one["name"], one["name"])),
            Cell("" if one["value"] is None else figures.short(one["value"])),
            Cell("none" if one["limit"] is None else figures.short(one["limit"])),
            Cell("passed", "", "good") if one["passed"] else Cell("failed", "", "bad"),
        )
        for one in result["checks"]
    )
    return Table("Checks", columns, rows)


def csv_rows(result: Result) -> list[tuple[Any, ...]]:
    """Return the rows in the long form of `csvout`."""
    where = ("promotion", "overall", "", "")
    decision, reason = result["decision"], result["reason"]
    rows: list[tuple[Any, ...]] = [
        (*where, "decision", decision, "promoted", int(decision == "promoted"), "", "", reason)
    ]
    compared = result["comparison"]
    if compared and compared["difference"] is not None and not compared["steps"]:
        ends = (compared["difference"], compared["low"], compared["high"])
        rows.append((*where, "comparison", "", f"{compared['score']}_difference", *ends, ""))
    for step in compared["steps"] if compared else ():
        metric = f"{compared['score']}_difference"
        figures_ = (step["difference"], step["low"], step["high"])
        rows.append((*where, "steps", step["step"], metric, *figures_, ""))
    for one in result["checks"]:
        told = "passed" if one["passed"] else one["reason"]
        value = "" if one["value"] is None else one["value"]
        rows.append((*where, "checks", one["name"], "value", value, "", "", told))
    for gate in result["gates"]:
        told = "passed" if gate["passed"] else "failed"
        rows.append((*where, "gates", gate["expr"], "gate", gate["value"], "", "", told))
    return rows


def inputs(result: Result) -> str:
    """Return the line about the files read; a rollback reads none."""
    from calibcli.render.tables.documents import inputs_line

    return inputs_line(result) if result["inputs"] else ""
