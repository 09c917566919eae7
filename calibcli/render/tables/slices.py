"""Tables with one row a class or a group, in the result's order, the worst marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.core.results.base import plain
from calibcli.core.results.figures import Figure, Reading
from calibcli.core.results.reading import typed_as
from calibcli.render.tables.common import figure, level
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

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
    slices: Sequence[Result], params: Result, *, title: str, limit: int | None = None
) -> Table | None:
    """Return one row a slice: rows, ECE before (and after), scores, and the first cut-off's rates.

    `limit` keeps only that many slices, those with the highest ECE, in their order; the note says
    how many were left out.
    """
    if not slices:
        return None
    calibrated = any(part.get("calibrated") for part in slices)
    worst = words.worst_slice(slices, calibrated=calibrated)
    kept = _harmful(slices, limit, calibrated=calibrated)
    shown = [name for name in _METRICS if any(name in part["metrics"] for part in slices)]
    rates = any(part.get("confusion") for part in slices)
    rows = []
    for part in kept:
        style: Style = "bad" if part is worst and len(slices) > 1 else ""
        rows.append(_row(part, shown, style, calibrated=calibrated, rates=rates))
    columns = [
        Column(title, left=True),
        Column("n"),
        Column("ece", level(params)),
        *([Column("calibrated", level(params))] if calibrated else []),
        Column("", left=True, rank=1),
        *(Column(name, rank=_METRICS[name]) for name in shown),
    ]
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


def _harmful(slices: Sequence[Result], limit: int | None, *, calibrated: bool) -> Sequence[Result]:
    if limit is None or len(slices) <= limit:
        return slices
    order = sorted(
        range(len(slices)), key=lambda i: -(words.ece_of(slices[i], calibrated=calibrated) or 0.0)
    )
    return [slices[i] for i in sorted(order[:limit])]


def _row(
    part: Result, shown: Sequence[str], style: Style, *, calibrated: bool, rates: bool
) -> tuple[Cell, ...]:
    metrics = part["metrics"]
    cells = [
        Cell(words.slice_name(part), "", style),
        Cell(figures.count((metrics.get("n") or {}).get("value"))),
        figure("ece", metrics.get("ece"), "" if calibrated else style),
    ]
    if calibrated:
        after = (part.get("calibrated") or {}).get("metrics") or {}
        cells.append(figure("ece", after.get("ece"), style))
    cells.append(Cell(WORST if style else "", "", style))
    for name in shown:
        item = metrics.get(name) or {}
        reason = item.get("reason") if item.get("value") is None else None
        cells.append(Cell(figures.named(name, item) if name in metrics else "", reason or ""))
    if rates:
        confusion = (part.get("confusion") or [{}])[0]
        cells.append(Cell(figures.short(confusion.get("threshold"))))
        for name in _RATES:
            value = confusion.get(name)
            cells.append(
                Cell(figures.named(name, value if isinstance(value, dict) else {"value": value}))
            )
    return tuple(cells)


def reading_cells(reading: Reading) -> tuple[Cell, ...]:
    """Return one reading of the curve as cells, the verdict last.

    A gap that chance explains, with as many readings as the result has, is not called a fault.
    """
    told: str = reading.verdict
    style: Style = "good" if told == "within tolerance" else ""
    if told.endswith("confident"):
        style = "bad" if reading.beyond_chance else "warn"
        untested = " (no interval)" if reading.p is None else " (chance explains it)"
        told += "" if reading.beyond_chance else untested
    low, high = reading.bin
    correct = Figure(reading.correctness, reading.correctness_low, reading.correctness_high)
    return (
        Cell(figures.short(reading.at)),
        Cell(f"{low:.4g} to {high:.4g}"),
        Cell(figures.count(reading.count)),
        Cell(figures.metric(reading.score)),
        Cell(figures.with_interval(plain(correct))),
        Cell(figures.signed(reading.gap)),
        Cell(told, "", style),
    )


def at_table(result: Result) -> Table | None:
    """Return the readings of the reliability curve at given confidences, one row a slice."""
    rows = []
    everything = [result["overall"], *(result.get("classes") or []), *(result.get("groups") or [])]
    for part in everything:
        where = part["slice"]
        kind = where.get("kind", "overall")
        name = "overall" if kind == "overall" else words.slice_name(part)
        prefix = f"{where['column']}=" if kind == "group" and where.get("column") else ""
        for item in part.get("at") or []:
            cells = reading_cells(typed_as(item, Reading))
            rows.append((Cell(f"{prefix}{name}"), *cells))
    if not rows:
        return None
    columns = (
        Column("slice", left=True),
        Column("at"),
        Column("bin", left=True),
        Column("rows"),
        Column("score"),
        Column("correctness"),
        Column("gap"),
        Column("verdict", left=True),
    )
    return Table("Read at a confidence", columns, tuple(rows))
