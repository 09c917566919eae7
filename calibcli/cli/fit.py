"""`calibcli fit`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from calibcli.cli import console, options
from calibcli.cli.detections import DetectionInput
from calibcli.cli.outputs import keep_apart
from calibcli.errors import ExitCode

NAME = "fit"


@options.spread_options
def command(
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
    boxes: DetectionInput,
    how: options.BinOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="Where the calibrator goes.")
    ],
    method: Annotated[
        str, typer.Option(metavar="M", help="Method, or auto: chosen by cross-fitting.")
    ] = "auto",
    folds: Annotated[int, typer.Option(help="Folds of cross-fitting.")] = 5,
    select: Annotated[
        str, typer.Option(metavar="SCORE", help="Proper score that auto compares: nll or brier.")
    ] = "nll",
    temperatures: Annotated[
        str | None, typer.Option(metavar="T,T…", help="Try only these temperatures.")
    ] = None,
    per_class: Annotated[
        bool,
        typer.Option("--per-class", help="One map for each class against the rest, renormalised."),
    ] = False,
    per_group: Annotated[
        str | None,
        typer.Option(
            metavar="COL", help="One map for each value of this column; small ones borrow."
        ),
    ] = None,
    ensemble: Annotated[
        str | None,
        typer.Option(
            metavar="COL,COL",
            help="Pool several models: their score columns or patterns, or files.",
        ),
    ] = None,
) -> int:
    """Learn the correction on held-out data, and write it as JSON.

    Figures after are cross-fitted: of maps that have not seen the rows they are judged on.
    """
    keep_apart([*paths, read.labels, boxes.ground_truth], files=[output])
    found = boxes.wanted(read)
    tags = form.tags(NAME)
    conventions = how.conventions()
    from calibcli.workflows.fit import FitOptions, fit

    # Seconds differ from run to run, so they are for people who watch and nowhere else.
    watched = form.format is options.Format.TABLE and (run.verbose or sys.stdout.isatty())

    wanted = FitOptions(
        method=method,
        folds=folds,
        select=select,
        temperatures=options.numbers(temperatures, "--temperatures"),
        per_class=per_class,
        per_group=per_group,
        models=options.texts(ensemble) or (),
        seed=how.seed,
        clock=time.perf_counter if watched else None,
    )
    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        if found is not None:
            from calibcli.workflows.detection_fit import fit_detection

            spec = read.spec(paths)
            result = fit_detection(spec, found, conventions, wanted, output=output)
        else:
            result = fit(
                read.spec(paths),
                conventions,
                wanted,
                output=output,
                threads=run.threads,
                progress=progress.callback,
            )
    run.tell_config(result)
    if tags:
        result["params"]["tags"] = tags
    console.warn(result, form.format, quiet=run.quiet)
    console.summarise(form.format, NAME, result)
    progress.tell(result)
    console.emit(console.render(form.format.value, NAME, result))
    return int(ExitCode.OK)
