"""Decisions that are no single cut-off: abstention, prediction sets, a cost matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.common import TRUTH, figure, level, slice_title, square_table
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.parts.choices import Abstain, CostMatrix, Kept, Sets, SetSlice
    from calibcli.core.results.threshold import Choice
    from calibcli.render.tables.layout import Row


def headline(result: Choice) -> str:
    """Return the answer in a line; nothing for a result of cut-offs."""
    kept, sets, cost = result.abstain, result.sets, result.cost_matrix
    if kept is not None:
        return (
            f"keep rows of confidence {figures.exact(kept.threshold)} or more: "
            f"{percent(kept.coverage)} of them, accuracy "
            f"{figures.with_interval(kept.accuracy)} ({kept.constraint}); refer the others"
        )
    if sets is not None:
        within = {"class": " in each class", "group": " in each group"}.get(sets.by, "")
        size = None if sets.size is None else sets.size.mean
        return (
            f"{sets.method.upper()} sets that hold the true class with probability "
            f"{figures.short(sets.coverage)}{within}: {figures.metric(size)} classes on average"
        )
    if cost is not None:
        return (
            f"decide the class of least expected cost: {figures.with_interval(cost.expected)} a "
            f"row, where the most probable class costs {figures.metric(cost.most_probable)}"
        )
    return ""


def tables(result: Choice) -> list[Table | None]:
    """Return the tables of such a decision."""
    kept, sets, cost, params = result.abstain, result.sets, result.cost_matrix, result.conventions
    return [
        None if kept is None else _abstain(kept, params),
        None if sets is None else _sets(sets, params),
        None if cost is None else _costs(cost),
        None if cost is None else _decisions(cost),
    ]


def percent(share: float | None) -> str:
    """Return a share as a percentage with one decimal."""
    return figures.NONE if share is None else f"{100 * share:.1f}%"


def _abstain(kept: Abstain, params: Conventions) -> Table:
    def row(part: Abstain | Kept) -> Row:
        yield Column("slice", left=True), slice_title(part.slice)
        yield Column("n"), figures.count(part.n)
        yield Column("kept"), Cell(figures.count(part.kept), percent(part.coverage))
        yield Column("referred"), figures.count(part.referred)
        yield Column("errors kept"), figures.count(part.errors)
        yield Column("accuracy of the kept", level(params)), figure("accuracy", part.accuracy)
        yield Column("of all"), figures.metric(part.accuracy_of_all)

    area, excess = figures.metric(kept.area), figures.metric(kept.excess_area)
    note = f"area under the risk-coverage curve: {area}; {excess} more than a perfect order"
    parts: list[Abstain | Kept] = [kept, *(kept.groups or ())]
    return Table.of("Kept and referred", map(row, parts), note)


def _sets(sets: Sets, params: Conventions) -> Table:
    def row(part: SetSlice) -> Row:
        quantile = part.quantile
        yield Column("slice", left=True), slice_title(part.slice)
        yield Column("n"), figures.count(part.n)
        told = "every class" if quantile is None else figures.exact(quantile)
        yield Column("quantile"), Cell(told, "", "bold")
        yield Column("coverage", level(params)), figure("coverage", part.coverage)

    size, note = sets.size, ""
    if size is not None:
        note = (
            f"on these rows: {figures.metric(size.mean)} classes a set, "
            f"{percent(size.single)} of one class, {percent(size.empty)} empty"
        )
    return Table.of("Prediction sets: nonconformity <= quantile", map(row, sets.slices), note)


def _costs(cost: CostMatrix) -> Table:
    def row(title: Cell | str, value: Cell | str) -> Row:
        yield Column("decision", left=True), title
        yield Column("cost"), value

    constant = cost.best_constant
    rows = [
        row(Cell("least expected cost", "", "bold"), figure("cost", cost.expected)),
        row("what the scores claim for it", figures.metric(cost.claimed)),
        row("most probable class", figures.metric(cost.most_probable)),
    ]
    if constant is not None:
        always = f"always {cost.decisions[constant.decision]}"
        rows.append(row(always, figures.metric(constant.cost)))
    return Table.of("Cost a row", rows)


def _decisions(cost: CostMatrix) -> Table | None:
    if not cost.counts or len(cost.counts) > 20:
        return None
    counts = ((Cell(figures.count(value)) for value in row) for row in cost.counts)
    return square_table(TRUTH, cost.decisions, cost.decisions, counts)
