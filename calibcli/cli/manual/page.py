"""The manual page: `python -m calibcli.cli.manual.page > docs/calibcli.1` writes it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.cli.console import emit
from calibcli.cli.help import EXAMPLES, groups_of
from calibcli.cli.main import COMMANDS, commands
from calibcli.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES = {
    ExitCode.OK: "done",
    ExitCode.NO: "the answer is no: a gate failed, or a target cannot be reached",
    ExitCode.USAGE: "wrong usage",
    ExitCode.INPUT: "unusable input",
    ExitCode.BUG: "a bug",
    ExitCode.INTERRUPTED: "interrupted",
}


def manual() -> str:
    """Return the manual page in roff (man(7)), the same for the same options."""
    root = commands()
    lines = [
        f'.TH CALIBCLI 1 "" "calibcli {__version__}" "User Commands"',
        ".SH NAME",
        rf"calibcli \- {_text(root.help)[:1].lower()}{_text(root.help)[1:]}",
        ".SH SYNOPSIS",
        *(rf".B calibcli {name}" + f"\n{_usage(root.commands[name])}\n.br" for name in COMMANDS),
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        command = root.commands[name]
        lines += [f".SS calibcli {name}", *_paragraphs(command.help)]
        context = command.context_class(command, info_name=name)
        for title, options in groups_of(command, context).items():
            lines += [".P", rf"\fI{_text(title)}\fR"] if options else []
            for option in options:
                names, told = option.get_help_record(context)
                lines += [".TP", rf"\fB{_text(names)}\fR", _text(told)]
    lines += [".SH EXAMPLES"]
    for name in COMMANDS:
        for example in EXAMPLES[name]:
            lines += [".P", ".nf", _text(example), ".fi"]
    lines += [".SH EXIT STATUS"]
    for code, told in _CODES.items():
        lines += [".TP", rf"\fB{int(code)}\fR", told]
    lines += [
        ".SH ENVIRONMENT",
        _text(root.commands[COMMANDS[0]].epilog),
        ".SH SEE ALSO",
        "The documentation: README.md and docs/ of the project.",
    ]
    return "\n".join(lines) + "\n"


def _usage(command: Any) -> str:
    arguments = [p.metavar or p.name for p in command.params if p.param_type_name == "argument"]
    return _text(" ".join(["[OPTIONS]", *arguments]))


def _paragraphs(text: str | None) -> Iterator[str]:
    """Yield the paragraphs of a help text, each on one line."""
    for one in (text or "").split("\n\n"):
        yield ".P"
        yield _text(one)


def _text(text: str | None) -> str:
    """Return text safe in roff: no escapes or requests, ASCII, minus signs that can be copied."""
    plain = " ".join((text or "").split())
    safe = plain.replace("\\", r"\e").replace("-", r"\-")
    safe = "".join(one if one.isascii() else rf"\[u{ord(one):04X}]" for one in safe)
    return rf"\&{safe}" if safe[:1] in (".", "'") else safe


if __name__ == "__main__":
    emit(manual())
