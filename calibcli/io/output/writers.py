"""Tables written as they come: Parquet, CSV, Arrow and NPY, complete or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from calibcli.errors import UsageError
from calibcli.io.failures import show, writing
from calibcli.io.formats.kinds import SUFFIXES, suffix_of
from calibcli.io.output.encoders import ENCODERS, Encoder, Gate, Npy, OutputType
from calibcli.io.output.sink import AtomicFile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_WRITTEN = ("parquet", "csv", "tsv", "arrow", "npy")


def output_type(path: str) -> OutputType:
    """Tell the type of an output file by its suffix; kind is "parquet", "csv", "tsv", …, "npy".

    Raises:
        UsageError: The suffix names no type that is written here.
    """
    suffix, compression = suffix_of(path)
    kind = SUFFIXES.get(suffix)
    text = kind in ("csv", "tsv")
    if kind not in _WRITTEN or suffix == ".arrows" or (compression is not None and not text):
        raise UsageError(
            f"{show(path)}: the suffix does not name a type of output",
            hint="one of .parquet, .csv, .tsv (also .gz, .zst), .arrow, .npy",
        )
    return OutputType(kind, compression)


class TableSink:
    """Takes record batches (arrays for NPY), and writes them in order.

    Used as a context manager it is complete after the block, or leaves nothing after an error.
    The schema is that of the first batch, unless it is given; give it when there may be no batch.

    Attributes:
        kind: "parquet", "csv", "tsv", "arrow" or "npy"; `write` takes arrays for "npy".
    """

    def __init__(
        self,
        path: str,
        file: BinaryIO,
        kind: OutputType,
        schema: Any,
        commit: AtomicFile | None,
        metadata: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.path = path
        self.kind = kind.kind
        self._type = kind
        self._file = file
        self._gate = Gate(file)
        self._schema = schema
        self._metadata = metadata
        self._atomic = commit
        self._encoder: Encoder | None = None

    def write(self, data: Any) -> None:
        """Write a pyarrow.RecordBatch, or for NPY a float array (n,) or (n, K)."""
        with writing(self.path):
            if self._encoder is None:
                schema = self._schema if self._schema is not None else _schema_of(data)
                self._encoder = self._made(schema)
            self._encoder.write(data)

    def _made(self, schema: Any) -> Encoder:
        if self.kind == "npy":
            return Npy(self._file)
        if self._metadata:
            schema = schema.with_metadata({**(schema.metadata or {}), **self._metadata})
        return ENCODERS[self.kind](self._gate, schema, self._type, self.path)

    def close(self) -> None:
        """Complete the file and give it its name."""
        try:
            with writing(self.path):
                if self._encoder is None and self._schema is not None:
                    self._encoder = self._made(self._schema)
                if self._encoder is not None:
                    self._encoder.finish()
                self._file.flush()
        except BaseException:
            self.abort()
            raise
        if self._atomic is not None:
            self._atomic.commit()

    def abort(self) -> None:
        """Leave everything as it was (a stream: as far as it was written), for good."""
        self._gate.open = False
        if self._atomic is not None:
            self._atomic.abort()

    def __enter__(self) -> TableSink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._gate.open:  # it was aborted
            return
        if kind is None:
            self.close()
        else:
            self.abort()


def open_table_sink(
    path: str,
    schema: Any = None,
    *,
    stream: BinaryIO | None = None,
    kind: str | None = None,
    metadata: Mapping[bytes, bytes] | None = None,
) -> TableSink:
    """Open an output for the rows of `apply`.

    Args:
        path: Where to; its suffix tells the type.
        schema: The pyarrow.Schema, else that of the first batch. Not for NPY.
        stream: Write here instead (standard output); `path` is then only for messages. It is
            flushed and left open.
        kind: The type for a stream, by default "csv".
        metadata: What the schema of a Parquet or Arrow file says beside its own.

    Raises:
        InputError: See `sink.AtomicFile`.
        UsageError: The suffix names no type, or the type cannot be streamed.
    """
    if stream is not None:
        wanted = OutputType(kind or "csv")
        if wanted.kind == "npy":
            raise UsageError("NPY cannot be written to a stream", hint="-o FILE.npy")
        return TableSink(path, stream, wanted, schema, None)
    wanted = output_type(path) if kind is None else OutputType(kind)
    atomic = AtomicFile(path)
    return TableSink(path, atomic.file, wanted, schema, atomic, metadata)


def _schema_of(data: Any) -> Any:
    return None if isinstance(data, np.ndarray) else data.schema
