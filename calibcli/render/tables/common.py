"""Results to tables, one function a table; text, Markdown and HTML all draw these.

What a result does not have leaves a table or a column out, so that an older or a shorter result
still renders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.core.metrics.further.registry import FURTHER
from calibcli.core.results.figures import RATES, Figure
from calibcli.core.results.saved import Pair
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import bins as regions
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Bin, Confusion, Interval, Where
    from calibcli.core.results.measure import SliceResult
    from calibcli.tasks.words import Words

    Figures = Mapping[str, Figure]

LOWER_IS_BETTER: Final = frozenset(
    {"ece", "ece_debiased", "mce", "ace", "classwise_ece", "top_label_ece", "smooth_ece", "ks"}
    | {"kuiper", "brier", "brier_miscalibration", "nll"}
    | {name for name, figure in FURTHER.items() if figure.better == "lower"}
)
HIGHER_IS_BETTER: Final = frozenset(
    {"accuracy", "auc", "average_precision", "brier_discrimination"}
    | {name for name, figure in FURTHER.items() if figure.better == "higher"}
)


def figure(name: str, value: Interval | None, style: Style = "") -> Cell:
    """Return a metric's cell: the value, and its interval or the reason why there is no value."""
    if value is None:
        return Cell("")
    detail = figures.interval(value)
    if value.value is None and value.reason:
        detail = value.reason
    if isinstance(value, Figure) and value.certain_errors:
        wrong = figures.count(value.certain_errors)
        detail = f"{detail} (clipped; infinite for {wrong} certain errors)".strip()
    return Cell(figures.named(name, value), detail, style)


def level(params: Conventions) -> str:
    """Return `95% interval`, the title above intervals."""
    return f"{short_level(params)} interval" if short_level(params) else ""


def metrics_table(
    before: Figures, after: Figures | None, params: Conventions, *, after_title: str = "calibrated"
) -> Table:
    """Return the metrics of a slice; with `after`, both side by side and the change."""
    ece = before.get("ece")
    if params.raw is not None and (ece is None or ece.value is None):
        # What raw scores have no figures of is left out.
        before = {name: one for name, one in before.items() if one.value is not None}
    shown = [name for name in before if name != "n"]
    title = level(params)
    if after is None:
        rows = tuple((Cell(name), figure(name, before[name])) for name in shown)
        columns = (Column("metric", left=True), Column("value", title))
        return Table("Metrics", columns, rows)
    shown += [name for name in after if name not in before and name != "n"]
    pairs = tuple(
        (
            Cell(name),
            figure(name, before.get(name)),
            figure(name, after.get(name)),
            _change(name, before.get(name), after.get(name)),
        )
        for name in shown
    )
    columns_after = (
        Column("metric", left=True),
        Column("before", title),
        Column(after_title, title),
        Column("change", rank=2),
    )
    return Table("Metrics", columns_after, pairs)


def slice_title(where: Where) -> str:
    """Return a slice's title: `overall`, a class's name, or `camera=front`."""
    if where.kind != "group":
        return where.title
    title = f"{where.column or 'group'}={where.title}"
    return title if where.label is None else f"{title}, {where.label}"


def sure_style(name: str, low: float | None, high: float | None) -> Style:
    """Return whether a change of a metric is good or bad, where its interval leaves no doubt."""
    if low is None or high is None or low <= 0.0 <= high:
        return ""
    better, worse = HIGHER_IS_BETTER, LOWER_IS_BETTER
    if low <= 0.0:
        better, worse = worse, better
    return "good" if name in better else "bad" if name in worse else ""


def _change(name: str, before: Figure | None, after: Figure | None) -> Cell:
    if before is None or after is None or before.value is None or after.value is None:
        return Cell("")
    difference = after.value - before.value
    style: Style = ""
    # Colour claims something, so only where the two intervals do not even touch.
    if Pair.of(before, after).apart:
        if name in LOWER_IS_BETTER:
            style = "good" if difference < 0 else "bad"
        elif name in HIGHER_IS_BETTER:
            style = "good" if difference > 0 else "bad"
    return Cell(figures.signed(difference), "", style)


def confusion_table(parts: Sequence[tuple[str, SliceResult]], params: Conventions) -> Table | None:
    """Return the confusion counts and rates at each cut-off; `parts` are (row title, slice)."""
    tables = [(title, item) for title, part in parts for item in part.confusion or ()]
    if not tables:
        return None
    rows = [
        (
            Cell(title),
            Cell(figures.short(item.threshold), style="bold"),
            *count_cells(item),
            *(figure(key, item.rates[key]) for key in RATES),
        )
        for title, item in tables
    ]
    ranks = {"fpr": 3, "specificity": 2, "f1": 1}
    columns: tuple[Column, ...] = (
        Column("", left=True),
        Column("threshold"),
        *(Column(key) for key in ("tp", "fp", "fn", "tn")),
        *(Column(key, short_level(params), rank=ranks.get(key, 0)) for key in RATES),
    )
    # A detector has no true negatives, and nothing that is made of them.
    bare = {5, 9, 10} if all(item.tn is None for _, item in tables) else set()
    if all(not row[0].text for row in rows):
        bare.add(0)
    columns = tuple(column for i, column in enumerate(columns) if i not in bare)
    kept = (tuple(cell for i, cell in enumerate(row) if i not in bare) for row in rows)
    caption = f"Confusion: positive means score {words.cut_sign(params)} threshold"
    return Table(caption, columns, tuple(kept))


def count_cells(table: Confusion) -> list[Cell]:
    """Return the four counts of a table."""
    return [Cell(figures.count(count)) for count in table.counts.values()]


def short_level(params: Conventions) -> str:
    """Return `95%`, the title above intervals where columns are many; nothing without intervals."""
    return "" if params.confidence is None else f"{params.level * 100:.6g}%"


def bins_table(part: SliceResult, params: Conventions, task: Words) -> Table | None:
    """Return the reliability bins; before and after in one table where the edges agree."""
    after = () if part.calibrated is None else part.calibrated.bins
    return _bins_table(part.bins, after if _edges(after) == _edges(part.bins) else (), params, task)


def _edges(bins: Sequence[Bin]) -> list[tuple[float, float]]:
    return [(b.low, b.high) for b in bins]


def _bins_table(
    bins: Sequence[Bin], after: Sequence[Bin], params: Conventions, task: Words
) -> Table | None:
    if not bins:
        return None
    tolerance = params.within
    rows = []
    for i, row in enumerate(bins):
        label = figures.bin_label(
            row.low, row.high, first=i == 0, last=i == len(bins) - 1, closed=params.closed
        )
        cells = [Cell(label), *_bin_cells(row, tolerance)]
        if after:
            cells += _bin_cells(after[i], tolerance)
        rows.append(tuple(cells))
    columns = [Column("bin", left=True), *_bin_columns("", task, params)]
    if after:
        columns += _bin_columns("after ", task, params)
    groups = (("", 1), ("before", 5), ("calibrated", 5)) if after else ()
    return Table("Reliability by bin", tuple(columns), tuple(rows), groups=groups)


def calibrated_bins_table(part: SliceResult, params: Conventions, task: Words) -> Table | None:
    """Return the bins after calibration, where their edges are not those of before."""
    after = () if part.calibrated is None else part.calibrated.bins
    if not after or _edges(after) == _edges(part.bins):
        return None
    table = _bins_table(after, (), params, task)
    return table and Table("Reliability after calibration", table.columns, table.rows)


def _bin_columns(prefix: str, task: Words, params: Conventions) -> list[Column]:
    return [
        Column(f"{prefix}rows"),
        Column(task.score, rank=3 if prefix else 0),
        Column(task.frequency, short_level(params)),
        Column("gap"),
        Column(f"{task.score} is", left=True, rank=2),
    ]


def _bin_cells(row: Bin, tolerance: float) -> list[Cell]:
    if not row.count:
        return [Cell("0", style="dim"), *(Cell("-", style="dim") for _ in range(3)), Cell("")]
    gap, mark = row.gap, ""
    style: Style = ""
    if gap is not None and regions.miss(row) > 1:
        style = "bad" if abs(gap) > tolerance else "warn"
        mark = "too low" if gap > 0 else "too high"
    bounds = figures.ends(row.frequency_low, row.frequency_high)
    return [
        Cell(figures.count(row.count)),
        Cell(figures.metric(row.score)),
        Cell(figures.metric(row.frequency), bounds),
        Cell(figures.signed(gap), "", style),
        Cell(mark, "", style),
    ]


def ece_by_bins_table(part: SliceResult, params: Conventions) -> Table | None:
    """Return ECE for every binning; None for one or two, which `words` has room for."""
    rows = part.ece_by_bins
    if len(rows) < 3:
        return None
    after = () if part.calibrated is None else part.calibrated.ece_by_bins
    columns = [Column("binning", left=True), Column("ece", level(params))]
    if after:
        columns.append(Column("calibrated", level(params)))
    cells = []
    for i, row in enumerate(rows):
        cells.append(
            (
                Cell(words.binning_words(row)),
                figure("ece", row.ece),
                *([figure("ece", after[i].ece)] if i < len(after) else []),
            )
        )
    return Table("ECE depends on the bins", tuple(columns), tuple(cells))


def gates_table(gates: Sequence[GateResult]) -> Table | None:
    """Return the gates with pass or FAIL."""
    if not gates:
        return None
    rows = tuple(
        (
            Cell("pass", "", "good") if gate.passed else Cell("FAIL", "", "bad"),
            Cell(str(gate.expr)),
            Cell(figures.metric(gate.value)),
        )
        for gate in gates
    )
    columns = (Column("gate", left=True), Column("fails if", left=True), Column("value"))
    return Table("Gates", columns, rows)
