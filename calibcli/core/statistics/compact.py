"""Statistics in fewer, wider cells, where the last digits of a score do not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.statistics.cells import cell_mask
from calibcli.core.statistics.counting.dense import COARSEST_BITS, FINEST_BITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.statistics.stats import ScoreStats


def compact(family: Sequence[ScoreStats], cells: int) -> list[ScoreStats]:
    """Return statistics in the finest grid in which all of them together have so few cells.

    They come back as they are where they have no more already, and in the widest cells there are
    (2 bits of mantissa) where even these are more.
    """
    found = list(family)
    for bits in range(FINEST_BITS - 1, COARSEST_BITS - 1, -1):
        if sum(len(stats.key) for stats in found) <= cells:
            break
        # Edges only add cells, so a grid that has too many without them need not be made.
        wide = sum(_distinct(stats, bits) for stats in found)
        if wide <= cells or bits == COARSEST_BITS:
            found = [stats.coarsened(bits) for stats in found]
    return found


def _distinct(stats: ScoreStats, bits: int) -> int:
    cell = stats.key & ~np.int64(cell_mask(bits))
    return int(np.count_nonzero(np.diff(cell))) + 1 if len(cell) else 0
