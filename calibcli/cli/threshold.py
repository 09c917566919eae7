"""`calibcli threshold`."""

from __future__ import annotations

from typing import Annotated

import typer

from calibcli.cli import console, options
from calibcli.errors import ExitCode

NAME = "threshold"


@options.spread_options
def command(
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
    how: options.BinOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where the thresholds go."),
    ] = None,
    calibrator: Annotated[
        str | None, typer.Option(metavar="FILE", help="Calibrate first with this.")
    ] = None,
    maximize: Annotated[
        str | None,
        typer.Option(
            metavar="FIGURE",
            help="f1, fbeta:B, youden, balanced-accuracy, accuracy, mcc, precision, recall, dice "
            "or iou. [default: f1, or what the constraints leave open]",
        ),
    ] = None,
    subject_to: Annotated[
        list[str] | None,
        typer.Option(metavar="BOUND", help="Such as 'precision>=0.95'; repeatable."),
    ] = None,
    cost: Annotated[
        str | None,
        typer.Option(metavar="fp=1,fn=4", help="Minimise expected cost; also tp=, tn=, refer=."),
    ] = None,
    prior: Annotated[
        float | None, typer.Option(metavar="P", help="Prevalence where it will be used.")
    ] = None,
    per_class: Annotated[
        bool,
        typer.Option("--per-class", help="One cut-off a class (what several classes always get)."),
    ] = False,
    candidates: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write every candidate as CSV.")
    ] = None,
) -> int:
    """Choose the cut-off: every distinct score is a candidate.

    A target that cannot be met is exit 1: the best attainable value is printed, nothing written.
    """
    conventions = how.conventions()
    from calibcli.workflows.threshold import Wish, threshold

    del per_class
    wish = Wish.parse(maximize, tuple(subject_to or ()), cost, prior)
    with console.Progress(quiet=run.quiet) as progress:
        result = threshold(
            read.spec(paths),
            conventions,
            wish,
            calibrator=calibrator,
            output=output,
            candidates=candidates,
            threads=run.threads,
            progress=progress.callback,
        )
    console.warn(result, form.format, quiet=run.quiet)
    console.emit(console.render(form.format.value, NAME, result))
    return int(ExitCode.OK)
