"""`--labels FILE`: labels (and weights, groups, clusters) in a file of their own, in row order.

An array is sliced where it lies; a table is read once and kept in compact form, about a byte a
row for labels, because its row groups need not end where those of the scores do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.io.formats.buffers import BadValueError, Raw, primitive
from calibcli.io.formats.decode import matrix
from calibcli.io.formats.npy import NpyReader, open_npy
from calibcli.io.rows.hashing import ids
from calibcli.io.rows.keys import Keys, keys

if TYPE_CHECKING:
    from calibcli.io.formats.frames import Reader, ReadPlan


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SideTable:
    """The columns of the labels file(s), to be cut by the rows of the scores.

    Attributes:
        path: For messages.
        rows: How many rows there are in all.
        arrays: The readers, where all are NPY files.
        columns: The columns in memory, where they are not; ids are already hashed (uint64).
    """

    path: str
    rows: int
    arrays: tuple[NpyReader, ...] = ()
    columns: dict[str, Raw] = field(default_factory=dict)

    @classmethod
    def load(cls, readers: tuple[Reader, ...], plan: ReadPlan) -> SideTable:
        """Read what `plan` names.

        Raises:
            BadValueError: A missing cluster id, with its row.
        """
        path = readers[0].source.name
        arrays = tuple(reader for reader in readers if isinstance(reader, NpyReader))
        if len(arrays) == len(readers):
            return cls(path, sum(reader.count() for reader in arrays), arrays)
        pieces: dict[str, list[Raw]] = {name: [] for name in plan.columns}
        rows = 0
        for reader in readers:
            for part in reader.parts:
                for frame in reader.read(part, plan):
                    for name, found in pieces.items():
                        raw = frame.columns[name]
                        found.append(_hashed(raw, rows) if name in plan.ids else _compact(raw))
                    rows += frame.rows
        return cls(path, rows, columns={name: _joined(found) for name, found in pieces.items()})

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


def _hashed(raw: Raw, first_row: int) -> NDArray[np.uint64]:
    hashes, missing = ids(raw)
    if missing.any():
        rows = np.flatnonzero(missing)
        raise BadValueError("no value", first_row + int(rows[0]), int(rows.size))
    return hashes


def _compact(raw: Raw) -> Raw:
    if isinstance(raw, np.ndarray):
        return _small(raw)
    found = primitive(raw)
    if found is not None and found[1] is None:
        return _small(found[0])
    if found is None and str(raw.type).startswith(("list", "large_list", "fixed_size_list")):
        rows = matrix(raw, None)
        return rows.astype(np.int8) if np.isin(rows, (-1, 0, 1)).all() else rows
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
    index: dict[object, int] = {}
    codes = []
    for found in map(keys, pieces):
        table = np.array([index.setdefault(v, len(index)) for v in found.values] + [-1])
        codes.append(table[found.codes].astype(np.int32))
    return Keys(np.concatenate(codes), list(index))
