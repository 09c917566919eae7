"""Arrow arrays made of buffers: `pyarrow.array` and `pyarrow.scalar` import pandas where it is.

They only want to know whether they were given something of pandas', and that takes 0.4 seconds,
more than applying a calibrator to a small file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def number_array(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> Any:
    """Return numbers or truth values (n,) as an Arrow array, null where `missing` (n,) is true."""
    import pyarrow as pa

    buffer = _bits(values) if values.dtype == np.bool_ else pa.py_buffer(_plain(values))
    valid = None if missing is None or not missing.any() else _bits(~missing)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, buffer])


def text_array(texts: Sequence[str | None], *, large: bool = False) -> Any:
    """Return texts as an Arrow array of strings, with 64-bit offsets if `large`."""
    import pyarrow as pa

    pieces = [b"" if text is None else text.encode() for text in texts]
    offset = np.int64 if large else np.int32
    ends = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    if ends[-1] > np.iinfo(offset).max:
        raise OverflowError("these texts are longer than Arrow's strings can be")
    gone = np.array([text is None for text in texts], np.bool_)
    kind = pa.large_string() if large else pa.string()
    buffers = [
        _bits(~gone) if gone.any() else None,
        pa.py_buffer(ends.astype(offset)),
        pa.py_buffer(b"".join(pieces)),
    ]
    return pa.Array.from_buffers(kind, len(pieces), buffers)


def text_scalar(text: str | None, *, large: bool = False) -> Any:
    """Return one text as an Arrow scalar."""
    return text_array([text], large=large)[0]


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("="))


def _bits(flags: NDArray[np.bool_]) -> Any:
    import pyarrow as pa

    return pa.py_buffer(np.packbits(flags, bitorder="little"))
