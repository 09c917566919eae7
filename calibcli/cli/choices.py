"""How options are declared, and what those of a few values can be.

An option is the default value of a field, or of a parameter of a command; `spread_options` gives it
to Typer.
"""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any

import typer

from calibcli.io.task import BOXES, CLASSES, IMAGES, LABELS, SINGLE


class Format(StrEnum):
    """Forms in which a result is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MD = "md"
    PROMETHEUS = "prometheus"
    GITHUB = "github"
    JUNIT = "junit"


class Binned(StrEnum):
    """How scores are cut into bins."""

    WIDTH = "width"
    MASS = "mass"


class Closed(StrEnum):
    """Which end a bin holds."""

    RIGHT = "right"
    LEFT = "left"


class EngineName(StrEnum):
    """What a pass over the files runs on."""

    THREADS = "threads"
    DASK = "dask"


class Task(StrEnum):
    """What a row is."""

    BINARY = SINGLE
    MULTICLASS = CLASSES
    MULTILABEL = LABELS
    SEGMENTATION = IMAGES
    DETECTION = BOXES


def option(
    metavar: str | None,
    help: str,
    *,
    default: Any = None,
    short: str | None = None,
    **more: Any,
) -> Any:
    """Return the declaration of an option, whose long name is that of its field."""
    names = ("", short) if short else ("",)
    return _declared(typer.Option, default, names, metavar=metavar, help=help, **more)


def flag(help: str, *, short: str | None = None, long: str = "", **more: Any) -> Any:
    """Return the declaration of an option without a value, which is off by default.

    Its long name is that of its field where none is given.
    """
    names = (long, short) if short else (long,)
    return _declared(typer.Option, False, names, help=help, **more)


def argument(metavar: str, help: str) -> Any:
    """Return the declaration of an argument, None where it is left out."""
    return _declared(typer.Argument, None, (), metavar=metavar, help=help)


def declared(default: Any, name: str) -> Any:
    """Return what Typer reads of a default value under a name; None where it declares nothing."""
    if not isinstance(default, dataclasses.Field) or "declared" not in default.metadata:
        return None
    kind, names, more = default.metadata["declared"]
    long = f"--{name.replace('_', '-')}"
    return kind(*(one or long for one in names), **more)


def _declared(kind: Any, default: Any, names: tuple[str, ...], **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"declared": (kind, names, more)})
