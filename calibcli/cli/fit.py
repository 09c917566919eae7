"""`calibcli fit`."""

from __future__ import annotations

from typing import Annotated

import typer

from calibcli.cli import console, options
from calibcli.errors import ExitCode

NAME = "fit"


@options.spread_options
def command(
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
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
) -> int:
    """Learn the correction on held-out data, and write it as JSON.

    Figures after are cross-fitted: of maps that have not seen the rows they are judged on.
    """
    conventions = how.conventions()
    from calibcli.workflows.fit import FitOptions, fit

    wanted = FitOptions(
        method=method,
        folds=folds,
        select=select,
        temperatures=options.numbers(temperatures, "--temperatures"),
        seed=how.seed,
    )
    with console.Progress(quiet=run.quiet) as progress:
        result = fit(
            read.spec(paths),
            conventions,
            wanted,
            output=output,
            threads=run.threads,
            progress=progress.callback,
        )
    console.warn(result, form.format, quiet=run.quiet)
    console.emit(console.render(form.format.value, NAME, result))
    return int(ExitCode.OK)
