"""Every figure of a report, told once: what it draws, what it says, and its caption.

The page, the Markdown and the folder of pictures take their figures from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from calibcli.render import decisions, figures, held, tabulate, verdicts, words
from calibcli.render.charts import decisions as decision_charts
from calibcli.render.charts import maps, ranking, reliability, search, slices
from calibcli.render.names import visible
from calibcli.render.palette import AFTER, BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.render.charts.ranking import Spec

    Result = Mapping[str, Any]

MULTIPLES: Final = 12
DOTS: Final = 40
MATRICES: Final = 6
LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart and its words.

    Attributes:
        identity: letters, digits and hyphens: its id in a page, its name as a file.
        spec: the Vega-Lite specification.
        says: what a screen reader reads in its place (raw text).
        caption: lines of (stage, raw text); the stage is "before", "after" or "".
    """

    identity: str
    spec: Spec
    says: str
    caption: tuple[tuple[str, str], ...] = ()


def all_figures(report: Result) -> Iterator[Figure]:
    """Yield the figures of a report, or of a measure result with curves, in their order."""
    measure = report.get("measure") or report
    whole = report if "measure" in report else {"measure": measure}
    yield from reliability_figures(measure)
    yield from ranking_figures(whole)
    yield from confusion_figures(whole)
    yield from search_figures(whole)
    yield from decision_figures(whole)
    for place, (kind, parts) in enumerate(words.slices_by_kind(measure).items()):
        yield dots_figure(kind, parts, measure, slices_identity(kind, place))
        yield from multiple_figures(kind, parts, measure, slices_identity(kind, place))
    if whole.get("calibrator"):
        yield from map_figures(whole["calibrator"])


# -- reliability -----------------------------------------------------------------------------------


def reliability_figures(result: Result) -> list[Figure]:
    """Return the reliability diagrams before and after, the CORP curve and ECE by bins."""
    params, task, overall = result.get("params", {}), words.task_of(result), result["overall"]
    after = overall.get("calibrated")
    made = [
        _diagram(overall, params, task, "Before calibration" if after else "Reliability diagram")
    ]
    if after:
        made.append(_diagram(after, params, task, "After calibration", color=AFTER))
    parts = [overall, after] if after else [overall]
    if all(part.get("corp") for part in parts):
        made.append(_corp(parts, params, task))
    if all(part.get("ece_curve") for part in parts):
        made.append(_ece_by_bins(parts, params))
    return made


def _diagram(part: Result, params: Result, task: str, title: str, color: str = BEFORE) -> Figure:
    bins, band = part.get("bins") or [], part.get("consistency")
    ece = figures.with_interval(part["metrics"].get("ece"))
    said = verdicts.slice_verdict(part, params, task).headline
    interval = tabulate.level(params)
    caption = f"ECE {ece}. "
    if interval:
        caption += (
            f"Filled points miss the line by more than their {interval}, as one in "
            f"{words.odds(params)} does by chance. "
        )
    caption += "Grey: where an honest model's points would lie. " if band else ""
    caption += "Bars: rows in each bin."
    return Figure(
        {"Before calibration": "reliability-before", "After calibration": "reliability-after"}.get(
            title, "reliability"
        ),
        reliability.reliability(bins, task=task, title=title, color=color, band=band),
        f"{title}: reliability diagram, {len(bins)} bins, ECE {ece}. {said}",
        (("", caption),),
    )


def _corp(parts: Sequence[Result], params: Result, task: str) -> Figure:
    curves = [part["corp"] for part in parts]
    parted = [figures.metric(_value(part, "brier_miscalibration")) for part in parts]
    text = (
        "The isotonic (CORP) curve: no bins to choose. Where it leaves the line, the Brier score "
        f"loses {' before and '.join(parted)}{' after' if len(parts) > 1 else ''} to "
        "miscalibration. "
    )
    band = curves[-1].get("band")
    level = f"{words.confidence_of(params) * 100:.6g}%"
    reason = curves[-1].get("reason") or ""
    text += f"Grey: {level} of the curves of an honest model." if band else _sentence(reason)
    spec = reliability.corp(curves, task=task, title="CORP reliability curve")
    return Figure("corp", spec, text.strip(), (("", text.strip()),))


def _ece_by_bins(parts: Sequence[Result], params: Result) -> Figure:
    rows = parts[-1]["ece_curve"]
    known = [row["ece"] for row in rows if row["ece"] is not None]
    low, high = min(known, default=None), max(known, default=None)
    shade = f", shaded the {tabulate.level(params)}" if tabulate.level(params) else ""
    text = (
        f"ECE depends on the bins: from {figures.metric(low)} to {figures.metric(high)} here. "
        f"Solid with dots: equal width{shade}. Dashed: equal mass."
    )
    spec = reliability.ece_by_bins([part["ece_curve"] for part in parts], title="ECE by bins")
    return Figure("ece-bins", spec, text, (("", text),))


def _value(part: Result, metric: str) -> float | None:
    value: float | None = (part["metrics"].get(metric) or {}).get("value")
    return value


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


# -- ranking and cut-offs --------------------------------------------------------------------------


def ranked(measure: Result) -> list[tuple[str, Result, dict[str, Any]]]:
    """Return (name, slice, curves): all rows, or, where these have none, classes, worst first."""
    overall = _curves_of(measure["overall"])
    if overall:
        return [("overall", measure["overall"], overall)]
    found = [(words.slice_name(p), p, _curves_of(p)) for p in measure.get("classes") or []]
    return sorted((item for item in found if item[2]), key=lambda item: _auc(item[1]))


def ranking_figures(report: Result) -> list[Figure]:
    """Return ROC and precision-recall curves with the chosen cut-off."""
    measure = report["measure"]
    named = ranked(measure)[:LINES]
    if not named:
        return []
    whole = named[0][1] is measure["overall"]
    # The worst class is drawn last, over the others.
    drawn = [(curve, place == 0) for place, (_, _, curve) in enumerate(named)][::-1]
    points = _points(report) if whole else []
    share = _value(measure["overall"], "prevalence") if whole else None
    rocs = [(curve["roc"], strong) for curve, strong in drawn if curve.get("roc")]
    prs = [(curve["pr"], strong) for curve, strong in drawn if curve.get("pr")]
    who = "" if whole else f" Each class against the rest; in colour the worst: {named[0][0]}."
    ring = " The ring is the cut-off." if points else ""
    pr = ranking.precision_recall(
        prs, [p["pr"] for p in points], prevalence=share, title="Precision and recall"
    )
    made = []
    for spec, identity, name, metric in (
        (ranking.roc(rocs, [p["roc"] for p in points], title="ROC"), "roc", "AUC", "auc"),
        (pr, "pr", "Average precision", "average_precision"),
    ):
        value = figures.with_interval(named[0][1]["metrics"].get(metric))
        text = f"{name} {value}.{who}{ring} Dashed: chance."
        made.append(Figure(identity, spec, text, (("", text),)))
    return made


def _curves_of(part: Result) -> dict[str, Any]:
    after = part.get("calibrated") or {}
    found = {key: after.get(key) or part.get(key) for key in ("roc", "pr")}
    return {key: curve for key, curve in found.items() if curve}


def _auc(part: Result) -> float:
    value = _value(part, "auc")
    return 2.0 if value is None else value


def _points(report: Result) -> list[dict[str, Any]]:
    """Return the cut-off as points of both curves: the chosen one, else the measured ones."""
    overall = report["measure"]["overall"]
    tables = (overall.get("calibrated") or overall).get("confusion") or []
    if report.get("thresholds"):
        tables = [
            item["confusion"]
            for item in held.measured(report)
            if decisions.slice_title(item) == "overall"
        ]
    made = []
    for table in tables:
        rates = {
            key: tabulate.entry(table[key]).get("value") for key in ("fpr", "recall", "precision")
        }
        label = figures.short(table["threshold"])
        if None not in rates.values():
            made.append(
                {
                    "roc": {"x": rates["fpr"], "y": rates["recall"], "label": label},
                    "pr": {"x": rates["recall"], "y": rates["precision"], "label": label},
                }
            )
    return made


def confusion_figures(report: Result) -> list[Figure]:
    """Return confusion matrices: at the chosen cut-offs, else at the measured ones."""
    overall = report["measure"]["overall"]
    if report.get("thresholds"):
        items = [(item["confusion"], _slice_title(item)) for item in held.measured(report)]
    else:
        tables = (overall.get("calibrated") or overall).get("confusion") or []
        items = [(table, "") for table in tables]
    # A matrix has four counts; a detector has no true negatives.
    items = [one for one in items if one[0].get("tn") is not None]
    return [
        _matrix(table, name, f"confusion-{place + 1}")
        for place, (table, name) in enumerate(items[:MATRICES])
    ]


def _matrix(table: Result, name: str, identity: str) -> Figure:
    at = figures.short(table["threshold"])
    title = f"{name}: cut-off {at}" if name else f"Cut-off {at}"
    counts = ", ".join(
        f"{key.upper()} {figures.count(table[key])}" for key in ("tp", "fp", "fn", "tn")
    )
    rates = "; ".join(
        f"{key} {figures.with_interval(tabulate.entry(table[key]))}"
        for key in ("precision", "recall", "f1")
        if key in table
    )
    says = f"Confusion at {at}: {counts}; {rates}"
    return Figure(identity, maps.confusion(table, title=title), says, (("", rates),))


def search_figures(report: Result) -> list[Figure]:
    """Return the overlap against cut-off and least area, where the cut-offs come from a search."""
    chosen = report.get("thresholds") or {}
    found: dict[str, list[Result]] = {}
    for curve in (chosen.get("regions") or {}).get("curves") or []:
        found.setdefault(words.slice_name(curve), []).append(curve)
    metric = str(chosen.get("objective")).replace("-", "_")
    made = []
    for place, (name, curves) in enumerate(list(found.items())[:MATRICES]):
        key = metric if metric in curves[0] else "dice"
        best = sorted(curves, key=lambda curve: -_top(curve[key]))
        spec = search.overlap(best, metric=key, title=f"{_short(name)}: {key.replace('_', ' ')}")
        text = (
            f"{name}: the best {key.replace('_', ' ')} of {search.setting(best[0])} is "
            f"{figures.metric(_top(best[0][key]))}, on the images that it was chosen on."
        )
        if len(best) > search.LINES:
            text += f" Drawn: the best {search.LINES} of {len(best)} settings."
        made.append(Figure(f"search-{place + 1}", spec, text, (("", text),)))
    return made


def _top(values: Sequence[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def _slice_title(item: Result) -> str:
    title = decisions.slice_title(item)
    return "" if title == "overall" else title


def decision_figures(report: Result) -> list[Figure]:
    """Return cost, net benefit and risk against coverage, before and after calibration."""
    overall = report["measure"]["overall"]
    parts = [overall, overall["calibrated"]] if overall.get("calibrated") else [overall]
    made = []
    curves = [part["cost_curve"] for part in parts if part.get("cost_curve")]
    if curves:
        last = curves[-1]
        best, paid = last["best"], last["costs"]
        told = ", ".join(f"{k.upper()} {figures.short(v)}" for k, v in paid.items() if v)
        text = (
            f"Expected cost per row where errors cost {told}. The ring is the cheapest cut-off on "
            f"these rows, {figures.short(best['threshold'])}, at {figures.metric(best['cost'])}; "
            f"for calibrated scores it would be {figures.short(last['closed_form'])}."
        )
        spec = decision_charts.cost(curves, title="Expected cost")
        made.append(Figure("cost", spec, text, (("", text),)))
    curves = [part["net_benefit"] for part in parts if part.get("net_benefit")]
    if curves:
        text = (
            "Net benefit of acting on the scores at each threshold probability. Dashed: acting on "
            "every row, and on none."
        )
        spec = decision_charts.net_benefit(curves, title="Net benefit")
        made.append(Figure("net-benefit", spec, text, (("", text),)))
    curves = [part["risk_coverage"] for part in parts if part.get("risk_coverage")]
    if curves:
        areas = " before, ".join(figures.metric(curve["area"]) for curve in curves)
        later = " after" if len(curves) > 1 else ""
        text = f"Errors among the rows of highest confidence; area {areas}{later}."
        spec = decision_charts.risk_coverage(curves, title="Risk and coverage")
        made.append(Figure("risk-coverage", spec, text, (("", text),)))
    return made


# -- slices and the calibrator ---------------------------------------------------------------------


def by_harm(parts: Sequence[Result]) -> list[Result]:
    """Return slices with the highest ECE first, after calibration where there is one."""
    calibrated = any(part.get("calibrated") for part in parts)
    return sorted(parts, key=lambda p: -(words.ece_of(p, calibrated=calibrated) or 0.0))


def kind_word(kind: str) -> str:
    """Return what the slices of a kind are called: class, or the group's column (raw)."""
    return "class" if kind == "class" else kind.removeprefix("group ")


def slices_identity(kind: str, place: int) -> str:
    """Return what the figures of a kind are named by: letters and digits of the column's name."""
    if kind == "class":
        return "class"
    letters = re.sub(r"[^a-z0-9]+", "-", kind_word(kind).lower()).strip("-")[:40]
    return f"group-{place}-{letters}".removesuffix("-")


def dots_figure(kind: str, parts: Sequence[Result], result: Result, identity: str) -> Figure:
    """Return ECE of each slice, the most harmful first."""
    params, what = result.get("params", {}), kind_word(kind)
    calibrated = any(part.get("calibrated") for part in parts)
    order = by_harm(parts)
    tolerance = words.tolerance_of(params)
    interval = tabulate.level(params)
    lines = f"Lines are the {interval}; " if interval else ""
    caption = (
        f"{lines}{'the' if lines else 'The'} dashed line is the tolerance, "
        f"{figures.short(tolerance)}. {words.bins_words(params)}. The most harmful comes first. "
        "Small slices have a higher ECE by chance alone."
    )
    worst = words.worst_slice(order, calibrated=calibrated)
    said = f"the worst is {words.slice_name(worst)}" if worst else "none has an ECE"
    return Figure(
        f"{identity}-ece",
        slices.dots(order[:DOTS], tolerance=tolerance, title=f"ECE per {what}"),
        f"ECE of {len(order)} slices by {what}; {said}. The table below has the numbers.",
        (("", caption),),
    )


def multiple_figures(
    kind: str, parts: Sequence[Result], result: Result, identity: str
) -> list[Figure]:
    """Return small reliability diagrams of the most harmful slices."""
    task = "binary" if kind == "class" else words.task_of(result)
    shown = [part for part in by_harm(parts) if part.get("bins")][:MULTIPLES]
    return [_multiple(part, task, f"{identity}-{i + 1}") for i, part in enumerate(shown)]


def _multiple(part: Result, task: str, identity: str) -> Figure:
    name = words.slice_name(part)
    after = part.get("calibrated") or {}
    ece = figures.with_interval(part["metrics"].get("ece"))
    if not after.get("bins"):
        spec = reliability.reliability(part["bins"], task=task, title=_short(name), small=True)
        return Figure(identity, spec, f"Reliability of {name}: ECE {ece}", (("", f"ECE {ece}"),))
    later = figures.with_interval(after["metrics"].get("ece"))
    spec = reliability.reliability_pair(part["bins"], after["bins"], task=task, title=_short(name))
    says = f"Reliability of {name}: ECE {ece}, after calibration {later}"
    return Figure(identity, spec, says, (("before", ece), ("after", later)))


def _short(name: str, limit: int = 22) -> str:
    text = visible(name)
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"


def map_figures(chosen: Result) -> list[Figure]:
    """Return the map of a fitted calibrator, with its interval."""
    points = chosen.get("map") or []
    if decisions.map_table(points, chosen.get("params") or {}) is None:
        return []
    interval = tabulate.level(chosen.get("params") or {})
    band = f"The band is the {interval} of the map, by bootstrap. " if interval else ""
    spec = maps.calibration_map(points, title="The calibrator's map")
    says = f"Calibrated probability against score at {len(points)} scores; the table has them."
    caption = f"{band}On the dashed line a score is left as it is."
    return [Figure("calibrator-map", spec, says, (("", caption),))]
