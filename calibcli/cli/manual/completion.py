"""Completion of the names of columns: those of the first file that stands in the line.

A shell asks in a process of its own, so nothing here costs a run of the program anything.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import Any

from calibcli.errors import CalibcliError

ASKED = "_CALIBCLI_COMPLETE"
"""Variable of the environment by which a shell asks."""


_TYPED = "COMP_WORDS"
_ZSH = "compdef %(complete_func)s %(prog_name)s"
_FIRST = '[[ $funcstack[1] != _%(prog_name)s ]] || %(complete_func)s "$@"'


def complete_at_once(given: list[str]) -> None:
    """Let the script that is installed for zsh answer the first TAB of a session.

    zsh loads it at that TAB as the very function that completes, and Typer's only defines another.
    """
    if not any(one.endswith("-completion") for one in given):
        return
    from typer import _completion_shared as shared

    scripts = shared._completion_scripts
    for shell, script in scripts.items():
        scripts[shell] = script.replace(f"{_ZSH}\n", f"{_ZSH}\n{_FIRST}\n")


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
    return [_word(f"{before}{comma}{name}") for name in names]


def _word(name: str) -> str:
    """Return a name as a shell takes it in: bash puts it into the line as it is."""
    typed = os.environ.get(_TYPED, "").rpartition(" ")[2]
    if os.environ[ASKED] != "complete_bash" or typed[:1] in ("'", '"'):
        return name
    return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", name)


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
