"""Results read from what JSON is made of, by the name of their schema."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from calibcli.core.results.base import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")

# Modules are imported by need: no command defines the types of another's result.
_TYPES: Final = {
    "calibcli/measure": ("measure", "MeasureResult"),
    "calibcli/fit": ("fit", "FitResult"),
    "calibcli/threshold": ("threshold", "ThresholdResult"),
    "calibcli/apply": ("apply", "ApplyResult"),
    "calibcli/promotion": ("promotion", "PromotionResult"),
    "calibcli/replay": ("parts.replay", "ReplayResult"),
    "calibcli/report": ("report", "ReportResult"),
}


def result_type(schema: str) -> type[msgspec.Struct]:
    """Return the type of the results of a schema, such as "calibcli/measure"."""
    module, name = _TYPES[schema]
    found: type[msgspec.Struct] = getattr(import_module(f"calibcli.core.results.{module}"), name)
    return found


def typed(document: Mapping[str, Any] | msgspec.Struct) -> Any:
    """Return a result as its type; keys that the type does not have are left out.

    What is of its type already is returned as it is.

    Raises:
        msgspec.ValidationError: the document is not of its schema.
    """
    if isinstance(document, msgspec.Struct):
        return document
    return typed_as(document, result_type(str(document["schema"])))


def typed_as(document: Any, kind: type[T]) -> T:
    """Return a part of a result as its type.

    Raises:
        msgspec.ValidationError: the part is not of its type.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError:  # NumPy's floats are floats for JSON alone
        return msgspec.convert(plain(document), kind)
    except SystemError as error:  # what msgspec 0.18 makes of an integer that no float can hold
        raise msgspec.ValidationError("Number out of range") from error
