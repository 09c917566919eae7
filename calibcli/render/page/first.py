"""The first screen of the report: the answer, the cut-off, and the reliability diagram beside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.render.charts import gallery, gallery_decisions
from calibcli.render.page.parts import details_html, figure_html
from calibcli.render.tables import decisions, held
from calibcli.render.words import answers, figures, verdicts
from calibcli.render.words.names import html
from calibcli.tasks.words import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.figures import Confusion, Figure
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.curves import OutcomeCosts
    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.results.report import ReportResult


def first_screen(report: ReportResult) -> str:
    """Return the verdict, what the cut-off finds, alerts and costs, and the diagram beside them."""
    measure = report.measure
    found = answers.answer(measure)
    verdict = (
        f'<div class="verdict {found.tone}"><p class="headline">{html(found.word)}</p>'
        f"<p>{html(found.sentence)}</p>{_cutoff(report)}{_details(report)}</div>\n"
    )
    stages = ("reliability-before", "reliability-after", "reliability")
    drawn = [one for one in gallery.reliability_figures(measure) if one.identity in stages]
    drawn = drawn or gallery_decisions.ranking_figures(report)[:1]
    figure = figure_html(replace(drawn[-1], identity="first", caption=())) if drawn else ""
    return f'<div class="first">{verdict}{figure}</div>\n'


def _details(report: ReportResult) -> str:
    """Return the whole verdict, closed: what was tested, and what its "after" is worth."""
    whole = verdicts.verdict(report.measure)
    told = [whole.headline, *whole.details, *_calibrated_words(report)]
    return details_html("In figures", "".join(f"<p>{html(one)}</p>" for one in told))


def _calibrated_words(report: ReportResult) -> list[str]:
    """Return which calibrator "after" is by, and whether it has seen these rows."""
    chosen = report.calibrator
    if chosen is None or not chosen.method:
        return []
    files = ", ".join(one.path for one in chosen.inputs[:2])
    rows = sum(one.rows or 0 for one in chosen.inputs)
    told = f"The calibrator is {chosen.method}"
    told += f", fitted on {figures.count(rows)} rows of {files}" if rows else ""
    seen = "in-sample" in report.warning_codes
    return [f"{told}, these very rows: what it shows here flatters." if seen else f"{told}."]


def _cutoff(report: ReportResult) -> str:
    """Return what the cut-off of all rows finds, alerts and costs; empty where there is none."""
    overall, chosen = report.measure.overall, report.thresholds
    tables, part = held.overall_tables(report), overall.last
    name = "Cut-off {}, not chosen on data"
    if chosen is not None:
        part = overall.last if chosen.calibrated else overall
        name = f"Cut-off {{}}, which {decisions.objective_words(chosen)}"
    decision = report.measure.decision
    if chosen is not None and decision is not None and decision.referring is not None:
        facts = [*_kept(decision), ("refers", f"{_share(decision.metrics['undecided'])} of rows")]
        cut = figures.edge(tables[0].threshold or 0.0) if tables else ""
        return _block(name.format(cut) if cut else "Decisions", facts)
    if not tables:
        return _decided(report.measure)
    table, curve = tables[0], part.cost_curve
    facts = [("finds", _finds(table)), ("alerts", _alerts(table))]
    cost = _cost(table, None if curve is None else curve.costs)
    facts += [("costs", cost)] if cost else []
    return _block(name.format(figures.edge(table.threshold or 0.0)), facts)


def _block(title: str, facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{html(term)}</dt><dd>{html(value)}</dd>" for term, value in facts)
    return f'<p class="cut">{html(title)}</p><dl class="cut">{rows}</dl>\n'


def _decided(measure: MeasureResult) -> str:
    """Return how often the decisions of several classes are right; empty where none are made."""
    decision, metrics = measure.decision, measure.overall.metrics
    if decision is None and "accuracy" in metrics:
        what = words_of(measure.task).rows
        rows = figures.count(measure.overall.value("n"))
        facts = [("right", f"{_share(metrics['accuracy'])} of {rows} {what}")]
        told = measure.confusions
        if told is not None and told.worst:
            one = told.worst[0]
            share = figures.percent(one.share)
            facts.append(("confused", f"{one.truth} taken for {one.decided}: {share} of it"))
        return _block("The most probable class", facts)
    if (
        decision is not None
        and decision.confusion is not None
        and "accuracy" not in decision.metrics
    ):
        kept = _kept(decision)
        if kept:
            return _block("Boxes that the cut-offs keep", kept)
    right = None if decision is None else decision.metrics.get("accuracy")
    if decision is None or right is None:
        return ""
    found = [(one.recall, one.name) for one in decision.classes if one.recall is not None]
    known = [(recall.value, recall, name) for recall, name in found if recall.value]
    facts = [("right", f"{_share(right)} of {figures.count(decision.n)} rows")]
    if known:
        _, recall, name = min(known, key=lambda one: one[0])
        facts.append(("least found", f"{name}: {_share(recall)} of it"))
    return _block("Decisions of all classes", facts)


def _kept(decision: Decided) -> list[tuple[str, str]]:
    """Return what decisions find, how many alerts are right, and false alarms an image."""
    counts, shown = decision.confusion, decision.metrics
    recall, precision = shown.get("recall"), shown.get("precision")
    if counts is None or recall is None or precision is None:
        return []
    there, given = (figures.count(counts.tp + n) for n in (counts.fn, counts.fp))
    facts = [
        ("finds", f"{figures.count(counts.tp)} of {there}: {_share(recall)}"),
        ("alerts", f"{given}; {_share(precision)} of them right"),
    ]
    false = shown.get("fp_per_image")
    if false is not None and false.value is not None:
        facts.append(("false", f"{false.value:.3g} an image"))
    return facts


def _finds(table: Confusion) -> str:
    return f"{figures.count(table.tp)} of {figures.count(table.true)}: {_share(table.recall)}"


def _alerts(table: Confusion) -> str:
    share = ""
    if table.tn is not None:
        share = f" ({figures.percent(table.given / table.rows)} of rows)"
    said = f"; {_share(table.precision)} of them right" if table.precision.value is not None else ""
    return f"{figures.count(table.given)}{share}{said}"


def _cost(table: Confusion, costs: OutcomeCosts | None) -> str:
    """Return what 1,000 rows cost at this cut-off, in the unit of --cost."""
    paid = None if costs is None else figures.priced(table, structs.asdict(costs))
    return "" if paid is None else f"{paid[0]} per 1000 rows ({paid[1]})"


def _share(figure: Figure) -> str:
    """Return a share with its interval in percent."""
    text = figures.percent(figure.value)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} [{figures.percent(figure.low)}, {figures.percent(figure.high)}]"
