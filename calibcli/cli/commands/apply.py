"""`calibcli apply`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calibcli.cli import console, options
from calibcli.cli.choices import Format, argument, flag, option
from calibcli.cli.outputs import keep_apart
from calibcli.cli.project import own_gates
from calibcli.cli.spread import spread_options
from calibcli.errors import ExitCode, UsageError
from calibcli.tasks.features import refuse

if TYPE_CHECKING:
    from collections.abc import Collection

NAME = "apply"


@spread_options
def command(
    calibrator: Annotated[
        str,
        typer.Argument(
            metavar="CALIBRATOR",
            help="From calibcli fit; none with --thresholds of scores as they are.",
        ),
    ],
    read: options.InputOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    *,
    paths: list[str] | None = argument("SCORES...", options.SCORES_HELP),
    output: str | None = option(
        "OUT", "Parquet, CSV or NPY; JSON for detections; - writes CSV.", short="-o"
    ),
    thresholds: str | None = option(
        "FILE", "Add decisions by these thresholds; of detections keep those that they leave."
    ),
    prior: str | None = option(
        "P|em",
        "Prevalence where the scores are used (one, or one a class with commas); em "
        "estimates it from these unlabelled scores and says how sure it is.",
    ),
    fail_if: list[str] | None = option(
        "EXPR", "Exit 1 and write nothing if this holds, such as 'decision.positive-rate>0.1'."
    ),
    provenance: bool = flag(
        "Write OUT.provenance.json too: by which calibrator and thresholds. Parquet says "
        "it in its schema."
    ),
    interval: bool = flag(
        "Add probability_low and probability_high: how sure the map is of each row."
    ),
    emit: str | None = option(
        "sql|python",
        "Print the mapping as SQL expressions of the columns --score or --scores (with "
        "--thresholds the decisions), or as a Python function that needs the standard library "
        "only; no SCORES are read.",
    ),
) -> int:
    """Add calibrated probabilities, and decisions, to every row.

    Every input column and the order of the rows are kept.
    """
    taken = getattr(run.config, "taken", ())
    tags = form.tags()
    gates = own_gates(run.config, fail_if)
    _refuse_beside_rows(form, gates, taken, emit, output, provenance=provenance)
    if interval and emit is not None:
        raise UsageError("--interval is of rows, and --emit reads none", "leave it out")
    bare = not paths and thresholds is not None
    boxes = thresholds is not None and bare and emit is None and _cuts_boxes(thresholds)
    if interval and boxes:
        refuse("apply --interval", "boxes")
    if bare and emit is None and prior is not None and boxes:
        refuse("apply --prior", "boxes")
    if bare and emit is None and (interval or prior is not None):
        name = "--interval" if interval else "--prior"
        raise UsageError(
            f"{name} is of probabilities, and no calibrator is given",
            "calibcli apply CALIBRATOR SCORES --thresholds FILE -o OUT",
        )
    if emit is not None:
        return _emit(calibrator, emit, read, prior, thresholds, output)
    given = {"weight": read.weight, "count": read.count, "cluster": read.cluster}
    for name, value in given.items():
        if value is not None and prior != "em" and name not in taken:
            raise UsageError(
                f"--{name} changes no probability", "it is for --prior em, which estimates"
            )
    if thresholds is not None and boxes:
        return _cut(calibrator, read, form, run, output, thresholds, gates, provenance=provenance)
    first = None if bare else calibrator
    paths = [calibrator] if bare else paths
    if not paths:
        raise UsageError("apply needs SCORES...", "calibcli apply CALIBRATOR SCORES... -o OUT")
    if output is None:
        raise UsageError("apply needs an output", "name it: -o OUT.parquet, or -o - for CSV")
    from calibcli.workflows.apply.apply import apply

    keep_apart([*paths, read.labels, first, thresholds], [output])
    stream = sys.stdout.buffer if output == "-" else None
    # Rows on a terminal show by themselves how far they are.
    still = run.quiet or (stream is not None and sys.stdout.isatty())
    with console.unbroken():
        with console.Progress(quiet=still, verbose=run.verbose) as progress:
            result = apply(
                first,
                read.spec(paths, joined=paths[0] if len(paths) > 1 else None),
                output,
                thresholds=thresholds,
                prior=prior,
                fail_if=gates,
                provenance=provenance,
                interval=interval,
                stream=stream,
                threads=run.threads,
                progress=progress.callback,
            )
        if tags:
            result["params"]["tags"] = tags
        progress.tell(result)
        return _told(result, form, run, output)


def _cuts_boxes(thresholds: str) -> bool:
    from calibcli.workflows.input.loaded.boxes import cuts_boxes

    return cuts_boxes(thresholds)


def _told(
    result: dict[str, Any], form: options.FormatOptions, run: options.RunOptions, output: str
) -> int:
    """Show what was written and what gates say; beside rows on standard output only warnings."""
    run.complete(result)
    if output == "-":
        if not run.quiet:
            if "prevalence" in result:
                console.complain(f"calibcli: prevalence {result['prevalence']}")
            for warning in result["warnings"]:
                console.complain(f"calibcli: warning: {warning}")
        return int(ExitCode.OK)
    console.warn(result, form.format, quiet=run.quiet)
    console.summarise(form.format, NAME, result)
    console.emit(console.render(form.format.value, NAME, result))
    return console.judge(result, form.format.value, "-", quiet=run.quiet, held=output)


def _refuse_beside_rows(
    form: options.FormatOptions,
    gates: list[str],
    taken: Collection[str],
    emit: str | None,
    output: str | None,
    *,
    provenance: bool,
) -> None:
    """Refuse gates and forms of the summary where there is none, or where rows take its place.

    `taken` names the options from a project file, whose format is for other commands too.

    Raises:
        UsageError: naming the option.
    """
    if emit is None and output != "-":
        return
    given = {
        "--fail-if": bool(gates),
        "--format": form.format is not Format.TABLE and "format" not in taken,
        "--tag": bool(form.tag) and "tag" not in taken,
        "--provenance": provenance and "provenance" not in taken,
    }
    for name, there in given.items():
        if there and emit is not None:
            raise UsageError(f"{name} is of rows, and --emit reads none", "leave it out")
        if there:
            what = {"--fail-if": "gates", "--provenance": "a file beside"}
            raise UsageError(
                f"{name}: rows on standard output leave no room for "
                f"{what.get(name, 'the summary')}",
                "-o OUT.parquet",
            )


def _cut(
    scores: str,
    read: options.InputOptions,
    form: options.FormatOptions,
    run: options.RunOptions,
    output: str | None,
    thresholds: str,
    gates: list[str],
    *,
    provenance: bool,
) -> int:
    """Run the cut-offs of detections, which need no calibrator."""
    if output is None:
        raise UsageError("apply needs an output", "name it: -o OUT.json, or -o - for CSV")
    from calibcli.workflows.apply.boxes import apply_boxes

    keep_apart([scores, thresholds], [output])
    stream = sys.stdout.buffer if output == "-" else None
    with console.unbroken():
        result = apply_boxes(
            None,
            read.spec([scores]),
            output,
            thresholds=thresholds,
            fail_if=gates,
            provenance=provenance,
            stream=stream,
        )
        if form.tag:
            result["params"]["tags"] = form.tags()
        return _told(result, form, run, output)


def _emit(
    calibrator: str,
    kind: str,
    read: options.InputOptions,
    prior: str | None,
    thresholds: str | None,
    output: str | None,
) -> int:
    from calibcli.workflows.apply.emit import emit

    keep_apart([calibrator, thresholds], [output])
    text = emit(
        calibrator,
        kind,
        score=read.score,
        scores=options.texts(read.scores),
        prior=prior,
        thresholds=thresholds,
    )
    for name in console.edited():
        console.complain(f"calibcli: warning: {console.EDITED.format(name)}")
    console.deliver(text, output or "-")
    return int(ExitCode.OK)
