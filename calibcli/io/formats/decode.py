"""One raw column (NumPy or Arrow) to floats, one a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.formats.buffers import TEXT_TYPES, BadValueError, Raw, primitive
from calibcli.io.rows.keys import Keys, is_missing_text, keys

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    if kind in TEXT_TYPES:
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
    if "_" in text or not text.isascii():
        return np.nan, True  # Python reads 1_000 and full-width digits, data files have neither
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
