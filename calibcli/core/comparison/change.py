"""What has changed between two independent samples of labelled scores, and how sure that is.

A smooth metric's change is the difference of two independent estimates: their variances (the
infinitesimal jackknife, see `intervals`) add up, and where rows come in clusters Student's t has
Welch and Satterthwaite's degrees of freedom over the buckets. ECE is a norm, biased upwards by an
amount that depends on the sample's size, so that a small sample looks worse than a large one
without being so: its change is read by inverting a test, as its interval is (see `norms`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.further.recalibration import common_limits, recalibrate
from calibcli.core.metrics.inversion import freedom_of, last_within, quantile, upper_tail
from calibcli.core.metrics.registry import ALL
from calibcli.core.metrics.spread import buckets, squared_weights
from calibcli.core.numeric.special import betainc, chi2_sf, norm_ppf, norm_sf_two_sided, t_ppf
from calibcli.core.results.comparisons import Compared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.absolute_sums import AbsoluteSum, Moments
    from calibcli.core.metrics.further.recalibration import Recalibration
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of one sample, its variance, and the degrees of freedom of that (None: many)."""

    value: float
    variance: float
    df: int | None = None


def changed(
    reference: float | None = None,
    current: float | None = None,
    low: float | None = None,
    high: float | None = None,
    p: float | None = None,
    reason: str | None = None,
) -> Compared:
    """Return a change: the figure of the current sample less that of the reference.

    It is None where one of both is; `low` and `high` are the ends of its interval, `p` is the
    two-sided p-value of no difference.
    """
    value = None if reference is None or current is None else current - reference
    return Compared(
        value=value, low=low, high=high, reference=reference, current=current, p=p, reason=reason
    )


def difference(reference: Estimate, current: Estimate, confidence: float | None) -> Compared:
    """Return the difference of two independent estimates."""
    spread = reference.variance + current.variance
    if confidence is None or not math.isfinite(spread):
        return changed(reference.value, current.value)
    value, error = current.value - reference.value, math.sqrt(max(spread, 0.0))
    df = _welch(reference, current)
    upper = (1.0 + confidence) / 2.0
    reach = error * (norm_ppf(upper) if df is None else t_ppf(upper, df))
    p = 1.0 if value == 0.0 else 0.0
    if error > 0.0:
        p = _two_sided(value / error, df)
    return changed(reference.value, current.value, value - reach, value + reach, p)


def _two_sided(z: float, df: int | None) -> float:
    if df is None:
        return norm_sf_two_sided(z)
    return float(betainc(df / 2.0, 0.5, df / (df + z * z)))


def _welch(*estimates: Estimate) -> int | None:
    """Return Welch and Satterthwaite's degrees of freedom, rounded down; None for many."""
    few = sum(e.variance**2 / e.df for e in estimates if e.df is not None)
    if few <= 0.0:
        return None
    return max(int(sum(e.variance for e in estimates) ** 2 / few), 1)


def freedom(stats: ScoreStats) -> int | None:
    """Return the degrees of freedom of a variance between buckets of clusters."""
    return None if stats.parts is None else max(buckets(stats) - 1, 1)


def rarer_rows(stats: ScoreStats) -> float:
    """Return the rows of the rarer label, those of one weight that tell as much."""
    squares = [float(side.sum()) for side in squared_weights(stats)]
    sums = float(stats.positives), float(stats.negatives)
    return min(one**2 / two if two > 0.0 else 0.0 for one, two in zip(sums, squares, strict=True))


def of_labels(stats: ScoreStats, value: float, variance: float) -> Estimate:
    """Return an estimate of both labels' rows, whose variance the rarer label decides.

    That of m rows was taken about their own mean: m / (m - 1) undoes it, and m - 1 are the degrees
    of freedom. Between clusters both are those of the clusters.
    """
    if stats.parts is not None:
        return Estimate(value, variance, freedom(stats))
    more = max(rarer_rows(stats) - 1.0, 1.0)
    return Estimate(value, variance * (more + 1.0) / more, max(int(more), 1))


SMOOTH = ("mean_score", "brier", "nll", "auc", "average_precision")
_OF_LABELS = ("brier", "nll", "auc", "average_precision")


def estimate(view: View, name: str) -> Estimate:
    """Return a smooth metric, or the prevalence, with its variance.

    Raises:
        Undefined: the data has no such number.
    """
    view.require_rows()
    value = ALL[name](view)
    if name == "prevalence":
        ones = np.ones(len(view.stats.key)) / float(view.stats.n)
        slope = (1.0 - value) * ones, -value * ones
    else:
        slope = intervals.gradient(name, view, value)
    variance = max(intervals.variance(view.stats, slope), 0.0)
    if name in _OF_LABELS:
        return of_labels(view.stats, value, variance)
    return Estimate(value, variance, freedom(view.stats))


def change(name: str, reference: View, current: View, confidence: float | None) -> Compared:
    """Return the change of a smooth metric or of the prevalence."""
    found: list[Estimate] = []
    for view, where in ((reference, " in the reference"), (current, "")):
        try:
            found.append(estimate(view, name))
        except Undefined as undefined:
            return changed(reason=f"{undefined}{where}")
    return difference(found[0], found[1], confidence)


def recalibration_changes(
    reference: ScoreStats, current: ScoreStats, confidence: float | None
) -> dict[str, Compared]:
    """Return the change of the calibration slope and intercept, and the joint test of both.

    The value of `recalibration_p` is the p-value that slope and intercept, fitted together, are
    what they were (Wald, two degrees of freedom).
    """
    limits = common_limits(reference, current)
    fits: list[Recalibration] = []
    for stats, where in ((reference, " in the reference"), (current, "")):
        try:
            fits.append(recalibrate(stats, limits))
        except Undefined as undefined:
            reason = f"{undefined}{where}"
            unknown = changed(reason=reason)
            joint = Compared(value=None, reason=reason)
            return {"slope": unknown, "intercept": unknown, "recalibration_p": joint}
    a, b = fits
    slope = difference(
        of_labels(reference, a.slope, float(a.covariance[0, 0])),
        of_labels(current, b.slope, float(b.covariance[0, 0])),
        confidence,
    )
    intercept = difference(
        of_labels(reference, a.intercept, a.intercept_variance),
        of_labels(current, b.intercept, b.intercept_variance),
        confidence,
    )
    gap = np.array([b.slope - a.slope, b.level - a.level])
    sides = [
        of_labels(stats, 0.0, float(np.trace(fit.covariance)))
        for stats, fit in zip((reference, current), fits, strict=True)
    ]
    grown = [
        fit.covariance * side.variance / max(float(np.trace(fit.covariance)), 1e-300)
        for side, fit in zip(sides, fits, strict=True)
    ]
    statistic = float(gap @ np.linalg.pinv(grown[0] + grown[1]) @ gap)
    joint = Compared(value=_wald(statistic, _welch(*sides)))
    return {"slope": slope, "intercept": intercept, "recalibration_p": joint}


def _wald(statistic: float, df: int | None) -> float:
    """Return the p-value of a Wald statistic of two parameters, F(2, df - 1) where df is small."""
    if df is None or df < 2:
        return chi2_sf(statistic, 2)
    # Hotelling: (df - 1) / (2 df) T^2 is F with 2 and df - 1 degrees of freedom.
    f = statistic * (df - 1) / (2.0 * df)
    return float(betainc((df - 1) / 2.0, 1.0, (df - 1) / (df - 1 + 2.0 * f)))


def norm_change(
    reference: AbsoluteSum, current: AbsoluteSum, values: tuple[float, float], confidence: float
) -> Compared:
    """Return the change of a norm of gaps (ECE), current less reference, by inverting a test.

    Each sample's norm is biased upwards by an amount that depends on its size, so the difference of
    two is biased too, towards the smaller sample being worse. As in `absolute_sums`, truth is t d
    along the direction d of the observed gaps: the reference's t is the one under which what was
    seen there is the mean, and the interval holds the current t under which the difference that
    was seen is not surprising.

    Args:
        reference: the norm there.
        current: the norm here.
        values: the metric there and here, as it is shown.
        confidence: level of the interval, which is of the true difference.
    """
    df = min(freedom_of(reference.gaps), freedom_of(current.gaps))
    t = t_ppf((1.0 + confidence) / 2.0, df)
    seen = reference.seen()
    observed = current.seen() - seen
    low, high, p = np.inf, -np.inf, 0.0
    for towards, now in product(reference.gaps.directions(), current.gaps.directions()):
        there = last_within(reference.gaps, towards, lambda at: reference.moments(at)[0] - seen)
        truth, before = float(reference.norm(there)), reference.moments(there)

        def end(side: float, now: Array = now, before: Moments = before) -> float:
            def beyond(at: Array) -> Array:
                return quantile(_less(current.moments(at), before), side * t) - observed

            return float(current.norm(last_within(current.gaps, now, beyond)))

        low, high = min(low, end(1.0) - truth), max(high, end(-1.0) - truth)

        def larger(at: Array, truth: float = truth) -> Array:
            return current.norm(at) - truth

        same = last_within(current.gaps, now, larger)
        above = upper_tail(_less(current.moments(same), before), observed, df)
        p = max(p, min(2.0 * min(above, 1.0 - above), 1.0))
    return changed(values[0], values[1], low, high, p)


def _less(moments: Moments, others: Moments) -> Moments:
    """Return the moments of a difference of two independent statistics."""
    return moments[0] - others[0], moments[1] + others[1], moments[2] - others[2]
