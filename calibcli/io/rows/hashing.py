"""Stable 64-bit hashes of cluster ids, and digests of files.

A hash depends on the value alone: not on the process, the file type, or the type of the column.
The integer 7 and the text "7" are the same id; the text "007" is another.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.core.numeric.mixing import FACTOR, mixed
from calibcli.io.formats.buffers import bits, primitive
from calibcli.io.rows.keys import Keys, as_text, keys

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEADING_ZERO, _NINE, _MINUS = 48, 57, 45
_INT64_DIGITS = 19
_SEED = np.uint64(0xD1B54A32D192ED03)

FULL_DIGEST = 64 * 2**20
_BLOCK = 2**20
_SAMPLES = 16


_BYTE = mixed(np.arange(256) + 1_000_003)


def text_hashes(data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash n texts, given as their bytes end to end and n+1 offsets.

    A text that an integer of 64 bits would be written as hashes as that integer. Any other is a
    polynomial in a fixed odd factor over random words for its bytes, modulo 2^64, mixed.
    """
    starts = offsets[:-1] - offsets[0]
    sizes = np.diff(offsets)
    data = data[int(offsets[0]) : int(offsets[-1])]
    hashes = np.empty(sizes.size, dtype=np.uint64)
    if sizes.size == 0:
        return hashes
    place = np.arange(data.size) - np.repeat(starts, sizes)
    back = np.repeat(sizes, sizes) - 1 - place
    powers = np.ones(int(sizes.max()) + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        powers[1:] = np.cumprod(np.full(powers.size - 1, FACTOR | np.uint64(1)), dtype=np.uint64)
        terms = _BYTE[data] * powers[back]
        polynomial = _sums(terms, starts, sizes) + mixed(sizes.astype(np.uint64))
        hashes[:] = mixed(polynomial ^ _SEED)
    numeric, values = _integers(data, starts, sizes, place, back)
    hashes[numeric] = mixed(values[numeric])
    return hashes


def _sums(terms: NDArray[Any], starts: NDArray[Any], sizes: NDArray[Any]) -> NDArray[np.uint64]:
    total = np.zeros(sizes.size, dtype=np.uint64)
    filled = sizes > 0
    if filled.any():
        total[filled] = np.add.reduceat(terms, starts[filled])
    return total


def _integers(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    place: NDArray[np.int64],
    back: NDArray[np.int64],
) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
    """Tell which texts are integers in their plain form (no +, no leading zero), and read them."""
    digit = (data >= _LEADING_ZERO) & (data <= _NINE)
    sign = (place == 0) & (data == _MINUS)
    others = _sums((~(digit | sign)).astype(np.uint64), starts, sizes)
    padded = np.append(data, np.zeros(2, dtype=np.uint8))
    negative = (sizes > 0) & (padded[starts] == _MINUS)
    digits = sizes - negative
    first = padded[np.minimum(starts + negative, data.size)]
    plain = (others == 0) & (digits >= 1) & (digits <= _INT64_DIGITS)
    plain &= (first != _LEADING_ZERO) | ((digits == 1) & ~negative)
    tens = np.ones(_INT64_DIGITS + 1, dtype=np.uint64)
    tens[1:] = np.cumprod(np.full(_INT64_DIGITS, 10, dtype=np.uint64))
    with np.errstate(over="ignore"):
        terms = np.where(digit, data - np.uint8(_LEADING_ZERO), 0).astype(np.uint64)
        terms *= tens[np.minimum(back, _INT64_DIGITS)]
        size = _sums(terms, starts, sizes)
        plain &= size <= np.uint64(2**63 - 1) + negative.astype(np.uint64)
        values = np.where(negative, np.uint64(0) - size, size)
    return plain, values


def ids(raw: Any) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Hash the values of a cluster column.

    Returns:
        The hashes (n,), and which rows hold no value (n,).

    Raises:
        BadValueError: Values that are neither numbers, texts nor dates.
    """
    n = len(raw)
    if not isinstance(raw, (np.ndarray, Keys)):
        kind = str(raw.type)
        if kind in ("string", "large_string"):
            return _string_ids(raw)
        found = primitive(raw)
        if found is not None and found[0].dtype.kind in "iu":
            values, valid = found
            if values.dtype != np.uint64 or not values.size or int(values.max()) < 2**63:
                missing = np.zeros(n, dtype=bool) if valid is None else ~valid
                return mixed(values), missing
    elif isinstance(raw, np.ndarray) and raw.dtype.kind == "i":
        return mixed(raw), np.zeros(n, dtype=bool)
    found_keys = keys(raw)
    table = np.array([_value_hash(v) for v in found_keys.values] + [0], dtype=np.uint64)
    empty = np.array([v is None or v in ("", None) for v in found_keys.values] + [True])
    return table[found_keys.codes], empty[found_keys.codes]


def _string_ids(raw: Any) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    n = len(raw)
    validity, offsets_buffer, data = raw.buffers()
    if n == 0 or offsets_buffer is None:
        return np.zeros(n, dtype=np.uint64), np.zeros(n, dtype=bool)
    wide = np.dtype(np.int64 if str(raw.type) == "large_string" else np.int32)
    offsets = np.frombuffer(
        offsets_buffer, wide, count=n + 1, offset=raw.offset * wide.itemsize
    ).astype(np.int64)
    content = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    missing = np.diff(offsets) == 0
    if raw.null_count:
        missing |= ~bits(validity, raw.offset, n)
    return text_hashes(content, offsets), missing


def name_hashes(names: Sequence[str]) -> NDArray[np.uint64]:
    """Return the hashes of texts (n,): those that a column of the same ids has."""
    texts = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return text_hashes(np.frombuffer(b"".join(texts), np.uint8), ends)


def _value_hash(value: object) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    content = np.frombuffer(as_text(value).encode(), np.uint8)
    return int(text_hashes(content, np.array([0, content.size]))[0])


def file_digest(path: str) -> str:
    """Return `sha256:…` of a file, the same whatever its name.

    Up to 64 MB the whole content counts. Of a larger file it is the size and 17 blocks of 1 MB
    (the first, the last and 15 evenly between), marked `sha256-sampled:`: it tells one dump from
    another in milliseconds, and is no proof against someone who edits between the blocks.
    """
    size = Path(path).stat().st_size
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        if size <= FULL_DIGEST:
            while block := file.read(_BLOCK):
                digest.update(block)
            return f"sha256:{digest.hexdigest()}"
        digest.update(f"{size}\n".encode())
        for i in range(_SAMPLES + 1):
            file.seek((size - _BLOCK) * i // _SAMPLES)
            digest.update(file.read(_BLOCK))
    return f"sha256-sampled:{digest.hexdigest()}"


def with_digest(item: dict[str, Any]) -> dict[str, Any]:
    """Return {"path", "rows"} of an input with the digest of its file, if it is one here."""
    path = Path(str(item["path"]))
    if "digest" in item or not path.is_file():
        return item
    return {**item, "digest": file_digest(str(path))}
