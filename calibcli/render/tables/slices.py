"""Tables with one row a class or a group, in the result's order, the worst marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from calibcli.core.results.figures import Figure
from calibcli.render.tables.common import figure, level, slice_title
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Reading
    from calibcli.core.results.measure import MeasureResult, SliceResult

T = TypeVar("T", Cell, Column)
# What a slice's row shows, and which columns go first on a narrow screen.
_METRICS: Final = {
    "ground_truth": 2,
    "ap": 1,
    "lrp": 3,
    "prevalence": 2,
    "accuracy": 2,
    "mean_score": 3,
    "brier": 4,
    "nll": 6,
    "auc": 5,
}
_RATES: Final = {"precision": 7, "recall": 8, "f1": 9}
WORST: Final = "worst ECE"


def slices_table(
    slices: Sequence[SliceResult], params: Conventions, *, title: str, limit: int | None = None
) -> Table | None:
    """Return one row a slice: rows, ECE before (and after), scores, and the first cut-off's rates.

    `limit` keeps only that many slices, those with the highest ECE, in their order; the note says
    how many were left out.
    """
    if not slices:
        return None
    calibrated = words.any_calibrated(slices)
    worst = words.worst_slice(slices)
    kept = _harmful(slices, limit)
    shown = [name for name in _METRICS if any(name in part.metrics for part in slices)]
    ranked = params.raw is not None and not any(part.bins for part in slices)
    if ranked:  # raw scores have the figures of their order alone
        shown = [name for name in shown if any(part.value(name) is not None for part in slices)]
    rates = any(part.confusion for part in slices)
    rows = []
    for part in kept:
        style: Style = "bad" if part is worst and len(slices) > 1 else ""
        cells = _row(part, shown, style, calibrated=calibrated, rates=rates)
        rows.append(_without_ece(cells) if ranked and not calibrated else cells)
    columns = [
        Column(title, left=True),
        Column("n"),
        Column("ece", level(params)),
        *([Column("calibrated", level(params))] if calibrated else []),
        Column("", left=True, rank=1),
        *(Column(name, rank=_METRICS[name]) for name in shown),
    ]
    if ranked and not calibrated:
        columns = list(_without_ece(columns))
    if rates:
        columns.append(Column("threshold", rank=7))
        columns += [Column(name, rank=_RATES[name]) for name in _RATES]
    note = ""
    if len(kept) < len(slices):
        note = (
            f"({len(slices) - len(kept)} more with a lower ECE: "
            "every format but the terminal's table has them)"
        )
    caption = "Per class" if title == "class" else f"Per {title}"
    return Table(caption, tuple(columns), tuple(rows), note)


def _without_ece(row: Sequence[T]) -> tuple[T, ...]:
    """Return the columns or cells of a row without the ECE and the mark of the worst."""
    return tuple(one for place, one in enumerate(row) if place not in (2, 3))


def _harmful(slices: Sequence[SliceResult], limit: int | None) -> Sequence[SliceResult]:
    if limit is None or len(slices) <= limit:
        return slices
    order = sorted(range(len(slices)), key=lambda i: -(words.ece_of(slices[i]) or 0.0))
    return [slices[i] for i in sorted(order[:limit])]


def _row(
    part: SliceResult, shown: Sequence[str], style: Style, *, calibrated: bool, rates: bool
) -> tuple[Cell, ...]:
    metrics = part.metrics
    cells = [
        Cell(part.where.title, "", style),
        Cell(figures.count(part.value("n"))),
        figure("ece", part.ece, "" if calibrated else style),
    ]
    if calibrated:
        after = part.calibrated
        cells.append(figure("ece", None if after is None else after.ece, style))
    cells.append(Cell(WORST if style else "", "", style))
    for name in shown:
        item = metrics.get(name)
        reason = item.reason if item is not None and item.value is None else None
        cells.append(Cell("" if item is None else figures.named(name, item), reason or ""))
    if rates:
        table = part.confusion[0] if part.confusion else None
        cells.append(Cell(figures.short(None if table is None else table.threshold)))
        rated = {} if table is None else table.rates
        cells += [Cell(figures.named(name, rated.get(name))) for name in _RATES]
    return tuple(cells)


def at_table(result: MeasureResult) -> Table | None:
    """Return the readings of the reliability curve at given confidences, one row a slice."""
    rows = [
        (Cell(slice_title(part.where)), *reading_cells(item))
        for part in result.slices
        for item in part.at or ()
    ]
    if not rows:
        return None
    columns = (
        Column("slice", left=True),
        Column("at"),
        Column("bin", left=True, rank=3),
        Column("rows", rank=2),
        Column("score", rank=2),
        Column("correctness"),
        Column("gap"),
        Column("verdict", left=True),
    )
    return Table("Read at a confidence", columns, tuple(rows))


def reading_cells(item: Reading) -> tuple[Cell, ...]:
    """Return one reading of the curve as cells, the verdict last.

    A gap that chance explains, with as many readings as the result has, is not called a fault.
    """
    told: str = item.verdict
    style: Style = "good" if told == "within tolerance" else ""
    if told.endswith("confident"):
        style = "bad" if item.beyond_chance else "warn"
        untested = " (no interval)" if item.p is None else " (chance explains it)"
        told += "" if item.beyond_chance else untested
    low, high = item.bin
    correct = Figure(item.correctness, item.correctness_low, item.correctness_high)
    return (
        Cell(figures.short(item.at)),
        Cell(f"{low:.4g} to {high:.4g}"),
        Cell(figures.count(item.count)),
        Cell(figures.metric(item.score)),
        Cell(figures.metric(item.correctness), figures.interval(correct)),
        Cell(figures.signed(item.gap)),
        Cell(told, "", style),
    )
