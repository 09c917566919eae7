"""`fit --replay`: what it goes with, and its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.cli import console
from calibcli.cli.choices import Format
from calibcli.cli.strict import typed
from calibcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    import typer

    from calibcli.cli.commands.promotion import FitPromotionOptions
    from calibcli.cli.options import FormatOptions, RunOptions
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions

_WRITES_NOTHING = ("a replay writes no calibrator", "calibcli fit SCORES -o FILE makes one")
_ONE_NIGHT = ("it is about one night", "leave it out; a replay is of many")
_NO_BINS = ("a replay has no bins", "measure --by takes them")
_IDLE = {
    "output": _WRITES_NOTHING,
    "promote_over": _WRITES_NOTHING,
    "rollback": _WRITES_NOTHING,
    "dry_run": _WRITES_NOTHING,
    "lock_timeout": _WRITES_NOTHING,
    "ok_if_kept": _ONE_NIGHT,
    "fail_if": ("a replay has no figures for a gate", "read its JSON: policies[].difference"),
    "bins": _NO_BINS,
    "binning": _NO_BINS,
    "edges": _NO_BINS,
    "closed": _NO_BINS,
}
"""Options of `fit` that a replay would do nothing with, why, and what to do instead."""
_FORMATS = (Format.TABLE, Format.JSON, Format.CSV, Format.MD)


def refuse_idle(context: typer.Context) -> None:
    """Refuse what a replay would do nothing with.

    Raises:
        UsageError: naming the first of these options that was typed.
    """
    for parameter in context.command.params:
        found = _IDLE.get(parameter.name or "")
        if found is not None and typed(context, parameter.name):
            raise UsageError(
                f"{parameter.opts[0]} does nothing with --replay: {found[0]}", found[1]
            )


def replayed(
    spec: InputSpec,
    conventions: Conventions,
    wanted: FitOptions,
    by: str,
    given: FitPromotionOptions,
    form: FormatOptions,
    run: RunOptions,
) -> int:
    """Play a dump through and print what each policy would have cost; return the exit code.

    Raises:
        InputError: rows that have no order, or too few of them.
        UsageError: several maps, another kind of scores, a format that shows no replay.
    """
    several = {
        "--per-group": wanted.per_group is not None,
        "--per-class": wanted.per_class,
        "--ensemble": bool(wanted.models),
        "--folds time:COL": wanted.by is not None,
    }
    for name, here in several.items():
        if here:
            raise UsageError(f"--replay is of one map a night, not for {name}", "leave it out")
    if conventions.confidence is None:
        raise UsageError(
            "--replay decides by an interval, as a promotion does", "leave out --no-ci"
        )
    if form.format not in _FORMATS:
        raise UsageError(
            f"--format {form.format.value} does not show a replay",
            "--format table, json, csv or md",
        )
    tags = form.tags()
    from msgspec import structs

    from calibcli.core.results.base import plain
    from calibcli.workflows.promote.replay import replay

    rule = given.rule(conventions.confidence)
    with console.Progress(quiet=run.quiet, verbose=run.verbose) as progress:
        found = replay(
            spec,
            conventions,
            wanted,
            by,
            rule,
            thresholds=given.thresholds,
            threads=run.threads,
            progress=progress.callback,
        )
    if tags:
        found = structs.replace(found, params={**found.params, "tags": tags})
    result = plain(found)
    run.complete(result)
    console.warn(result, form.format, quiet=run.quiet)
    progress.tell(result)
    console.emit(console.render(form.format.value, "replay", result))
    return int(ExitCode.OK)
