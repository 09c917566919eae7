"""What to type next: a command line that reads the same files in the same way."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from calibcli.cli.strict import typed

if TYPE_CHECKING:
    import typer

_READING = (
    "score", "scores", "label", "labels", "logits", "raw", "descending", "task", "classes",
    "positive", "weight", "count",
    "cluster", "drop_invalid", "input_format", "key", "predicted", "renormalise",
    "layout", "ignore_label", "scale", "images", "ground_truth", "iou", "nms_iou",
    "masks", "max_detections",
)  # fmt: skip
"""Options that say how files are read, which every command has."""
_LONGEST = 74
"""Columns of a command before it is continued on another line."""


def after_measure(context: typer.Context, result: dict[str, Any]) -> str:
    """Return the command that follows a measurement; empty where none does.

    What is not honest is calibrated, and what is gets its cut-off.
    """
    from calibcli.core.results.reading import typed as typed_result
    from calibcli.render.words import verdicts, words

    if "-" in context.params["paths"] or result.get("series") or result.get("versus"):
        return ""
    if not all(path.isprintable() for path in context.params["paths"]):
        return ""  # not to be typed
    found = typed_result(result)
    answer = verdicts.slice_verdict(found.overall, found.conventions, words.task_of(found))
    given = context.params.get("calibrator")
    if context.params["raw"]:
        return "" if given else _line("fit", context, "-o calibrator.json")
    if answer.tone == "bad" and given is None:
        return _line("fit", context, "-o calibrator.json")
    if answer.tone == "good" and not context.params.get("thresholds"):
        more = f"--calibrator {shlex.quote(given)} " if given else ""
        return _line("threshold", context, f"{more}-o thresholds.json")
    return ""


def _line(command: str, context: typer.Context, tail: str) -> str:
    """Return a command line with the files and the reading options that were given."""
    parts = [shlex.quote(path) for path in context.params["paths"]]
    for parameter in context.command.params:
        if parameter.name not in _READING or not typed(context, parameter.name):
            continue
        value = context.params[parameter.name]
        option = parameter.opts[0]
        if value is True:
            parts.append(option)
        elif value is not None:
            plain = int(value) if isinstance(value, float) and value == int(value) else value
            parts.append(f"{option} {shlex.quote(str(getattr(plain, 'value', plain)))}")
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
