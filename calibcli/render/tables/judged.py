"""Tables of decisions: how right they are, the confusions, and the rows that are worst."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.render.tables.common import TRUTH, figure, level, square_table
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calibcli.core.results.base import Number
    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Figure
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.decided import Decided, DecisionMatrix
    from calibcli.core.results.threshold import ThresholdResult
    from calibcli.render.tables.layout import Row, Style

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
    titles = {name: name for name in common.rows}
    return _compared("Label sets of rows", "mean over", parts, titles, params)


def _compared(
    caption: str,
    first: str,
    parts: Iterable[tuple[str, Mapping[str, Figure]]],
    titles: Mapping[str, str],
    params: Conventions,
) -> Table:
    """Return figures of several sources, a row each; `titles` are those of the figures by name."""

    def row(title: str, metrics: Mapping[str, Figure]) -> Row:
        yield Column(first, left=True), title
        for name, shown in titles.items():
            yield Column(shown, level(params)), figure(name, metrics.get(name))

    return Table.of(caption, (row(*part) for part in parts))


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
    truth, decisions = told.matrix.truth, told.matrix.decisions
    cells = (
        [_share_cell(count, sum(counts), i == k) for i, count in enumerate(counts)]
        for k, counts in enumerate(told.matrix.counts)
    )
    note = f"Down: the truth. Across: {of}, with its share of the true class."
    return replace(
        square_table("Which class is taken for which", truth, decisions, cells), note=note
    )


def _share_cell(count: Number, of: Number, right: bool) -> Cell:
    """Return a count and its share; a twentieth of a class that is taken for another stands out."""
    if not count:
        return Cell("")
    share = count / of
    style: Style = "bold" if right else "warn" if share >= _MANY else ""
    return Cell(figures.count(count), figures.percent(share), style)


def _beside(decision: Decided, params: Conventions) -> Table:
    """Return the figures of all decisions together, and those of the most probable class."""
    parts = decision.beside("these cut-offs")
    titles = {name: title for name, title in _NAMES.items() if name in decision.metrics}
    return _compared("Decisions of all classes together", "rule", parts, titles, params)


def _matrix(matrix: DecisionMatrix | None) -> Table | None:
    """Return the counts of truth and decision; of many classes the pairs confused most often."""
    if matrix is None:
        return None
    if len(matrix.truth) > MOST_CLASSES:
        return _confused(matrix)
    counts = ((Cell(figures.count(count)) for count in row) for row in matrix.counts)
    return square_table(TRUTH, matrix.truth, matrix.decisions, counts)


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

    def row(truth: str, decided: str, count: Number, share: float) -> Row:
        yield Column("true", left=True), truth
        yield Column("decided", left=True), decided
        yield Column(rows), figures.count(count)
        yield Column("of the true class"), figures.percent(share)

    return Table.of(title, (row(*pair) for pair in pairs))


def worst_table(result: MeasureResult) -> Table | None:
    """Return one line a row, the most confidently wrong first; None where it was not asked for."""
    worst = result.worst
    if worst is None:
        return None
    shown = worst.rows
    keyed = any(row.key is not None for row in shown)
    mapped = any(row.probability is not None for row in shown)
    columns = (
        Column("most confidently wrong", left=True),
        Column("row"),
        *([Column("key", left=True)] if keyed else []),
        Column("score"),
        *([Column("calibrated")] if mapped else []),
        Column("predicted", left=True),
        Column("label", left=True),
    )
    rows = tuple(
        (
            Cell(row.path.rpartition("/")[2]),
            Cell(figures.count(row.row)),
            *([Cell(row.key or "")] if keyed else []),
            Cell(figures.metric(row.score)),
            *([Cell(figures.metric(row.probability))] if mapped else []),
            Cell(str(row.predicted)),
            Cell(str(row.label)),
        )
        for row in shown
    )
    note = f"{len(shown)} of {figures.count(worst.wrong)} that are wrong at one half"
    return Table("Worst rows", columns, rows, note)
