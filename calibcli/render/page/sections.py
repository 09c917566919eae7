"""The sections of the report page, one function each, in the order of the page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.core.results.base import plain
from calibcli.core.results.fit import Side
from calibcli.render.charts import gallery, gallery_slices
from calibcli.render.page.parts import (
    details_html,
    facts_html,
    figure_html,
    figures_html,
    note_html,
    section_html,
    table_html,
    tables_html,
    tile_html,
)
from calibcli.render.tables import common as tabulate
from calibcli.render.tables import (
    decisions,
    documents,
    drifted,
    judged,
    paired,
    segmentation,
    serial,
    slices,
)
from calibcli.render.tables.layout import Cell, Column, Table
from calibcli.render.words import figures, glossary, words
from calibcli.render.words.names import html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.envelope import Input
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.report import CalibratorFile, ReportResult
    from calibcli.render.tables.layout import Row


def tiles_html(result: MeasureResult) -> str:
    """Return the headline figures with their intervals."""
    before = result.overall.metrics
    after = result.overall.after
    told = dict(glossary.HEADLINE)
    if not result.overall.bins and after is None:  # raw scores: their order is what there is
        told = {"auc": "ranking", "average_precision": "precision over recall"}
    tiles = [
        tile_html(_title(name), meaning, before[name], None if after is None else after.get(name))
        for name, meaning in told.items()
        if name in before
    ]
    return f'<ul class="tiles">{"".join(tiles)}</ul>\n'


def _title(metric: str) -> str:
    known = {"ece": "ECE", "auc": "AUC", "nll": "NLL", "average_precision": "AP"}
    return known.get(metric, metric.capitalize())


def warnings_html(warnings: Sequence[str]) -> str:
    """Return the warnings, if any."""
    if not warnings:
        return ""
    items = "".join(f"<li>{html(warning)}</li>" for warning in warnings)
    head = "<strong>Warnings</strong>"
    return f'<div class="warnings" role="note">{head}<ul>{items}</ul></div>\n'


def reliability(result: MeasureResult) -> str:
    """Return the reliability diagrams before and after, and their numbers."""
    params, task, overall = result.conventions, words.task_of(result), result.overall
    if not overall.last.bins:
        return ""
    tables = [
        segmentation.structures_table(result),
        tabulate.bins_table(overall, params, task),
        tabulate.calibrated_bins_table(overall, params, task),
        tabulate.ece_by_bins_table(overall, params),
    ]
    score, frequency = task.score, task.frequency
    at = segmentation.at_table(result) or slices.at_table(result)
    body = figures_html(gallery.reliability_figures(result)) + tables_html([*tables, at])
    lead = (
        f"An honest model's points lie on the dashed line: {frequency} equals {score}. Below the "
        f"line the {score} is too high, above it too low. {words.conventions(result)}."
    )
    other = words.other_binning(result)
    lead += f" The ECE depends on the bins; {other}." if other else ""
    return section_html("Reliability", "reliability", body, lead)


def metrics(result: MeasureResult) -> str:
    """Return every metric with its meaning, before and after."""
    overall, params = result.overall, result.conventions
    table = tabulate.metrics_table(overall.metrics, overall.after, params)
    rows = tuple(
        (Cell(row[0].text, glossary.METRICS.get(row[0].text, "")), *row[1:]) for row in table.rows
    )
    body = tables_html(
        (
            tabulate.gates_table(result.gates),
            replace(table, rows=rows, caption="All rows"),
            paired.versus_table(result),
            paired.calibrated_table(result),
        )
    )
    body += tables_html([paired.slices_table(result)], sorts=True)
    lead = "Lower is better, except for accuracy, AUC, average precision and discrimination."
    if overall.after:
        lead += " A change is coloured only where the two intervals do not touch."
    return section_html("Metrics", "metrics", body, lead)


def slices_section(
    kind: str, parts: Sequence[SliceResult], result: MeasureResult, place: int
) -> str:
    """Return one kind of slices: ECE of each by harm, the worst ones' diagrams, the table."""
    title = f"Per {gallery_slices.kind_word(kind)}"
    figure, limit = gallery_slices.slices_identity(kind, place), gallery_slices.DOTS
    left_out = []
    if len(parts) > limit:
        left_out.append(f"the chart shows the {limit} of {len(parts)} with the highest ECE")
    dots = ""
    if gallery_slices.calibrates(parts):
        dots = figure_html(gallery_slices.dots_figure(kind, parts, result, figure))
    body = f'<div class="wide">{dots}</div>\n' if dots else ""
    shown = gallery_slices.multiple_figures(kind, parts, result, figure)
    if shown:
        if len(parts) > len(shown):
            left_out.append(f"diagrams are drawn for the {len(shown)} with the highest ECE")
        body += f"<h3>{'The worst first, with its ECE' if len(parts) > 1 else 'Diagram'}</h3>\n"
        body += figures_html(shown, "multiples")
    if left_out:
        body += note_html(f"Left out here: {'; '.join(left_out)}.") + "\n"
    table = slices.slices_table(parts, result.conventions, title=kind)
    body += tables_html([table], sorts=True)
    return section_html(title, f"slices{place}", body)


def confusions(result: MeasureResult) -> str:
    """Return which class is taken for which, if that was counted."""
    table = judged.confusions_table(result)
    if table is None:
        return ""
    listed = table.columns[1].left  # a pair a row, where there are too many for a square
    body = table_html(replace(table, note=""), sorts=listed)
    return section_html("Confusions", "confusions", body, table.note)


def drift(result: MeasureResult) -> str:
    """Return what has drifted from the reference, if there is one."""
    found = drifted.drift_tables(result)
    if result.drift is None:
        return ""
    said = words.sentence(result.drift.verdict)
    # The first table's note begins with the verdict, which is said above it.
    rest = found[0].note.removeprefix(said).strip()
    tables = [replace(found[0], note=rest), *found[1:]]
    return section_html("Drift", "drift", tables_html(tables), said)


def periods(result: MeasureResult) -> str:
    """Return the periods of --by in order, drawn and listed, if there are any."""
    table = serial.series_table(result)
    if table is None:
        return ""
    drawn = "".join(figure_html(one) for one in gallery.series_figures(result))
    body = f'<div class="wide">{drawn}</div>\n' if drawn else ""
    lead = table.note
    return section_html("Periods", "periods", body + table_html(replace(table, note="")), lead)


def calibrator(chosen: CalibratorFile, params: Conventions) -> str:
    """Return how the calibrator was chosen, and its parameters."""
    facts = [("method", chosen.method)]
    told = decisions.parameters_words(chosen.calibrator)
    if told:
        facts.append(("parameters", told))
    body, after = facts_html(facts), chosen.after or Side()
    if after.metrics and chosen.before is not None:
        title = f"after, {after.kind or ''}".removesuffix(", ")
        made = tabulate.metrics_table(
            chosen.before.metrics, after.metrics, params, after_title=title
        )
        body += table_html(replace(made, caption="On the rows of the fit"))
    body += tables_html([decisions.candidates_table(chosen.candidates, params)])
    groups = decisions.fitted_slices_table(chosen.groups, params, "Groups of the fit")
    body += tables_html([groups], sorts=True)
    lead = words.after_words(after.kind)
    return section_html("Calibrator", "calibrator", body + _map(chosen), lead)


def _map(chosen: CalibratorFile) -> str:
    """Return the fitted map with its interval, as a chart and on demand as a table."""
    table = decisions.map_table(chosen.map, chosen.conventions)
    if table is None:
        return ""
    drawn = figures_html(gallery_slices.map_figures(chosen))
    return drawn + details_html("Numbers of the map", table_html(table))


def data(report: ReportResult) -> str:
    """Return what was read, and every convention used."""
    files = [plain(item) for item in report.inputs]
    extra = list(dict.fromkeys(k for item in files for k in item if k not in {"path", "rows"}))

    def row(item: Input, file: dict[str, object]) -> Row:
        yield Column("file", left=True), item.path
        yield Column("rows"), figures.count(item.rows)
        for key in extra:
            yield Column(key, left=True), str(file.get(key, ""))

    body = table_html(Table.of("Inputs", map(row, report.inputs, files))) if files else ""
    facts = [("task", report.task or ""), *documents.params_facts(report.params)]
    return section_html("Data and conventions", "data", body + facts_html(facts))
