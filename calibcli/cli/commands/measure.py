"""`calibcli measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from calibcli.cli import console, following, options, pictures, raw
from calibcli.cli.choices import Format, flag, option
from calibcli.cli.media import DetectionInput
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
    threshold: list[float] | None = option(
        "T", "Show the confusion table at this cut-off. [default: 0.5]"
    ),
    thresholds: str | None = option("FILE", "Show the cut-offs of this artifact."),
    calibrator: str | None = option("FILE", "Figures before and after this calibrator."),
    versus: str | None = option(
        "COL|FILE", "A second model on the same rows: paired differences, second less first."
    ),
    reference: str | None = option(
        "FILE",
        "What has drifted from these scores, statistics or calibrator; the rows then "
        "need no labels.",
    ),
    by: str | None = option(
        "COL",
        "The same figures for each period of this column, in order, and the first bad "
        "one; day:COL, week:COL or month:COL cut times, rows:N makes chunks.",
    ),
    at: list[float] | None = option("P", "Read the reliability curve at this confidence."),
    worst: int = option("N", "Show the N rows that are most confidently wrong.", default=0, min=0),
    fail_if: list[str] | None = option("EXPR", "Exit 1 if this holds, such as 'ece>0.05'."),
    save_stats: str | None = option("FILE", "Keep the statistics for later."),
    evidence: str | None = option(
        "FILE", "Add this night to the evidence of all nights against the promises."
    ),
    promise: list[str] | None = option(
        "BOUND",
        "What every night is to keep, such as 'precision>=0.9'; repeatable. "
        "[default: ece within --tolerance, and the bounds of --thresholds]",
    ),
    every: bool = flag("Print every metric, bin, class, group and confusion.", long="--all"),
    plot: bool = flag("Draw the reliability diagram below the tables."),
    save_plots: str | None = option("DIR", "Write every chart to this folder, as PNG and SVG."),
    output: str = option("FILE", "Write the result here.", short="-o", default="-"),
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
    asked = {"--at": at, "--worst": worst, "--save-stats": save_stats}
    raw.refuse_raw(spec, asked | {"--save-plots": save_plots, "--plot": plot})
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
