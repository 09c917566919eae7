"""Results as GitHub Markdown, for a pull request or a job summary. Names are escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from msgspec import structs

from calibcli.render.tables import decisions, documents, held
from calibcli.render.words import names, verdicts, words
from calibcli.render.words.short import evidence_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.report import ReportResult
    from calibcli.render.charts.drawing import Figure
    from calibcli.render.tables.documents import Told
    from calibcli.render.tables.layout import Table


def render_measure(result: MeasureResult) -> str:
    """Return a measure result as Markdown: headline, verdict, warnings, tables."""
    answer, summary = verdicts.verdict(result), documents.measure_summary(result)
    paragraphs = [
        "## Calibration",
        f"**{names.markdown(answer.headline)}**",
        *(names.markdown(detail) for detail in answer.details),
        ". ".join(map(names.markdown, (summary, words.conventions(result)))) + ".",
        names.markdown(words.other_binning(result)),
        names.markdown(documents.inputs_line(result.inputs)),
        names.markdown(words.made_by(result)),
        *(names.markdown(text) for text, _ in evidence_lines(result)),
    ]
    return _document(paragraphs, result.warnings, documents.measure_tables(result))


def render_document(result: Told) -> str:
    """Return a result of any command but measure as Markdown."""
    told = documents.document(result)
    paragraphs = [
        f"## {told.title}",
        f"**{names.markdown(told.headline)}**",
        *map(names.markdown, told.facts),
        names.markdown(documents.inputs_line(result.inputs)),
    ]
    return _document(paragraphs, result.warnings, told.tables())


render_apply = render_fit = render_promotion = render_replay = render_threshold = render_document


def render_report(report: ReportResult, pictures: Sequence[tuple[Figure, str]] = ()) -> str:
    """Return a report as Markdown: what the page says.

    `pictures` are its figures and where each lies, as a relative path of plain characters.
    """
    parts = [f"# {names.markdown(report.title or 'Calibration report')}\n"]
    parts.append(render_measure(structs.replace(report.measure, warnings=report.warnings)))
    if pictures:
        parts.append(_document(["## Charts", *(_picture(*one) for one in pictures)], (), []))
    calibrator, chosen = report.calibrator, report.thresholds
    if calibrator is not None:
        lines = [
            "## Calibrator",
            f"**{names.markdown(calibrator.method)}**",
            names.markdown(decisions.parameters_words(calibrator.params)),
        ]
        table = decisions.candidates_table(calibrator.candidates, report.conventions)
        parts.append(_document(lines, (), [table] if table else []))
    if chosen is not None:
        lines = [
            "## Thresholds",
            f"**{names.markdown(decisions.thresholds_headline(chosen))}**",
            names.markdown(decisions.kind_words(chosen)),
        ]
        parts.append(_document(lines, (), held.tables(report, chosen)))
    return "\n".join(parts)


def _picture(figure: Figure, path: str) -> str:
    lines = [f"{stage}: {text}" if stage else text for stage, text in figure.caption]
    caption = names.markdown("; ".join(lines))
    return f"![{names.markdown(figure.says)}]({quote(path)})\n\n{caption}"


def markdown_table(table: Table) -> str:
    """Return a table in GitHub's form, with its caption as a heading and its note below."""
    head = [_cell(column.title, column.detail) for column in table.columns]
    rule = [":--" if column.left else "--:" for column in table.columns]
    rows = [[_cell(cell.text, cell.detail) for cell in row] for row in table.rows]
    lines = [f"### {names.markdown(table.caption)}", ""]
    lines += [f"| {' | '.join(row)} |" for row in [head, rule, *rows]]
    if table.note:
        lines += ["", names.markdown(table.note)]
    return "\n".join(lines)


def _cell(text: str, detail: str) -> str:
    return " ".join(names.markdown(piece) for piece in (text, detail) if piece) or " "


def _document(paragraphs: Sequence[str], warnings: Sequence[str], tables: Sequence[Table]) -> str:
    warned = [f"> warning: {names.markdown(item)}" for item in warnings]
    blocks = [*paragraphs, *warned, *(markdown_table(table) for table in tables)]
    return "\n\n".join(block for block in blocks if block.strip()) + "\n"
