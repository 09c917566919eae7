"""Abstention: keep what is sure enough, refer the rest.

Each row gives a pair (confidence, correct). Keeping the rows with confidence >= t trades coverage,
the share kept, against risk, the share of errors among the kept. In the terms of a binary problem
with `correct` as the label, the accuracy of what is kept is precision and coverage is
positive-rate, so the search and the guarantees are those of any cut-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.guarantees import Certified, Uncertified, certify
from calibcli.core.decisions.objectives import (
    Array,
    Constraint,
    Objective,
    positive_rate,
    precision,
)
from calibcli.core.decisions.promises.by_unit import certify_by_unit
from calibcli.core.decisions.thresholds import Choice, Counts, Curve, Unreachable, choose
from calibcli.core.numeric.special import digamma
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.decisions.promises.by_unit import ByUnit

POINTS = 200


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The risk-coverage curve and its area.

    confidence, coverage, risk: float64, one entry for each cut-off that keeps something, coverage
    decreasing. area: mean risk over all coverages (AURC; lower is better). excess: area minus that
    of a perfect order of the same rows (0: no error is surer than any correct row).
    """

    confidence: Array
    coverage: Array
    risk: Array
    area: float
    excess: float

    def thinned(self) -> dict[str, list[float]]:
        """Return at most about 200 points of the curve, evenly along coverage."""
        wanted = np.linspace(float(self.coverage[-1]), float(self.coverage[0]), POINTS)
        place = np.searchsorted(-self.coverage, -wanted[::-1])
        pick = np.unique(np.clip(place, 0, len(self.coverage) - 1))
        return {
            "confidence": self.confidence[pick].tolist(),
            "coverage": self.coverage[pick].tolist(),
            "risk": self.risk[pick].tolist(),
        }


def abstain(
    curve: Curve,
    constraint: Constraint,
    *,
    confidence: float | None = None,
    clustered: bool = False,
    units: ByUnit | None = None,
) -> Choice | Unreachable | Certified | Uncertified:
    """Return the cut-off on confidence that keeps the most rows while the kept meet the target.

    curve: of pairs (confidence, correct). constraint: a lower bound of accuracy, which is that of
    the kept rows. confidence: of a finite-sample guarantee, None for none. units: what patients
    have, whose mean accuracy is then certified, among those with a row that is kept.

    Raises UsageError for any other constraint.
    """
    if constraint.name != "accuracy" or not constraint.at_least:
        raise UsageError(
            f"rows are kept by their accuracy, not by '{constraint}'", "--abstain 'accuracy>=0.99'"
        )
    kept = Constraint("precision", precision, constraint.op, constraint.target)
    most = Objective("positive-rate", positive_rate)
    if confidence is None:
        return choose(curve, most, (kept,))
    if units is None or units.single:
        return certify(curve, most, (kept,), confidence, clustered=clustered and units is None)
    return certify_by_unit(curve, units, most, (kept,), confidence)


def risk_coverage(confidence: Array, correct: Counts, wrong: Counts) -> RiskCoverage:
    """Return the curve and the area under it; cells (C,) in increasing confidence.

    The area is the mean, over k = 1..n, of the risk among the k surest rows (Geifman and El-Yaniv
    2017). Rows of one confidence count at the mean over all their orders, in closed form with
    digamma functions, so that ties are neither luck nor file order. With weights the sum over k
    is an integral.
    """
    curve = Curve.from_cells(confidence, correct, wrong)
    kept = np.asarray(curve.tp + curve.fp, dtype=np.float64)
    some = kept > 0
    rows = float(kept[0]) if kept.size else 0.0
    if rows <= 0:
        raise ValueError("no rows")
    errors = np.asarray(curve.fp, dtype=np.float64)
    good, bad = rows - float(errors[0]), float(errors[0])
    counted = correct.dtype.kind == "i"
    area = _mean_risk(np.diff(-kept, append=0.0), np.diff(-errors, append=0.0), counted)
    perfect = _mean_risk(np.array([bad, good]), np.array([bad, 0.0]), counted)
    return RiskCoverage(
        confidence=curve.threshold[some],
        coverage=kept[some] / rows,
        risk=errors[some] / kept[some],
        area=area,
        excess=max(area - perfect, 0.0),
    )


def _sums(index: NDArray[np.intp], count: Counts, size: int) -> Counts:
    total = np.bincount(index, weights=count, minlength=size)
    return total.astype(np.int64) if count.dtype.kind == "i" else total


def _mean_risk(size: Array, errors: Array, counted: bool) -> float:
    """Return the mean selective risk; size and errors of each tie group, least sure first.

    In a group of g rows with e errors after b rows with E errors, the expected risk at the i-th
    surest row is (E + e (i - b) / g) / i. Summed over the group that is
    e + (E - e b / g) (H(b + g) - H(b)) with harmonic numbers H, or logarithms for weights.
    """
    keep = size > 0
    g, e = size[keep][::-1], errors[keep][::-1]
    b, E = np.cumsum(g) - g, np.cumsum(e) - e
    if counted:
        harmonic = digamma(b + g + 1) - digamma(b + 1)
    else:
        harmonic = np.log(b + g) - np.log(np.where(b > 0, b, b + g))
    return float(np.sum(e + (E - e * b / g) * harmonic) / g.sum())
