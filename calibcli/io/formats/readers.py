"""One `open_reader` for every type of file; a type's library is imported when it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.errors import InputError
from calibcli.io.failures import show

if TYPE_CHECKING:
    from calibcli.io.formats.frames import Reader
    from calibcli.io.formats.source import Source


def open_reader(source: Source) -> Reader:
    """Read the header of a file, and no more.

    Raises:
        InputError: The file is missing, empty, damaged, or not of the type its name says.
    """
    if source.kind in ("csv", "tsv"):
        from calibcli.io.formats.delimited.reader import CsvReader

        return CsvReader.open(source)
    if source.kind == "jsonl":
        from calibcli.io.formats.jsonl.reader import JsonlReader

        return JsonlReader.open(source)
    if source.kind == "npy":
        from calibcli.io.formats.npy import NpyReader

        return NpyReader.open(source)
    if source.kind == "npz":
        from calibcli.io.formats.npy import NpzReader

        return NpzReader.open(source)
    if source.kind == "parquet":
        from calibcli.io.formats.arrow import ParquetReader

        return ParquetReader.open(source)
    if source.kind == "arrow":
        from calibcli.io.formats.arrow import ArrowReader

        return ArrowReader.open(source)
    if source.kind in ("picture", "nifti"):
        raise InputError(
            f"{show(source.name)} holds an image, not rows", hint="add --task segmentation"
        )
    raise InputError(
        f"{show(source.name)} is a JSON file, which holds no rows of scores",
        hint="rows come as Parquet, CSV, NPY, Arrow, or JSON Lines: an object on each line",
    )
