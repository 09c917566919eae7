"""A result of `measure` in few lines: what a person needs to decide, and no more.

The answer stands first and the gates last. Digits follow the intervals: two digits of the width
of an interval are shown, and of the value as many.
"""

from __future__ import annotations

from math import ceil, log10
from typing import TYPE_CHECKING, Final

from calibcli.core.decisions.costs import parse_costs
from calibcli.core.results.figures import Figure
from calibcli.render.words import figures, names, words
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.decided import DecisionCounts
    from calibcli.core.results.parts.evidence import GatheredGroup
    from calibcli.core.results.threshold import ReferralBand
    from calibcli.render.tables.layout import Style
    from calibcli.render.words.bins import Region
    from calibcli.render.words.verdicts import Tone

HEADLINES: Final = {
    "accuracy": "accuracy", "brier": "Brier", "nll": "log loss", "auc": "AUC", "ap": "AP",
    "ap50": "AP50",
}  # fmt: skip
"""Figures of the whole that are shown, by metric, as people call them."""
WIDTH: Final = 80
SURE: Final = 0.05
"""P-value below which a promise is said to be broken."""
_PLAIN_DIGITS = 3
_REGIONS = 3
_STRUCTURES = 4
_CUTS = 2


def digits_of(figure: Figure) -> int:
    """Return decimals that show two digits of the width of an interval.

    >>> digits_of(Figure(0.1021, 0.075, 0.117)), digits_of(Figure(0.5, 0.1, 0.9))
    (3, 2)
    """
    if figure.low is None or figure.high is None or figure.high <= figure.low:
        return _PLAIN_DIGITS
    return min(max(ceil(-log10(figure.high - figure.low)) + 1, 2), 8)


def number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, never rounded to nothing.

    >>> number(0.1021, 3), number(0.00001, 3), number(None, 3)
    ('0.102', '1.0e-05', '-')
    """
    if value is None:
        return figures.NONE
    if value != 0 and abs(value) < 0.5 * 10.0**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def with_interval(figure: Figure) -> str:
    """Return a figure and its interval.

    >>> with_interval(Figure(0.1021, 0.075, 0.117))
    '0.102 [0.075, 0.117]'
    """
    digits = digits_of(figure)
    if figure.low is None or figure.high is None:
        return number(figure.value, digits)
    # An end that is 0 says so; one that is not must not look like it.
    ends = ", ".join(number(end, digits) for end in (figure.low, figure.high))
    return f"{number(figure.value, digits)} [{ends}]"


def count(value: float | None) -> str:
    """Return a count with separators.

    >>> count(1688), count(12.5)
    ('1,688', '12.5')
    """
    if value is None:
        return figures.NONE
    return f"{int(value):,}" if value == int(value) else f"{value:,.1f}"


def ends_of_line(left: str, right: str, columns: int, style: Style) -> list[tuple[str, Style]]:
    """Return two texts at the ends of a line, or below each other where there is no room."""
    gap = columns - names.columns(left) - names.columns(right)
    if right and gap < 2:
        return [(left, style), (right, "")]
    return [(f"{left}{' ' * gap}{right}" if right else left, style)]


def region_lines(found: Sequence[Region], rows: str = "rows") -> list[str]:
    """Return what the scores of a region say and what is true there, a line each, in order."""
    shown = sorted(found[:_REGIONS], key=lambda one: one.low)
    ranges = [f"{figures.edge(one.low)} to {figures.edge(one.high)}" for one in shown]
    size = max(map(len, ranges), default=0)
    lines = [
        f"  {text:<{size}}   says {share(one.score):>4}, is {share(one.frequency):>4}"
        f"   {count(one.count)} {rows}"
        for text, one in zip(ranges, shown, strict=True)
    ]
    if len(found) > _REGIONS:
        lines.append(f"  and {len(found) - _REGIONS} more")
    return lines


def share(value: float) -> str:
    """Return a share in percent, such as `46 %`."""
    text = figures.percent(value)
    return f"{text[:-1]} %"


def headline_figures(found: Mapping[str, Figure], *, raw: bool = False) -> list[str]:
    """Return figures of the whole as `Brier 0.194`; of raw scores those of their order."""
    if raw and found["ece"].value is None:
        order = {"auc": "AUC", "average_precision": "average precision"}
        shown = {key: found[key] for key in order if found[key].value is not None}
        return [f"{order[key]} {with_interval(figure)}" for key, figure in shown.items()]
    return [
        f"{name} {number(found[key].value, digits_of(found[key]))}"
        for key, name in HEADLINES.items()
        if key in found and found[key].value is not None
    ]


def cut_lines(part: SliceResult, *, below: bool = False) -> list[str]:
    """Return what the cut-offs do, a line each; `below`: what is below them is positive."""
    tables = part.confusion or ()
    lines = []
    for table in tables[:_CUTS]:
        shown = [("precision", table.precision), ("recall", table.recall)]
        said = ", ".join(f"{name} {with_interval(figure)}" for name, figure in shown)
        side = " or below" if below else ""
        lines.append(f"at {figures.short(table.threshold)}{side}: {said}")
    if len(tables) > _CUTS:
        lines.append(f"and {len(tables) - _CUTS} more cut-offs")
    return lines


def bias_line(found: Mapping[str, Figure]) -> str:
    """Return what is to be said of an ECE that chance alone would give; empty where there is none.

    The binned ECE of honest scores is above 0 by chance, so an interval from 0 ends near it.
    """
    ece, debiased = found.get("ece"), found.get("ece_debiased")
    if ece is None or ece.value is None or ece.low != 0.0 or ece.high is None:
        return ""
    if ece.value < 0.8 * ece.high or debiased is None or debiased.value is None:
        return ""
    return f"binned ECE is above 0 by chance alone; debiased it is {with_interval(debiased)}"


def worst_lines(result: MeasureResult) -> Iterator[str]:
    """Yield the worst class, and the worst value of each group column."""
    for kind, parts in words.slices_by_kind(result).items():
        if kind == "class" and result.segmentation is not None:
            continue  # each structure is shown where it is decided
        measured = [part for part in parts if words.ece_of(part) is not None]
        worst = words.worst_slice(measured) if len(measured) > 1 else None
        if worst is None:
            continue
        found = worst.last
        rows = count(found.rows)
        what = "class" if kind == "class" else names.visible(kind.removeprefix("group "))
        name = names.cut(names.visible(worst.where.title), 30)
        ece = with_interval(found.metrics["ece"])
        yield f"worst {what}: {name}, ECE {ece}, {rows} {words_of(result.task).rows}"


def structure_lines(result: MeasureResult) -> list[str]:
    """Return the structures of images, the worst first: what they say where they are decided."""
    told = () if result.segmentation is None else result.segmentation.structures
    order = sorted(told, key=lambda one: -abs(one.last.gap.value or 0.0))
    lines = []
    for one in order[:_STRUCTURES]:
        score, precision = one.last.score.value, one.last.precision.value
        if score is None or precision is None:
            continue
        lines.append(
            f"  {names.cut(names.visible(one.name), 24)}: says {share(score)}, "
            f"is {share(precision)}   Dice {with_interval(one.last.dice)}"
        )
    if len(told) > _STRUCTURES:
        lines.append(f"  and {len(told) - _STRUCTURES} more structures")
    return lines


def chosen_line(result: MeasureResult) -> str:
    """Return what the cut-off of `--thresholds` finds, alerts and costs; empty without one.

    Where rows are referred it is what is decided of the others.
    """
    tables, asked = result.overall.last.confusion or (), result.conventions.thresholds
    if result.decision is None or not tables or not asked or tables[0].threshold != asked[0]:
        return ""
    if result.decision.classes:  # each class has a cut-off of its own
        return ""
    rows, counts = words_of(result.task).rows, result.decision.referring
    if counts is not None:
        left = share(result.decision.metrics["undecided"].value or 0.0)
        return f"  {found_words(counts)}, refers {left} of {rows}"
    return f"  {found_line(tables[0], result.conventions.cost, rows)}"


def found_words(counts: Confusion | DecisionCounts | ReferralBand) -> str:
    """Return how many positives are found, and how many alerts that takes."""
    there, given = counts.tp + counts.fn, counts.tp + counts.fp
    return f"finds {count(counts.tp)} of {count(there)}, alerts {count(given)}"


def found_line(table: Confusion, cost: str | None, rows: str = "rows") -> str:
    """Return what a cut-off finds, alerts and costs: counts, a share, and the price of 1,000."""
    told = found_words(table)
    if table.tn is None or not table.rows:
        return told
    told += f" ({share(table.given / table.rows)} of {rows})"
    paid = None if cost is None else figures.priced(table, parse_costs(cost).of_outcomes)
    return told if paid is None else f"{told}, costs {paid[0]} per 1,000 ({paid[1]})"


def decision_line(result: MeasureResult) -> str:
    """Return what the decisions of `--thresholds` are worth; empty without any."""
    decision = result.decision
    if decision is None:
        return ""
    counts, metrics = decision.confusion, decision.metrics
    shown = {"accuracy": "accuracy", "undecided": "undecided", "macro_f1": "mean F1"}
    boxes = counts is not None and "accuracy" not in metrics
    if boxes:
        shown = {"precision": "precision"}
    told = [
        f"{name} {with_interval(metrics[key])}" for key, name in shown.items() if key in metrics
    ][:2]
    if boxes and counts is not None:
        told = [found_words(counts), *told]
    return f"decisions: {', '.join(told)}" if told else ""


def evidence_lines(result: MeasureResult) -> list[tuple[str, Tone]]:
    """Return what all nights tell of each promise."""
    found = result.evidence
    if found is None:
        return []
    over = f"over {found.nights:,} night{'' if found.nights == 1 else 's'}"
    told: list[tuple[str, Tone]] = []
    for one in found.promises:
        said = "is broken" if one.p < SURE else "is not shown to be broken"
        proof = f"evidence {one.value:.3g}, p {one.p:.2g} at whatever night one looks"
        told.append((f"{one.promise} {said} {over}: {proof}", "bad" if one.p < SURE else "good"))
    told += _group_evidence(found.groups or ())
    if not found.counted:
        told.append(("these rows have counted before, and do not again", "warn"))
    return told


def _group_evidence(groups: Sequence[GatheredGroup]) -> list[tuple[str, Tone]]:
    """Return the groups in which a promise is broken, and of each other promise the smallest p."""
    told: list[tuple[str, Tone]] = []
    if not groups:
        return told
    for place, promise in enumerate(groups[0].promises):
        ranked = sorted(((one.promises[place].p, one) for one in groups), key=lambda pair: pair[0])
        bad = [pair for pair in ranked if pair[0] < SURE]
        for p, one in bad:
            where = names.visible(f"{one.slice.column}={one.slice.title}")
            over = f"{one.nights:,} night{'' if one.nights == 1 else 's'}"
            said = f"{promise.promise} is broken in {where} over {over}"
            told.append((f"{said}: p {p:.2g} for all groups together", "bad"))
        if not bad:
            said = f"is not shown to be broken in any of {len(groups):,} groups"
            told.append((f"{promise.promise} {said}: smallest p {ranked[0][0]:.2g}", "good"))
    return told


def gate_lines(gates: Sequence[GateResult]) -> list[tuple[str, Tone]]:
    """Return each gate with what it found, and its tone."""
    lines: list[tuple[str, Tone]] = []
    for gate in gates:
        said = f"{names.visible(gate.expr)}   {figures.with_interval(gate)}"
        lines.append((f"pass  {said}", "good") if gate.passed else (f"FAIL  {said}", "bad"))
    return lines


def more_line(result: MeasureResult) -> str:
    """Return what `--all` would add."""
    metrics, bins = result.overall.metrics, result.overall.last.bins
    if not result.overall.bins:  # raw scores have few figures
        metrics = {name: one for name, one in metrics.items() if one.value is not None}
    parts = [f"{len(metrics)} metrics", *([f"{len(bins)} bins"] if bins else [])]
    for name, slices in (("classes", result.classes), ("groups", result.groups)):
        parts += [f"{len(slices)} {name}"] if slices else []
    return f"--all: {', '.join(parts)}"
