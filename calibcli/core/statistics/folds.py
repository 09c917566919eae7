"""Dealing counted rows to folds, without a second look at the data.

Rows of one cell with one label are exchangeable, so dealing their *counts* by a seeded draw is
the same as shuffling the rows. Both labels are spread evenly. Clusters stay whole: their buckets
are dealt instead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import Counts

_TOO_MANY = 10**9
"""NumPy draws from the multivariate hypergeometric distribution of fewer rows than this."""


def deal_rows(table: CellTable, folds: int, seed: int, *, balanced: bool = True) -> list[CellTable]:
    """Return disjoint tables that sum to `table`, each with n / folds rows.

    `balanced` gives every fold as many rows of either label. The labels left out then are in the
    proportion of those that were fitted on, so a fitted level looks better than it is, by about
    1 / n in log loss: nothing for one map, much for one in each of many small slices.

    Weighted rows are no longer known one by one: a cell of weight W is dealt as W^2 / (sum of
    squared weights) equal rows, which is what it holds when its rows weigh the same.
    """
    rng = np.random.default_rng(seed)
    if balanced:
        pos = _deal(table.pos, table.pos_sq, folds, rng)
        neg = _deal(table.neg, table.neg_sq, folds, rng)
    else:
        squares = None
        if table.pos_sq is not None and table.neg_sq is not None:
            squares = np.concatenate([table.pos_sq, table.neg_sq])
        both = _deal(np.concatenate([table.pos, table.neg]), squares, folds, rng)
        pos, neg = ([_half(one, len(table), side) for one in both] for side in (0, 1))
    total = np.maximum(table.pos + table.neg, np.finfo(np.float64).tiny)
    dealt, given = np.zeros(len(table)), np.zeros_like(table.offset)
    parts = []
    for (ones, ones_sq), (zeros, zeros_sq) in zip(pos, neg, strict=True):
        dealt = dealt + ones + zeros
        offset = (table.offset * (dealt / total)).astype(table.offset.dtype) - given
        given = given + offset
        counts: dict[str, Any] = {"pos": ones, "neg": zeros, "offset": offset}
        part = replace(table, pos_sq=ones_sq, neg_sq=zeros_sq, **counts)
        parts.append(part.rows((ones > 0) | (zeros > 0)))
    return parts


def _half(
    dealt: tuple[Counts, NDArray[np.float64] | None], size: int, side: int
) -> tuple[Counts, NDArray[np.float64] | None]:
    own = slice(side * size, (side + 1) * size)
    return dealt[0][own], None if dealt[1] is None else dealt[1][own]


def deal_slots(table: CellTable, folds: int, seed: int) -> list[CellTable]:
    """Return disjoint tables that sum to `table`, whole slots each, as equally many as can be."""
    slots, place = np.unique(table.slot, return_inverse=True)
    home = (np.random.default_rng(seed).permutation(len(slots)) % folds)[place]
    return [table.rows(home == fold) for fold in range(folds)]


def _deal(
    weights: Counts, squares: NDArray[np.float64] | None, folds: int, rng: np.random.Generator
) -> list[tuple[Counts, NDArray[np.float64] | None]]:
    """Return (weights, squares) of each fold."""
    if squares is None:
        return [(counts, None) for counts in _deal_counts(weights, folds, rng)]
    equal = np.divide(weights**2, squares, out=np.zeros(len(weights)), where=squares > 0)
    rows = np.where(weights > 0, np.maximum(np.rint(equal), 1), 0).astype(np.int64)
    shares = [counts / np.maximum(rows, 1) for counts in _deal_counts(rows, folds, rng)]
    return [(weights * share, squares * share) for share in shares]


def _deal_counts(
    counts: NDArray[np.int64], folds: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Deal counts (C,): each fold is a uniform sample of what the folds before it left."""
    left, parts = counts, []
    for remaining in range(folds, 1, -1):
        rows = int(left.sum())
        if rows < _TOO_MANY:
            size = rows // remaining
            taken = rng.multivariate_hypergeometric(left, size, method="marginals")
        else:
            taken = rng.binomial(left, 1.0 / remaining)
        parts.append(taken)
        left = left - taken
    return [*parts, left]
