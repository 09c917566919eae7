"""Figures of cut-offs: ranking curves, confusion, searches, and what acting costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from calibcli.render.charts import decisions as decision_charts
from calibcli.render.charts import maps, ranking, search
from calibcli.render.charts.drawing import Figure, short
from calibcli.render.tables import held
from calibcli.render.tables.common import slice_title
from calibcli.render.words import figures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.results.figures import Confusion
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.curves import NetBenefit, PrecisionRecall, Roc
    from calibcli.core.results.parts.searches import RegionCurve, TradeOffCurve
    from calibcli.core.results.report import ReportResult

MATRICES: Final = 6
LINES: Final = 12


class Curves(NamedTuple):
    """The ranking curves of a slice: after calibration where there are any."""

    roc: Roc | None
    pr: PrecisionRecall | None

    @classmethod
    def of(cls, part: SliceResult) -> Curves:
        """Return the curves of a slice."""
        return cls(part.last.roc or part.roc, part.last.pr or part.pr)


def ranked(measure: MeasureResult) -> list[tuple[str, SliceResult, Curves]]:
    """Return (name, slice, curves): all rows, or, where these have none, classes, worst first."""
    overall = Curves.of(measure.overall)
    if any(overall):
        return [("overall", measure.overall, overall)]
    found = [(part.where.title, part, Curves.of(part)) for part in measure.classes]
    return sorted((item for item in found if any(item[2])), key=lambda item: _auc(item[1]))


def ranking_figures(report: ReportResult) -> list[Figure]:
    """Return ROC and precision-recall curves with the chosen cut-off."""
    measure = report.measure
    named = ranked(measure)[:LINES]
    if not named:
        return []
    whole = named[0][1] is measure.overall
    # The worst class is drawn last, over the others.
    drawn = [(curve, place == 0) for place, (_, _, curve) in enumerate(named)][::-1]
    points = _points(report) if whole else []
    share = measure.overall.value("prevalence") if whole else None
    rocs = [(curve.roc, strong) for curve, strong in drawn if curve.roc is not None]
    prs = [(curve.pr, strong) for curve, strong in drawn if curve.pr is not None]
    who = "" if whole else f" Each class against the rest; in colour the worst: {named[0][0]}."
    ring = " The ring is the cut-off." if points else ""
    on_roc = [{"x": fpr, "y": recall, "label": at} for fpr, recall, _, at in points]
    on_pr = [{"x": recall, "y": precision, "label": at} for _, recall, precision, at in points]
    pr = ranking.precision_recall(prs, on_pr, prevalence=share, title="Precision and recall")
    made = []
    for spec, identity, name, metric in (
        (ranking.roc(rocs, on_roc, title="ROC"), "roc", "AUC", "auc"),
        (pr, "pr", "Average precision", "average_precision"),
    ):
        value = figures.with_interval(named[0][1].metrics.get(metric))
        text = f"{name} {value}.{who}{ring} Dashed: chance."
        made.append(Figure(identity, spec, text, (("", text),)))
    return made


def _auc(part: SliceResult) -> float:
    value = part.value("auc")
    return 2.0 if value is None else value


def _points(report: ReportResult) -> list[tuple[float, float, float, str]]:
    """Return the cut-offs of all rows as false positive rate, recall, precision, and label."""
    made = []
    for table in held.overall_tables(report):
        fpr, recall, precision = table.fpr.value, table.recall.value, table.precision.value
        if fpr is not None and recall is not None and precision is not None:
            made.append((fpr, recall, precision, figures.short(table.threshold)))
    return made


def confusion_figures(report: ReportResult) -> list[Figure]:
    """Return confusion matrices: at the chosen cut-offs, else at the measured ones."""
    if report.thresholds is None:
        items = [("", table) for table in held.overall_tables(report)]
    else:
        counted = held.counted(report)
        items = [("" if w.kind == "overall" else slice_title(w), table) for w, table in counted]
    # A matrix has four counts; a detector has no true negatives.
    items = [one for one in items if one[1].tn is not None]
    return [
        _matrix(table, name, f"confusion-{place + 1}", below=report.measure.conventions.falling)
        for place, (name, table) in enumerate(items[:MATRICES])
    ]


def _matrix(table: Confusion, name: str, identity: str, *, below: bool) -> Figure:
    at = figures.short(table.threshold)
    title = f"{name}: cut-off {at}" if name else f"Cut-off {at}"
    counts = ", ".join(f"{key.upper()} {figures.count(n)}" for key, n in table.counts.items())
    shown = (("precision", table.precision), ("recall", table.recall), ("f1", table.f1))
    rates = "; ".join(f"{key} {figures.with_interval(rate)}" for key, rate in shown)
    says = f"Confusion at {at}: {counts}; {rates}"
    return Figure(identity, maps.confusion(table, title=title, below=below), says, (("", rates),))


def search_figures(report: ReportResult) -> list[Figure]:
    """Return the overlap against cut-off and least area, where the cut-offs come from a search."""
    chosen = report.thresholds
    if chosen is None or chosen.regions is None:
        return []
    found: dict[str, list[RegionCurve]] = {}
    for curve in chosen.regions.curves:
        found.setdefault(curve.slice.title, []).append(curve)
    metric = str(chosen.objective).replace("-", "_")
    made = []
    for place, (name, curves) in enumerate(list(found.items())[:MATRICES]):
        key = metric if metric in curves[0].overlaps else "dice"
        best = sorted(curves, key=lambda curve: -_top(curve.overlaps[key]))
        spec = search.overlap(best, metric=key, title=f"{short(name)}: {key.replace('_', ' ')}")
        text = (
            f"{name}: the best {key.replace('_', ' ')} of {search.setting(best[0])} is "
            f"{figures.metric(_top(best[0].overlaps[key]))}, on the images that it was chosen on."
        )
        if len(best) > search.LINES:
            text += f" Drawn: the best {search.LINES} of {len(best)} settings."
        made.append(Figure(f"search-{place + 1}", spec, text, (("", text),)))
    return made


def _top(values: Sequence[float | None]) -> float:
    return max((value for value in values if value is not None), default=0.0)


def trade_off_figures(report: ReportResult) -> list[Figure]:
    """Return precision against recall at each NMS IoU, where a search has chosen among them."""
    chosen = report.thresholds
    if chosen is None or chosen.trade_off is None:
        return []
    found: dict[str, list[TradeOffCurve]] = {}
    for curve in chosen.trade_off.curves:
        if curve.recall:
            found.setdefault(curve.slice.title, []).append(curve)
    items = {item.slice.title: item for item in chosen.thresholds}
    made = []
    for place, (name, curves) in enumerate(found.items()):
        item = items[name]
        best, table = item.suppression, item.confusion
        value = {one.nms_iou: one.value for one in item.searched or ()}
        sign = -1.0 if chosen.objective == "cost" else 1.0
        order = sorted(curves, key=lambda curve: _rank(curve.nms_iou, best, value, sign))
        reached = (None, None) if table is None else (table.precision.value, table.recall.value)
        cut, (exact, found_of) = figures.short(item.threshold), reached
        shown = None if exact is None or found_of is None else (found_of, exact, cut)
        spec = search.trade_off(order, shown, title=f"{short(name)}: by NMS IoU")
        precision, recall = map(figures.metric, reached)
        text = (
            f"{name}: the ring is cut-off {cut} at NMS IoU {figures.short(best)}, precision "
            f"{precision}, recall {recall}, on the images that it was chosen on."
        )
        left = len(curves) - search.LINES
        if left > 0:
            text += f" Left out: {left} of {len(curves)} NMS IoUs, which reach no more."
        made.append(Figure(f"trade-off-{place + 1}", spec, text, (("", text),)))
    return made


def _rank(
    nms: float | None, best: float | None, value: Mapping[float | None, float | None], sign: float
) -> tuple[bool, float]:
    """Return the place of an NMS IoU: the chosen one, then those that reach most."""
    reached = value.get(nms)
    return nms != best, float("inf") if reached is None else -sign * reached


def decision_figures(report: ReportResult) -> list[Figure]:
    """Return cost, net benefit and risk against coverage, before and after calibration."""
    parts = _sides(report.measure.overall)
    costs = [part.cost_curve for part in parts if part.cost_curve is not None]
    made, who = [], ""
    if not costs:
        priced = [
            (one, one.cost_curve.best.cost) for one in report.measure.classes if one.cost_curve
        ]
        if priced:
            dearest, _ = max(priced, key=lambda one: one[1])
            costs = [one.cost_curve for one in _sides(dearest) if one.cost_curve is not None]
            who = f"Class {dearest.where.title} against the rest, which costs most. "
    if costs:
        last = costs[-1]
        paid = structs.asdict(last.costs)
        told = ", ".join(f"{k.upper()} {figures.short(v)}" for k, v in paid.items() if v)
        text = (
            f"{who}Expected cost per row where errors cost {told}. The ring is the cheapest "
            f"cut-off on these rows, {figures.short(last.best.threshold)}, at "
            f"{figures.metric(last.best.cost)}; for calibrated scores it would be "
            f"{figures.short(last.closed_form)}."
        )
        spec = decision_charts.cost(costs, title="Expected cost")
        made.append(Figure("cost", spec, text, (("", text),)))
    worth = [part.net_benefit for part in parts if part.net_benefit is not None]
    if worth:
        text = (
            "Net benefit of acting on the scores at each threshold probability. Dashed: acting on "
            f"every row, and on none.{_useful(worth[-1])}"
        )
        spec = decision_charts.net_benefit(worth, title="Net benefit")
        made.append(Figure("net-benefit", spec, text, (("", text),)))
    kept = [part.risk_coverage for part in parts if part.risk_coverage is not None]
    if kept:
        areas = " before, ".join(figures.metric(curve.area) for curve in kept)
        later = " after" if len(kept) > 1 else ""
        text = f"Errors among the rows of highest confidence; area {areas}{later}."
        spec = decision_charts.risk_coverage(kept, title="Risk and coverage")
        made.append(Figure("risk-coverage", spec, text, (("", text),)))
    return made


def _useful(curve: NetBenefit) -> str:
    """Return at which threshold probabilities the scores are worth it beyond chance."""
    if curve.useful is None:
        return ""
    if not curve.useful:
        return " Nowhere are the scores better than both beyond chance."
    ranges = [
        figures.short(low) if low == high else f"{figures.short(low)} to {figures.short(high)}"
        for low, high in curve.useful
    ]
    return (
        f" The scores are better than both beyond chance at {', '.join(ranges)} (band: interval)."
    )


def _sides(part: SliceResult) -> list[SliceResult]:
    return [part] if part.calibrated is None else [part, part.calibrated]
