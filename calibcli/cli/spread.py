"""A command takes dataclasses of options; Typer is given a parameter for each of their fields."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from contextlib import nullcontext, suppress
from functools import wraps
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from calibcli.cli import console, project
from calibcli.cli.choices import EngineName, Task, declared
from calibcli.errors import CalibcliError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def spread_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give Typer one parameter for each field of the dataclasses that a command takes."""
    hints = get_type_hints(function, include_extras=True)
    plain, spread = [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            spread[name] = hints[name]
        elif (told := declared(parameter.default, name)) is None:
            plain.append(parameter.replace(annotation=hints[name]))
        else:
            kind, default = Annotated[hints[name], told], parameter.default.default
            plain.append(parameter.replace(annotation=kind, default=default))
    fields = []
    for group in spread.values():
        known = get_type_hints(group, include_extras=True)
        for one in dataclasses.fields(group):
            fields.append(
                inspect.Parameter(
                    one.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=one.default,
                    annotation=Annotated[known[one.name], declared(one, one.name)],
                )
            )

    @wraps(function)
    def command(*args: Any, **given: Any) -> int:
        values, everything = given.get("config"), dict(given)
        made = {
            name: group(**{one.name: given.pop(one.name) for one in dataclasses.fields(group)})
            for name, group in spread.items()
        }
        try:
            if isinstance(values, project.Values) and values.found:
                _tell_found(values, quiet=bool(getattr(made.get("run"), "quiet", False)))
            _refuse_infinite(everything)
            with _engine_of(made.get("run"), given.get("paths"), made.get("read")):
                return function(*args, **given, **made)
        except CalibcliError as error:
            if isinstance(values, project.Values):
                error = values.blamed(error)
            if error.topic is not None and "read" in made:
                error.spec = _spec_of(made, given.get("paths"))  # type: ignore[attr-defined]
            if "form" in made:
                name = function.__module__.rpartition(".")[2]
                output = str(given.get("output", "-")) if name == "measure" else "-"
                console.report_error(made["form"].format.value, name, error, output)
            raise error from error.__cause__

    order = sorted([*plain, *fields], key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(order)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in order}
    return command


def _tell_found(values: project.Values, *, quiet: bool) -> None:
    """Say at a terminal that a project file is used that nobody has named."""
    if values.options and not quiet and sys.stderr.isatty():
        told = ", ".join(f"--{name}" for name in values.options)
        console.complain(f"calibcli: {told} from {values.path}; --no-config reads none")


def _refuse_infinite(options: dict[str, Any]) -> None:
    """Refuse NaN and infinity, which Python reads as numbers, in every option that takes one.

    Raises:
        UsageError: an option has such a value.
    """
    for name, value in options.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, float) and not isfinite(item):
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} must be a finite number, not {item:g}")


def _spec_of(made: dict[str, Any], paths: Any) -> Any:
    """Return the input options that an error is about; None for those of images and boxes."""
    read = made["read"]
    if read.task in (Task.SEGMENTATION, Task.DETECTION) or not paths:
        return None
    with suppress(CalibcliError):
        return read.spec(paths)
    return None


def _engine_of(run: Any, paths: Any, read: Any) -> AbstractContextManager[None]:
    """Return what a command runs in: nothing for threads, whose engine is not imported."""
    if run is None or (run.engine is EngineName.THREADS and run.scheduler is None):
        return nullcontext()
    from calibcli.cli.engine import engine_for

    return engine_for(run, paths or (), read)
