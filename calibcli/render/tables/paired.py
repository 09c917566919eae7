"""The comparison of two models on the same rows, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.comparisons import Difference, SliceContrast
    from calibcli.core.results.measure import MeasureResult
    from calibcli.render.tables.layout import Row

PROPER = ("nll", "brier")
RANKING = ("auc", "average_precision")


def versus_table(result: MeasureResult) -> Table | None:
    """Return the metrics of both models and their paired differences; None without --versus."""
    found = result.versus
    if found is None:
        return None
    caption = f"Versus {found.score}: second less first, paired"
    heads = "first", f"second ({found.score})"
    return _table(result, caption, heads, found.metrics, found.verdict)


def calibrated_table(result: MeasureResult) -> Table | None:
    """Return the two proper scores with the first model calibrated; None without a calibrator."""
    found = None if result.versus is None else result.versus.calibrated
    if result.versus is None or found is None:
        return None
    name = result.versus.score
    shown = {score: item for score, item in found.metrics.items() if score in (*PROPER, "ece")}
    caption = f"Versus {name}: the first model after the calibrator, the second as it is"
    return _table(result, caption, ("first, calibrated", f"second ({name})"), shown, found.verdict)


def _table(
    result: MeasureResult,
    caption: str,
    heads: tuple[str, str],
    metrics: Mapping[str, Difference],
    verdict: str,
) -> Table:
    def row(name: str, item: Difference) -> Row:
        yield Column("metric", left=True), name
        for head, value in zip(heads, (item.first, item.second), strict=True):
            yield Column(head), figures.valued(name, value)
        yield _difference(name, item, "difference", result)

    return Table.of(caption, (row(*one) for one in metrics.items()), words.sentence(verdict))


def slices_table(result: MeasureResult) -> Table | None:
    """Return the differences of the proper scores in each class and group; None without any.

    Of raw scores they are those of the ranking figures.
    """
    found = result.versus
    if found is None or not found.slices:
        return None
    shown = PROPER if PROPER[0] in found.metrics else RANKING

    def row(part: SliceContrast) -> Row:
        yield Column("slice", left=True), part.slice.title
        for score in shown:
            yield _difference(score, part.metrics[score], score, result)

    return Table.of(f"Versus {found.score}, by slice: second less first", map(row, found.slices))


def _difference(
    name: str, item: Difference, title: str, result: MeasureResult
) -> tuple[Column, Cell]:
    style = tabulate.sure_style(name, item.low, item.high)
    told = Cell(figures.valued(name, item.value), figures.interval(item), style)
    return Column(title, tabulate.level(result.conventions)), told
