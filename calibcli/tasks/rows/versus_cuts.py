"""The decisions of two models at cut-offs, counted together row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.decided import Duel
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.engines.threads import map_ordered
from calibcli.tasks.pairs import row_buckets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.tasks.population import Layout
    from calibcli.tasks.rows.versus import Side

    Cuts = Sequence[tuple[float, float]]

_CELLS = 8 * BUCKETS  # truth, both decisions, and the bucket of the row's unit


def decided_at(
    parts: Sequence[Side], cuts: Cuts, layout: Layout, threads: int | None
) -> list[Duel]:
    """Return how two models decide the same rows at each cut-off, in one more pass.

    Args:
        parts: the rows of both.
        cuts: of the first model and of the second, in the keys that their scores are read as.
        layout: what a row counts.
        threads: how many threads read.
    """

    def one(side: Side) -> NDArray[np.float64]:
        found = np.zeros((len(cuts), 2, _CELLS))
        for first, second in side.both():
            assert first.labels is not None
            mass = first.weight if layout.weighted else first.count
            weight = np.ones(len(first)) if mass is None else mass.astype(np.float64)
            square = weight**2 if layout.weighted else weight
            unit = row_buckets(first) + BUCKETS * 4 * (first.labels == 1)
            for place, (old, new) in enumerate(cuts):
                cell = unit + BUCKETS * (2 * (first.scores >= old) + (second.scores >= new))
                found[place, 0] += np.bincount(cell, weight, _CELLS)
                found[place, 1] += np.bincount(cell, square, _CELLS)
        return found

    total = np.zeros((len(cuts), 2, _CELLS))
    for found in map_ordered(one, list(parts), threads):
        total += found
    return [_duel(counts, squares, clustered=layout.clustered) for counts, squares in total]


def _duel(counts: NDArray[np.float64], squares: NDArray[np.float64], *, clustered: bool) -> Duel:
    cell = np.flatnonzero(counts)
    decided, unit = np.divmod(cell, BUCKETS)
    return Duel(
        target=np.zeros(len(cell), np.int64),
        truth=decided // 4,
        old=decided // 2 % 2,
        new=decided % 2,
        unit=unit,
        count=counts[cell],
        square=squares[cell],
        targets=1,
        exclusive=False,
        clustered=clustered,
    )
