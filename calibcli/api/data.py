"""What a caller holds in memory, as the files that commands read: Arrow for columns, else NPY.

Whatever offers its columns through Arrow's C stream (Polars, DuckDB, pyarrow, pandas) or the data
frame protocol is read without its library being imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one call, which are gone when it ends.

    Attributes:
        path: a folder of this call alone.
    """

    path: Path

    def file(self, value: Any, role: str) -> str:
        """Return the path of a file with this content; a path stays what it is.

        Args:
            value: a path, an artifact, a frame, a mapping of columns, an array or a sequence.
            role: what it is, which names the file.

        Raises:
            UsageError: nothing of that.
        """
        if isinstance(value, str | PathLike):
            return fspath(value)
        artifact = getattr(value, "payload", None)
        if isinstance(artifact, dict):
            from calibcli.io.output.sink import write_atomic

            path = self.path / f"{role}.json"
            write_atomic(str(path), json.dumps(artifact))
            return str(path)
        if not has_columns(value):
            array = np.asarray(value)
            if array.dtype.kind in "biuf" and array.ndim:
                path = self.path / f"{role}.npy"
                np.save(path, array)
                return str(path)
            if array.ndim != 1:
                raise UsageError(
                    f"{role}: {type(value).__name__} is no frame, array or path",
                    "give a DataFrame, a dict of columns, an array, or the path of a file",
                )
            value = {role: value}
        from pyarrow import feather

        path = self.path / f"{role}.arrow"
        feather.write_feather(table(value), str(path), compression="uncompressed")
        return str(path)


def has_columns(value: Any) -> bool:
    """Return whether something is a frame or a mapping, rather than an array."""
    if isinstance(value, Mapping):
        return True
    streams = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__")
    return streams and getattr(value, "ndim", 2) != 1 and not hasattr(value, "to_frame")


def table(frame: Any) -> Any:
    """Return a frame or a mapping of columns as a pyarrow.Table.

    A column of objects that Arrow has no type for is left out: commands name what they need.

    Raises:
        UsageError: columns of different length.
    """
    import pyarrow as pa

    if isinstance(frame, pa.Table | pa.RecordBatch):
        found = pa.table(frame)
    elif isinstance(frame, Mapping) or type(frame).__module__.partition(".")[0] == "pandas":
        found = _by_columns((str(name), frame[name]) for name in frame)
    elif hasattr(frame, "__arrow_c_stream__"):
        found = pa.table(frame)
    else:
        from pyarrow.interchange import from_dataframe

        found = from_dataframe(frame)
    schema = pa.schema([field.with_type(_readable(field.type)) for field in found.schema])
    return found if schema.equals(found.schema) else found.cast(schema)


def _by_columns(columns: Iterable[tuple[str, Any]]) -> Any:
    import pyarrow as pa

    found = {}
    for name, values in columns:
        try:
            found[name] = _column(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            continue
    lengths = {len(column) for column in found.values()}
    if len(lengths) > 1:
        raise UsageError(
            f"columns of different length: {', '.join(map(str, sorted(lengths)))} rows",
            "every column has one value a row",
        )
    return pa.table(found)


def _column(values: Any) -> Any:
    import pyarrow as pa

    array = values if hasattr(values, "dtype") else np.asarray(values) if _deep(values) else values
    if getattr(array, "ndim", 1) == 2:
        rows = np.asarray(array)
        return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    return pa.array(array, from_pandas=True)


def _deep(values: Any) -> bool:
    """Return whether values are a tensor of a library that NumPy can read."""
    return hasattr(values, "__array__")


def _readable(kind: Any) -> Any:
    """Return the type in which readers take a column: views of text are text."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return pa.dictionary(kind.index_type, _readable(kind.value_type))
    return pa.large_string() if str(kind) == "string_view" else kind
