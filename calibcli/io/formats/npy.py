"""NPY and NPZ: memory-mapped or streamed, never unpickled, and without pyarrow.

A header is believed only when the file has exactly the size that it promises, before anything is
allocated.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.formats.buffers import ARRAY
from calibcli.io.formats.frames import PART_ROWS, Frame, Part, ReadPlan
from calibcli.io.formats.source import Source
from calibcli.io.rows.columns import Column, Columns

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

_MAGIC = b"\x93NUMPY"
_HEADER_LIMIT = 10_000
_WHOLE_LIMIT = 2**30
# What zipfile raises of encrypted, unknown and damaged archives.
_ZIP = (RuntimeError, NotImplementedError, LookupError, struct.error, OverflowError)
_SAVE_HINT = "save plain numbers: np.save(path, scores.astype(np.float32))"


@dataclass(frozen=True, slots=True)
class Header:
    """What the header of an array promises, checked against the size of what follows."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(file: BinaryIO, size: int, name: str) -> Header:
    """Read and check the header of an NPY array of `size` bytes in all.

    Raises:
        InputError: Not NPY, a pickle, Python objects, or another size than the header says.
    """
    start = file.read(8)
    if start[:6] != _MAGIC:
        if start[:1] == b"\x80":
            raise InputError(
                f"{name} holds a pickle, which is never loaded: it could run any code",
                hint=_SAVE_HINT,
            )
        raise InputError(f"{name} is not an NPY array", hint=_SAVE_HINT)
    header = _parsed_header(file, start, name)
    shape = header.shape
    if header.dtype.hasobject:
        raise InputError(
            f"{name} holds Python objects (a pickle), which are never loaded", hint=_SAVE_HINT
        )
    if any(extent < 0 for extent in shape):
        raise _damaged(name)
    if header.offset + header.nbytes != size:
        raise InputError(
            f"{name}: its header promises {header.nbytes:,} bytes of data, "
            f"the file holds {size - header.offset:,}",
            hint="the file was cut or damaged: write or copy it again",
        )
    return header


def _parsed_header(file: BinaryIO, start: bytes, name: str) -> Header:
    """Parse the header as the literal it is; NumPy's own parser also tokenizes and warns."""
    wide = 2 if start[6:7] == b"\x01" else 4
    size = int.from_bytes(file.read(wide), "little")
    text = file.read(size) if size <= _HEADER_LIMIT else b""
    if start[6:8] not in (b"\x01\x00", b"\x02\x00", b"\x03\x00") or len(text) != size or not size:
        raise _damaged(name)
    try:
        # Python 2 wrote whole numbers as 5L.
        fields = ast.literal_eval(re.sub(r"(\d)L\b", r"\1", text.decode()))
        dtype = np.lib.format.descr_to_dtype(fields["descr"])
        shape, fortran = fields["shape"], fields["fortran_order"]
        plain = isinstance(shape, tuple) and all(type(extent) is int for extent in shape)
        if not plain or not isinstance(fortran, bool):
            raise _damaged(name)
    except (
        ArithmeticError,
        LookupError,
        MemoryError,
        RecursionError,
        SyntaxError,
        TypeError,
        ValueError,
    ) as error:
        raise _damaged(name) from error
    return Header(dtype, shape, fortran, len(start) + wide + size)


def _damaged(name: str) -> InputError:
    return InputError(f"{name} has a damaged NPY header", hint="write or copy the file again")


def open_npy(source: Source) -> NDArray[Any]:
    """Return the whole array of an NPY file, of any shape, memory-mapped and read-only.

    Raises:
        InputError: See `read_header`.
    """
    with reading(source.name, "NPY array"), source.open() as file:
        header = read_header(file, source.size(), show(source.name))
        if 0 in header.shape:
            return np.zeros(header.shape, dtype=header.dtype)
        order: Literal["F", "C"] = "F" if header.fortran else "C"
        if source.data is not None or source.remote:
            content = np.frombuffer(file.read(), header.dtype)
            return content.reshape(header.shape, order=order)
        mapped: NDArray[Any] = np.memmap(
            source.local, header.dtype, "r", header.offset, header.shape, order
        )
        return mapped


def _column(header: Header, name: str) -> Column:
    if header.dtype.kind not in "biufUS":
        raise InputError(f"{name} holds {header.dtype}, not numbers", hint=_SAVE_HINT)
    if len(header.shape) not in (1, 2):
        raise InputError(
            f"{name} has the shape {header.shape}; scores are (n,) or (n, K)",
            hint="images are --task segmentation" if len(header.shape) > 2 else _SAVE_HINT,
        )
    kind = "text" if header.dtype.kind in "US" else "number"
    width = header.shape[1] if len(header.shape) == 2 else None
    if width == 0:
        raise InputError(f"{name} has the shape {header.shape}: no columns", hint=_SAVE_HINT)
    return Column(kind, None if width == 1 else width)


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


@dataclass(frozen=True, slots=True)
class NpyReader:
    """An NPY file as a table of one column, read through slices of a memory map."""

    source: Source
    columns: Columns
    parts: tuple[Part, ...]

    @classmethod
    def open(cls, source: Source) -> NpyReader:
        """Read and check the header."""
        with reading(source.name, "NPY array"), source.open() as file:
            header = read_header(file, source.size(), show(source.name))
        column = _column(header, show(source.name))
        return cls(source, Columns({ARRAY: column}), _parts(header.shape[0], column.width))

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield slices of the map."""
        array = _flat(open_npy(self.source))
        stop = part.first_row + (part.rows or 0)
        for first in range(part.first_row, stop, plan.batch_rows):
            rows = min(plan.batch_rows, stop - first)
            with reading(self.source.name, "NPY array"):
                values = np.ascontiguousarray(np.asarray(array[first : first + rows]))
            yield Frame(first, rows, {ARRAY: values})

    def count(self) -> int:
        """Return the number of rows."""
        return sum(part.rows or 0 for part in self.parts)

    def schema(self) -> None:
        """An array has no table."""


def _parts(rows: int, width: int | None) -> tuple[Part, ...]:
    step = max(1, min(PART_ROWS, 8 * PART_ROWS // (width or 1)))
    return tuple(Part(first, min(step, rows - first)) for first in range(0, rows, step)) or (
        Part(0, 0),
    )


@dataclass(frozen=True, slots=True)
class NpzReader:
    """The arrays of an NPZ file as the columns of one table, decompressed as they are read."""

    source: Source
    columns: Columns
    parts: tuple[Part, ...]
    lengths: dict[str, int]
    """How many rows each array has; those of another length than the longest are no columns."""

    @classmethod
    def open(cls, source: Source) -> NpzReader:
        """Read and check the headers of all arrays that could be columns."""
        columns = Columns()
        rows: dict[str, int] = {}
        for name, header in npz_headers(source):
            if len(header.shape) in (1, 2) and header.dtype.kind in "biufUS":
                columns[name] = _column(header, _shown(source, name))
                rows[name] = header.shape[0]
        if not columns:
            raise InputError(f"{show(source.name)} holds no arrays of scores", hint=_SAVE_HINT)
        # Arrays of another length (class names, say) are no columns of the table.
        most = max(rows.values())
        kept = Columns((name, column) for name, column in columns.items() if rows[name] == most)
        return cls(source, kept, (Part(0, most),), rows)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield rows of the arrays asked for, each member being streamed by itself."""
        with ExitStack() as stack:
            archive = stack.enter_context(_archive(self.source))
            members = {
                name: stack.enter_context(_member(archive, name, self.source))
                for name in plan.columns
            }
            total = part.rows or 0
            for first in range(0, total, plan.batch_rows):
                rows = min(plan.batch_rows, total - first)
                with reading(self.source.name, "NPZ file", _ZIP):
                    columns = {name: member.take(rows) for name, member in members.items()}
                yield Frame(first, rows, columns)

    def count(self) -> int:
        """Return the number of rows."""
        return self.parts[0].rows or 0

    def schema(self) -> None:
        """Arrays have no table."""


def npz_headers(source: Source) -> Iterator[tuple[str, Header]]:
    """Yield the name and the header of each array of an NPZ file.

    Raises:
        InputError: See `read_header`.
    """
    with _archive(source) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            with reading(source.name, "NPZ file", _ZIP), archive.open(info) as file:
                header = read_header(file, info.file_size, _shown(source, name))  # type: ignore[arg-type]
            yield name, header


def _shown(source: Source, name: str) -> str:
    return f"{show(source.name)}, array {name!r},"


@contextmanager
def _archive(source: Source) -> Iterator[zipfile.ZipFile]:
    import zipfile

    with ExitStack() as stack:
        with reading(source.name, "NPZ file", _ZIP):
            archive = stack.enter_context(zipfile.ZipFile(stack.enter_context(source.open())))
        yield archive


@dataclass(slots=True)
class _Member:
    file: BinaryIO
    header: Header
    whole: NDArray[Any] | None = None
    at: int = 0

    def take(self, rows: int) -> NDArray[Any]:
        if self.whole is not None:
            values = self.whole[self.at : self.at + rows]
            self.at += rows
            return np.ascontiguousarray(values)
        shape = (rows, *self.header.shape[1:])
        wanted = math.prod(shape) * self.header.dtype.itemsize
        content = self.file.read(wanted)
        if len(content) != wanted:
            raise EOFError
        return _flat(np.frombuffer(content, self.header.dtype).reshape(shape))


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, source: Source) -> Iterator[_Member]:
    shown = _shown(source, name)
    with ExitStack() as stack:
        with reading(source.name, "NPZ file", _ZIP):
            listed = archive.namelist()
            info = archive.getinfo(f"{name}.npy" if f"{name}.npy" in listed else name)
            file = stack.enter_context(archive.open(info))
            header = read_header(file, info.file_size, shown)  # type: ignore[arg-type]
            member = _Member(file, header)  # type: ignore[arg-type]
            if header.fortran and len(header.shape) == 2:
                # Its columns lie end to end: no row is complete before the last column is read.
                if header.nbytes > _WHOLE_LIMIT:
                    raise InputError(
                        f"{shown} is in column order and too large to be turned",
                        hint="save np.ascontiguousarray(scores)",
                    )
                content = np.frombuffer(file.read(), header.dtype)
                member.whole = _flat(content.reshape(header.shape, order="F"))
        yield member
