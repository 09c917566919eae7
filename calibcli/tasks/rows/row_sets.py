"""Rows of several labels to what each row has at a few cut-offs of all labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.tables import UnitRows, UnitTable
from calibcli.tasks.rows.by_unit import as_read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.tasks.rows.scan import Rows


class SetUnits:
    """An accumulator of the labels of rows, or of clusters of rows.

    Args:
        cuts: float64 (S,) increasing, of all labels.
    """

    def __init__(self, cuts: NDArray[np.float64]) -> None:
        self.cuts = cuts
        self.counts = UnitCounts()

    def add(self, rows: Rows) -> None:
        """Take in a batch; a label below 0 is missing."""
        values, labels = as_read(rows)
        # Keys are 2 (step + 1) + label; of labels below every cut-off the step is -1.
        key = 2 * np.searchsorted(self.cuts, values, side="right") + labels
        there = labels >= 0
        unit = np.broadcast_to(rows.own[:, None], key.shape)
        self.counts.add(0, unit[there], key[there])

    def merge(self, other: SetUnits) -> None:
        """Take in a later partition."""
        self.counts.merge(other.counts)

    def table(self) -> UnitTable:
        """Return what units have; `rows` are their labels."""
        own = self.counts.read()
        selected = own.where(own.key >= 2)
        return UnitTable.of(
            selected.keyed(selected.key - 2),
            own.where((own.key & 1) == 1),
            UnitRows.of(own),
            len(self.cuts),
            self.counts.share,
        )
