"""`calibcli apply`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from calibcli.cli import console, options
from calibcli.errors import ExitCode

NAME = "apply"


@options.spread_options
def command(
    calibrator: Annotated[str, typer.Argument(metavar="CALIBRATOR", help="From calibcli fit.")],
    paths: Annotated[list[str], typer.Argument(metavar="SCORES...", help=options.SCORES_HELP)],
    read: options.InputOptions,
    run: options.RunOptions,
    *,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", help="Parquet, CSV or NPY; - writes CSV."),
    ],
    thresholds: Annotated[
        str | None, typer.Option(metavar="FILE", help="Add decisions by these thresholds.")
    ] = None,
) -> int:
    """Add calibrated probabilities, and decisions, to every row.

    Every input column and the order of the rows are kept.
    """
    from calibcli.workflows.apply import apply

    stream = sys.stdout.buffer if output == "-" else None
    with console.Progress(quiet=run.quiet) as progress, console.unbroken():
        result = apply(
            calibrator,
            read.spec(paths),
            output,
            thresholds=thresholds,
            stream=stream,
            threads=run.threads,
            progress=progress.callback,
        )
        if stream is None:
            console.emit(console.render("table", NAME, result))
    return int(ExitCode.OK)
