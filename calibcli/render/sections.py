"""The sections of the report page, one function each, in the order of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from calibcli.render import (
    charts,
    decisions,
    documents,
    figures,
    glossary,
    paired,
    slices,
    tabulate,
    verdicts,
    words,
)
from calibcli.render.layout import Cell, Column, Table
from calibcli.render.names import html, visible
from calibcli.render.palette import AFTER, BEFORE
from calibcli.render.parts import (
    details_html,
    facts_html,
    figure_html,
    figures_html,
    section_html,
    table_html,
    tile_html,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Result = Mapping[str, Any]

MULTIPLES: Final = 12
DOTS: Final = 40

_BEFORE_KEY: Final = '<span class="key before"></span>before'
_AFTER_KEY: Final = '<span class="key after"></span>after'


def verdict_html(result: Result) -> str:
    """Return the verdict in words."""
    answer = verdicts.verdict(result)
    details = "".join(f"<p>{html(detail)}</p>" for detail in answer.details)
    tone = answer.ends or answer.tone
    return (
        f'<div class="verdict {tone}"><p class="headline">{html(answer.headline)}</p>'
        f"{details}</div>\n"
    )


def tiles_html(result: Result) -> str:
    """Return the headline figures with their intervals."""
    before = result["overall"]["metrics"]
    after = (result["overall"].get("calibrated") or {}).get("metrics")
    tiles = [
        tile_html(_title(name), meaning, before[name], after and after.get(name))
        for name, meaning in glossary.HEADLINE.items()
        if name in before
    ]
    return f'<ul class="tiles">{"".join(tiles)}</ul>\n'


def _title(metric: str) -> str:
    return {"ece": "ECE", "auc": "AUC", "nll": "NLL"}.get(metric, metric.capitalize())


def warnings_html(warnings: Sequence[str]) -> str:
    """Return the warnings, if any."""
    if not warnings:
        return ""
    items = "".join(f"<li>{html(warning)}</li>" for warning in warnings)
    head = "<strong>Warnings</strong>"
    return f'<div class="warnings" role="note">{head}<ul>{items}</ul></div>\n'


def reliability(result: Result) -> str:
    """Return the reliability diagrams before and after, and their numbers."""
    params, task, overall = result.get("params", {}), str(result["task"]), result["overall"]
    after = overall.get("calibrated")
    title = "Before calibration" if after else "Reliability diagram"
    drawn = [_diagram(overall, params, task, title)]
    if after:
        drawn.append(_diagram(after, params, task, "After calibration", color=AFTER))
    tables = [
        tabulate.bins_table(overall, params, task),
        tabulate.calibrated_bins_table(overall, params, task),
        tabulate.ece_by_bins_table(overall, params),
    ]
    score, frequency = words.score_word(task)
    at = slices.at_table(result)
    body = figures_html(drawn) + "".join(table_html(t) for t in [*tables, at] if t)
    lead = (
        f"An honest model's points lie on the dashed line: {frequency} equals {score}. Below the "
        f"line the {score} is too high, above it too low. {words.conventions(result)}."
    )
    other = words.other_binning(result)
    lead += f" The ECE depends on the bins; {other}." if other else ""
    return section_html("Reliability", "reliability", body, lead)


def _diagram(part: Result, params: Result, task: str, title: str, color: str = BEFORE) -> str:
    bins = part.get("bins") or []
    ece = figures.with_interval(part["metrics"].get("ece"))
    odds = figures.short(1 / max(1 - words.confidence_of(params), 1e-9))
    said = verdicts.slice_verdict(part, params, task).headline
    interval = tabulate.level(params)
    filled = (
        f"Filled points miss the line by more than their {html(interval)}, as one in {odds} does "
        "by chance. "
    )
    caption = f"ECE {html(ece)}. {filled if interval else ''}Bars: rows in each bin."
    spec = charts.reliability(bins, task=task, title=title, color=color)
    says = f"{title}: reliability diagram, {len(bins)} bins, ECE {ece}. {said}"
    identity = "".join(ch for ch in title.lower() if ch.isalpha())
    return figure_html(spec, identity, says=says, caption=caption)


def metrics(result: Result) -> str:
    """Return every metric with its meaning, before and after."""
    overall, params = result["overall"], result.get("params", {})
    after = (overall.get("calibrated") or {}).get("metrics")
    table = tabulate.metrics_table(overall["metrics"], after, params)
    rows = tuple(
        (Cell(row[0].text, glossary.METRICS.get(row[0].text, "")), *row[1:]) for row in table.rows
    )
    gates = tabulate.gates_table(result.get("gates") or [])
    body = (table_html(gates) if gates else "") + table_html(
        replace(table, rows=rows, caption="All rows")
    )
    compared = paired.versus_table(result)
    body += table_html(compared) if compared else ""
    lead = "Lower is better, except for accuracy, AUC, average precision and discrimination."
    if after:
        lead += " A change is coloured only where the two intervals do not touch."
    return section_html("Metrics", "metrics", body, lead)


def slices_section(kind: str, parts: Sequence[Result], result: Result, identity: str) -> str:
    """Return one kind of slices: ECE of each by harm, the worst ones' diagrams, the table."""
    params, task = result.get("params", {}), str(result["task"])
    calibrated = any(part.get("calibrated") for part in parts)
    per_task = "binary" if kind == "class" else task
    order = sorted(parts, key=lambda p: -(words.ece_of(p, calibrated=calibrated) or 0.0))
    what = "class" if kind == "class" else kind.removeprefix("group ")
    title = f"Per {what}"
    tolerance = words.tolerance_of(params)
    left_out = []
    if len(order) > DOTS:
        left_out.append(f"the chart shows the {DOTS} of {len(order)} with the highest ECE")
    spec = charts.dots(order[:DOTS], tolerance=tolerance, title=f"ECE per {what}")
    keys = f"{_BEFORE_KEY} and {_AFTER_KEY} calibration; " if calibrated else ""
    interval = tabulate.level(params)
    lines = f"{'lines' if keys else 'Lines'} are the {html(interval)}; " if interval else ""
    caption = (
        f"{keys}{lines}the dashed line is the tolerance, {html(figures.short(tolerance))}. "
        f"{html(words.bins_words(params))}. The most harmful comes first. Small slices have a "
        "higher ECE by chance alone."
    )
    worst = words.worst_slice(order, calibrated=calibrated)
    worst_said = f"the worst is {words.slice_name(worst)}" if worst else "none has an ECE"
    says = f"ECE of {len(order)} slices by {what}; {worst_said}. The table below has the numbers."
    body = f'<div class="wide">{figure_html(spec, f"{identity}dots", says=says, caption=caption)}'
    body += "</div>\n"
    shown = [part for part in order if part.get("bins")][:MULTIPLES]
    if shown:
        if len(order) > len(shown):
            left_out.append(f"diagrams are drawn for the {len(shown)} with the highest ECE")
        body += f"<h3>{'The worst first' if len(order) > 1 else 'Diagram'}</h3>\n"
        small = [_multiple(part, per_task, f"{identity}m{i}") for i, part in enumerate(shown)]
        body += figures_html(small, "multiples")
    if left_out:
        body += f'<p class="note">Left out here: {html("; ".join(left_out))}.</p>\n'
    table = slices.slices_table(parts, params, title=kind)
    body += table_html(table) if table else ""
    return section_html(title, identity, body)


def _multiple(part: Result, task: str, identity: str) -> str:
    name = words.slice_name(part)
    after = part.get("calibrated") or {}
    ece = figures.with_interval(part["metrics"].get("ece"))
    caption = f"<span>ECE {html(ece)}</span>"
    says = f"Reliability of {name}: ECE {ece}"
    if after.get("bins"):
        later = figures.with_interval(after["metrics"].get("ece"))
        caption = f"<span>{_BEFORE_KEY} {html(ece)}</span><br>"
        caption += f"<span>{_AFTER_KEY} {html(later)}</span>"
        says += f", after calibration {later}"
        spec = charts.reliability_pair(part["bins"], after["bins"], task=task, title=_short(name))
    else:
        spec = charts.reliability(part["bins"], task=task, title=_short(name), small=True)
    return figure_html(spec, identity, says=says, caption=caption)


def _short(name: str, limit: int = 22) -> str:
    text = visible(name)
    return text if len(text) <= limit else f"{text[: limit - 1]}\u2026"


def calibrator(report: Result) -> str:
    """Return how the calibrator was chosen, and its parameters."""
    chosen = report["calibrator"]
    params = report.get("params") or {}
    table = decisions.candidates_table(chosen.get("candidates") or [], params)
    facts = [("method", str(chosen.get("method", "")))]
    told = decisions.parameters_words(chosen.get("calibrator") or {})
    if told:
        facts.append(("parameters", told))
    after = chosen.get("after") or {}
    lead = words.after_words(str(after.get("kind", "")))
    body = facts_html(facts)
    if after.get("metrics") and chosen.get("before"):
        title = f"after, {after.get('kind', '')}".removesuffix(", ")
        made = tabulate.metrics_table(
            chosen["before"]["metrics"], after["metrics"], params, after_title=title
        )
        body += table_html(replace(made, caption="On the rows of the fit"))
    body += table_html(table) if table else ""
    groups = decisions.fitted_slices_table(chosen.get("groups") or [], params, "Groups of the fit")
    body += table_html(groups) if groups else ""
    return section_html("Calibrator", "calibrator", body + _map(chosen), lead)


def _map(chosen: Result) -> str:
    """Return the fitted map with its interval, as a chart and on demand as a table."""
    points = chosen.get("map") or []
    table = decisions.map_table(points, chosen.get("params") or {})
    if table is None:
        return ""
    interval = tabulate.level(chosen.get("params") or {})
    band = f"The band is the {interval} of the map, by bootstrap. " if interval else ""
    spec = charts.calibration_map(points, title="The calibrator's map")
    says = f"Calibrated probability against score at {len(points)} scores; the table has them."
    caption = f"{html(band)}On the dashed line a score is left as it is."
    drawn = figure_html(spec, "calibratormap", says=says, caption=caption)
    return figures_html([drawn]) + details_html("Numbers of the map", table_html(table))


def data(report: Result) -> str:
    """Return what was read, and every convention used."""
    inputs = report.get("inputs") or []
    extra = list(dict.fromkeys(k for item in inputs for k in item if k not in {"path", "rows"}))
    rows = tuple(
        (
            Cell(str(item["path"])),
            Cell(figures.count(item.get("rows"))),
            *(Cell(str(item.get(key, ""))) for key in extra),
        )
        for item in inputs
    )
    columns = (
        Column("file", left=True),
        Column("rows"),
        *(Column(key, left=True) for key in extra),
    )
    body = table_html(Table("Inputs", columns, rows)) if rows else ""
    facts = [("task", str(report.get("task", ""))), *documents.params_facts(report)]
    return section_html("Data and conventions", "data", body + facts_html(facts))
