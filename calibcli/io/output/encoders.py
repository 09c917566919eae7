"""How each type of table is written, batch by batch, to an open file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError
from calibcli.io.failures import show
from calibcli.io.formats.arrow_arrays import text_array, text_scalar

if TYPE_CHECKING:
    from collections.abc import Callable

_GROUP_ROWS = 2**20
_GROUP_BYTES = 2**26
_NPY_HEADER = 128


@dataclass(frozen=True, slots=True)
class OutputType:
    """What the suffix of an output path says."""

    kind: str
    compression: str | None = None


class Encoder(Protocol):
    """Writes batches to an open file."""

    def write(self, data: Any) -> None:
        """Write a record batch (an array for NPY)."""

    def finish(self) -> None:
        """Write what comes last."""


class Gate:
    """A file for Arrow's writers, which also write when they are destroyed: shut, it takes no more.

    It counts for itself where it is, because a pipe cannot tell.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.open = True
        self.closed = False
        self._at = 0

    def write(self, data: Any) -> int:
        """Write, unless shut."""
        size = memoryview(data).nbytes
        if self.open:
            self.file.write(data)
        self._at += size
        return size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def flush(self) -> None:
        """Flush, unless shut."""
        if self.open:
            self.file.flush()

    def close(self) -> None:
        """Leave the file to its owner."""

    def seekable(self) -> bool:
        """Return False."""
        return False

    def readable(self) -> bool:
        """Return False."""
        return False

    def writable(self) -> bool:
        """Return True."""
        return True


class Parquet:
    """Row groups of a million rows (or 64 MB), whatever the size of the batches."""

    def __init__(self, file: Gate, schema: Any, kind: OutputType, path: str) -> None:
        from pyarrow import parquet

        # A dictionary of probabilities only costs time: hardly two are the same.
        floats = {field.name for field in schema if str(field.type) in ("double", "float")}
        coded = [field.name for field in schema if field.name not in floats]
        self._writer = parquet.ParquetWriter(
            file, schema, use_dictionary=coded or False, compression="snappy"
        )
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0

    def write(self, data: Any) -> None:
        """Write a record batch."""
        self._waiting.append(data)
        self._rows += data.num_rows
        self._bytes += data.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(
                pa.Table.from_batches(self._waiting), row_group_size=_GROUP_ROWS
            )
        self._waiting, self._rows, self._bytes = [], 0, 0

    def finish(self) -> None:
        """Write what comes last."""
        self._flush()
        self._writer.close()


class Arrow:
    """An IPC file: one record batch for each that comes."""

    def __init__(self, file: Gate, schema: Any, kind: OutputType, path: str) -> None:
        import pyarrow as pa

        self._writer = pa.ipc.new_file(file, schema)

    def write(self, data: Any) -> None:
        """Write a record batch."""
        self._writer.write_batch(data)

    def finish(self) -> None:
        """Write what comes last."""
        self._writer.close()


class Csv:
    """CSV by Arrow's string kernels: values as they are, quoted only where they have to be.

    Arrow's own writer quotes every text or none. Nothing is put before a value that begins with
    `=` or `+`: a data file must hold what the input held.
    """

    def __init__(self, file: Gate, schema: Any, kind: OutputType, path: str) -> None:
        import pyarrow as pa

        for column in schema:
            if str(column.type).startswith(
                ("list", "large_list", "fixed_size_list", "struct", "map")
            ):
                raise InputError(
                    f"{show(path)}: column {column.name!r} holds lists, which CSV cannot hold",
                    hint="write Parquet: -o OUT.parquet",
                )
        self._separator = "\t" if kind.kind == "tsv" else ","
        self._compression = kind.compression
        self._file = file
        names = pa.RecordBatch.from_arrays(
            [text_array([name]) for name in schema.names],
            names=[str(i) for i in range(len(schema.names))],
        )
        self.write(names)

    def write(self, data: Any) -> None:
        """Write a record batch."""
        import pyarrow as pa
        from pyarrow import compute

        if data.num_rows == 0:
            return
        columns = [self._text(column, alone=data.num_columns == 1) for column in data.columns]
        lines = compute.binary_join_element_wise(
            *columns, _large(self._separator), null_handling="replace", null_replacement=""
        )
        ended = compute.binary_join_element_wise(lines, _large("\n"), _large(""))
        # The lines lie end to end in one buffer, which is the text of the file.
        _, offsets, content = ended.buffers()
        ends = np.frombuffer(offsets, np.int64, count=len(ended) + 1, offset=8 * ended.offset)
        text = memoryview(content)[int(ends[0]) : int(ends[-1])]
        if self._compression is not None:
            # Each batch is a member (a frame) of its own, which all readers read as one file.
            text = pa.compress(text, codec=self._compression, asbytes=True)
        self._file.write(text)

    def _text(self, column: Any, *, alone: bool) -> Any:
        import pyarrow as pa
        from pyarrow import compute

        if str(column.type).startswith("dictionary"):
            column = column.dictionary_decode()
        is_text = str(column.type) in ("string", "large_string", "string_view", "binary")
        # 64-bit offsets: a batch of wide texts may pass 2 GB.
        text = column.cast(pa.large_string())
        if not is_text:
            return text
        special = compute.match_substring_regex(text, f'["\r\n{self._separator}]|^$')
        if compute.any(special).as_py():
            doubled = compute.replace_substring(text, '"', '""')
            quoted = compute.binary_join_element_wise(_large('"'), doubled, _large('"'), _large(""))
            text = compute.if_else(special, quoted, text)
        # A line of one missing value would be a blank line, which readers skip.
        return text.fill_null(_large('""')) if alone else text

    def finish(self) -> None:
        """Nothing is held back."""


def _large(text: str) -> Any:
    return text_scalar(text, large=True)


class Npy:
    """An array whose header is written last, when the number of rows is known."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rows = 0
        self._shape: tuple[int, ...] | None = None
        self._dtype = np.dtype(np.float64)
        file.write(b"\0" * _NPY_HEADER)

    def write(self, data: NDArray[Any]) -> None:
        """Write the next rows."""
        if self._shape is None:
            self._shape = data.shape[1:]
            self._dtype = data.dtype.newbyteorder("<")
        if data.shape[1:] != self._shape:
            raise ValueError(f"rows of shape {data.shape[1:]} after rows of {self._shape}")
        self._rows += data.shape[0]
        self._file.write(np.ascontiguousarray(data, self._dtype).tobytes())

    def finish(self) -> None:
        """Write what comes last."""
        self._file.seek(0)
        shape = (self._rows, *(self._shape or ()))
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        text = repr(described).encode()
        size = _NPY_HEADER - 10
        self._file.write(b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little"))
        self._file.write(text.ljust(size - 1) + b"\n")


ENCODERS: dict[str, Callable[[Gate, Any, OutputType, str], Encoder]] = {
    "parquet": Parquet,
    "csv": Csv,
    "tsv": Csv,
    "arrow": Arrow,
}
