"""Results that `measure --format json` has written, read back to be compared."""

from __future__ import annotations

from pathlib import Path

import msgspec

from calibcli.core.results.figures import Figure, Where
from calibcli.errors import InputError
from calibcli.io.failures import reading, show

SCHEMA = "calibcli/measure"
_HEAD_BYTES = 256


class SavedSlice(msgspec.Struct):
    """What is compared of a slice."""

    metrics: dict[str, Figure]
    slice: Where
    calibrated: AfterCalibration | None = None


class AfterCalibration(msgspec.Struct):
    """Its figures after a calibrator."""

    metrics: dict[str, Figure]


class SavedResult(msgspec.Struct):
    """What is compared of a saved result."""

    schema: str
    version: int
    task: str
    inputs: list[dict[str, object]]
    params: dict[str, object]
    overall: SavedSlice
    classes: list[SavedSlice] = msgspec.field(default_factory=list)
    groups: list[SavedSlice] = msgspec.field(default_factory=list)


def is_result(path: str) -> bool:
    """Return whether a file begins as a result of `measure` does."""
    if not path.endswith(".json"):
        return False
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    return f'"schema": "{SCHEMA}"' in head or f'"schema":"{SCHEMA}"' in head


def read_result(path: str) -> SavedResult:
    """Read a saved result.

    Raises:
        InputError: the file is none, or of a later version.
    """
    with reading(path, "saved result"):
        content = Path(path).read_bytes()
    try:
        found = msgspec.json.decode(content, type=SavedResult)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{show(path)} is not a result of measure: {error}",
            "write it again: calibcli measure SCORES --format json -o result.json",
        ) from error
    if found.version != 1:
        raise InputError(
            f"{show(path)} is of version {found.version}, and this calibcli reads version 1",
            "upgrade calibcli",
        )
    return found
