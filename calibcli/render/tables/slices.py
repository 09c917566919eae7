"""Tables with one row a class or a group, in the result's order, the worst marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.render.tables.common import figure, level, slice_title
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Reading
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.render.tables.layout import Row, Style

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
    rated = calibrated or not ranked

    def row(part: SliceResult) -> Row:
        style: Style = "bad" if part is worst and len(slices) > 1 else ""
        yield Column(title, left=True), Cell(part.where.title, "", style)
        yield Column("n"), figures.count(part.value("n"))
        if rated:
            yield Column("ece", level(params)), figure("ece", part.ece, "" if calibrated else style)
        if calibrated:
            after = None if part.calibrated is None else part.calibrated.ece
            yield Column("calibrated", level(params)), figure("ece", after, style)
        if rated:
            yield Column("", left=True, rank=1), Cell(WORST if style else "", "", style)
        for name in shown:
            item = part.metrics.get(name)
            reason = item.reason if item is not None and item.value is None else None
            told = Cell("" if item is None else figures.named(name, item), reason or "")
            yield Column(name, rank=_METRICS[name]), told
        if rates:
            table = part.confusion[0] if part.confusion else None
            cut = figures.short(None if table is None else table.threshold)
            yield Column("threshold", rank=7), cut
            rated_by = {} if table is None else table.rates
            for name, rank in _RATES.items():
                yield Column(name, rank=rank), figures.named(name, rated_by.get(name))

    note = ""
    if len(kept) < len(slices):
        note = (
            f"({len(slices) - len(kept)} more with a lower ECE: "
            "every format but the terminal's table has them)"
        )
    caption = "Per class" if title == "class" else f"Per {title}"
    return Table.of(caption, map(row, kept), note)


def _harmful(slices: Sequence[SliceResult], limit: int | None) -> Sequence[SliceResult]:
    if limit is None or len(slices) <= limit:
        return slices
    order = sorted(range(len(slices)), key=lambda i: -(words.ece_of(slices[i]) or 0.0))
    return [slices[i] for i in sorted(order[:limit])]


def at_table(result: MeasureResult) -> Table | None:
    """Return the readings of the reliability curve at given confidences, one row a slice."""

    def row(title: str, item: Reading) -> Row:
        yield Column("slice", left=True), title
        yield from reading_cells(item, "rows", (3, 2, 2))

    rows = [row(slice_title(part.where), item) for part in result.slices for item in part.at or ()]
    return Table.of("Read at a confidence", rows) if rows else None


def reading_cells(item: Reading, counted: str, ranks: tuple[int, int, int]) -> Row:
    """Yield one reading of the curve, the verdict last; `ranks` are of bin, count and score.

    A gap that chance explains, with as many readings as the result has, is not called a fault.
    """
    told: str = item.verdict
    style: Style = "good" if told == "within tolerance" else ""
    if told.endswith("confident"):
        style = "bad" if item.beyond_chance else "warn"
        untested = " (no interval)" if item.p is None else " (chance explains it)"
        told += "" if item.beyond_chance else untested
    low, high = item.bin
    bounds = figures.ends(item.correctness_low, item.correctness_high)
    yield Column("at"), figures.short(item.at)
    yield Column("bin", left=True, rank=ranks[0]), f"{low:.4g} to {high:.4g}"
    yield Column(counted, rank=ranks[1]), figures.count(item.count)
    yield Column("score", rank=ranks[2]), figures.metric(item.score)
    yield Column("correctness"), Cell(figures.metric(item.correctness), bounds)
    yield Column("gap"), figures.signed(item.gap)
    yield Column("verdict", left=True), Cell(told, "", style)
