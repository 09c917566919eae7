"""Results to tables, one function a table; text, Markdown and HTML all draw these.

What a result does not have leaves a table or a column out, so that an older or a shorter result
still renders.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from calibcli.core.metrics.registry import BETTER
from calibcli.core.results.figures import RATES, Figure
from calibcli.core.results.saved import Pair
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import bins as regions
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Bin, Confusion, Interval, Where
    from calibcli.core.results.measure import SliceResult
    from calibcli.render.tables.layout import Row, Style
    from calibcli.tasks.words import Words

    Figures = Mapping[str, Figure]


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
    shown = [name for name in {**before, **(after or {})} if name != "n"]
    title = level(params)

    def row(name: str) -> Row:
        was = before.get(name)
        yield Column("metric", left=True), name
        if after is None:
            yield Column("value", title), figure(name, was)
            return
        yield Column("before", title), figure(name, was)
        yield Column(after_title, title), figure(name, after.get(name))
        yield Column("change", rank=2), _change(name, was, after.get(name))

    return Table.of("Metrics", map(row, shown))


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
    return _told(name, low)


def _told(name: str, change: float) -> Style:
    """Return whether a change of a metric is good or bad; nothing of what has no direction."""
    better = BETTER.get(name)
    if better not in ("higher", "lower"):
        return ""
    return "good" if (change > 0) == (better == "higher") else "bad"


def _change(name: str, before: Figure | None, after: Figure | None) -> Cell:
    if before is None or after is None or before.value is None or after.value is None:
        return Cell("")
    difference = after.value - before.value
    style: Style = ""
    # Colour claims something, so only where the two intervals do not even touch.
    if Pair.of(before, after).apart:
        style = _told(name, difference)
    return Cell(figures.signed(difference), "", style)


def confusion_table(parts: Sequence[tuple[str, SliceResult]], params: Conventions) -> Table | None:
    """Return the confusion counts and rates at each cut-off; `parts` are (row title, slice)."""
    tables = [(title, item) for title, part in parts for item in part.confusion or ()]
    titled = any(title for title, _ in tables)
    # A detector has no true negatives, and nothing that is made of them.
    bare = all(item.tn is None for _, item in tables)
    counts, rates = (COUNTS[:3], RATES[:3]) if bare else (COUNTS, RATES)

    def row(title: str, item: Confusion) -> Row:
        if titled:
            yield Column("", left=True), title
        yield Column("threshold"), Cell(figures.short(item.threshold), style="bold")
        yield from count_cells(item, counts)
        yield from rate_cells(item, rates, params)

    caption = f"Confusion: positive means score {words.cut_sign(params)} threshold"
    return Table.of(caption, (row(*one) for one in tables)) if tables else None


COUNTS: Final = ("tp", "fp", "fn", "tn")
_RANKS: Final = {"fpr": 3, "specificity": 2, "f1": 1}


def count_cells(table: Confusion | None, names: Sequence[str] = COUNTS) -> Row:
    """Yield counts of a table."""
    for name in names:
        yield Column(name), figures.count(None if table is None else table.counts[name])


def rate_cells(table: Confusion | None, names: Sequence[str], params: Conventions) -> Row:
    """Yield rates of a table; those that others follow from give way first."""
    for name in names:
        rate = None if table is None else table.rates.get(name)
        yield Column(name, short_level(params), rank=_RANKS.get(name, 0)), figure(name, rate)


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

    def row(place: int) -> Row:
        one = bins[place]
        ends = {"first": place == 0, "last": place == len(bins) - 1}
        label = figures.bin_label(one.low, one.high, **ends, closed=params.closed)
        yield Column("bin", left=True), label
        yield from _bin_cells("", one, params, task)
        if after:
            yield from _bin_cells("after ", after[place], params, task)

    groups = (("", 1), ("before", 5), ("calibrated", 5)) if after else ()
    return Table.of("Reliability by bin", map(row, range(len(bins))), groups=groups)


def calibrated_bins_table(part: SliceResult, params: Conventions, task: Words) -> Table | None:
    """Return the bins after calibration, where their edges are not those of before."""
    after = () if part.calibrated is None else part.calibrated.bins
    if not after or _edges(after) == _edges(part.bins):
        return None
    table = _bins_table(after, (), params, task)
    return table and replace(table, caption="Reliability after calibration")


def _bin_cells(prefix: str, row: Bin, params: Conventions, task: Words) -> Row:
    quiet: Style = "" if row.count else "dim"
    gap, mark, style = row.gap, "", quiet
    if gap is not None and regions.miss(row) > 1:
        style = "bad" if abs(gap) > params.within else "warn"
        mark = "too low" if gap > 0 else "too high"
    bounds = figures.ends(row.frequency_low, row.frequency_high)
    score = Column(task.score, rank=3 if prefix else 0)
    yield Column(f"{prefix}rows"), Cell(figures.count(row.count), style=quiet)
    yield score, Cell(figures.metric(row.score), style=quiet)
    frequency = Cell(figures.metric(row.frequency), bounds, quiet)
    yield Column(task.frequency, short_level(params)), frequency
    yield Column("gap"), Cell(figures.signed(gap), "", style)
    yield Column(f"{task.score} is", left=True, rank=2), Cell(mark, "", style if mark else "")


def ece_by_bins_table(part: SliceResult, params: Conventions) -> Table | None:
    """Return ECE for every binning; None for one or two, which `words` has room for."""
    rows = part.ece_by_bins
    if len(rows) < 3:
        return None
    after = () if part.calibrated is None else part.calibrated.ece_by_bins

    def row(place: int) -> Row:
        yield Column("binning", left=True), words.binning_words(rows[place])
        yield Column("ece", level(params)), figure("ece", rows[place].ece)
        if place < len(after):
            yield Column("calibrated", level(params)), figure("ece", after[place].ece)

    return Table.of("ECE depends on the bins", map(row, range(len(rows))))


def gates_table(gates: Sequence[GateResult]) -> Table | None:
    """Return the gates with pass or FAIL."""

    def row(gate: GateResult) -> Row:
        told = Cell("pass", "", "good") if gate.passed else Cell("FAIL", "", "bad")
        yield Column("gate", left=True), told
        yield Column("fails if", left=True), str(gate.expr)
        yield Column("value"), figures.metric(gate.value)

    return Table.of("Gates", map(row, gates)) if gates else None


TRUTH: Final = "Decisions: rows are the truth"
"""The caption of counts by truth and decision."""


def square_table(
    caption: str, truth: Iterable[str], decisions: Sequence[str], counts: Iterable[Iterable[Cell]]
) -> Table:
    """Return a table of the true classes, a row each, and of what was decided, a column each."""

    def row(name: str, cells: Iterable[Cell]) -> Row:
        yield Column("true", left=True), name
        yield from zip(map(Column, decisions), cells, strict=True)

    return Table.of(caption, map(row, truth, counts))
