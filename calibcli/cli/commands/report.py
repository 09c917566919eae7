"""`calibcli report`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from calibcli.cli import console, options
from calibcli.cli.choices import Format, option
from calibcli.cli.media import DetectionInput
from calibcli.cli.outputs import keep_apart
from calibcli.cli.raw import cuts_of, refuse_bins, refuse_raw
from calibcli.cli.spread import spread_options
from calibcli.errors import UsageError

NAME = "report"


class ReportFormat(StrEnum):
    """Forms of a report."""

    HTML = "html"
    MD = "md"
    JSON = "json"
    PDF = "pdf"


_SUFFIXES = {
    "html": ReportFormat.HTML,
    "htm": ReportFormat.HTML,
    "md": ReportFormat.MD,
    "markdown": ReportFormat.MD,
    "json": ReportFormat.JSON,
    "pdf": ReportFormat.PDF,
}


@spread_options
def command(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
    groups: options.GroupOptions,
    boxes: DetectionInput,
    how: options.BinOptions,
    run: options.RunOptions,
    *,
    output: str = option("FILE", "Where the page goes.", short="-o", default="-"),
    format: ReportFormat | None = option(
        None, "Default by the suffix of FILE, else html; pdf needs a browser."
    ),
    calibrator: str | None = option("FILE", "Show before and after this calibrator."),
    thresholds: str | None = option("FILE", "Show the cut-offs of this artifact."),
    threshold: list[float] | None = option("T", "Show this cut-off. [default: 0.5]"),
    versus: str | None = option(
        "COL|FILE", "A second model on the same rows: paired differences, second less first."
    ),
    reference: str | None = option(
        "FILE", "What has drifted from these scores, statistics or calibrator."
    ),
    by: str | None = option(
        "COL",
        "Draw and list each period of this column in order, and the first bad one; "
        "day:COL, week:COL or month:COL cut times, rows:N makes chunks.",
    ),
    at: list[float] | None = option("P", "Read the reliability curve at this confidence."),
    fail_if: list[str] | None = option("EXPR", "Exit 1 if this holds, such as 'ece>0.05'."),
    cost: str | None = option("fp=1,fn=4", "What errors cost. [default: fp=1,fn=1]"),
    title: str | None = option(None, "Title of the page."),
) -> int:
    """Everything on one page that opens offline."""
    truth = boxes.ground_truth
    inputs = [*paths, read.labels, calibrator, thresholds, versus, reference, truth]
    keep_apart(inputs, [output])
    chosen = _form(format, output)
    if chosen is ReportFormat.HTML and output == "-" and sys.stdout.isatty():
        raise UsageError(
            "a page of HTML is nothing for a terminal",
            "name a file, -o report.html, or --format md",
        )
    if chosen is ReportFormat.PDF:
        from calibcli.io.output.browser import find_browser

        find_browser()
    if chosen in (ReportFormat.HTML, ReportFormat.PDF):
        from calibcli.render.charts import vega

        vega.begin()
    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        from calibcli.workflows.measure.report import report

        own = tuple(groups.group or ())
        spec = boxes.into(read.spec(paths, own, calibrator, versus, thresholds))
        refuse_raw(spec, {"--at": at})
        if calibrator is None:
            refuse_raw(spec, {"--cost": cost})
            refuse_bins(context, spec)
        cuts = cuts_of(spec, threshold, calibrator)
        conventions = how.conventions(at=tuple(at or ()), **cuts)
        result = report(
            spec,
            conventions,
            calibrator=calibrator,
            thresholds=thresholds,
            title=title,
            fail_if=fail_if or (),
            cost=cost,
            versus=versus,
            reference=reference,
            by=by,
            threads=run.threads,
            progress=progress.callback,
            in_brief=chosen in (ReportFormat.HTML, ReportFormat.PDF) and not (fail_if or at),
        )
        run.complete(result)
        page = _page(result, chosen, output)
    progress.tell(result)
    console.warn(result, Format.JSON, quiet=run.quiet)
    if chosen is ReportFormat.PDF:
        from calibcli.io.output.browser import print_pdf
        from calibcli.io.output.sink import write_atomic

        write_atomic(output, print_pdf(page))
    else:
        console.deliver(page, output)
    return console.judge(result, chosen.value, output, quiet=run.quiet)


def _form(form: ReportFormat | None, output: str) -> ReportFormat:
    """Return the form of a report: as it is asked for, else by the suffix of its file.

    Raises:
        UsageError: a suffix that says another form, or a PDF without a file.
    """
    suffix = Path(output).suffix.lower().removeprefix(".") if output != "-" else ""
    if form is None and suffix and suffix not in _SUFFIXES:
        raise UsageError(
            f"a report has no form .{suffix}", "name it .html, .md, .json or .pdf, or add --format"
        )
    chosen = form or _SUFFIXES.get(suffix, ReportFormat.HTML)
    if chosen is ReportFormat.PDF and output == "-":
        raise UsageError("a PDF is written to a file", "-o report.pdf")
    return chosen


def _page(result: dict[str, Any], chosen: ReportFormat, output: str) -> str:
    if chosen is ReportFormat.JSON:
        from calibcli.render.formats.jsonout import render_json

        return render_json(result)
    from calibcli.core.results.reading import typed

    if chosen is ReportFormat.MD:
        from calibcli.render.formats.markdown import render_report

        shown, params = typed(result), result["params"]
        if output == "-":
            return console.beneath_settings(params, render_report(shown), marked=True)
        from calibcli.cli.pictures import save
        from calibcli.render.charts.gallery import all_figures

        drawn = list(all_figures(shown))
        folder = Path(output).with_name(f"{Path(output).stem}_files")
        save(drawn, str(folder), svg=False)
        pictures = [(one, f"{folder.name}/{one.identity}.png") for one in drawn]
        return console.beneath_settings(params, render_report(shown, pictures), marked=True)
    from calibcli.render.formats.html import render_report_html
    from calibcli.render.page.paths import by_name

    return render_report_html(typed(by_name(result)))
