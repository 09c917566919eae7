"""The prevalence of unlabelled rows under a fitted calibrator, and how sure it is of everything.

The likelihood of `prior.estimate` takes the rows as independent and the calibrator as the truth.
Neither is: clusters of rows widen the likelihood-ratio interval by the design effect of the score
at its maximum (Rao and Scott 1984), and the calibrator was fitted on few rows. For the second, the
rows of the fit are drawn again, the method is fitted to each draw, and the spread of the
prevalences that these maps find is added. That within each label the scores are as they were (label
shift) is tested: the scores seen must be a mixture of the two labels' scores at the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS
from calibcli.core.comparison.prior import estimate, falling_root
from calibcli.core.comparison.shared_bins import class_bins, independent_rows
from calibcli.core.fitting.held_out import apply_to_cells
from calibcli.core.fitting.map_intervals import FINE_CELLS, redrawn
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import Undefined
from calibcli.core.numeric.scales import logit
from calibcli.core.numeric.special import chi2_sf
from calibcli.core.statistics.compact import compact
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.types import BinaryCalibrator
    from calibcli.core.comparison.prior import Estimate
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

DRAWS = 40


@dataclass(frozen=True, slots=True)
class Mixture:
    """Whether the scores are a mixture of the labels' scores at the fit.

    Attributes:
        statistic: sum over bins of squared differences over their variance.
        df: degrees of freedom.
        p: chance of as large a statistic if only the prevalence has changed.
    """

    statistic: float
    df: int
    p: float


def design_effect(p: Array, current: ScoreStats, old: float) -> float:
    """Return by how much clusters widen the variance of the prevalence; 1 without clusters.

    Args:
        p: (C,) calibrated probability of each cell of `current`.
        current: unlabelled rows, every label 0, by bucket of clusters where there are some.
        old: prevalence that they are calibrated at.
    """
    if current.parts is None:
        return 1.0
    value = float(estimate(p, current.total.astype(np.float64), old).value[0])
    one, zero = p / old, (1.0 - p) / (1.0 - old)
    lean = (one - zero) / np.maximum(value * one + (1.0 - value) * zero, 1e-300)
    alone = float(current.total @ lean**2)
    together = intervals.variance(current, (lean, lean))
    return max(together / alone, 1.0) if alone > 0.0 else 1.0


def map_error(
    calibrator: Calibrator,
    reference: ScoreStats,
    current: ScoreStats,
    widths: tuple[Array, Array] | None,
    seed: int = 0,
) -> float | None:
    """Return the standard deviation of the estimate that the fit of the calibrator leaves.

    Args:
        calibrator: fitted on `reference` by its own default options.
        reference: labelled pairs; clusters need not be known.
        current: unlabelled rows.
        widths: scores, and the standard deviation of the calibrator's logit there if it is known
            with its clusters: the draws, which do not know them, are widened to it.
        seed: of the draws.
    """
    kind = cast("type[BinaryCalibrator]", CALIBRATORS[calibrator.method])
    small = compact([reference], FINE_CELLS)[0]
    now = compact([current], FINE_CELLS)[0]
    mass = now.total.astype(np.float64)
    found, curves = [], []
    for drawn in redrawn(small, DRAWS, np.random.default_rng(seed)):
        try:
            one = kind.fit(drawn)
        except InputError:  # a draw without rows of one label
            continue
        old = float(drawn.positives) / float(drawn.n)
        found.append(float(estimate(apply_to_cells(one, now), mass, old).value[0]))
        if widths is not None:
            x = logit(widths[0]) if one.space == "logit" else widths[0]
            curves.append(logit(one.apply(x)))
    if len(found) < DRAWS / 2:
        return None
    wider = 1.0
    if widths is not None:
        own = np.array(curves).std(axis=0, ddof=1)
        used = (own > 0) & np.isfinite(widths[1])
        if used.any():
            wider = max(float(np.median(widths[1][used] / own[used])), 1.0)
    return wider * float(np.std(found, ddof=1))


def prevalence(
    calibrator: Calibrator,
    current: ScoreStats,
    old: float,
    *,
    confidence: float = 0.95,
    error: float = 0.0,
) -> Estimate:
    """Return the most likely prevalence of label 1 of unlabelled rows, with its interval.

    Args:
        calibrator: what comes before.
        current: raw scores of unlabelled rows, every label 0.
        old: prevalence at the fit.
        confidence: level of the interval.
        error: standard deviation that the calibrator's own error adds.
    """
    p = apply_to_cells(calibrator, current)
    effect = design_effect(p, current, old)
    quantile = intervals.quantile(current, confidence)
    return estimate(
        p,
        current.total.astype(np.float64),
        old,
        confidence,
        quantile=quantile * float(np.sqrt(effect)),
        error=error * quantile,
    )


def mixture(reference: ScoreStats, current: ScoreStats) -> Mixture | None:
    """Test that the current scores are a mixture of the reference's two labels; None: cannot tell.

    A chi-square test over bins with the mixture that fits best, both samples counted; clustered
    rows count as the independent rows that they are worth.
    """
    try:
        home, now, size = class_bins(reference, current)
    except Undefined:
        return None
    if size < 3 or not reference.positives or not reference.negatives:
        return None
    rows = independent_rows(current, now, size)
    seen = np.bincount(now, weights=current.total, minlength=size) / float(current.n)
    counts = [np.bincount(home, weights=c, minlength=size) + 0.5 for c in _labels(reference)]
    one, zero = (count / count.sum() for count in counts)
    worth = independent_rows(reference, home, size) / float(reference.n)

    def slope(q: float) -> float:
        return float(seen @ ((one - zero) / (q * one + (1.0 - q) * zero)))

    q = falling_root(slope, 0.0, 1.0)
    mixed = q * one + (1.0 - q) * zero
    spread = mixed / rows
    for share, part, count in ((q, one, counts[0]), (1.0 - q, zero, counts[1])):
        spread = spread + share**2 * part / (worth * count.sum())
    statistic = float(((seen - mixed) ** 2 / spread).sum())
    df = size - 2
    return Mixture(statistic, df, chi2_sf(statistic, df))


def _labels(stats: ScoreStats) -> tuple[Array, Array]:
    return stats.pos.astype(np.float64), stats.neg.astype(np.float64)
