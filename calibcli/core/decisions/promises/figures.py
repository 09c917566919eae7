"""The figure of each unit, of what it has and what of it is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


class Shares:
    """What units have, with figures that are shares of it.

    Attributes:
        positives, rows: int64 (U,) of each unit.
    """

    __slots__ = ()
    positives: Ints
    rows: Ints

    def most(self, name: str) -> float:
        """Return the most that a figure of a unit counts as: 1 of a share."""
        return 1.0

    def figures(self, name: str, selected: Ints, true: Ints) -> tuple[Ints, Floats]:
        """Return which units have a figure, and the figure of each.

        Args:
            name: precision, npv, recall, fnr, specificity, fpr, or positive-rate.
            selected: int64 (U,) rows that a cut-off selects.
            true: int64 (U,) those of label 1 among them.
        """
        positives, rows = self.positives, self.rows
        if name == "precision":
            part, whole = true, selected
        elif name == "npv":
            part, whole = (rows - selected) - (positives - true), rows - selected
        elif name in ("recall", "fnr"):
            part, whole = (true if name == "recall" else positives - true), positives
        elif name in ("specificity", "fpr"):
            false = selected - true
            whole = rows - positives
            part = false if name == "fpr" else whole - false
        else:
            part, whole = selected, rows
        some = np.flatnonzero(whole > 0)
        return some, part[some] / whole[some]
