"""Buckets of clusters: the unit of folds and intervals where rows belong together.

Clusters fall into a fixed number of buckets by a hash of their id, the same in every file and
process, so statistics by bucket merge, and whole buckets can be held out or left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import CellTable
    from calibcli.core.statistics.keys import Keys

    Array = NDArray[np.float64]

BUCKETS = 64
"""How many buckets there are."""


def buckets_of(cluster: NDArray[Any]) -> NDArray[np.int64]:
    """Return the bucket of each cluster id (n,), by a fixed multiplicative hash."""
    mixed = cluster.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(58)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the cells of counts by (bucket, cell) belong: made once, read by every interval.

    Attributes:
        cells: (D,) keys of the distinct cells, in order.
        index: (P,) which of them each cell of the parts is.
        buckets: (B,) buckets that hold rows.
        bucket: (P,) which of them each cell of the parts is in.
        home: (C,) which distinct cell each of the finer cells of all rows lies in.
    """

    cells: Keys
    index: NDArray[np.intp]
    buckets: NDArray[np.int32]
    bucket: NDArray[np.intp]
    home: NDArray[np.intp]

    @classmethod
    def of(cls, parts: CellTable, key: Keys) -> Self:
        """Return the places of the parts of cells (C,)."""
        cells, index = np.unique(parts.key, return_inverse=True)
        buckets, bucket = np.unique(parts.slot, return_inverse=True)
        home = np.searchsorted(cells, key, side="right") - 1
        return cls(cells, index, buckets, bucket, home)


def sums_by_bucket(
    parts: CellTable, places: Places, own: tuple[Array, Array], values: tuple[Array, Array]
) -> Array:
    """Return, for each bucket that holds rows, the sum over its rows of a value by cell.

    Args:
        parts: counts by (bucket, cell).
        places: where the cells of `parts` belong.
        own: rows with label 1 and with label 0 in each finer cell (C,).
        values: value of a row with label 1 and with label 0 in each finer cell, (C,) or (C, m).

    Returns:
        (buckets,) or (buckets, m); a value is averaged over the finer cells of a cell of `parts`.
    """
    sums = np.zeros((len(places.buckets), *values[0].shape[1:]))
    home, size = places.home, len(places.cells)
    for value, rows, counts in zip(values, own, (parts.pos, parts.neg), strict=True):
        mass = _sum_by(home, rows, size)
        mean = (_sum_by(home, (value.T * rows).T, size).T / np.where(mass > 0, mass, 1.0)).T
        sums += _sum_by(places.bucket, (mean[places.index].T * counts).T, len(sums))
    return sums


def _sum_by(index: NDArray[np.intp], values: Array, size: int) -> Array:
    """Return the sums (size,) or (size, m) of values (C,) or (C, m) by index (C,)."""
    if values.ndim == 1:
        found = np.bincount(index, weights=values, minlength=size)
        return found.astype(np.float64, copy=False)
    columns = [np.bincount(index, weights=column, minlength=size) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.zeros((size, 0))
