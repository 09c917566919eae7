"""Inductive Venn-Abers prediction: isotonic regression with the new row given either label.

Vovk, Petej and Fedorova, "Large-scale probabilistic predictors with and without guarantees of
validity" (NeurIPS 2015). For a score s, p0 is the isotonic fit at s after adding the row (s, 0)
and p1 the fit after adding (s, 1); one of the two is perfectly calibrated. The merged
probability is p1 / (1 - p0 + p1), the minimax choice for log loss.

Both are step functions of s, computed once. Let S and N be the running sums of positives and
rows. With one positive more at s, the isotonic fit at s is the largest over i to the left, of the
least over j to the right, of (S_j - S_i + 1) / (N_j - N_i + 1). The fit lies at or above the value
of the pooled block that s falls into, so j need only be a block's end, at or behind this one's:
those ends are convex, and the least slope to them is found by bisection. And i need only lie
inside the block, where the bounds on j are the same, so the largest is a running maximum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.binary.isotonic import distinct_cells
from calibcli.core.calibrators.evidence import (
    FloatArray,
    array,
    few_rows_note,
    probabilities,
    require_both_classes,
)
from calibcli.core.calibrators.pieces import assembled, beyond, reaching
from calibcli.core.calibrators.piecewise import Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.core.statistics.curves import pav
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


_ROUNDING = 2.0**-50
"""How far steps are moved away from the scores of logits: a sigmoid in floating point falls by a
last bit here and there, so the same logit must not depend on which side of it that bit lies."""


@dataclass(frozen=True, slots=True)
class VennAbers(Calibrator):
    """Two non-decreasing step functions of the probability, p0 below p1.

    Attributes:
        x0: (m0,) scores from which on each value of p0 holds; below x0[0] p0 is 0.
        p0: (m0,) values.
        x1: (m1,) scores up to and including which each value of p1 holds; above x1[-1] p1 is 1.
        p1: (m1,) values.
    """

    x0: FloatArray
    p0: FloatArray
    x1: FloatArray
    p1: FloatArray
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "venn-abers"
    space: ClassVar[Space] = "probability"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = True
    complexity: ClassVar[int] = 8

    @classmethod
    def fit(cls, stats: ScoreStats) -> Self:
        """Fit from collapsed pairs; the added row has weight 1.

        Raises:
            InputError: when only one class is present.
        """
        require_both_classes(stats)
        score, pos, total = distinct_cells(stats)
        x1, p1 = _with_a_positive(score, pos, total)
        # A negative added to these rows is a positive added to their mirror image.
        mirrored, q0 = _with_a_positive(-score[::-1], (total - pos)[::-1], total[::-1])
        x0, p0 = -mirrored[::-1], 1.0 - q0[::-1]
        if stats.table.logits:
            x0, x1 = x0 * (1.0 - _ROUNDING), x1 * (1.0 + _ROUNDING)
        return cls(array(x0), array(p0), array(x1), array(p1), few_rows_note(cls.method, stats))

    def interval(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (p0, p1) of probabilities, any shape: the multiprobability prediction."""
        x = np.asarray(x, dtype=np.float64)
        low = np.append(0.0, self.p0)[np.searchsorted(self.x0, x, side="right")]
        high = np.append(self.p1, 1.0)[np.searchsorted(self.x1, x, side="left")]
        return low, high

    def apply(self, x: FloatArray) -> FloatArray:
        """Return merged probabilities p1 / (1 - p0 + p1) of probabilities, any shape."""
        low, high = self.interval(x)
        merged: FloatArray = high / (1.0 - low + high)
        return merged

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a constant between the steps of p0 and p1."""
        steps = reaching(self.x0, logits=logits), beyond(self.x1, logits=logits)
        return assembled(self, np.concatenate(steps), logits=logits)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when a step function is damaged.
        """
        x0, x1 = (array(payload[name]) for name in ("x0", "x1"))
        p0, p1 = (probabilities(payload[name]) for name in ("p0", "p1"))
        for x, p in ((x0, p0), (x1, p1)):
            if x.shape != p.shape or (np.diff(x) <= 0).any() or (np.diff(p) < 0).any():
                raise InputError("a venn-abers calibrator needs two non-decreasing step functions")
        return cls(x0, p0, x1, p1, tuple(payload["notes"]))


def _with_a_positive(
    score: FloatArray, pos: FloatArray, total: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return p1 as a step function: (last score of each step, its value); 1 above the last.

    p1 is the same at a cell and in the gap below it, so C values describe it.
    """
    _, block = pav(pos, total)
    ends = np.append(np.flatnonzero(block[1:] != block[:-1]), len(score) - 1)
    rows, hits = np.cumsum(total), np.cumsum(pos)
    far_rows, far_hits = rows[ends], hits[ends]
    slope = np.append(np.diff(far_hits) / np.diff(far_rows), np.inf)
    near_rows, near_hits = rows - total - 1.0, hits - pos - 1.0
    low, high = block.copy(), np.full(len(score), len(ends) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        chord = (far_hits[middle] - near_hits) / (far_rows[middle] - near_rows)
        further = slope[middle] < chord
        low, high = np.where(further, middle + 1, low), np.where(further, high, middle)
    least = (far_hits[low] - near_hits) / (far_rows[low] - near_rows)
    value = np.maximum.accumulate(np.clip(least, 0.0, 1.0))
    last = np.append(value[1:] != value[:-1], True)
    return score[last], value[last]
