"""The report's sections about cut-offs: the curves with the chosen point, the confusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calibcli.render.charts import gallery_decisions
from calibcli.render.page.parts import (
    details_html,
    figures_html,
    note_html,
    section_html,
    table_html,
)
from calibcli.render.tables import common as tabulate
from calibcli.render.tables import decisions, documents, held, judged
from calibcli.render.tables.layout import Column, Table
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.report import ReportResult
    from calibcli.render.charts.gallery_decisions import Curves
    from calibcli.render.tables.layout import Row

POINTS: Final = 20


def curves(report: ReportResult) -> str:
    """Return ROC and precision-recall curves with the chosen cut-off."""
    named = gallery_decisions.ranked(report.measure)
    if not named:
        return ""
    body = figures_html(gallery_decisions.ranking_figures(report))
    if len(named) > gallery_decisions.LINES:
        left = len(named) - gallery_decisions.LINES
        body += note_html(f"Left out: {left} classes with a higher AUC.")
    name, _, curve = named[0]
    table = _curve_table(curve, name)
    if table:
        body += details_html(f"Points of the curves as a table ({name})", table_html(table))
    return section_html("Ranking", "ranking", body, "What every possible cut-off would do.")


def thresholds(report: ReportResult) -> str:
    """Return the cut-offs: the chosen ones, or those that were measured."""
    chosen = report.thresholds
    measure = report.measure
    if chosen is None:
        table = tabulate.confusion_table(
            documents.confusion_parts(measure.overall), measure.conventions
        )
        if not table:
            return ""
        body = figures_html(gallery_decisions.confusion_figures(report))
        return section_html("At the cut-off", "cutoff", body + table_html(table))
    items = held.counted(report)
    drawn = gallery_decisions.confusion_figures(report)
    body = figures_html(drawn)
    if len(items) > len(drawn) > 0:
        some = f"{len(drawn)} of {len(items)}"
        body += note_html(f"Left out here: matrices are drawn for {some}; the table has all.")
    body += figures_html(gallery_decisions.search_figures(report))
    traded = gallery_decisions.trade_off_figures(report)
    body += figures_html(traded)
    left = (0 if chosen.trade_off is None else chosen.trade_off.slices) - len(traded)
    if left > 0:
        what = f"precision against recall of {left} classes"
        body += note_html(f"Left out here: {what} that reach no less.")
    shown = [*judged.decision_tables(measure), *held.tables(report, chosen)]
    body += "".join(table_html(table, sorts=_by_slice(table)) for table in shown if table)
    told = decisions.thresholds_headline(chosen), decisions.kind_words(chosen)
    lead = " ".join(map(words.sentence, told))
    if items:
        lead += " The counts are those of the rows of this report."
    return section_html("At the chosen cut-off", "cutoff", body, lead)


def trade_offs(report: ReportResult) -> str:
    """Return cost, net benefit and risk against coverage, before and after calibration."""
    made = gallery_decisions.decision_figures(report)
    if not made:
        return ""
    lead = (
        "What acting on the scores costs and is worth, and what keeping the surest rows would "
        "leave."
    )
    return section_html("Decisions", "decisions", figures_html(made), lead)


def _by_slice(table: Table) -> bool:
    """Whether the rows of a table are classes or groups."""
    return table.columns[0].title in ("slice", "structure")


def _curve_table(curve: Curves, name: str) -> Table | None:
    """Return about twenty points of both curves."""
    lines: list[tuple[str, Sequence[float], Sequence[float], Sequence[float | None]]] = []
    if curve.roc is not None:
        lines.append(("ROC", curve.roc.fpr, curve.roc.tpr, curve.roc.threshold))
    if curve.pr is not None:
        lines.append(("PR", curve.pr.recall, curve.pr.precision, curve.pr.threshold))

    def row(label: str, x: float, y: float, cut: float | None) -> Row:
        yield Column("curve", left=True), label
        yield Column("threshold"), figures.short(cut)
        yield Column("fpr (ROC) or recall (PR)"), figures.metric(x)
        yield Column("recall (ROC) or precision (PR)"), figures.metric(y)

    rows = [
        row(label, xs[i], ys[i], cuts[i])
        for label, xs, ys, cuts in lines
        for i in _thinned(len(xs))
    ]
    return Table.of(f"Points of the curves, {name}", rows) if rows else None


def _thinned(n: int) -> Sequence[int]:
    if n <= POINTS:
        return range(n)
    return sorted({round(i * (n - 1) / (POINTS - 1)) for i in range(POINTS)})
