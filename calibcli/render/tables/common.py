"""Results to tables, one function a table; text, Markdown and HTML all draw these.

A row builder only reads the result's plain dicts. Missing keys leave a table or a column out, so
that an older or a shorter result still renders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.core.metrics.further.registry import FURTHER
from calibcli.render.tables.layout import Cell, Column, Style, Table
from calibcli.render.words import bins as regions
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

LOWER_IS_BETTER: Final = frozenset(
    {"ece", "ece_debiased", "mce", "ace", "classwise_ece", "top_label_ece", "smooth_ece", "ks"}
    | {"kuiper", "brier", "brier_miscalibration", "nll"}
    | {name for name, figure in FURTHER.items() if figure.better == "lower"}
)
HIGHER_IS_BETTER: Final = frozenset(
    {"accuracy", "auc", "average_precision", "brier_discrimination"}
    | {name for name, figure in FURTHER.items() if figure.better == "higher"}
)
RATES: Final = ("precision", "recall", "f1", "specificity", "fpr")


def entry(value: Any) -> Result:
    """Return a metric as {"value", "low", "high"}, whether it came as a dict or a bare number."""
    return value if isinstance(value, dict) else {"value": value}


def figure(name: str, value: Any, style: Style = "") -> Cell:
    """Return a metric's cell: the value, and its interval or the reason why there is no value."""
    if value is None:
        return Cell("")
    item = entry(value)
    detail = figures.interval(item)
    if item.get("value") is None and item.get("reason"):
        detail = str(item["reason"])
    if item.get("certain_errors"):
        wrong = figures.count(item["certain_errors"])
        detail = f"{detail} (clipped; infinite for {wrong} certain errors)".strip()
    return Cell(figures.named(name, item), detail, style)


def level(params: Result) -> str:
    """Return `95% interval`, the title above intervals."""
    return f"{short_level(params)} interval" if short_level(params) else ""


def metrics_table(
    before: Result, after: Result | None, params: Result, *, after_title: str = "calibrated"
) -> Table:
    """Return the metrics of a slice; with `after`, both side by side and the change."""
    raw = bool(params.get("raw")) and entry(before.get("ece")).get("value") is None
    if raw:  # what raw scores have no figures of is left out
        before = {name: one for name, one in before.items() if one["value"] is not None}
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
            figure(name, before.get(name)) if name in before else Cell(""),
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


def _change(name: str, before: Any, after: Any) -> Cell:
    old, new = entry(before), entry(after)
    if old.get("value") is None or new.get("value") is None:
        return Cell("")
    difference = new["value"] - old["value"]
    style: Style = ""
    # Colour claims something, so only where the two intervals do not even touch.
    if _apart(old, new):
        if name in LOWER_IS_BETTER:
            style = "good" if difference < 0 else "bad"
        elif name in HIGHER_IS_BETTER:
            style = "good" if difference > 0 else "bad"
    return Cell(figures.signed(difference), "", style)


def _apart(one: Result, other: Result) -> bool:
    ends = [item.get(end) for item in (one, other) for end in ("low", "high")]
    low, high, other_low, other_high = ends
    if low is None or high is None or other_low is None or other_high is None:
        return False
    return bool(high < other_low or other_high < low)


def confusion_table(parts: Sequence[tuple[str, Result]], params: Result) -> Table | None:
    """Return the confusion counts and rates at each cut-off; `parts` are (row title, slice)."""
    rows: list[tuple[Cell, ...]] = []
    for title, part in parts:
        for item in part.get("confusion") or []:
            rows.append(
                (
                    Cell(title),
                    Cell(figures.short(item["threshold"]), style="bold"),
                    *(Cell(figures.count(item.get(key))) for key in ("tp", "fp", "fn", "tn")),
                    *(figure(key, item.get(key)) for key in RATES),
                )
            )
    if not rows:
        return None
    ranks = {"fpr": 3, "specificity": 2, "f1": 1}
    columns: tuple[Column, ...] = (
        Column("", left=True),
        Column("threshold"),
        *(Column(key) for key in ("tp", "fp", "fn", "tn")),
        *(Column(key, short_level(params), rank=ranks.get(key, 0)) for key in RATES),
    )
    tables = [item for _, part in parts for item in part.get("confusion") or []]
    # A detector has no true negatives, and nothing that is made of them.
    bare = {5, 9, 10} if all(item.get("tn") is None for item in tables) else set()
    if all(not row[0].text for row in rows):
        bare.add(0)
    columns = tuple(column for i, column in enumerate(columns) if i not in bare)
    rows = [tuple(cell for i, cell in enumerate(row) if i not in bare) for row in rows]
    return Table("Confusion: positive means score >= threshold", columns, tuple(rows))


def short_level(params: Result) -> str:
    """Return `95%`, the title above intervals where columns are many; nothing without intervals."""
    if "confidence" in params and params["confidence"] is None:
        return ""
    return f"{words.confidence_of(params) * 100:.6g}%"


def bins_table(part: Result, params: Result, task: str) -> Table | None:
    """Return the reliability bins; before and after in one table where the edges agree."""
    bins = part.get("bins") or []
    after = (part.get("calibrated") or {}).get("bins") or []
    if not bins:
        return None
    if after and [(b["low"], b["high"]) for b in after] != [(b["low"], b["high"]) for b in bins]:
        after = []
    closed = str(params.get("closed", "right"))
    score, frequency = words.score_word(task)
    tolerance = words.tolerance_of(params)
    rows = []
    for i, row in enumerate(bins):
        label = figures.bin_label(
            row["low"], row["high"], first=i == 0, last=i == len(bins) - 1, closed=closed
        )
        cells = [Cell(label), *_bin_cells(row, tolerance)]
        if after:
            cells += _bin_cells(after[i], tolerance)
        rows.append(tuple(cells))
    columns = [Column("bin", left=True), *_bin_columns("", score, frequency, params)]
    if after:
        columns += _bin_columns("after ", score, frequency, params)
    groups = (("", 1), ("before", 5), ("calibrated", 5)) if after else ()
    return Table("Reliability by bin", tuple(columns), tuple(rows), groups=groups)


def calibrated_bins_table(part: Result, params: Result, task: str) -> Table | None:
    """Return the bins after calibration, where their edges are not those of before."""
    before, after = part.get("bins") or [], (part.get("calibrated") or {}).get("bins") or []
    if not after or [(b["low"], b["high"]) for b in after] == [
        (b["low"], b["high"]) for b in before
    ]:
        return None
    table = bins_table({"bins": after}, params, task)
    return table and Table("Reliability after calibration", table.columns, table.rows)


def _bin_columns(prefix: str, score: str, frequency: str, params: Result) -> list[Column]:
    return [
        Column(f"{prefix}rows"),
        Column(score, rank=3 if prefix else 0),
        Column(frequency, short_level(params)),
        Column("gap"),
        Column(f"{score} is", left=True, rank=2),
    ]


def _bin_cells(row: Result, tolerance: float) -> list[Cell]:
    if not row["count"]:
        return [Cell("0", style="dim"), *(Cell("-", style="dim") for _ in range(3)), Cell("")]
    gap = row["gap"]
    beyond = regions.miss(row) > 1
    style: Style = ("bad" if abs(gap) > tolerance else "warn") if beyond else ""
    mark = ("too low" if gap > 0 else "too high") if beyond else ""
    bounds = figures.interval({"low": row.get("frequency_low"), "high": row.get("frequency_high")})
    return [
        Cell(figures.count(row["count"])),
        Cell(figures.metric(row["score"])),
        Cell(figures.metric(row["frequency"]), bounds),
        Cell(figures.signed(gap), "", style),
        Cell(mark, "", style),
    ]


def ece_by_bins_table(part: Result, params: Result) -> Table | None:
    """Return ECE for every binning; None for one or two, which `words` has room for."""
    rows = part.get("ece_by_bins") or []
    if len(rows) < 3:
        return None
    after = (part.get("calibrated") or {}).get("ece_by_bins") or []
    columns = [Column("binning", left=True), Column("ece", level(params))]
    if after:
        columns.append(Column("calibrated", level(params)))
    cells = []
    for i, row in enumerate(rows):
        cells.append(
            (
                Cell(words.binning_words(row)),
                figure("ece", row["ece"]),
                *([figure("ece", after[i]["ece"])] if i < len(after) else []),
            )
        )
    return Table("ECE depends on the bins", tuple(columns), tuple(cells))


def gates_table(gates: Sequence[Result]) -> Table | None:
    """Return the gates with pass or FAIL."""
    if not gates:
        return None
    rows = tuple(
        (
            Cell("pass", "", "good") if gate["passed"] else Cell("FAIL", "", "bad"),
            Cell(str(gate["expr"])),
            Cell(figures.metric(gate.get("value"))),
        )
        for gate in gates
    )
    columns = (Column("gate", left=True), Column("fails if", left=True), Column("value"))
    return Table("Gates", columns, rows)
