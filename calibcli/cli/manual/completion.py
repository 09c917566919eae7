"""Completion of the names of columns: those of the first file that stands in the line.

A shell asks in a process of its own, so nothing here costs a run of the program anything.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from calibcli.errors import CalibcliError

ASKED = "_CALIBCLI_COMPLETE"
"""Variable of the environment by which a shell asks."""


def complete_columns(command: Any) -> None:
    """Let the options of a command that take a column offer those of its file, if a shell asks."""
    if ASKED not in os.environ:
        return
    for parameter in command.params:
        if "COL" in (parameter.metavar or ""):
            parameter._custom_shell_complete = columns


def columns(context: Any, parameter: Any, incomplete: str) -> list[str]:
    """Return the columns that begin so; of several, the last may be unfinished.

    Nothing where no file can be read: a shell wants an answer, not an error.
    """
    found = _first(context.args)  # what is no option yet, for the line is not finished
    before, comma, last = incomplete.rpartition(",")
    if comma and "," not in parameter.metavar:
        return []
    names = [name for name in found if name.startswith(last) and name.isprintable()]
    return [f"{before}{comma}{name}" for name in names]


def _first(paths: list[str]) -> list[str]:
    """Return the columns of the first of these words that is a file of rows."""
    from calibcli.io.formats.readers import open_reader
    from calibcli.io.formats.sources import expand

    for path in paths:
        if path == "-" or path.startswith("--"):
            continue
        with suppress(CalibcliError, OSError, ValueError):
            return list(open_reader(expand((path,))[0]).columns)
    return []
