"""Isotonic regression: the best non-decreasing map, with ends that keep the log loss finite.

Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability
Estimates" (2002), by pooling adjacent violators (Ayer et al. 1955).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast

import numpy as np

from calibcli.core.calibrators.evidence import (
    FloatArray,
    array,
    evidence,
    few_rows_note,
    floats,
    interpolate,
    probabilities,
    require_both_classes,
)
from calibcli.core.calibrators.pieces import assembled, logits_reaching, probability_of, reaching
from calibcli.core.calibrators.piecewise import Linear, Piece, Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.core.statistics.curves import pav
from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats

Interpolation = Literal["linear", "step"]
Ends = Literal["smoothed", "raw"]


@dataclass(frozen=True, slots=True)
class Isotonic(Calibrator):
    """A non-decreasing map of the probability; beyond its ends it is constant.

    Attributes:
        x: (m,) scores, increasing. Linear: the first and last score of each pooled block. Step:
            the first score of each block.
        y: (m,) calibrated probabilities, non-decreasing.
        interpolation: "linear" between the points, or "step": the value of the last block that
            begins at or below the score.
        ends: "smoothed" adds one positive row at the lowest score and one negative row at the
            highest before the fit, so an end block of n equal labels is 1/(n+1) from certainty
            and the log loss stays finite; "raw" does not.
        space: what `x` and the scores are. Probabilities, unless distinct logits are one
            probability to 16 digits: then logits, in steps.
    """

    x: FloatArray
    y: FloatArray
    interpolation: Interpolation = "linear"
    ends: Ends = "smoothed"
    notes: tuple[str, ...] = ()
    space: Space = "probability"

    method: ClassVar[str] = "isotonic"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = True
    complexity: ClassVar[int] = 7

    @classmethod
    def fit(
        cls,
        stats: ScoreStats,
        *,
        interpolation: Interpolation = "linear",
        ends: Ends = "smoothed",
    ) -> Self:
        """Fit from collapsed pairs; equal scores are one point with summed weight.

        Raises:
            InputError: when only one class is present.
        """
        require_both_classes(stats)
        space: Space = "logit" if _run_together(stats) else "probability"
        if space == "logit":
            interpolation = "step"
        score, pos, total = distinct_cells(stats, logits=space == "logit")
        if ends == "smoothed":
            pos[0] += 1.0
            total[0] += 1.0
            total[-1] += 1.0
        fitted, block = pav(pos, total)
        first = np.append(True, block[1:] != block[:-1])
        last = np.append(block[1:] != block[:-1], True)
        keep = first if interpolation == "step" else first | last
        # Sums of weights round, so a mean can stray beyond [0, 1] or below its neighbour's.
        y = np.maximum.accumulate(np.clip(fitted[keep], 0.0, 1.0))
        notes = few_rows_note(cls.method, stats)
        if len(np.unique(block)) == 1:
            notes += ("the isotonic fit is constant: the scores do not rank the labels",)
        return cls(array(score[keep]), array(y), interpolation, ends, notes, space)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return calibrated probabilities of scores of its `space`, any shape."""
        x = np.asarray(x, dtype=np.float64)
        if self.interpolation == "linear":
            return interpolate(x, self.x, self.y)
        place = np.searchsorted(self.x, x, side="right") - 1
        return self.y[np.maximum(place, 0)]

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a constant for each block, and a line between two where it interpolates."""
        if self.space == "logit":
            return assembled(self, logits_reaching(self.x, logits=logits), logits=logits)

        def piece(s: float) -> Piece | None:
            p = float(probability_of(np.array([s]), logits=logits)[0])
            k = int(np.searchsorted(self.x, p, side="right")) - 1
            flat = self.interpolation == "step" or not 0 <= k < len(self.x) - 1
            if flat or self.y[k] == self.y[k + 1]:
                return None
            slope = float((self.y[k + 1] - self.y[k]) / (self.x[k + 1] - self.x[k]))
            return Linear(float(self.y[k]), slope, float(self.x[k]))

        return assembled(self, reaching(self.x, logits=logits), piece, logits=logits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "interpolation": self.interpolation,
            "ends": self.ends,
            "x": floats(self.x),
            "y": floats(self.y),
            "notes": list(self.notes),
            **({"space": "logit"} if self.space == "logit" else {}),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the points are not a non-decreasing map.
        """
        x, y = array(payload["x"]), probabilities(payload["y"])
        if len(x) == 0 or x.shape != y.shape or (np.diff(x) < 0).any() or (np.diff(y) < 0).any():
            raise InputError("the isotonic calibrator's points are not a non-decreasing map")
        if payload["interpolation"] not in ("linear", "step"):
            raise InputError(f"unknown interpolation {payload['interpolation']!r}")
        interpolation = cast("Interpolation", payload["interpolation"])
        space: Space = "logit" if payload.get("space") == "logit" else "probability"
        if space == "logit" and interpolation != "step":
            raise InputError("an isotonic calibrator of logits goes in steps")
        ends = cast("Ends", payload["ends"])
        return cls(x, y, interpolation, ends, tuple(payload["notes"]), space)


def _run_together(stats: ScoreStats) -> bool:
    """Return whether distinct logits are one probability, so that only the logits part them."""
    if not stats.table.logits:
        return False
    score = stats.score[stats.total > 0]
    return bool((score[1:] == score[:-1]).any())


def distinct_cells(
    stats: ScoreStats, *, logits: bool = False
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (score, pos, total) float64 of cells that hold weight, equal scores summed.

    Weights are what they are worth in rows (see `evidence`). Logits far out are distinct cells
    whose probabilities round to one number: with `logits` the scores are logits.
    """
    used = stats.total > 0
    score = (stats.logit if logits else stats.score)[used]
    starts = np.flatnonzero(np.append(True, score[1:] != score[:-1]))
    pos, neg = (np.add.reduceat(side[used], starts) for side in evidence(stats))
    return score[starts], pos, pos + neg
