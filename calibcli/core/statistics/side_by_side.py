"""Statistics of many slots of one table, such as a thousand classes: their cells are read at once.

A class has some thousand cells. To call NumPy takes as long as what it does with so few, so what
each cell says by itself is worked out for the cells of all classes together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.scored import loss_tuple
from calibcli.core.statistics.stats import ScoreStats, parted_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.statistics.counting.tally import Tally

_OF_CELLS = ("place", "_mean_key", "score", "total", "mixed")
"""What `ScoreStats` keeps of each cell once it was asked for."""


def of_slots(tally: Tally, first: int, stop: int, parts: Tally | None) -> list[ScoreStats]:
    """Return what `ScoreStats.from_tally` does of each slot from `first` to `stop`."""
    table = tally.table().between(first, stop)
    if parts is not None and table.bits is not None:  # cells of buckets are never finer
        parts.enter_grid()
    buckets = None if parts is None else parts.table()
    losses = tally.losses  # of the slots up to the last that has a row
    none = np.zeros((max(stop - len(losses), 0), losses.shape[1]))
    losses = np.concatenate([losses, none]) if len(none) else losses

    def own(number: int, cells: CellTable) -> dict[str, Any]:
        slot, by_bucket = first + number, None
        if buckets is not None:
            by_bucket = buckets.slots(slot * BUCKETS, (slot + 1) * BUCKETS, BUCKETS)
        return {
            "losses": loss_tuple(losses[slot]),
            "parts": by_bucket,
            "ranks": parted_ranks(tally.ranks(slot), cells, tally.edges),
        }

    table = replace(table, slot=table.slot - np.int32(first))
    whole = ScoreStats(table, tally.edges, tally.logits, tally.weighted)
    return _parted(whole, stop - first, own)


def coarsened(many: Sequence[ScoreStats], bits: int) -> list[ScoreStats]:
    """Return what `ScoreStats.coarsened` does, of statistics in one finer grid without clusters."""
    slots = [replace(one.table, slot=np.full_like(one.table.slot, k)) for k, one in enumerate(many)]
    table = CellTable.stacked(slots).coarser(grid(bits, many[0].edges))

    def own(number: int, _: CellTable) -> dict[str, Any]:
        return {"losses": many[number].loss_sums, "ranks": many[number].ranks}

    return _parted(replace(many[0], table=table, parts=None), len(many), own)


def _parted(
    whole: ScoreStats, slots: int, own: Callable[[int, CellTable], dict[str, Any]]
) -> list[ScoreStats]:
    """Return the statistics of each slot of a table, with what `own` says of it and its cells."""
    of_cells = {name: getattr(whole, name) for name in _OF_CELLS}
    ends = np.searchsorted(whole.table.slot, np.arange(slots + 1, dtype=np.int32)).tolist()
    found = []
    for number in range(slots):
        cells = slice(ends[number], ends[number + 1])
        table = whole.table.rows(cells)
        table = replace(table, slot=np.zeros_like(table.slot))
        one = replace(whole, table=table, **own(number, table))
        vars(one).update({name: values[cells] for name, values in of_cells.items()})
        found.append(one)
    return found
