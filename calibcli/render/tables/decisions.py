"""Tables about choices: candidates of a fit, chosen cut-offs, their cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.results.base import UNSET
from calibcli.core.results.figures import RATES, Figure
from calibcli.core.results.fit import FittedGroup, Side
from calibcli.core.results.threshold import ReferralBand
from calibcli.render.tables import choices
from calibcli.render.tables.common import (
    COUNTS,
    count_cells,
    figure,
    level,
    rate_cells,
    short_level,
    slice_title,
)
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.figures import Where
    from calibcli.core.results.fit import Candidate, FittedClass
    from calibcli.core.results.parts.stored import MapPoint
    from calibcli.core.results.threshold import Choice, CutCost, CutOff, GroupCut
    from calibcli.render.tables.layout import Row, Style

    Price = float | tuple[float, float] | ReferralBand | None


_UNSAID = frozenset(
    {"schema", "version", "method", "notes", "limits", "exclusive", "normalize", "files"}
)


def parameters_words(calibrator: Mapping[str, Any]) -> str:
    """Return a calibrator's parameters in one line; of lists and parts their number."""
    said = []
    for key, value in calibrator.items():
        if key in _UNSAID or value is None or isinstance(value, str):
            continue
        name = key.replace("_", " ")
        if isinstance(value, dict):
            if "method" in value:
                told = parameters_words(value)
                said.append(f"{name}: {value['method']}{f' ({told})' if told else ''}")
            else:
                said.append(f"{len(value)} {name}")
        elif isinstance(value, (list, tuple)):
            if value and all(isinstance(one, str) for one in value):
                said.append(f"{name}: {', '.join(value)}")
                continue
            parts = value and isinstance(value[0], (dict, list))
            said.append(f"{len(value)} {name}" if parts else f"{name}: {len(value)} values")
        elif isinstance(value, float):
            said.append(f"{name} = {figures.short(value)}")
        else:
            said.append(f"{name} = {value}")
    low, high = calibrator.get("limits") or (None, None)
    if low is not None or high is not None:
        ends = " to ".join(figures.short(end) if end is not None else "" for end in (low, high))
        said.append(f"logits held to {ends.strip()}")
    return ", ".join(said)


def candidates_table(candidates: Sequence[Candidate], params: Conventions) -> Table | None:
    """Return the methods that were compared; the chosen one is marked."""
    if not candidates:
        return None
    timed = any(item.seconds is not None for item in candidates)

    def row(item: Candidate) -> Row:
        style: Style = "good" if item.chosen else ""
        yield Column("", left=True), Cell("chosen" if item.chosen else "", "", style)
        yield Column("method", left=True), Cell(item.method, "", style)
        yield Column(f"cross-fitted {params.select}"), figures.metric(item.score)
        yield Column("se of difference to best"), figures.metric(item.se)
        if timed:
            yield Column("seconds", rank=1), _seconds(item.seconds)
        yield Column("note", left=True), item.note

    return Table.of("Candidates", map(row, candidates))


def _seconds(value: float | None) -> str:
    return figures.NONE if value is None else f"{value:.2f}"


def fitted_slices_table(
    parts: Sequence[FittedClass | FittedGroup], params: Conventions, title: str = "Per slice"
) -> Table | None:
    """Return ECE and log loss before and after, one row a class or a group.

    Groups also tell how much of their map is their own, and why where nothing is.
    """

    def row(part: FittedClass | FittedGroup) -> Row:
        before, after = part.before or Side(), part.after or Side()
        yield Column("slice", left=True), part.slice.title
        yield Column("n"), figures.count(before.value("n"))
        if isinstance(part, FittedGroup):
            yield Column("own map"), _weight(part.weight)
        yield Column("ece before", level(params)), figure("ece", before.metrics.get("ece"))
        yield Column("ece after", level(params)), figure("ece", after.metrics.get("ece"))
        yield Column("nll before", rank=1), figures.metric(before.value("nll"))
        yield Column("nll after", rank=1), figures.metric(after.value("nll"))
        if isinstance(part, FittedGroup):
            yield Column("note", left=True), part.note

    return Table.of(title, map(row, parts)) if parts else None


def _weight(value: float | list[float]) -> str:
    """Return the share of a slice's own map; of several labels the least and the most."""
    if isinstance(value, list):
        ends = sorted({figures.percent(one) for one in (min(value), max(value))})
        return " to ".join(ends)
    return figures.percent(value)


def map_table(points: Sequence[MapPoint], params: Conventions) -> Table | None:
    """Return the calibrated probability at chosen scores, and how sure it is."""

    def row(point: MapPoint) -> Row:
        calibrated = Figure(point.probability, point.low, point.high)
        yield Column("score"), figures.metric(point.score)
        yield Column("calibrated probability", level(params)), figure("probability", calibrated)

    return Table.of("The map", map(row, points)) if points else None


def objective_words(result: Choice) -> str:
    """Return what was sought: `maximises f1, subject to precision>=0.95`."""
    objective = result.objective or ""
    text = "minimises expected cost" if objective == "cost" else f"maximises {objective}"
    limits = " and ".join(result.constraints)
    return f"{text}, subject to {limits}" if limits else text


def thresholds_headline(result: Choice, *, reached: bool = True) -> str:
    """Return the answer in a line: the cut-off exactly, and what it is best at.

    `reached`: also what it reaches, where it is the only one.
    """
    other = choices.headline(result)
    if other:
        return other
    chosen, common = result.thresholds, result.common
    if common is not None:
        crossed = common.cross_fitted
        honest = f", cross-fitted {figures.with_interval(crossed.value)}" if crossed else ""
        threshold, value = figures.exact(common.threshold), figures.metric(common.value)
        of_all = f"threshold {threshold} for all {len(chosen)} classes"
        return f"{of_all}: {objective_words(result)} ({value}{honest})"
    if len(chosen) != 1:
        return f"{len(chosen)} thresholds: each {objective_words(result)}"
    only = chosen[0]
    of_logit = "" if only.logit is None else f" (logit {figures.exact(only.logit)})"
    threshold = figures.exact(only.threshold)
    below = " or below" if result.conventions.falling else ""
    told = f"threshold {threshold}{of_logit}{below}: {objective_words(result)}"
    return f"{told}{_reached(only)}" if reached else told


def _reached(item: CutOff) -> str:
    """Return what was reached; the interval is of new rows and may not hold what these gave."""
    best, crossed = item.reached, item.crossed
    if best is None or best.value is None:
        return ""
    if (
        best.low is None
        or best.high is None
        or crossed is None
        or crossed.value is None
        or best.low <= best.value <= best.high
    ):
        return f" ({figures.with_interval(best)})"
    return f" ({figures.metric(best.value)} here, cross-fitted {figures.with_interval(crossed)})"


def kind_words(result: Choice, *, advice: bool = True) -> str:
    """Return how far the choice can be trusted, with what would make it certain."""
    params = result.conventions
    confidence, unit = params.guarantee, params.cluster
    if result.kind == "conformal":
        if unit:
            return f"conformal: holds for a row of a new value of {unit}, whatever the model"
        return "conformal: holds on new rows like these, whatever the model"
    if result.kind == "certified":
        level_words = f" with confidence {figures.short(confidence)}" if confidence else ""
        held = [result.common, *result.thresholds]
        promised = [one.guarantee for one in held if one is not None and one.guarantee is not None]
        unit = next((one.unit for one in promised if one.unit is not None), unit)
        within = next((one.within for one in promised if one.within is not None), None)
        level_words += "" if within is None else f", in every group of {within}"
        if unit:
            named = {"image": "images", "row": "rows"}.get(unit, f"values of {unit}")
            most = next((one.most for one in promised if one.most is not None), None)
            if most is not None:
                level_words += f"; an image counts at most {figures.short(most)} false boxes"
            return f"certified: holds in the mean over new {named} like these{level_words}"
        return f"certified: the constraint holds on new rows like these{level_words}"
    told = "empirical: best on these rows; new rows will do somewhat worse"
    return f"{told} (--guarantee certifies)" if advice else told


def thresholds_table(chosen: Sequence[CutOff], params: Conventions) -> Table | None:
    """Return the chosen cut-offs, exact, with counts, rates and intervals."""
    if not chosen:
        return None
    tables = [item.confusion for item in chosen if item.confusion is not None]
    shown = [key for key in RATES if any(one.rates[key].value is not None for one in tables)]
    counts = COUNTS if any(one.tn is not None for one in tables) else COUNTS[:3]
    suppressed = any(item.suppression is not None for item in chosen)
    of_logits = any(item.logit is not None for item in chosen)
    beside = short_level(params) if any(map(_cut_interval, chosen)) else ""

    def row(item: CutOff) -> Row:
        yield Column("slice", left=True), slice_title(item.slice)
        cut = Cell(figures.exact(item.threshold), _cut_interval(item), "bold")
        yield Column("threshold", beside), cut
        if of_logits:
            yield Column("logit"), Cell(figures.exact(item.logit), style="bold")
        if suppressed:
            yield Column("NMS IoU"), figures.short(item.suppression)
        yield Column("n"), figures.count(item.n)
        yield from count_cells(item.confusion, counts)
        yield from rate_cells(item.confusion, shown, params)

    caption = f"Chosen thresholds: positive means score {words.cut_sign(params)} threshold"
    return Table.of(caption, map(row, chosen))


def _cut_interval(item: CutOff) -> str:
    low, high = item.ends
    return "" if low is None or high is None else f"[{figures.short(low)}, {figures.short(high)}]"


def groups_table(result: Choice) -> Table | None:
    """Return what the chosen cut-offs do in each group, and which constraints they break."""
    limited = "".join(result.constraints)
    shown = [key for key in RATES if key in limited] or ["precision", "recall"]

    def row(part: GroupCut) -> Row:
        sure = part.beyond_chance
        style: Style = "bad" if sure else "warn" if part.breaks else ""
        said = "breaks " + ", ".join(part.breaks) if part.breaks else ""
        yield Column("slice", left=True), slice_title(part.slice)
        yield Column("threshold", rank=1), figures.short(part.threshold)
        yield Column("n"), figures.count(part.n)
        yield from count_cells(part.confusion)
        for key in shown:
            yield (
                Column(key, short_level(result.conventions)),
                figure(key, part.confusion.rates[key]),
            )
        yield (
            Column("constraint", left=True),
            Cell(f"{said} beyond chance" if sure else said, "", style),
        )

    parts = result.groups
    return Table.of("What the cut-off does in each group", map(row, parts)) if parts else None


def costs_table(result: Choice) -> Table | None:
    """Return the costs at each cut-off, whatever figures the result has for them."""
    priced = [
        (item.slice, costs_of(item.cost)) for item in result.thresholds if item.cost is not None
    ]
    if not priced:
        return None
    keys = list(dict.fromkeys(key for _, costs in priced for key in costs))

    def row(where: Where, costs: Mapping[str, Price]) -> Row:
        yield Column("slice", left=True), slice_title(where)
        for key in keys:
            yield Column(key.replace("_", " ")), _cost_cell(costs.get(key))

    return Table.of("Cost", (row(*one) for one in priced))


def costs_of(cost: CutCost) -> dict[str, Price]:
    """Return the costs at a cut-off by name; a band only where rows can be referred."""
    found = structs.asdict(cost)
    told = {k: v for k, v in found.items() if v is not UNSET}
    return {k: v for k, v in told.items() if v is not None or k == "p_value"}


def _cost_cell(value: Price) -> Cell:
    if isinstance(value, ReferralBand):
        cost, referred = figures.metric(value.cost), figures.count(value.referred)
        return Cell(_band_words(value.low, value.high), f"{cost} a row, {referred} referred")
    return Cell(_band_words(*value) if isinstance(value, tuple) else figures.short(value))


def _band_words(low: float, high: float) -> str:
    return f"refer [{figures.short(low)}, {figures.short(high)})"
