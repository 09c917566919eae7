"""Decisions that are no single cut-off: abstention, prediction sets, a cost matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.common import figure, level, slice_title
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.parts.choices import Abstain, CostMatrix, Kept, Sets
    from calibcli.core.results.threshold import Choice


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
    parts: list[Abstain | Kept] = [kept, *(kept.groups or ())]
    rows = [
        (
            Cell(slice_title(part.slice)),
            Cell(figures.count(part.n)),
            Cell(figures.count(part.kept), percent(part.coverage)),
            Cell(figures.count(part.referred)),
            Cell(figures.count(part.errors)),
            figure("accuracy", part.accuracy),
            Cell(figures.metric(part.accuracy_of_all)),
        )
        for part in parts
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
    area, excess = figures.metric(kept.area), figures.metric(kept.excess_area)
    note = f"area under the risk-coverage curve: {area}; {excess} more than a perfect order"
    return Table("Kept and referred", columns, tuple(rows), note=note)


def _sets(sets: Sets, params: Conventions) -> Table:
    rows = []
    for part in sets.slices:
        quantile = part.quantile
        rows.append(
            (
                Cell(slice_title(part.slice)),
                Cell(figures.count(part.n)),
                Cell("every class" if quantile is None else figures.exact(quantile), "", "bold"),
                figure("coverage", part.coverage),
            )
        )
    columns = (
        Column("slice", left=True),
        Column("n"),
        Column("quantile"),
        Column("coverage", level(params)),
    )
    size, note = sets.size, ""
    if size is not None:
        note = (
            f"on these rows: {figures.metric(size.mean)} classes a set, "
            f"{percent(size.single)} of one class, {percent(size.empty)} empty"
        )
    return Table("Prediction sets: nonconformity <= quantile", columns, tuple(rows), note=note)


def _costs(cost: CostMatrix) -> Table:
    constant, names = cost.best_constant, cost.decisions
    rows = [
        (Cell("least expected cost", "", "bold"), figure("cost", cost.expected)),
        (Cell("what the scores claim for it"), Cell(figures.metric(cost.claimed))),
        (Cell("most probable class"), Cell(figures.metric(cost.most_probable))),
    ]
    if constant is not None:
        rows.append(
            (Cell(f"always {names[constant.decision]}"), Cell(figures.metric(constant.cost)))
        )
    return Table("Cost a row", (Column("decision", left=True), Column("cost")), tuple(rows))


def _decisions(cost: CostMatrix) -> Table | None:
    counts = cost.counts
    if not counts or len(counts) > 20:
        return None
    names = [str(name) for name in cost.decisions]
    rows = tuple(
        (Cell(name), *(Cell(figures.count(value)) for value in row))
        for name, row in zip(names, counts, strict=False)
    )
    columns = (Column("true", left=True), *(Column(name) for name in names))
    return Table("Decisions: rows are the truth", columns, rows)
