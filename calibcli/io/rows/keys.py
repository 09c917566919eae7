"""A column as codes into its distinct values: what labels, groups and cluster ids are read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.formats.buffers import TEXT_TYPES, BadValueError, Raw, primitive

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from numpy.typing import NDArray

MISSING_GROUP = "(missing)"
MISSING_TEXT = {"", "na", "n/a", "nan", "null", "none", "<na>", "#n/a"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Categories:
    """A column of few distinct values: `values[codes[i]]` is the text of row i."""

    codes: NDArray[np.int32]
    values: list[str]

    def without(self, rows: NDArray[np.bool_]) -> Categories:
        """Return the column with no value in some rows (n,)."""
        values = [*self.values, MISSING_GROUP]
        place = np.int32(values.index(MISSING_GROUP))
        return Categories(np.where(rows, place, self.codes), values)

    def among(self, known: Container[str]) -> NDArray[np.bool_]:
        """Return which rows (n,) have one of some values."""
        mask = np.array([value in known for value in self.values] or [False])
        return np.asarray(mask[self.codes])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Keys:
    """A column as codes into its distinct values; code -1 is a missing value."""

    codes: NDArray[np.int64]
    values: list[object]

    def __len__(self) -> int:
        return len(self.codes)


def is_missing_text(text: str) -> bool:
    """Tell whether a text in a CSV file stands for a missing value: empty, NA, NaN, null."""
    return text.strip().lower() in MISSING_TEXT


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
    if str(array.type) in TEXT_TYPES:
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


def natural(text: str) -> tuple[bool, float, str]:
    """Return what sorts numbers as numbers, before text."""
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text


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


def merged(parts: Sequence[Categories]) -> Categories:
    """Join columns of categories, one after the other."""
    place: dict[str, int] = {}
    codes = []
    for part in parts:
        table = np.array([place.setdefault(v, len(place)) for v in part.values] or [0], np.int32)
        codes.append(table[part.codes])
    return Categories(np.concatenate(codes), list(place))
