"""The first metrics, each a function of the statistics of one slice; `registry` has them all.

A metric takes a `View` (the statistics, how they are binned, and what several metrics share) and
returns a float, or raises `Undefined` with the reason why the data has no such number.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.numeric.smoothing import smoothed
from calibcli.core.numeric.special import chi2_sf, norm_sf_two_sided
from calibcli.core.statistics.curves import (
    Binning,
    Reliability,
    cells_of,
    joined,
    pav,
    precision_at_cells,
    reliabilities,
    reliability,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

HOSMER_LEMESHOW_GROUPS = 10
_VIEWS = "_views"


class Undefined(Exception):  # noqa: N818  (a value's absence, not a failure)
    """The data has no such number; the message is the reason."""


class View:
    """The statistics of one slice with a binning, and the quantities that metrics share."""

    def __init__(
        self, stats: ScoreStats, binning: Binning, *, seed: int = 0, confidence: bool = False
    ) -> None:
        """Hold the statistics.

        Args:
            stats: of the slice.
            binning: how to cut scores into bins.
            seed: of what is drawn.
            confidence: whether scores are those of the decision, and a label 0 is a wrong one.
        """
        self.stats = stats
        self.binning = binning
        self.seed = seed
        self.confidence = confidence
        self.near: View | None = None  # of the same rows in wider cells, where these are many
        self._kept: dict[str, Any] = {}

    @classmethod
    def of(cls, stats: ScoreStats, binning: Binning, *, seed: int = 0) -> Self:
        """Return the one view of these statistics with this binning, made once.

        Statistics that are looked at twice, a class by itself and as a term of a sum over classes,
        so keep what was found. `forget` lets go of it.
        """
        known: dict[Any, Self] = vars(stats).setdefault(_VIEWS, {})
        key = cls, binning, seed
        if key not in known:
            known[key] = cls(stats, binning, seed=seed)
        return known[key]

    @classmethod
    def of_each(cls, many: Sequence[ScoreStats], binning: Binning, *, seed: int = 0) -> list[Self]:
        """Return the views of many statistics, with what their figures share."""
        views = [cls.of(stats, binning, seed=seed) for stats in many]
        fresh = [view for view in views if "bins" not in vars(view)]
        if not fresh:
            return views
        stats = [view.stats for view in fresh]
        for view, bins in zip(fresh, reliabilities(stats, binning), strict=True):
            view.bins = bins
        total, cells = joined(stats, "total"), cells_of(stats)
        if (total > 0).all():
            fit, block = pav(joined(stats, "pos"), total, cells)
            for view, own in zip(fresh, cells, strict=True):
                view.isotonic = fit[own], block[own] - block[own][:1]
        return views

    @staticmethod
    def forget(stats: ScoreStats) -> None:
        """Let go of what views of these statistics keep."""
        vars(stats).pop(_VIEWS, None)

    def kept(self, name: str, compute: Callable[[], Any]) -> Any:
        """Return what several metrics share, computed once."""
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]

    def let_go(self, name: str) -> None:
        """Keep no longer what `kept` has computed under a name."""
        self._kept.pop(name, None)

    @cached_property
    def bins(self) -> Reliability:
        """The reliability bins under this view's binning."""
        return reliability(self.stats, self.binning)

    @cached_property
    def isotonic(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """The isotonic recalibration of each cell (C,) and its block (CORP)."""
        rows = self.stats.total > 0
        if not rows.all():
            raise Undefined("a cell has no weight")
        return pav(self.stats.pos, self.stats.total)

    @cached_property
    def residual(self) -> NDArray[np.float64]:
        """Sum over the rows of each cell of label - score (C,)."""
        return self.stats.pos - self.stats.total * self.stats.score

    @cached_property
    def smooth(self) -> tuple[float, float]:
        """(smooth ECE, its bandwidth)."""
        return smoothed(self.stats.score, self.residual / self.stats.n)

    def require_rows(self) -> None:
        """Raise Undefined when the slice is empty."""
        if not self.stats.n:
            raise Undefined("no rows")

    def require_both_labels(self) -> None:
        """Raise Undefined when the slice is empty or has one label only."""
        self.require_rows()
        if not self.stats.positives:
            raise Undefined("no row has label 1")
        if not self.stats.negatives:
            raise Undefined("no row has label 0")


def prevalence(view: View) -> float:
    """Return the share of rows with label 1."""
    return view.stats.positives / view.stats.n


def mean_score(view: View) -> float:
    """Return the mean score."""
    return float(view.stats.total @ view.stats.score) / view.stats.n


def ece(view: View) -> float:
    """Return the expected calibration error: bins' |frequency - mean score|, weighted by rows.

    Source: Naeini, Cooper and Hauskrecht, 2015; for binary scores the frequency of label 1.
    """
    return float(view.bins.weight @ np.abs(view.bins.gap))


def mce(view: View) -> float:
    """Return the largest bin gap; empty bins count nothing."""
    return float(np.abs(view.bins.gap).max())


def ace(view: View) -> float:
    """Return the unweighted mean of the gaps of the non-empty bins."""
    return float(np.abs(view.bins.gap[view.bins.used]).mean())


def ece_debiased(view: View) -> float:
    """Return the square root of the debiased squared calibration error.

    Source: Kumar, Liang and Ma, 2019, section 5: sum of w_b [gap_b^2 - f_b (1 - f_b) / (n_b - 1)],
    floored at 0; a bin with fewer than two rows contributes 0. Of weighted rows, n_b is the
    effective number.
    """
    return float(np.sqrt(max(debiased_square(view.bins, view.bins.gap), 0.0)))


def debiased_square(bins: Reliability, gap: NDArray[np.float64]) -> float:
    """Return the debiased squared error of given gaps (B,), which may be negative."""
    return float((bins.weight * gap**2)[_enough(bins)].sum() - debias_term(bins))


def _enough(bins: Reliability) -> NDArray[np.bool_]:
    return bins.effective >= 2.0 - 1e-9  # rounding apart


def debias_term(bins: Reliability) -> float:
    """Return what the variance of the frequencies adds to the squared error on average."""
    enough = _enough(bins)
    spread = bins.frequency * (1.0 - bins.frequency) / np.where(enough, bins.effective - 1.0, 1.0)
    return float((bins.weight * spread)[enough].sum())


def smooth_ece(view: View) -> float:
    """Return the smooth ECE: kernel-smoothed residuals at the bandwidth equal to the error.

    Source: Blasiok and Nakkiran, 2023, definition 3 with the reflected Gaussian kernel.
    """
    return view.smooth[0]


def ks(view: View) -> float:
    """Return the largest |running sum of (label - score) / n| in score order, at ends of ties.

    Source: Gupta et al., 2021; Arrieta-Ibarra et al., 2022 (ECCE-MAD).
    """
    return float(np.abs(np.cumsum(view.residual)).max() / view.stats.n)


def kuiper(view: View) -> float:
    """Return the range of the running sum of (label - score) / n, 0 before the first included.

    Source: Arrieta-Ibarra et al., 2022 (ECCE-R).
    """
    walk = np.cumsum(view.residual)
    return float((max(walk.max(), 0.0) - min(walk.min(), 0.0)) / view.stats.n)


def brier(view: View) -> float:
    """Return the mean of (score - label)^2 (Brier, 1950)."""
    return view.stats.squared_loss_sum / view.stats.n


def brier_uncertainty(view: View) -> float:
    """Return CORP's uncertainty: the Brier score of always saying the prevalence."""
    share = prevalence(view)
    return share * (1.0 - share)


def _recalibrated_brier(view: View) -> float:
    def compute() -> float:
        fit, _ = view.isotonic
        pos, neg = view.stats.pos, view.stats.neg
        return float(pos @ (1.0 - fit) ** 2 + neg @ fit**2) / view.stats.n

    found: float = view.kept("recalibrated brier", compute)
    return found


def brier_miscalibration(view: View) -> float:
    """Return CORP's miscalibration: Brier minus Brier after isotonic recalibration.

    Source: Dimitriadis, Gneiting and Jordan, 2021.
    Brier = miscalibration - discrimination + uncertainty, exactly.
    """
    return max(brier(view) - _recalibrated_brier(view), 0.0)


def brier_discrimination(view: View) -> float:
    """Return CORP's discrimination: uncertainty minus Brier after isotonic recalibration."""
    return max(brier_uncertainty(view) - _recalibrated_brier(view), 0.0)


def nll(view: View) -> float:
    """Return the mean log loss, certain errors clipped at 1e-15 (their number is reported)."""
    return view.stats.log_loss_sum / view.stats.n


def auc(view: View) -> float:
    """Return the area under the ROC curve: P(score of a 1 > score of a 0), ties count half."""
    view.require_both_labels()
    ranked = view.stats.ranks or view.stats
    pos, neg = ranked.pos, ranked.neg
    below = np.cumsum(neg) - neg
    return float(pos @ (below + neg / 2.0)) / (view.stats.positives * view.stats.negatives)


def average_precision(view: View) -> float:
    """Return the sum over distinct scores of precision times the step in recall.

    There is no interpolation.
    """
    view.require_rows()
    if not view.stats.positives:
        raise Undefined("no row has label 1")
    pos = (view.stats.ranks or view.stats).pos[::-1].astype(np.float64)
    return float(pos @ precision_at_cells(view.stats)) / view.stats.positives


def require_independent_rows(view: View) -> None:
    """Raise Undefined where a test does not apply: rows have weights, or come in clusters."""
    if view.stats.weighted:
        raise Undefined("the test needs unweighted rows")
    if view.stats.parts is not None:
        raise Undefined("rows come in clusters")


def spiegelhalter_z(view: View) -> float:
    """Return Spiegelhalter's statistic, standard normal when the scores are calibrated.

    Source: Spiegelhalter, 1986.
    """
    require_independent_rows(view)
    score, total = view.stats.score, view.stats.total
    lean = 1.0 - 2.0 * score
    spread = float(total @ (lean**2 * score * (1.0 - score)))
    if spread == 0.0:
        raise Undefined("every score is 0, 1/2 or 1")
    return float(view.residual @ lean) / float(np.sqrt(spread))


def spiegelhalter_p(view: View) -> float:
    """Return the two-sided p-value of `spiegelhalter_z`."""
    return norm_sf_two_sided(spiegelhalter_z(view))


def hosmer_lemeshow_p(view: View) -> float:
    """Return the Hosmer-Lemeshow p-value over ten equal-mass groups.

    Degrees of freedom are the number of groups, as the scores were not fitted on these rows.
    Source: Hosmer and Lemeshow, 1980; Hosmer, Lemeshow and Sturdivant, 2013, section 5.2.2.
    """
    require_independent_rows(view)
    groups = reliability(view.stats, Binning("mass", HOSMER_LEMESHOW_GROUPS))
    expected, count = groups.score_sum, groups.count
    spread = expected * (1.0 - expected / count)
    excess = groups.positive - expected
    if np.any((spread <= 0) & (np.abs(excess) > 0)):
        return 0.0
    used = spread > 0
    if not used.any():
        raise Undefined("every score is 0 or 1")
    with np.errstate(over="ignore"):  # where the spread is below 1e-300
        statistic = float((excess[used] ** 2 / spread[used]).sum())
    return chi2_sf(statistic, int(used.sum())) if np.isfinite(statistic) else 0.0


def n(view: View) -> float:
    """Return the number of rows (their total weight, when weighted)."""
    return view.stats.n


TESTS = ("spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p", "miscalibration_p")
"""Tests of calibration, which need independent rows of one weight."""
