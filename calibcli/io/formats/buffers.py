"""Views of Arrow's buffers as NumPy arrays, without a copy.

Arrow's own `to_numpy` imports pandas, which costs more than reading a small file, so the buffers
of primitive arrays are viewed directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Raw = Any
"""A column as a reader hands it over: an ndarray, a pyarrow.Array, or Keys."""

ARRAY = "array"
"""The name of the one column of an NPY file."""
TEXT_TYPES = {"string", "large_string", "string_view"}
_PRIMITIVE = {
    "halffloat": np.float16,
    "float": np.float32,
    "double": np.float64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
}


class BadValueError(Exception):
    """A value that its role does not allow; `row` is the 0-based row in this column."""

    def __init__(self, problem: str, row: int, count: int = 1, hint: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.row = row
        self.count = count
        self.hint = hint


def require(good: NDArray[np.bool_], problem: str) -> None:
    """Raise BadValueError of the first row (n,) that is not good, if any."""
    bad = np.flatnonzero(~good)
    if bad.size:
        raise BadValueError(problem, int(bad[0]), int(bad.size))


def primitive(array: Any) -> tuple[NDArray[Any], NDArray[np.bool_] | None] | None:
    """View a primitive Arrow array as (values, valid); valid is None when nothing is missing.

    Values at missing rows are arbitrary. Returns None for a type that is not primitive.
    """
    kind = str(array.type)
    n, offset = len(array), array.offset
    if kind == "null":
        return np.zeros(n), np.zeros(n, dtype=bool)
    if kind != "bool" and kind not in _PRIMITIVE:
        return None
    validity, data = array.buffers()
    valid = None if array.null_count == 0 else bits(validity, offset, n)
    if data is None or n == 0:
        return np.zeros(n, dtype=_PRIMITIVE.get(kind, np.bool_)), valid
    if kind == "bool":
        return bits(data, offset, n), valid
    dtype = np.dtype(_PRIMITIVE[kind])
    return np.frombuffer(data, dtype, count=n, offset=offset * dtype.itemsize), valid


def bits(buffer: Any, offset: int, n: int) -> NDArray[np.bool_]:
    """Unpack `n` bits of an Arrow bitmap from bit `offset` on."""
    start, stop = offset // 8, (offset + n + 7) // 8
    packed = np.frombuffer(buffer, np.uint8, count=stop - start, offset=start)
    unpacked = np.unpackbits(packed, bitorder="little")
    return unpacked[offset - 8 * start :][:n].view(np.bool_)
