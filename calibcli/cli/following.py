"""What to type next: a command line that reads the same files in the same way."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from calibcli.cli.media import DetectionInput
from calibcli.cli.options import InputOptions
from calibcli.cli.strict import typed

if TYPE_CHECKING:
    import typer

_READING = {one.name for group in (InputOptions, DetectionInput) for one in fields(group)}
"""Options that say how files are read, which every command has."""
_BESIDE = frozenset({"labels", "images", "ground_truth"})
"""Options of those that name a file beside the scores."""
_PACKED = frozenset({"gz", "zst", "bz2", "xz"})
_LONGEST = 74
"""Columns of a command before it is continued on another line."""


def after_measure(context: typer.Context, result: dict[str, Any]) -> str:
    """Return the command that follows a measurement; empty where none does.

    What is not honest is calibrated, and what is gets its cut-off.
    """
    from calibcli.core.results.reading import typed as typed_result
    from calibcli.render.words import verdicts, words

    if not _typeable(context) or result.get("series") or result.get("versus"):
        return ""
    found = typed_result(result)
    answer = verdicts.slice_verdict(found.overall, found.conventions, words.task_of(found))
    given = context.params.get("calibrator")
    if context.params["raw"]:
        unknown = given or found.overall.value("auc") is None
        return "" if unknown else _line("fit", context, "-o calibrator.json")
    if answer.tone == "bad" and given is None:
        return _line("fit", context, "-o calibrator.json")
    if answer.tone == "good" and not context.params.get("thresholds"):
        more = f"--calibrator {shlex.quote(given)} " if given else ""
        return _line("threshold", context, f"{more}-o thresholds.json")
    return ""


def after_fit(context: typer.Context, output: str | None) -> str:
    """Return the command that follows a fit: cut-offs, chosen on rows that it has not seen."""
    if output is None or not _typeable(context, output):
        return ""
    tail = f"--calibrator {shlex.quote(output)} -o thresholds.json"
    return _line("threshold", context, tail, elsewhere=True)


def after_threshold(context: typer.Context, output: str | None, given: str | None) -> str:
    """Return the command that follows a choice: what it does on rows that it has not seen.

    `given` is the calibrator before it. Without a file to keep it in, that one is to be named.
    """
    if not _typeable(context, output or "", given or ""):
        return ""
    if output is None:
        return "the same command with -o thresholds.json"
    before = f"--calibrator {shlex.quote(given)} " if given else ""
    tail = f"{before}--thresholds {shlex.quote(output)}"
    return _line("measure", context, tail, elsewhere=True)


def _typeable(context: typer.Context, *more: str) -> bool:
    """Whether files can be named in a command line."""
    paths = context.params["paths"] or []
    return "-" not in paths and all(path.isprintable() for path in [*paths, *more])


def _new(path: str, name: str) -> str:
    """Return the name that stands for another file of the same form.

    >>> _new("a/scores.csv.gz", "NEW"), _new("scores", "NEW")
    ('NEW.csv.gz', 'NEW')
    """
    parts = path.rpartition("/")[2].split(".")[1:]
    kept = parts[-2:] if parts and parts[-1] in _PACKED else parts[-1:]
    return ".".join([name, *kept])


def _line(command: str, context: typer.Context, tail: str, *, elsewhere: bool = False) -> str:
    """Return a command line with the files and the reading options that were given.

    `elsewhere`: of other files of the same forms, which are named NEW.
    """
    paths = context.params["paths"]
    named = dict.fromkeys(_new(path, "NEW") for path in paths) if elsewhere else paths
    parts = [shlex.quote(path) for path in named]
    for parameter in context.command.params:
        if parameter.name in _READING and typed(context, parameter.name):
            value, beside = context.params[parameter.name], parameter.name if elsewhere else ""
            parts += _option(parameter.opts[0], value, beside)
    parts = [f"calibcli {command}", *parts, tail]
    if len(" ".join(parts)) <= _LONGEST:
        return " ".join(parts)
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) < _LONGEST:
            lines[-1] += f" {part}"
        else:
            lines.append(f"    {part}")
    return " \\\n".join(lines)


def _option(option: str, value: Any, beside: str) -> list[str]:
    """Return an option and its value as they are typed; `beside` names that of another file."""
    if value is True or value is None:
        return [option] if value else []
    if beside in _BESIDE:
        value = _new(value, f"NEW_{beside.upper()}")
    plain = int(value) if isinstance(value, float) and value == int(value) else value
    return [f"{option} {shlex.quote(str(getattr(plain, 'value', plain)))}"]
