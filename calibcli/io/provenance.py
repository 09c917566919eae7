"""Whose scores a file holds, kept in it or beside it.

Parquet and Arrow keep it among the metadata of their schema, under `calibcli`; any other file has
it in a JSON file beside it, which holds the digest of the file that it is about.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from calibcli.core.results.base import plain
from calibcli.core.results.parts.provenance import Output, Provenance, SideFile
from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.output.sink import write_atomic
from calibcli.io.rows.hashing import file_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calibcli.io.formats.source import Source

KEY: Final = b"calibcli"
SUFFIX: Final = ".provenance.json"
_MOST_BYTES: Final = 2**20


def metadata_of(made: Provenance) -> dict[bytes, bytes]:
    """Return what the schema of a table says of it."""
    return {KEY: msgspec.json.encode(plain(made))}


def within(metadata: Mapping[bytes, bytes] | None) -> Provenance | None:
    """Return the provenance among the metadata of a schema; None where there is none of ours."""
    text = (metadata or {}).get(KEY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Provenance)
    except msgspec.MsgspecError:  # the key is not ours alone
        return None


def write_beside(path: str, made: Provenance) -> str:
    """Write the side file of an output that is in place, and return its path.

    Raises:
        InputError: it cannot be written.
    """
    side = SideFile(output=Output(Path(path).name, file_digest(path)), made=made)
    write_atomic(path + SUFFIX, msgspec.json.format(msgspec.json.encode(plain(side))) + b"\n")
    return path + SUFFIX


def made_of(source: Source, schema: Callable[[], Any] | None = None) -> Provenance | None:
    """Return whose scores a file holds, which its schema says where it has one, or a side file.

    Raises:
        InputError: the side file cannot be read.
    """
    if schema is not None and source.kind in ("parquet", "arrow"):
        return within(schema().metadata)
    return beside(source.path) if source.plain else None


def beside(path: str) -> Provenance | None:
    """Return what the side file of a local file says; None without one, or for another content.

    Raises:
        InputError: the side file cannot be read.
    """
    place = Path(path + SUFFIX)
    if not place.is_file():
        return None
    with reading(str(place)):
        if place.stat().st_size > _MOST_BYTES:
            raise InputError(f"{show(str(place))} is no side file of calibcli: it is too long")
        content = place.read_bytes()
    try:
        side = msgspec.json.decode(content, type=SideFile)
    except msgspec.MsgspecError as error:
        raise InputError(
            f"{show(str(place))} is no side file of calibcli: {error}",
            "remove it, or write it again: calibcli apply --provenance",
        ) from error
    return side.made if side.output.digest == file_digest(path) else None


def noted(item: dict[str, Any], made: Provenance | None) -> dict[str, Any]:
    """Return {"path", "rows"} of an input with what made it, where that is known."""
    return item if made is None else {**item, "applied": plain(made)}
