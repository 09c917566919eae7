"""One raw column (NumPy or Arrow) to the arrays that a batch holds.

Arrow's own `to_numpy` imports pandas, which costs more than reading a small file, so the buffers
of primitive arrays are viewed directly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Raw = Any
"""A column as a reader hands it over: an ndarray, a pyarrow.Array, or Keys."""

MISSING_GROUP = "(missing)"
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
_TEXT = {"string", "large_string", "string_view"}
_MISSING_TEXT = {"", "na", "n/a", "nan", "null", "none", "<na>", "#n/a"}


class BadValueError(Exception):
    """A value that its role does not allow; `row` is the 0-based row in this column."""

    def __init__(self, problem: str, row: int, count: int = 1) -> None:
        super().__init__(problem)
        self.problem = problem
        self.row = row
        self.count = count


@dataclass(frozen=True, slots=True)
class Categories:
    """A column of few distinct values: `values[codes[i]]` is the text of row i."""

    codes: NDArray[np.int32]
    values: list[str]


@dataclass(frozen=True, slots=True)
class Keys:
    """A column as codes into its distinct values; code -1 is a missing value."""

    codes: NDArray[np.int64]
    values: list[object]

    def __len__(self) -> int:
        return len(self.codes)


def is_missing_text(text: str) -> bool:
    """Tell whether a text in a CSV file stands for a missing value: empty, NA, NaN, null."""
    return text.strip().lower() in _MISSING_TEXT


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


def numbers(raw: Raw) -> NDArray[Any]:
    """Return a column as floats (n,), NaN where a value is missing.

    float16, float32 and float64 keep their type; integers, booleans and decimals become float64.

    Raises:
        BadValueError: A text that is not a number, or values of another kind altogether.
    """
    if isinstance(raw, np.ndarray):
        return _floats(raw)
    if isinstance(raw, Keys):
        return _keyed_numbers(raw)
    kind = str(raw.type)
    if kind.startswith("dictionary"):
        return _keyed_numbers(keys(raw))
    if kind in _TEXT:
        return _text_numbers(raw)
    if kind.startswith("decimal"):
        import pyarrow as pa

        raw = raw.cast(pa.float64())
    found = primitive(raw)
    if found is None:
        raise BadValueError("not a number", 0)
    values, valid = found
    floats = _floats(values)
    if valid is None:
        return floats
    floats = floats.copy()
    floats[~valid] = np.nan
    return floats


def _floats(values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype.kind == "f":
        if values.dtype.itemsize > 8:
            return values.astype(np.float64)
        return values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind in "biu":
        return values.astype(np.float64)
    raise BadValueError("not a number", 0)


def _keyed_numbers(found: Keys) -> NDArray[np.float64]:
    table = np.full(len(found.values) + 1, np.nan)
    bad = np.zeros(len(table), dtype=bool)
    for i, value in enumerate(found.values):
        if isinstance(value, str):
            table[i], bad[i] = _parsed(value)
        elif isinstance(value, (int, float)):
            table[i] = value
        else:
            bad[i] = True
    if bad.any():
        rows = np.flatnonzero(bad[found.codes])
        if rows.size:
            raise BadValueError("not a number", int(rows[0]), int(rows.size))
    return table[found.codes]


def _parsed(text: str) -> tuple[float, bool]:
    if is_missing_text(text):
        return np.nan, False
    if "_" in text:
        return np.nan, True  # Python reads 1_000 as a number, data files do not
    try:
        return float(text), False
    except ValueError:
        return np.nan, True


def _text_numbers(raw: Any) -> NDArray[np.float64]:
    import pyarrow as pa

    try:
        found = primitive(raw.cast(pa.float64()))
    except pa.ArrowInvalid:
        return _keyed_numbers(keys(raw))
    if found is None:  # a cast to float64 is primitive
        raise BadValueError("not a number", 0)
    values, valid = found
    return values if valid is None else np.where(valid, values, np.nan)


def matrix(raw: Raw, width: int | None) -> NDArray[Any]:
    """Return a list column, or an (n, K) array, as floats (n, K); NaN where a value is missing.

    Raises:
        BadValueError: A row that holds another number of values than `width`, or no numbers.
    """
    if isinstance(raw, np.ndarray):
        return _floats(raw)
    n = len(raw)
    kind = str(raw.type)
    if kind.startswith("fixed_size_list"):
        size = raw.type.list_size
        if raw.null_count:
            raise BadValueError("no scores", int(np.flatnonzero(~_valid(raw))[0]), raw.null_count)
        return _reshaped(raw.values.slice(raw.offset * size, n * size), n, size)
    if n == 0:
        return np.zeros((0, width or 0))
    wide = np.int64 if kind.startswith("large") else np.int32
    offsets = np.frombuffer(raw.buffers()[1], wide, count=n + 1, offset=raw.offset * wide(0).nbytes)
    sizes = np.diff(offsets)
    size = int(sizes[0]) if width is None else width
    wrong = np.flatnonzero((sizes != size) | ~_valid(raw))
    if wrong.size:
        raise BadValueError(f"not a list of {size} scores", int(wrong[0]), int(wrong.size))
    return _reshaped(raw.values.slice(int(offsets[0]), n * size), n, size)


def _valid(raw: Any) -> NDArray[np.bool_]:
    if raw.null_count == 0:
        return np.ones(len(raw), dtype=bool)
    return bits(raw.buffers()[0], raw.offset, len(raw))


def _reshaped(flat: Any, n: int, size: int) -> NDArray[Any]:
    try:
        return numbers(flat).reshape(n, size)
    except BadValueError as error:
        raise BadValueError(error.problem, error.row // max(size, 1), error.count) from None


def keys(raw: Raw) -> Keys:
    """Return a column as codes into its distinct values (str, bool, int or float).

    The order of the values is that of their first row or of their size, whichever is cheap: it is
    the same for the same column, and means nothing.

    Raises:
        BadValueError: Values that have no distinct text, such as lists.
    """
    if isinstance(raw, Keys):
        return raw
    if isinstance(raw, np.ndarray):
        return _array_keys(raw, None)
    kind = str(raw.type)
    if kind.startswith("dictionary"):
        return _dictionary_keys(raw)
    found = primitive(raw)
    if found is not None:
        return _array_keys(*found)
    if kind.startswith(("list", "large_list", "fixed_size_list", "struct", "map", "union")):
        raise BadValueError(f"a value of type {kind.partition('<')[0]}", 0)
    return _dictionary_keys(_as_strings(raw).dictionary_encode())


def _as_strings(array: Any) -> Any:
    if str(array.type) in _TEXT:
        return array
    import pyarrow as pa

    try:
        return array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise BadValueError("neither a number nor a text", 0, len(array)) from error


def _dictionary_keys(raw: Any) -> Keys:
    found = primitive(raw.indices)
    if found is None:  # Arrow's dictionary indices are integers
        raise BadValueError("an unknown kind of value", 0)
    indices, valid = found
    codes = indices.astype(np.int64)
    if valid is not None:
        codes[~valid] = -1
    dictionary = raw.dictionary
    if primitive(dictionary) is None:
        dictionary = _as_strings(dictionary)
    try:
        values = dictionary.to_pylist()
    except UnicodeDecodeError as error:
        raise BadValueError("text that is not UTF-8", _first_bad(dictionary, codes)) from error
    for i, value in enumerate(values):
        if value is None or value != value:
            codes[codes == i] = -1
    return Keys(codes, values)


def _first_bad(dictionary: Any, codes: NDArray[np.int64]) -> int:
    """Return the first row whose text cannot be decoded."""
    for i in range(len(dictionary)):
        try:
            dictionary[i].as_py()
        except UnicodeDecodeError:
            rows = np.flatnonzero(codes == i)
            return int(rows[0]) if rows.size else 0
    return 0


def _array_keys(values: NDArray[Any], valid: NDArray[np.bool_] | None) -> Keys:
    if values.dtype.kind in "US":
        distinct, codes = np.unique(values, return_inverse=True)
        texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in distinct]
        return Keys(codes.astype(np.int64), list(texts))
    if values.dtype.kind not in "biuf":
        raise BadValueError("neither a number nor a text", 0)
    if values.dtype.kind == "f":
        nan = np.isnan(values)
        if nan.any():
            valid = ~nan if valid is None else valid & ~nan
    codes = np.full(values.shape[0], -1, dtype=np.int64)
    kept = values if valid is None else values[valid]
    distinct, inverse = _factorized(kept)
    if valid is None:
        codes = inverse
    else:
        codes[valid] = inverse
    return Keys(codes, distinct.tolist())


def _factorized(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return sorted distinct values and codes; integers of a small range without a sort."""
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < 65_536 and high < 2**63:
            shifted = values.astype(np.int64) - low
            present = np.zeros(high - low + 1, dtype=bool)
            present[shifted] = True
            return (np.flatnonzero(present) + low), (np.cumsum(present) - 1)[shifted]
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct, inverse.astype(np.int64)


def as_text(value: object) -> str:
    """Return the text of a distinct value, the same whether it was typed or read from a CSV."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def categories(raw: Raw) -> Categories:
    """Return a column as the texts of its distinct values; a missing value is "(missing)"."""
    found = keys(raw)
    values = [as_text(value) for value in found.values]
    gone = {i for i, value in enumerate(found.values) if _is_missing(value)}
    if gone or (found.codes.size and found.codes.min() < 0):
        values.append(MISSING_GROUP)
        table = np.arange(len(values), dtype=np.int32)  # the last entry also serves code -1
        table[sorted(gone)] = len(values) - 1
        return Categories(table[found.codes], values)
    return Categories(found.codes.astype(np.int32), values)


def _is_missing(value: object) -> bool:
    return value is None or value != value or value == ""
