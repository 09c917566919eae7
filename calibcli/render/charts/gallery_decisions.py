"""Figures of cut-offs: ranking curves, confusion, searches, and what acting costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts import decisions as decision_charts
from calibcli.render.charts import maps, ranking, search, trade_off
from calibcli.render.charts.drawing import Figure, short, value_of
from calibcli.render.tables import common as tabulate
from calibcli.render.tables import decisions, held
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

MATRICES: Final = 6
LINES: Final = 12
_AXES: Final = ("precision", "recall")


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
    share = value_of(measure["overall"], "prevalence") if whole else None
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
    value = value_of(part, "auc")
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
        spec = search.overlap(best, metric=key, title=f"{short(name)}: {key.replace('_', ' ')}")
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


def trade_off_figures(report: Result) -> list[Figure]:
    """Return precision against recall at each NMS IoU, where a search has chosen among them."""
    chosen = report.get("thresholds") or {}
    found: dict[str, list[Result]] = {}
    for curve in (chosen.get("trade_off") or {}).get("curves") or []:
        if curve["recall"]:
            found.setdefault(words.slice_name(curve), []).append(curve)
    items = {words.slice_name(item): item for item in chosen.get("thresholds") or []}
    made = []
    for place, (name, curves) in enumerate(found.items()):
        item = items[name]
        best = item["nms_iou"]
        value = {one["nms_iou"]: one["value"] for one in item.get("searched") or []}
        sign = -1.0 if chosen.get("objective") == "cost" else 1.0
        order = sorted(curves, key=lambda curve: _rank(curve["nms_iou"], best, value, sign))
        point = {key: tabulate.entry(item["confusion"][key]).get("value") for key in _AXES}
        shown = None if None in point.values() else point
        cut = figures.short(item["threshold"])
        if shown is not None:
            shown = {**shown, "label": cut}
        spec = trade_off.trade_off(order, shown, title=f"{short(name)}: by NMS IoU")
        precision, recall = (figures.metric(point[key]) for key in _AXES)
        text = (
            f"{name}: the ring is cut-off {cut} at NMS IoU {figures.short(best)}, precision "
            f"{precision}, recall {recall}, on the images that it was chosen on."
        )
        left = len(curves) - trade_off.LINES
        if left > 0:
            text += f" Left out: {left} of {len(curves)} NMS IoUs, which reach no more."
        made.append(Figure(f"trade-off-{place + 1}", spec, text, (("", text),)))
    return made


def _rank(
    nms: float, best: float, value: Mapping[float, float | None], sign: float
) -> tuple[bool, float]:
    """Return the place of an NMS IoU: the chosen one, then those that reach most."""
    reached = value.get(nms)
    return nms != best, float("inf") if reached is None else -sign * reached


def _slice_title(item: Result) -> str:
    title = decisions.slice_title(item)
    return "" if title == "overall" else title


def decision_figures(report: Result) -> list[Figure]:
    """Return cost, net benefit and risk against coverage, before and after calibration."""
    overall = report["measure"]["overall"]
    parts = [overall, overall["calibrated"]] if overall.get("calibrated") else [overall]
    made = []
    curves = [part["cost_curve"] for part in parts if part.get("cost_curve")]
    who = ""
    if not curves:
        dearest = max(
            (one for one in report["measure"].get("classes") or [] if one.get("cost_curve")),
            key=lambda one: float(one["cost_curve"]["best"]["cost"]),
            default=None,
        )
        if dearest is not None:
            last = dearest.get("calibrated") or {}
            curves = [one["cost_curve"] for one in (dearest, last) if one.get("cost_curve")]
            who = f"Class {words.slice_name(dearest)} against the rest, which costs most. "
    if curves:
        last = curves[-1]
        best, paid = last["best"], last["costs"]
        told = ", ".join(f"{k.upper()} {figures.short(v)}" for k, v in paid.items() if v)
        text = (
            f"{who}Expected cost per row where errors cost {told}. The ring is the cheapest "
            f"cut-off on these rows, {figures.short(best['threshold'])}, at "
            f"{figures.metric(best['cost'])}; for calibrated scores it would be "
            f"{figures.short(last['closed_form'])}."
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
