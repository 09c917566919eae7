"""The first screen of the report: the answer, the cut-off, and the reliability diagram beside."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from calibcli.render.charts import gallery
from calibcli.render.page.parts import details_html, figure_html
from calibcli.render.tables import decisions, held
from calibcli.render.words import answers, figures, verdicts
from calibcli.render.words.names import html

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

_KINDS: Final = ("fp", "fn", "tp", "tn")


def first_screen(report: Result) -> str:
    """Return the verdict, what the cut-off finds, alerts and costs, and the diagram beside them."""
    measure = report["measure"]
    found = answers.answer(measure)
    verdict = (
        f'<div class="verdict {found.tone}"><p class="headline">{html(found.word)}</p>'
        f"<p>{html(found.sentence)}</p>{_cutoff(report)}{_details(report)}</div>\n"
    )
    stages = ("reliability-before", "reliability-after", "reliability")
    drawn = [one for one in gallery.reliability_figures(measure) if one.identity in stages]
    figure = figure_html(replace(drawn[-1], identity="first", caption=())) if drawn else ""
    return f'<div class="first">{verdict}{figure}</div>\n'


def _details(report: Result) -> str:
    """Return the whole verdict, closed: what was tested, and what its "after" is worth."""
    whole = verdicts.verdict(report["measure"])
    told = [whole.headline, *whole.details, *_calibrated_words(report)]
    return details_html("In figures", "".join(f"<p>{html(one)}</p>" for one in told))


def _calibrated_words(report: Result) -> list[str]:
    """Return which calibrator "after" is by, and whether it has seen these rows."""
    chosen = report.get("calibrator")
    if not chosen or not chosen.get("method"):
        return []
    files = ", ".join(str(one["path"]) for one in (chosen.get("inputs") or [])[:2])
    rows = sum(one.get("rows") or 0 for one in chosen.get("inputs") or [])
    told = f"The calibrator is {chosen['method']}"
    told += f", fitted on {figures.count(rows)} rows of {files}" if rows else ""
    seen = "in-sample" in (report.get("warning_codes") or ())
    return [f"{told}, these very rows: what it shows here flatters." if seen else f"{told}."]


def _cutoff(report: Result) -> str:
    """Return what the cut-off of all rows finds, alerts and costs; empty where there is none."""
    overall = report["measure"]["overall"]
    chosen = report.get("thresholds")
    part = overall.get("calibrated") or overall
    if chosen:
        tables = [
            one["confusion"]
            for one in held.measured(report)
            if decisions.slice_title(one) == "overall"
        ]
        part = part if chosen.get("calibrated") else overall
        name = f"Cut-off {{}}, which {decisions.objective_words(chosen)}"
    else:
        tables = part.get("confusion") or []
        name = "Cut-off {}, not chosen on data"
    if not tables or report["measure"]["task"] == "multiclass":
        return _decided(report["measure"])
    table = tables[0]
    facts = [("finds", _finds(table)), ("alerts", _alerts(table))]
    cost = _cost(table, (part.get("cost_curve") or {}).get("costs"))
    facts += [("costs", cost)] if cost else []
    return _block(name.format(figures.edge(table["threshold"])), facts)


def _block(title: str, facts: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{html(term)}</dt><dd>{html(value)}</dd>" for term, value in facts)
    return f'<p class="cut">{html(title)}</p><dl class="cut">{rows}</dl>\n'


def _decided(measure: Result) -> str:
    """Return how often the decisions of several classes are right; empty where none are made."""
    decision = measure.get("decision") or {}
    metrics = measure["overall"]["metrics"]
    if not decision and "accuracy" in metrics:
        rows = figures.count((metrics.get("n") or {}).get("value"))
        facts = [("right", f"{_share(metrics['accuracy'])} of {rows} rows")]
        return _block("The most probable class", facts)
    right = (decision.get("metrics") or {}).get("accuracy")
    if right is None:
        return ""
    known = [one for one in decision.get("classes") or [] if (one.get("recall") or {}).get("value")]
    facts = [("right", f"{_share(right)} of {figures.count(decision.get('n'))} rows")]
    if known:
        worst = min(known, key=lambda one: one["recall"]["value"])
        facts.append(("least found", f"{worst['name']}: {_share(worst['recall'])} of it"))
    return _block("Decisions of all classes", facts)


def _finds(table: Result) -> str:
    true = table["tp"] + table["fn"]
    return f"{figures.count(table['tp'])} of {figures.count(true)}: {_share(table['recall'])}"


def _alerts(table: Result) -> str:
    given = table["tp"] + table["fp"]
    rows = given + table["fn"] + (table.get("tn") or 0)
    share = f" ({figures.percent(given / rows)} of rows)" if table.get("tn") is not None else ""
    right = table["precision"]
    said = f"; {_share(right)} of them right" if right.get("value") is not None else ""
    return f"{figures.count(given)}{share}{said}"


def _cost(table: Result, costs: Result | None) -> str:
    """Return what 1,000 rows cost at this cut-off, in the unit of --cost."""
    if not costs or table.get("tn") is None:
        return ""
    rows = sum(table[kind] for kind in _KINDS)
    total = sum((costs.get(kind) or 0) * table[kind] for kind in _KINDS)
    units = ", ".join(
        f"{kind.upper()} {figures.short(costs[kind])}" for kind in _KINDS if costs.get(kind)
    )
    return f"{1000 * total / rows:.0f} per 1000 rows ({units})" if rows else ""


def _share(entry: Result) -> str:
    """Return a share with its interval in percent."""
    text = figures.percent(entry.get("value"))
    if entry.get("low") is None or entry.get("high") is None:
        return text
    return f"{text} [{figures.percent(entry['low'])}, {figures.percent(entry['high'])}]"
