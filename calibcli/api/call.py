"""A command run in this process, on what the caller holds: keywords are its options."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.api.data import Folder, has_columns
from calibcli.errors import CalibcliError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FILES = ("labels", "calibrator", "thresholds", "reference", "images", "ground_truth", "cost_matrix")
"""Options that take the path of a file, or here what would be in it."""
EITHER = ("label", "versus")
"""Options that take a column, or values that have no column."""


PREFIX = "calibcli-of-a-call-"
_FOLDER = re.compile(rf"[^\s'\",;()]*/{PREFIX}[^/]+/")


def run(name: str, sources: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Run a command and return what it would have shown.

    Args:
        name: of the command.
        sources: its arguments: paths, frames, mappings of columns, arrays or artifacts.
        options: its options by name; a list where one can be repeated or has commas.

    Raises:
        CalibcliError: what the command would have ended with.
    """
    from calibcli.cli import console

    with TemporaryDirectory(prefix=PREFIX) as path:
        folder = Folder(Path(path))
        try:
            given = [
                *(folder.file(one, _role(one, i, len(sources))) for i, one in enumerate(sources)),
                *_words(name, options, folder),
            ]
            with console.captured() as shown:
                _run(name, given)
        except CalibcliError as error:
            _explain(error, name)
            error.message, error.hint = plain(error.message), plain(error.hint)
            hint = f" (hint: {error.hint})" if error.hint else ""
            error.args = (f"{error.message}{hint}",)
            raise
        return plain(shown[-1]) if shown else None


def _role(value: Any, place: int, many: int) -> str:
    name = "calibrator" if hasattr(value, "payload") else "scores"
    return name if many == 1 or name == "calibrator" else f"{name}-{place + 1}"


def _run(name: str, given: list[str]) -> None:
    from calibcli.cli.main import commands

    quiet = ["--quiet"]
    if not any(word.startswith("--config=") for word in given):
        quiet.append("--no-config")
    try:
        with _one_thread_a_product():
            commands(name).main(
                [name, *quiet, *given],
                prog_name="calibcli",
                standalone_mode=False,
                auto_envvar_prefix=None,
            )
    except CalibcliError:
        raise
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        raise UsageError(" ".join(str(error.format_message()).split())) from error


def _one_thread_a_product() -> AbstractContextManager[Any]:
    """Hold the threads of BLAS while a command runs, as the program does when it starts.

    In products of small matrices they wait for each other: a choice among methods for 5,000 rows of
    10 classes takes three times the processor. What the environment asks for is kept.
    """
    from calibcli.cli.main import LINEAR_ALGEBRA

    if any(os.environ.get(name) for name in LINEAR_ALGEBRA):
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits


def _words(name: str, options: Mapping[str, Any], folder: Folder) -> Iterator[str]:
    """Yield options as words of a command line."""
    from calibcli.cli.main import commands

    known = {one.name: one for one in commands(name).commands[name].params}
    for key, value in options.items():
        if value is None or value is False:
            continue
        if key in EITHER and (has_columns(value) or _is_array(value)):
            key = "labels" if key == "label" else key
            value = folder.file(value, key)
        elif key in FILES and not isinstance(value, str):
            value = folder.file(value, key)
        parameter = known.get(key)
        if parameter is None or parameter.param_type_name != "option":
            raise UsageError(f"{name} has no option {key!r}", did_you_mean(key, known))
        option = max(parameter.opts, key=len)
        if parameter.is_flag:
            yield option
        elif parameter.multiple:
            parts = [value] if isinstance(value, str) or not _is_array(value) else list(value)
            yield from (f"{option}={_text(part)}" for part in parts)
        elif isinstance(value, Mapping):
            yield f"{option}={','.join(f'{k}={_text(v)}' for k, v in value.items())}"
        elif _is_array(value):
            yield f"{option}={','.join(map(_text, value))}"
        else:
            yield f"{option}={_text(value)}"


def _is_array(value: Any) -> bool:
    return isinstance(value, list | tuple) or getattr(value, "ndim", 0) > 0


def _text(value: Any) -> str:
    value = value.item() if isinstance(value, np.generic) else value
    return (
        value if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    )


def _explain(error: CalibcliError, name: str) -> None:
    """Put keywords that work on these data in place of the hint, where some can be found."""
    spec = getattr(error, "spec", None)
    if error.topic is None or spec is None:
        return
    from calibcli.workflows.input.hints import found_options

    found = found_options(spec, error.topic, need_labels=name != "apply")
    if found:
        error.hint = "; or ".join(
            ", ".join(f"{key.strip('-').replace('-', '_')}={value or True!r}" for key, value in one)
            for one in found
        )


def plain(shown: Any) -> Any:
    """Return a result, or a text, in which the files of a call have their names alone."""
    if isinstance(shown, str):
        return _FOLDER.sub("", shown)
    if isinstance(shown, dict):
        return {key: plain(value) for key, value in shown.items()}
    if isinstance(shown, list | tuple):
        return type(shown)(plain(value) for value in shown)
    return shown
