"""The comparison of two models on the same rows, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.render.tables import common as tabulate
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.core.results.comparisons import Difference
    from calibcli.core.results.measure import MeasureResult

PROPER = ("nll", "brier")
RANKING = ("auc", "average_precision")


def versus_table(result: MeasureResult) -> Table | None:
    """Return the metrics of both models and their paired differences; None without --versus."""
    found = result.versus
    if found is None:
        return None
    caption = f"Versus {found.score}: second less first, paired"
    columns = _columns(result, "metric", "first", f"second ({found.score})")
    return Table(caption, columns, _rows(found.metrics), f"{_capital(found.verdict)}.")


def calibrated_table(result: MeasureResult) -> Table | None:
    """Return the two proper scores with the first model calibrated; None without a calibrator."""
    found = None if result.versus is None else result.versus.calibrated
    if result.versus is None or found is None:
        return None
    name = result.versus.score
    shown = {score: item for score, item in found.metrics.items() if score in (*PROPER, "ece")}
    columns = _columns(result, "metric", "first, calibrated", f"second ({name})")
    caption = f"Versus {name}: the first model after the calibrator, the second as it is"
    return Table(caption, columns, _rows(shown), f"{_capital(found.verdict)}.")


def _columns(result: MeasureResult, *titles: str) -> tuple[Column, ...]:
    first, *others = titles
    level = tabulate.level(result.conventions)
    return (Column(first, left=True), *map(Column, others), Column("difference", level))


def _rows(metrics: Mapping[str, Difference]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (
            Cell(name),
            Cell(figures.valued(name, item.first)),
            Cell(figures.valued(name, item.second)),
            _difference(name, item),
        )
        for name, item in metrics.items()
    )


def slices_table(result: MeasureResult) -> Table | None:
    """Return the differences of the proper scores in each class and group; None without any.

    Of raw scores they are those of the ranking figures.
    """
    found = result.versus
    if found is None or not found.slices:
        return None
    shown = PROPER if PROPER[0] in found.metrics else RANKING
    rows = tuple(
        (Cell(part.slice.title), *(_difference(score, part.metrics[score]) for score in shown))
        for part in found.slices
    )
    level = tabulate.level(result.conventions)
    columns = (Column("slice", left=True), *(Column(score, level) for score in shown))
    return Table(f"Versus {found.score}, by slice: second less first", columns, rows)


def _difference(name: str, item: Difference) -> Cell:
    style = tabulate.sure_style(name, item.low, item.high)
    return Cell(figures.valued(name, item.value), figures.interval(item), style)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
