"""A result of `threshold` in few lines: the cut-off, what it finds and costs, and how sure it is.

Of many cut-offs those that reach least are shown.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from calibcli.core.results.figures import RATES
from calibcli.render.tables import decisions
from calibcli.render.words import figures, names, short, words
from calibcli.render.words.lines import DETAIL, KEPT, MORE, Line, ranked
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.base import Number
    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.results.threshold import (
        Choice,
        CutOff,
        GroupCut,
        ReferralBand,
        ThresholdResult,
    )
    from calibcli.render.tables.layout import Style

_CUTS: Final = 5
_FIRST: Final = 3
_GROUPS: Final = 3
_DECIDED: Final = {
    "accuracy": "accuracy", "undecided": "undecided", "precision": "precision",
    "recall": "recall", "macro_f1": "mean F1", "fp_per_image": "false alarms an image",
}  # fmt: skip
_FIGURES_DECIDED = 2


def lines(result: ThresholdResult, columns: int) -> Iterator[Line]:
    """Yield the lines above the files."""
    yield Line(names.visible(decisions.thresholds_headline(result, reached=False)), "bold")
    sure: Style = "dim" if result.kind == "empirical" else ""
    yield Line(decisions.kind_words(result, advice=False), sure, MORE if sure else KEPT)
    chosen = result.thresholds
    alone = len(chosen) == 1 and result.common is None
    if alone:
        for place, line in enumerate(_only(chosen[0], result)):
            yield Line(f"  {line}", "", KEPT if place < _FIRST else MORE)
    else:
        # One cut-off for all is chosen by a figure of all; of each there is its F1.
        figure = "f1" if result.common is not None else result.objective or "value"
        each = _each(chosen, figure, words.cut_sign(result.conventions), columns - 2)
        for place, line in enumerate(each):
            yield Line(f"  {line}", "", KEPT if place < _FIRST else MORE)
    for line in _other(result):
        yield Line(f"  {line}", "", DETAIL)
    if not alone:
        yield from ranked(_decided(result.decision), DETAIL, MORE)
    for place, (text, style) in enumerate(_groups(result)):
        yield Line(text, style, MORE if place else DETAIL)


def rows_words(result: Choice) -> str:
    """Return how many rows were read; nothing where each cut-off has other ones."""
    what = words_of(result.task)
    whole = [one.n for one in result.thresholds if one.n and one.slice.kind != "group"]
    parts = [one.n for one in result.thresholds if one.n and one.slice.kind == "group"]
    if not what.rivals and len(result.thresholds) > 1:
        return ""
    total = max(whole) if whole else sum(parts)
    return f"{short.count(total)} {what.rows}" if total else ""


def _only(item: CutOff, result: Choice) -> Iterator[str]:
    """Yield what a single cut-off reaches, finds, and how far it is from that of other rows."""
    reached, crossed = item.reached, item.crossed
    what = words_of(result.task).rows
    objective = "cost a row" if result.objective == "cost" else (result.objective or "value")
    crossed = None if crossed is None or crossed.value is None else crossed
    said_below = crossed is None and objective in RATES[:2] and item.confusion is not None
    alone = ""
    if item.cost is not None and item.cost.band is not None:
        alone = "without referrals: "
        yield from _referral(item.cost.band, item.n, what)
    if reached is not None and reached.value is not None and not said_below:
        digits = short.digits_of(reached)
        told = f"{objective} {short.number(reached.value, digits)} here"
        if crossed is not None:
            told += f", {short.with_interval(crossed)} on {what} the choice has not seen"
        elif reached.low is not None and reached.high is not None:
            ends = ", ".join(short.number(end, digits) for end in (reached.low, reached.high))
            told = f"{objective} {short.number(reached.value, digits)} [{ends}]"
        yield f"{alone}{told}"
    table = item.confusion
    if table is not None:
        yield f"{alone}{short.found_line(table, result.conventions.cost, what)}"
        yield _rates(table, result.constraints)
    low, high = item.ends
    if low is not None and high is not None and low < high:
        level = f"{100 * result.conventions.level:.4g}%"
        ends = f"{figures.short(low)} to {figures.short(high)}"
        yield f"other rows like these would cut at {ends} ({level})"
    if item.suppression is not None:
        yield f"boxes are suppressed from an IoU of {figures.short(item.suppression)}"
    if item.min_area or item.fill_holes:
        yield _filter(item)


def _referral(band: ReferralBand, rows: Number | None, what: str) -> Iterator[str]:
    """Yield which rows are referred, and what is decided of the others."""
    ends = " to ".join(map(figures.short, (band.low, band.high)))
    of_all = "" if rows is None else f" of {short.count(rows)}"
    cost = f"{1000 * band.cost:.0f} per 1,000"
    yield f"refers {short.count(band.referred)}{of_all} {what}, scores from {ends}; costs {cost}"
    yield f"of the others {short.found_words(band)}"


def _rates(
    table: Confusion, constraints: Sequence[str], always: Sequence[str] = ("precision", "recall")
) -> str:
    """Return the rates that constraints are about, and those that are `always` shown."""
    asked = "".join(constraints)
    shown = [name for name in RATES if name in always or name in asked]
    rates = table.rates
    return ", ".join(
        f"{name} {short.with_interval(rates[name])}"
        for name in shown
        if rates[name].value is not None
    )


def _filter(item: CutOff) -> str:
    told = ["holes filled"] if item.fill_holes else []
    told += [f"regions of fewer than {item.min_area} pixels left out"] if item.min_area else []
    return ", ".join(told)


def _each(chosen: Sequence[CutOff], objective: str, sign: str, columns: int) -> Iterator[str]:
    """Yield a line for each cut-off; of many for those that reach least, in their order."""

    def worth(one: CutOff) -> float:
        reached = None if one.reached is None else one.reached.value
        if reached is None:
            return -inf
        return -reached if objective == "cost" else reached

    shown = list(chosen)
    if len(chosen) > _CUTS + 1:
        worst = sorted(chosen, key=worth)[:_CUTS]
        shown = [one for one in chosen if one in worst]
    titles = [names.cut(names.visible(one.slice.title), 24) for one in shown]
    cuts = ["" if one.threshold is None else f"{sign} {_cut(one.threshold)}" for one in shown]
    size, wide = (max(map(names.columns, found), default=0) for found in (titles, cuts))
    for title, cut, one in zip(titles, cuts, shown, strict=True):
        line = f"{title}{' ' * (size - names.columns(title))}  {cut:<{wide}}"
        for part in _reached(one, objective):
            line += f"  {part}" if names.columns(line) + len(part) + 2 <= columns else ""
        yield line.rstrip()
    if len(chosen) > len(shown):
        rest = "cost less" if objective == "cost" else "reach more"
        yield f"and {len(chosen) - len(shown)} more, which {rest}"


def _cut(threshold: float) -> str:
    """Return six digits, or all where six would be 1 and the cut-off is below it."""
    text = figures.short(threshold)
    return figures.exact(threshold) if text == "1" and threshold < 1.0 else text


def _reached(one: CutOff, objective: str) -> Iterator[str]:
    """Yield what a cut-off reaches and how masks and boxes are cleaned, the first that matters."""
    if one.threshold is None:
        yield names.visible(one.reason or "nothing chosen")
    if one.reached is not None and one.reached.value is not None:
        yield f"{objective} {short.with_interval(one.reached)}"
    if one.cost is not None and one.cost.band is not None:
        yield f"refers {short.count(one.cost.band.referred)}"
    if one.suppression is not None:
        yield f"NMS {figures.short(one.suppression)}"
    if one.min_area:
        yield f"area {one.min_area}"
    table = one.confusion
    rates = () if table is None else (("precision", table.precision), ("recall", table.recall))
    told = [
        f"{name} {short.number(figure.value, 2)}"
        for name, figure in rates
        if name != objective and figure.value is not None
    ]
    if told:
        yield ", ".join(told)


def _other(result: Choice) -> Iterator[str]:
    """Yield what is to be said of decisions that are no cut-offs."""
    kept, sets, cost = result.abstain, result.sets, result.cost_matrix
    if kept is not None:
        yield (
            f"keeps {short.count(kept.kept)} of {short.count(kept.n)}, "
            f"{short.count(kept.errors)} errors among them; of all rows "
            f"{figures.percent(kept.accuracy_of_all)} are right"
        )
    if sets is not None:
        for one in sorted(sets.slices, key=lambda part: part.coverage.value or 0.0)[:_GROUPS]:
            name = names.cut(names.visible(one.slice.title), 24)
            yield f"{name}: holds the true class in {short.with_interval(one.coverage)}"
        if sets.size is not None:
            yield (
                f"{figures.percent(sets.size.single)} of sets are one class, "
                f"{figures.percent(sets.size.empty)} are empty"
            )
    if cost is not None and cost.best_constant is not None:
        name = names.visible(cost.decisions[cost.best_constant.decision])
        yield f"always deciding {name} costs {short.number(cost.best_constant.cost, 3)} a row"


def _decided(decision: Decided | None) -> Iterator[str]:
    """Yield what the decisions are worth together, and on rows that the choice has not seen."""
    if decision is None:
        return
    for title, metrics in decision.beside("decisions"):
        told = [
            f"{name} {short.with_interval(metrics[key])}"
            for key, name in _DECIDED.items()
            if key in metrics and metrics[key].value
        ]
        if told:
            yield f"{title}: {', '.join(told[:_FIGURES_DECIDED])}"


def _groups(result: Choice) -> Iterator[tuple[str, Style]]:
    """Yield groups that break a constraint, the sure ones first; else that of least recall."""
    parts = result.groups or ()
    order = sorted(parts, key=lambda one: (-len(one.beyond_chance), -len(one.breaks)))
    broken = [one for one in order if one.breaks]
    for one in broken[:_GROUPS]:
        sure = " beyond chance" if one.beyond_chance else ""
        rates = _rates(one.confusion, one.breaks, ())
        told = f"{_group(one)}: breaks {', '.join(one.breaks)}{sure}"
        style: Style = "bad" if sure else "warn"
        yield f"{told}; {rates}" if rates else told, style
    if len(broken) > _GROUPS:
        yield f"and {len(broken) - _GROUPS} more groups that break a constraint", "warn"
    if broken or not parts:
        return
    if result.constraints:
        yield f"the constraints hold in each of {len(parts)} groups", ""
        return
    known = [(one.confusion.recall.value, one) for one in parts]
    least = min(known, key=lambda one: 1.0 if one[0] is None else one[0])[1]
    yield f"least recall: {_group(least)}, {short.with_interval(least.confusion.recall)}", ""


def _group(one: GroupCut) -> str:
    name = names.cut(names.visible(f"{one.slice.column or 'group'} {one.slice.title}"), 30)
    return name if one.slice.label is None else f"{name}, {names.visible(one.slice.label)}"


def more_line(result: ThresholdResult) -> str:
    """Return what `--all` would add."""
    parts = []
    if result.thresholds:
        one = len(result.thresholds) == 1
        parts.append(f"{len(result.thresholds)} cut-off{'' if one else 's'} with every rate")
    if result.groups:
        parts.append(f"{len(result.groups)} groups")
    if result.decision is not None and result.decision.confusion_matrix is not None:
        parts.append("the confusions")
    if not parts:
        parts.append("every figure")
    return f"--all: {', '.join(parts)}"
