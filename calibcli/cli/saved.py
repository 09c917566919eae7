"""`calibcli measure old.json new.json`: two saved results side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.cli import console
from calibcli.cli.choices import Format
from calibcli.cli.strict import typed
from calibcli.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

_ACT = frozenset({"paths", "format", "output", "quiet", "verbose", "debug", "no_config"})
_FORMATS = (Format.TABLE, Format.JSON, Format.CSV, Format.MD)


def compare(
    context: typer.Context, paths: Sequence[str], form: Format, output: str, *, quiet: bool
) -> int:
    """Print two saved results side by side.

    Raises:
        UsageError: an option or a format that says nothing about saved results.
        InputError: a file is no result, or the two are of different tasks.
    """
    _refuse_others(context)
    if form not in _FORMATS:
        raise UsageError(
            f"--format {form.value} does not show two saved results",
            "--format table, json, csv or md",
        )
    from calibcli.workflows.measure.saved import side_by_side

    result = side_by_side(paths)
    if form is Format.JSON:
        from calibcli.core.results.base import plain
        from calibcli.render.formats.jsonout import render_json

        text = render_json(plain(result))
    else:
        from calibcli.render.formats import saved

        text = saved.FORMS[form.value](result, console.screen(output)[0])
    if form in (Format.JSON, Format.CSV) and not quiet:
        for warning in result.warnings:
            console.complain(f"calibcli: warning: {warning}")
    console.deliver(text, output)
    return int(ExitCode.OK)


def _refuse_others(context: typer.Context) -> None:
    """Refuse every option that would change how rows are read or measured: there are no rows."""
    for parameter in context.command.params:
        if typed(context, parameter.name) and parameter.name not in _ACT:
            raise UsageError(
                f"{parameter.opts[0]} is for scores, and these are two saved results",
                "leave it out; conventions are those that the results were made with",
            )
