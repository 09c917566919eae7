"""`--labels FILE`: labels (and weights, groups, clusters) in a file of their own.

Its rows are those of the scores in the same order, or are found by a key. An array is sliced where
it lies; a table is read once and kept in compact form, about a byte a row for labels (and some 20
for a key), because its row groups need not end where those of the scores do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError
from calibcli.io.failures import blaming, row_text, show
from calibcli.io.formats.arrow_arrays import number_array
from calibcli.io.formats.buffers import BadValueError, Raw, primitive
from calibcli.io.formats.npy import NpyReader, open_npy
from calibcli.io.rows.beside.join import DuplicateKeyError, KeyIndex, compound
from calibcli.io.rows.hashing import ids
from calibcli.io.rows.keys import Keys, keys

if TYPE_CHECKING:
    from calibcli.io.formats.frames import Frame, Reader, ReadPlan


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SideTable:
    """The columns of the labels file(s), by the rows of the scores.

    Attributes:
        path: For messages.
        rows: How many rows there are in all.
        arrays: The readers, where all are NPY files.
        columns: The columns in memory, where they are not; ids are already hashed (uint64).
        index: Finds rows by their key, if there is one.
    """

    path: str
    rows: int
    arrays: tuple[NpyReader, ...] = ()
    columns: dict[str, Raw] = field(default_factory=dict)
    index: KeyIndex | None = None

    @classmethod
    def load(
        cls, readers: tuple[Reader, ...], plan: ReadPlan, key: tuple[str, ...] = ()
    ) -> SideTable:
        """Read what `plan` names, and index the rows by a key.

        Raises:
            InputError: A missing cluster id or key, or a key that comes twice.
        """
        path = readers[0].source.name
        arrays = tuple(reader for reader in readers if isinstance(reader, NpyReader))
        if len(arrays) == len(readers):
            return cls(path, sum(reader.count() for reader in arrays), arrays)
        wanted = [name for name in plan.columns if name not in key]
        pieces: dict[str, list[Raw]] = {name: [] for name in wanted}
        hashes: list[NDArray[np.uint64]] = []
        rows = 0
        for reader in readers:
            for part in reader.parts:
                for frame in reader.read(part, plan):
                    for name, column in pieces.items():
                        hashed = name in plan.ids
                        raw = frame.columns[name]
                        column.append(_ids(frame, name, reader) if hashed else _compact(raw))
                    if key:
                        hashes.append(compound([_ids(frame, name, reader) for name in key]))
                    rows += frame.rows
        columns = {name: _joined(column) for name, column in pieces.items()}
        index = _indexed(np.concatenate(hashes), path) if hashes else None
        return cls(path, rows, columns=columns, index=index)

    def cut(self, name: str, start: int, stop: int) -> Raw:
        """Return rows `start` to `stop` of a column."""
        if not self.arrays:
            raw = self.columns[name]
            if isinstance(raw, Keys):
                return Keys(raw.codes[start:stop], raw.values)
            return raw[start:stop]
        pieces = []
        offset = 0
        for reader in self.arrays:
            rows = reader.count()
            low, high = max(start - offset, 0), min(stop - offset, rows)
            if low < high:
                array = open_npy(reader.source)[low:high]
                pieces.append(array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array)
            offset += rows
        return np.asarray(pieces[0]) if len(pieces) == 1 else np.concatenate(pieces)

    def rows_of(self, hashes: NDArray[np.uint64], near: int) -> NDArray[np.int64]:
        """Return the rows with these keys (n,); -1 for a key that is not there."""
        assert self.index is not None
        return self.index.rows(hashes, near)

    def take(self, name: str, rows: NDArray[np.int64]) -> Raw:
        """Return some rows of a column."""
        raw = self.columns[name]
        if isinstance(raw, Keys):
            return Keys(raw.codes[rows], raw.values)
        return raw[rows] if isinstance(raw, np.ndarray) else raw.take(number_array(rows))


def _indexed(hashes: NDArray[np.uint64], path: str) -> KeyIndex:
    try:
        return KeyIndex.of(hashes)
    except DuplicateKeyError as error:
        raise InputError(
            f"{show(path)}, {row_text(error.row)}: its key comes a second time",
            hint="a key names one row: leave out the copies, or add a column, --key COL,COL",
        ) from None


def _ids(frame: Frame, name: str, reader: Reader) -> NDArray[np.uint64]:
    with blaming(name, reader.source.name, frame.first_row):
        hashes, missing = ids(frame.columns[name])
        if missing.any():
            raise BadValueError("no value", int(missing.argmax()), int(missing.sum()))
    return hashes


def _compact(raw: Raw) -> Raw:
    if isinstance(raw, np.ndarray):
        return _small(raw)
    found = primitive(raw)
    if found is not None and found[1] is None:
        return _small(found[0])
    if found is None and str(raw.type).startswith(("list", "large_list", "fixed_size_list")):
        return raw
    return keys(raw)


def _small(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers in a byte each where they fit; a copy, so that the file can be let go."""
    if values.dtype.kind in "iu" and values.size:
        info = np.iinfo(np.int8)
        if info.min <= int(values.min()) and int(values.max()) <= info.max:
            return values.astype(np.int8)
    return values.copy()


def _joined(pieces: list[Raw]) -> Raw:
    if not pieces:
        return np.zeros(0, dtype=np.int8)
    arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
    if len(arrays) == len(pieces):
        return np.concatenate(arrays)
    if not any(isinstance(piece, (np.ndarray, Keys)) for piece in pieces):
        import pyarrow as pa

        return pa.concat_arrays(pieces)
    index: dict[object, int] = {}
    codes = []
    for found in map(keys, pieces):
        table = np.array([index.setdefault(v, len(index)) for v in found.values] + [-1])
        codes.append(table[found.codes].astype(np.int32))
    return Keys(np.concatenate(codes), list(index))
