"""`calibcli measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from calibcli.cli import console, following, options, pictures, raw
from calibcli.cli.choices import Format
from calibcli.cli.detections import DetectionInput
from calibcli.cli.outputs import keep_apart
from calibcli.cli.spread import spread_options
from calibcli.errors import UsageError

NAME = "measure"


@spread_options
def command(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
    groups: options.GroupOptions,
    boxes: DetectionInput,
    how: options.BinOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    threshold: Annotated[
        list[float] | None,
        typer.Option(metavar="T", help="Show the confusion table at this cut-off. [default: 0.5]"),
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option(metavar="FILE", help="Show the cut-offs of this artifact.")
    ] = None,
    calibrator: Annotated[
        str | None, typer.Option(metavar="FILE", help="Figures before and after this calibrator.")
    ] = None,
    versus: Annotated[
        str | None,
        typer.Option(
            metavar="COL|FILE",
            help="A second model on the same rows: paired differences, second less first.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="What has drifted from these scores, statistics or calibrator; the rows then "
            "need no labels.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COL",
            help="The same figures for each period of this column, in order, and the first bad "
            "one; day:COL, week:COL or month:COL cut times, rows:N makes chunks.",
        ),
    ] = None,
    at: Annotated[
        list[float] | None,
        typer.Option(metavar="P", help="Read the reliability curve at this confidence."),
    ] = None,
    worst: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Show the N rows that are most confidently wrong."),
    ] = 0,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(metavar="EXPR", help="Exit 1 if this holds, such as 'ece>0.05'."),
    ] = None,
    save_stats: Annotated[
        str | None, typer.Option(metavar="FILE", help="Keep the statistics for later.")
    ] = None,
    evidence: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Add this night to the evidence of all nights against the promises.",
        ),
    ] = None,
    promise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BOUND",
            help="What every night is to keep, such as 'precision>=0.9'; repeatable. "
            "[default: ece within --tolerance, and the bounds of --thresholds]",
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print every metric, bin, class, group and confusion.")
    ] = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw the reliability diagram below the tables.")
    ] = False,
    save_plots: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write every chart to this folder, as PNG and SVG."),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Write the result here.")
    ] = "-",
) -> int:
    """Is the model honest, and what does its cut-off do?

    Every metric with its interval, confusion tables, reliability bins, per class and per group.
    """
    if plot and form.format is not Format.TABLE:
        raise UsageError(
            f"--plot draws below the tables, not in {form.format.value}",
            "leave out --format, or write pictures with --save-plots DIR",
        )
    truth = boxes.ground_truth
    inputs = [*paths, read.labels, calibrator, thresholds, versus, reference, truth]
    keep_apart(inputs, [output], [save_stats, evidence])
    from calibcli.workflows.measure.saved import are_saved_results

    if are_saved_results(paths):
        from calibcli.cli.saved import compare

        return compare(context, paths, form.format, output, quiet=run.quiet)
    tags = form.tags()
    from calibcli.workflows.measure.measure import measure

    brief = console.read_by_people(form.format) and not (every or plot or worst)
    own = tuple(groups.group or ())
    spec = boxes.into(read.spec(paths, own, calibrator, versus, thresholds))
    asked = {"--versus": versus, "--reference": reference, "--by": by, "--at": at}
    more = {"--worst": worst, "--save-stats": save_stats, "--save-plots": save_plots}
    raw.refuse_raw(spec, asked | more | {"--plot": plot})
    if calibrator is None:
        raw.refuse_bins(context, spec)
    cuts = raw.cuts_of(spec, threshold, calibrator)
    conventions = how.conventions(at=tuple(at or ()), **cuts)
    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        result = measure(
            spec,
            conventions,
            calibrator=calibrator,
            thresholds=thresholds,
            versus=versus,
            reference=reference,
            by=by,
            fail_if=fail_if or (),
            save_stats=save_stats,
            evidence=evidence,
            promises=promise or (),
            threads=run.threads,
            progress=progress.callback,
            curves=None if save_plots is None else pictures.equal_costs(),
            worst=worst,
            confusions=every and form.format in (Format.TABLE, Format.JSON, Format.MD),
            in_brief=brief and not (fail_if or save_plots or thresholds or at),
        )
        if save_plots is not None:
            pictures.save_measure(result, save_plots)
    run.complete(result)
    if tags:
        result["params"]["tags"] = tags
    progress.tell(result)
    console.warn(result, form.format, quiet=run.quiet)
    console.summarise(form.format, NAME, result)
    hint = following.after_measure(context, result) if brief else None
    text = console.render(form.format.value, NAME, result, output, hint)
    if plot:
        text += "\n" + console.render("plot", NAME, result, output)
    console.deliver(text, output)
    return console.judge(result, form.format.value, output, quiet=run.quiet)
