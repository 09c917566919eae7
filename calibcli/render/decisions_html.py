"""The report's sections about cut-offs: the curves with the chosen point, the confusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from calibcli.render import (
    charts,
    decision_charts,
    decisions,
    documents,
    figures,
    held,
    tabulate,
    words,
)
from calibcli.render.layout import Cell, Column, Table
from calibcli.render.names import html
from calibcli.render.parts import (
    details_html,
    figure_html,
    figures_html,
    section_html,
    table_html,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

MATRICES: Final = 6
LINES: Final = 12
POINTS: Final = 20


def curves(report: Result) -> str:
    """Return ROC and precision-recall curves with the chosen cut-off."""
    measure = report["measure"]
    overall = _curves_of(measure["overall"])
    note = ""
    if overall:
        named = [("overall", measure["overall"], overall)]
    else:
        found = [(words.slice_name(p), p, _curves_of(p)) for p in measure.get("classes") or []]
        named = [(name, part, curve) for name, part, curve in found if curve]
        named.sort(key=lambda item: _auc(item[1]))
        if len(named) > LINES:
            note = f"Left out: {len(named) - LINES} classes with a higher AUC."
            named = named[:LINES]
    if not named:
        return ""
    # The worst class is drawn last, over the others.
    drawn = [(curve, place == 0) for place, (_, _, curve) in enumerate(named)][::-1]
    points = _points(report) if overall else []
    share = measure["overall"]["metrics"].get("prevalence", {}).get("value") if overall else None
    rocs = [(curve["roc"], strong) for curve, strong in drawn if curve.get("roc")]
    prs = [(curve["pr"], strong) for curve, strong in drawn if curve.get("pr")]
    who = "" if overall else f" Each class against the rest; in colour the worst: {named[0][0]}."
    ring = " The ring is the cut-off." if points else ""
    shown = []
    for spec, identity, name, metric in (
        (charts.roc(rocs, [p["roc"] for p in points], title="ROC"), "roc", "AUC", "auc"),
        (
            charts.precision_recall(
                prs, [p["pr"] for p in points], prevalence=share, title="Precision and recall"
            ),
            "pr",
            "Average precision",
            "average_precision",
        ),
    ):
        value = figures.with_interval(named[0][1]["metrics"].get(metric))
        text = f"{name} {value}.{who}{ring} Dashed: chance."
        shown.append(figure_html(spec, identity, says=text, caption=html(text)))
    body = figures_html(shown)
    if note:
        body += f'<p class="note">{html(note)}</p>'
    tables = [_curve_table(curve, name) for name, _, curve in named[:1]]
    body += "".join(
        details_html(f"Points of the curves as a table ({name})", table_html(table))
        for (name, _, _), table in zip(named, tables, strict=False)
        if table
    )
    return section_html("Ranking", "ranking", body, "What every possible cut-off would do.")


def thresholds(report: Result) -> str:
    """Return the cut-offs: the chosen ones, or those that were measured."""
    chosen = report.get("thresholds")
    measure = report["measure"]
    if not chosen:
        table = tabulate.confusion_table(
            documents.confusion_parts(measure["overall"]), measure.get("params", {})
        )
        if not table:
            return ""
        part = measure["overall"].get("calibrated") or measure["overall"]
        body = figures_html(
            _matrix(item, "", f"confusion{i}")
            for i, item in enumerate((part.get("confusion") or [])[:MATRICES])
        )
        return section_html("At the cut-off", "cutoff", body + table_html(table))
    items = held.measured(report)
    drawn = items[:MATRICES]
    body = figures_html(
        _matrix(item["confusion"], _slice_title(item), f"confusion{i}")
        for i, item in enumerate(drawn)
    )
    if len(items) > len(drawn):
        body += (
            f'<p class="note">Left out here: matrices are drawn for {len(drawn)} of '
            f"{len(items)}; the table has all.</p>"
        )
    body += "".join(table_html(table) for table in held.tables(report))
    lead = f"{_capital(decisions.thresholds_headline(chosen))}. "
    lead += f"{_capital(decisions.kind_words(chosen))}."
    if items:
        lead += " The counts are those of the rows of this report."
    return section_html("At the chosen cut-off", "cutoff", body, lead)


def trade_offs(report: Result) -> str:
    """Return net benefit and risk against coverage, before and after calibration."""
    overall = report["measure"]["overall"]
    parts = [overall, overall.get("calibrated") or {}]
    both = " Orange: before, blue: calibrated." if parts[1] else ""
    made = []
    curves = [part["net_benefit"] for part in parts if part.get("net_benefit")]
    if curves:
        text = (
            "Net benefit of acting on the scores at each threshold probability."
            f"{both} Dashed: acting on every row, and on none."
        )
        spec = decision_charts.net_benefit(curves, title="Net benefit")
        made.append(figure_html(spec, "benefit", says=text, caption=html(text)))
    curves = [part["risk_coverage"] for part in parts if part.get("risk_coverage")]
    if curves:
        areas = " -> ".join(figures.metric(curve["area"]) for curve in curves)
        text = f"Errors among the rows of highest confidence; area {areas}.{both}"
        spec = decision_charts.risk_coverage(curves, title="Risk and coverage")
        made.append(figure_html(spec, "risk", says=text, caption=html(text)))
    if not made:
        return ""
    lead = "What acting on the scores is worth, and what keeping the surest rows would leave."
    return section_html("Decisions", "decisions", figures_html(made), lead)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _matrix(table: Result, name: str, identity: str) -> str:
    at = figures.short(table["threshold"])
    title = f"{name}: cut-off {at}" if name else f"Cut-off {at}"
    counts = ", ".join(f"{key.upper()} {figures.count(table[key])}" for key in _COUNTS)
    rates = "; ".join(
        f"{key} {figures.with_interval(tabulate.entry(table[key]))}"
        for key in ("precision", "recall", "f1")
        if key in table
    )
    spec = charts.confusion(table, title=title)
    says = f"Confusion at {at}: {counts}; {rates}"
    return figure_html(spec, identity, says=says, caption=html(rates))


_COUNTS: Final = ("tp", "fp", "fn", "tn")


def _slice_title(item: Result) -> str:
    title = decisions.slice_title(item)
    return "" if title == "overall" else title


def _curves_of(part: Result) -> dict[str, Any]:
    after = part.get("calibrated") or {}
    found = {key: after.get(key) or part.get(key) for key in ("roc", "pr")}
    return {key: curve for key, curve in found.items() if curve}


def _auc(part: Result) -> float:
    value = part["metrics"].get("auc", {}).get("value")
    return 2.0 if value is None else float(value)


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


def _curve_table(curve: Result, name: str) -> Table | None:
    """Return about twenty points of both curves."""
    roc, pr = curve.get("roc") or {}, curve.get("pr") or {}
    rows = []
    for label, xs, ys, cuts in (
        ("ROC", roc.get("fpr") or [], roc.get("tpr") or [], roc.get("threshold")),
        ("PR", pr.get("recall") or [], pr.get("precision") or [], pr.get("threshold")),
    ):
        for i in _thinned(len(xs)):
            cut = cuts[i] if cuts else None
            cells = (figures.short(cut), figures.metric(xs[i]), figures.metric(ys[i]))
            rows.append((Cell(label), *(Cell(text) for text in cells)))
    columns = (
        Column("curve", left=True),
        Column("threshold"),
        Column("fpr (ROC) or recall (PR)"),
        Column("recall (ROC) or precision (PR)"),
    )
    return Table(f"Points of the curves, {name}", columns, tuple(rows)) if rows else None


def _thinned(n: int) -> Sequence[int]:
    if n <= POINTS:
        return range(n)
    return sorted({round(i * (n - 1) / (POINTS - 1)) for i in range(POINTS)})
