"""Histogram binning: the frequency of label 1 in each bin of scores.

Zadrozny and Elkan, "Obtaining Calibrated Probability Estimates from Decision Trees and Naive
Bayesian Classifiers" (2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from calibcli.core.calibrators.binary.isotonic import distinct_cells
from calibcli.core.calibrators.evidence import (
    FloatArray,
    array,
    few_rows_note,
    probabilities,
    require_both_classes,
    sums_by,
)
from calibcli.core.calibrators.pieces import assembled, beyond
from calibcli.core.calibrators.piecewise import Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class Histogram(Calibrator):
    """A constant in each bin (lo, hi]; the first bin also holds 0. The same rule fits and applies.

    Attributes:
        edges: (B-1,) inner edges, increasing; an edge belongs to the bin below it.
        values: (B,) calibrated probability of each bin: (positives + prevalence) / (rows + 1),
            one row of the overall prevalence added so that no bin is certain. A bin without rows
            has its midpoint.
    """

    edges: FloatArray
    values: FloatArray
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "histogram"
    space: ClassVar[Space] = "probability"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = True
    complexity: ClassVar[int] = 5

    @classmethod
    def fit(
        cls,
        stats: ScoreStats,
        *,
        bins: int = 15,
        binning: Literal["width", "mass"] = "mass",
    ) -> Self:
        """Fit from collapsed pairs.

        Args:
            stats: pairs of both labels.
            bins: number of bins; of equal mass there are fewer where tied scores fill several.
            binning: "width" for edges i/B, "mass" for about equal counts, ties never split.

        Raises:
            InputError: when only one class is present.
            UsageError: when `bins` is below 1.
        """
        require_both_classes(stats)
        if bins < 1:
            raise UsageError(f"the number of bins must be at least 1, not {bins}")
        score, pos, total = distinct_cells(stats)
        edges = width_edges(bins) if binning == "width" else mass_edges(score, total, bins)
        index = np.searchsorted(edges, score, side="left")
        size = len(edges) + 1
        count, positive = sums_by(index, total, size), sums_by(index, pos, size)
        prevalence = pos.sum() / total.sum()
        bounds = np.concatenate([[0.0], edges, [1.0]])
        middle = (bounds[:-1] + bounds[1:]) / 2.0
        values = np.where(count > 0, (positive + prevalence) / (count + 1.0), middle)
        notes = few_rows_note(cls.method, stats)
        empty = int(np.count_nonzero(count == 0))
        if empty:
            notes += (f"{empty} of {len(count)} bins hold no rows and return their midpoint",)
        return cls(array(edges), array(values), notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return calibrated probabilities of probabilities, any shape."""
        x = np.asarray(x, dtype=np.float64)
        return self.values[np.searchsorted(self.edges, x, side="left")]

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a constant for each bin."""
        return assembled(self, beyond(self.edges, logits=logits), logits=logits)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when edges and values do not fit together.
        """
        edges, values = array(payload["edges"]), probabilities(payload["values"])
        if len(values) != len(edges) + 1 or (np.diff(edges) <= 0).any():
            raise InputError("the histogram calibrator needs increasing edges, one fewer than bins")
        return cls(edges, values, tuple(payload["notes"]))


def width_edges(bins: int) -> FloatArray:
    """Return the inner edges i/B, each correctly rounded (B-1,)."""
    return array([i / bins for i in range(1, bins)])


def mass_edges(score: FloatArray, total: FloatArray, bins: int) -> FloatArray:
    """Return inner edges of about equal-mass bins of sorted distinct scores; ties stay whole.

    A score goes where the middle of its rows falls, and an edge lies half way between two
    scores, so that rounding moves no score across it.
    """
    middle = np.cumsum(total) - total / 2.0
    place = np.floor(bins * middle / total.sum())
    cut = np.flatnonzero(place[1:] != place[:-1])
    edges: FloatArray = (score[cut] + score[cut + 1]) / 2.0
    return edges
