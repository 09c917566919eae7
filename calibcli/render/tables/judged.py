"""Tables of decisions: how right they are, beside the most probable class, and the confusions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.decided import Decided, DecisionMatrix
    from calibcli.core.results.threshold import ThresholdResult

MOST_CLASSES = 20
_NAMES = {
    "accuracy": "accuracy",
    "undecided": "undecided",
    "precision": "precision",
    "recall": "recall",
    "macro_f1": "mean F1",
    "fp_per_image": "false alarms an image",
}


def decision_tables(result: MeasureResult | ThresholdResult) -> list[Table | None]:
    """Return the tables of the decisions of several classes."""
    decision = result.decision
    if decision is None or not decision.classes:
        return []
    params = result.conventions
    return [_beside(decision, params), _matrix(decision.confusion_matrix)]


def rows_table(result: ThresholdResult) -> Table | None:
    """Return the means over rows of how right the label set of each is."""
    common, params = result.common, result.conventions
    if common is None or common.rows is None:
        return None
    parts = [("these rows", common.rows)]
    if common.cross_fitted is not None and common.cross_fitted.rows is not None:
        parts.append(("cross-fitted", common.cross_fitted.rows))
    names = list(common.rows)
    rows = tuple(
        (Cell(title), *(figure(name, own.get(name)) for name in names)) for title, own in parts
    )
    columns = (Column("mean over", left=True), *(Column(name, level(params)) for name in names))
    return Table("Label sets of rows", columns, rows)


def _beside(decision: Decided, params: Conventions) -> Table:
    """Return the figures of all decisions together, and those of the most probable class."""
    parts = [("these cut-offs", decision.metrics)]
    if decision.cross_fitted is not None:
        parts.append(("cross-fitted", decision.cross_fitted.metrics))
    if decision.plain is not None:
        parts.append((decision.plain.rule, decision.plain.metrics))
    names = [name for name in _NAMES if name in decision.metrics]
    rows = tuple(
        (Cell(title), *(figure(name, metrics.get(name)) for name in names))
        for title, metrics in parts
    )
    columns = (Column("rule", left=True), *(Column(_NAMES[name], level(params)) for name in names))
    return Table("Decisions of all classes together", columns, rows)


def _matrix(matrix: DecisionMatrix | None) -> Table | None:
    """Return the counts of truth and decision; of many classes the pairs confused most often."""
    if matrix is None:
        return None
    if len(matrix.truth) > MOST_CLASSES:
        return _confused(matrix)
    rows = tuple(
        (Cell(str(name)), *(Cell(figures.count(count)) for count in counts))
        for name, counts in zip(matrix.truth, matrix.counts, strict=True)
    )
    columns = (Column("true", left=True), *(Column(str(name)) for name in matrix.decisions))
    return Table("Decisions: rows are the truth", columns, rows)


def _confused(matrix: DecisionMatrix) -> Table | None:
    """Return the confusions that occur most often, with their share of the true class."""
    found = []
    for k, (truth, counts) in enumerate(zip(matrix.truth, matrix.counts, strict=True)):
        for place, (name, count) in enumerate(zip(matrix.decisions, counts, strict=True)):
            if count and place != k:
                found.append((count, str(truth), str(name), count / sum(counts)))
    # Of equal counts the first in the order of the classes stays first.
    found.sort(key=lambda one: -one[0])
    rows = tuple(
        (Cell(truth), Cell(name), Cell(figures.count(count)), Cell(figures.percent(share)))
        for count, truth, name, share in found[:MOST_CLASSES]
    )
    columns = (
        Column("true", left=True),
        Column("decided", left=True),
        Column("rows"),
        Column("of the true class"),
    )
    title = f"The {len(rows)} of {len(found)} confusions that occur most often"
    return Table(title, columns, rows) if rows else None
