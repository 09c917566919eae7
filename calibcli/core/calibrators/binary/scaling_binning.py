"""Scaling-binning: a fitted line, then the mean of its values in bins of equal mass.

Kumar, Liang and Ma, "Verified Uncertainty Calibration" (NeurIPS 2019). The output takes as many
values as there are bins, so its calibration error can be measured without bias, and a bin's
value, a mean of smooth outputs, varies far less than a mean of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.binary.histogram import mass_edges
from calibcli.core.calibrators.binary.platt import Platt
from calibcli.core.calibrators.evidence import (
    FloatArray,
    array,
    evidence,
    probabilities,
    sums_by,
)
from calibcli.core.calibrators.pieces import assembled, firsts, logit_of
from calibcli.core.calibrators.piecewise import Pieces
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class ScalingBinning(Calibrator):
    """Platt scaling, discretised.

    The paper fits the line, the bins and the values on a third of the rows each; like its
    released code this uses all rows for each.

    Attributes:
        scaling: the fitted line.
        edges: (B-1,) inner edges on the line's output, bins (lo, hi].
        values: (B,) mean output of the line in each bin.
    """

    scaling: Platt
    edges: FloatArray
    values: FloatArray
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "scaling-binning"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 4

    @classmethod
    def fit(cls, stats: ScoreStats, *, bins: int = 15, prior: float = 0.0) -> Self:
        """Fit from collapsed pairs; ties are never split.

        Raises:
            InputError: when only one class is present.
            UsageError: when `bins` is below 1.
        """
        if bins < 1:
            raise UsageError(f"the number of bins must be at least 1, not {bins}")
        scaling = Platt.fit(stats, prior=prior)
        pos, neg = evidence(stats)
        scaled = scaling.apply(stats.logit)
        output, home = np.unique(scaled, return_inverse=True)
        mass = sums_by(home, pos + neg, len(output))
        output, mass = output[mass > 0], mass[mass > 0]
        edges = mass_edges(output, mass, bins)
        index = np.searchsorted(edges, output, side="left")
        size = len(edges) + 1
        values = sums_by(index, mass * output, size) / sums_by(index, mass, size)
        return cls(scaling, array(edges), array(values), scaling.notes)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of logits, any shape."""
        return self.values[np.searchsorted(self.edges, self.scaling.apply(x), side="left")]

    def pieces(self, *, logits: bool) -> Pieces:
        """Return a constant for each bin of the line's output."""
        falling = self.scaling.a > 0

        def rule(s: FloatArray, edge: FloatArray) -> NDArray[np.bool_]:
            above = self.scaling.apply(logit_of(s, logits=logits)) > edge
            return ~above if falling else above

        return assembled(self, firsts(rule, self.edges, logits=logits), logits=logits)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when edges and values do not fit together.
        """
        edges, values = array(payload["edges"]), probabilities(payload["values"])
        if len(values) != len(edges) + 1 or (np.diff(edges) <= 0).any():
            raise InputError(
                "a scaling-binning calibrator needs increasing edges, one fewer than bins"
            )
        return cls(Platt.from_dict(payload["scaling"]), edges, values, tuple(payload["notes"]))
