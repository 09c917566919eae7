"""Tables of decisions: how right they are, beside the most probable class, and the confusions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.base import Number
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.decided import Decided, DecisionMatrix
    from calibcli.core.results.threshold import ThresholdResult

MOST_CLASSES = 20
_MANY = 0.05
_NAMES = {
    "accuracy": "accuracy",
    "undecided": "undecided",
    "precision": "precision",
    "recall": "recall",
    "macro_f1": "mean F1",
    "fp_per_image": "false alarms an image",
    "row-precision": "precision by row",
    "row-recall": "recall by row",
    "row-f1": "F1 by row",
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


def confusions_table(result: MeasureResult) -> Table | None:
    """Return which class is taken for which, with shares of the true class.

    Of more than 20 classes the pairs that are confused most often.
    """
    told = result.confusions
    if told is None or not told.worst:
        return None
    what = words_of(result.task).rows
    of = f"the {told.rule} of each of {figures.count(told.n)} {what}"
    if told.matrix is None or len(told.matrix.truth) > MOST_CLASSES:
        pairs = [(one.truth, one.decided, one.count, one.share) for one in told.worst]
        title = f"The {len(pairs)} of {told.pairs} confusions that occur most often"
        return replace(_pairs_table(title, pairs, what), note=f"Decided: {of}.")
    rows = tuple(
        (Cell(name), *(_share_cell(n, sum(counts), i == k) for i, n in enumerate(counts)))
        for k, (name, counts) in enumerate(zip(told.matrix.truth, told.matrix.counts, strict=True))
    )
    columns = (Column("true", left=True), *(Column(name) for name in told.matrix.decisions))
    note = f"Down: the truth. Across: {of}, with its share of the true class."
    return Table("Which class is taken for which", columns, rows, note)


def _share_cell(count: Number, of: Number, right: bool) -> Cell:
    """Return a count and its share; a twentieth of a class that is taken for another stands out."""
    if not count:
        return Cell("")
    share = count / of
    style: Style = "bold" if right else "warn" if share >= _MANY else ""
    return Cell(figures.count(count), figures.percent(share), style)


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
    pairs = [(truth, name, count, share) for count, truth, name, share in found[:MOST_CLASSES]]
    title = f"The {len(pairs)} of {len(found)} confusions that occur most often"
    return _pairs_table(title, pairs, "rows") if pairs else None


def _pairs_table(title: str, pairs: Sequence[tuple[str, str, Number, float]], rows: str) -> Table:
    """Return a row for each (truth, decision, count, share)."""
    cells = tuple(
        (Cell(truth), Cell(name), Cell(figures.count(count)), Cell(figures.percent(share)))
        for truth, name, count, share in pairs
    )
    columns = (
        Column("true", left=True),
        Column("decided", left=True),
        Column(rows),
        Column("of the true class"),
    )
    return Table(title, columns, cells)
