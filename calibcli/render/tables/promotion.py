"""What a promotion says: the decision and its reason, then what was compared and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.core.results.conventions import Conventions
from calibcli.core.results.figures import OVERALL
from calibcli.core.results.stream import Numbered
from calibcli.render.tables.common import gates_table, level
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures
from calibcli.render.words.words import LOSSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.core.results.figures import Figure
    from calibcli.core.results.promotion import (
        CheckResult,
        Comparison,
        ConstraintKept,
        Contender,
        GroupKept,
        PromotionResult,
        Step,
    )
    from calibcli.render.tables.layout import Row

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
    "first_auc": "AUC, above one half on a first run",
    "ranks": "AUC, above one half beyond its interval",
    "accuracy": "change of the accuracy",
    "class_auc": "change of the AUC, worst class",
    "group_new": "share of rows of new groups",
    "group_psi": "PSI of the scores, worst group",
    "group_odds": "odds of label 1, worst group",
    "group_auc": "change of the AUC, worst group",
    "group_accuracy": "change of the accuracy, worst group",
}


def headline(result: PromotionResult) -> str:
    """Return the decision and why."""
    return f"{_DECISIONS[result.decision]}: {result.reason}"


def facts(result: PromotionResult) -> list[str]:
    """Return lines about the two calibrators and where they are."""
    champion, challenger = result.champion, result.challenger
    back = result.decision == "rolled-back"
    lines = []
    if back and challenger is not None:
        lines.append(f"in place: {_named(challenger)}")
    if champion is not None:
        word = f"kept as {result.previous}" if back else "champion"
        lines.append(f"{word}: {_named(champion)}")
    if challenger is not None and not back:
        step = challenger.step
        way = "" if step in (None, 1.0) else f", {figures.short(step)} of the way from the champion"
        lines.append(f"challenger: {_named(challenger)}{way}")
    if result.previous and not back:
        lines.append(f"the champion is kept as {result.previous}")
    return lines


def _named(one: Contender) -> str:
    return f"{one.method}, from {figures.count(one.rows)} rows"


def tables(result: PromotionResult) -> list[Table]:
    """Return the steps that were compared, the checks, and the gates."""
    found = [
        _steps(result),
        _kept(result),
        _constraints(result),
        _checks(result),
        gates_table(result.gates),
    ]
    return [table for table in found if table is not None]


def _steps(result: PromotionResult) -> Table | None:
    compared = result.comparison
    if compared is None:
        return None
    title = LOSSES.get(compared.score, compared.score)
    interval = level(Conventions(confidence=compared.confidence))
    if not compared.steps:
        return _pair(compared, title, interval)
    chosen = None if result.challenger is None else result.challenger.step

    def row(name: str, way: str, loss: float | None, gap: Cell | str) -> Row:
        yield Column("", left=True), name
        yield Column("way from the champion"), way
        yield Column(f"cross-fitted {title}"), figures.metric(loss)
        yield Column("difference", interval), gap

    rows = [row("champion", "", compared.champion, "")]
    for step in compared.steps:
        name = "challenger" if step.step == chosen else ""
        gap = _difference(step, better=step.better)
        rows.append(row(name, figures.short(step.step), step.loss, gap))
    note = "The intervals hold together." if len(compared.steps) > 1 else ""
    return Table.of("Held out", rows, note)


def _kept(result: PromotionResult) -> Table | None:
    """Return the groups that keep the map that they have."""
    beside = () if result.thresholds is None else result.thresholds.kept_groups or ()
    every = dict.fromkeys((*(result.kept_groups or ()), *beside))

    def row(one: GroupKept) -> Row:
        yield Column("keeps what it has", left=True), f"{one.slice.column}={one.slice.title}"
        yield Column("why", left=True), one.reason

    return Table.of("Groups", map(row, every)) if every else None


def _difference(one: Step | Comparison, *, better: bool) -> Cell:
    ends = figures.signed_ends(one.low, one.high)
    return Cell(figures.signed(one.difference), ends, "good" if better else "")


def _pair(compared: Comparison, title: str, interval: str) -> Table | None:
    """Return the objective of the cut-offs in use and of the new ones."""
    if compared.difference is None or compared.low is None or compared.high is None:
        return None
    better = compared.low > 0 if compared.larger_is_better else compared.high < 0

    def row(name: str, value: float | None, gap: Cell | str) -> Row:
        yield Column("", left=True), name
        yield Column(f"held-out {title}"), figures.metric(value)
        yield Column("difference", interval), gap

    gap = _difference(compared, better=better)
    rows = row("champion", compared.champion, ""), row("challenger", compared.challenger, gap)
    return Table.of("Decisions", rows)


def _constraints(result: PromotionResult) -> Table | None:
    items = None if result.comparison is None else result.comparison.constraints
    if not items:
        return None

    def cell(one: Figure | None) -> Cell:
        if one is None:
            return Cell("")
        return Cell(
            figures.metric(one.value), f"[{figures.metric(one.low)}, {figures.metric(one.high)}]"
        )

    def row(one: ConstraintKept) -> Row:
        where = one.slice
        value = None if where.column is None else f"{where.column}={where.value}"
        told = ", ".join(filter(None, (value, where.label or where.name, one.constraint)))
        yield Column("", left=True), told
        yield Column("champion"), cell(one.champion)
        yield Column("challenger"), cell(one.challenger)

    return Table.of("Constraints", map(row, items), "The intervals hold together.")


def _checks(result: PromotionResult) -> Table | None:
    def row(one: CheckResult) -> Row:
        passed = Cell("passed", "", "good") if one.passed else Cell("failed", "", "bad")
        yield Column("check", left=True), _CHECKS.get(one.name, one.name)
        yield Column("value"), "" if one.value is None else figures.short(one.value)
        yield Column("limit"), "none" if one.limit is None else figures.short(one.limit)
        yield Column("", left=True), passed

    return Table.of("Checks", map(row, result.checks)) if result.checks else None


def numbers(result: PromotionResult) -> Iterator[Numbered]:
    """Yield what a promotion tells in numbers: the decision, what was compared, the checks."""
    promoted = int(result.decision == "promoted")
    told = result.reason
    yield Numbered(
        "promotion", OVERALL, "decision", result.decision, "promoted", promoted, reason=told
    )
    compared = result.comparison
    if compared is not None:
        metric = f"{compared.score}_difference"
        if compared.difference is not None and not compared.steps:
            ends = (compared.difference, compared.low, compared.high)
            yield Numbered("promotion", OVERALL, "comparison", "", metric, *ends)
        for step in compared.steps:
            ends = (step.difference, step.low, step.high)
            yield Numbered("promotion", OVERALL, "steps", step.step, metric, *ends)
    for one in result.checks:
        told = "passed" if one.passed else one.reason or ""
        yield Numbered("promotion", OVERALL, "checks", one.name, "value", one.value, reason=told)
