"""An interval for every metric, from the cells alone; clusters stay whole.

Smooth metrics (means, AUC, average precision) have a gradient with respect to the count of each
cell, and the infinitesimal jackknife turns it into a variance: over rows, or over whole buckets
of clusters. Metrics that are a norm of a vector of gaps (every ECE, MCE, KS, Kuiper) are biased
upwards and pile up at 0, where a bootstrap fails; `norms` inverts a test for those instead.
The coverage of each is checked by simulation in the tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import norms
from calibcli.core.metrics.binary import METRICS, Undefined, View
from calibcli.core.metrics.gaps import NORMS, effective_n, single_gap
from calibcli.core.numeric.special import norm_ppf, t_ppf, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Gradient = tuple[NDArray[np.float64], NDArray[np.float64]]

_OPTIMISM = 1.5

Interval = tuple[float, float]
"""(low, high) of a metric."""
Found = tuple[float | None, float | None, float | None, str | None]
"""(value, low, high, reason why there is none) of a metric."""


def quantile(stats: ScoreStats, confidence: float) -> float:
    """Return the two-sided normal quantile, or Student's t over the buckets of clusters."""
    upper = (1.0 + confidence) / 2.0
    if stats.parts is None:
        return norm_ppf(upper)
    return t_ppf(upper, max(buckets(stats) - 1, 1))


def buckets(stats: ScoreStats) -> int:
    """Return how many buckets of clusters hold rows; 0 without clusters."""
    return 0 if stats.parts is None else len(stats.places.buckets)


def variance(stats: ScoreStats, slope: Gradient) -> float:
    """Return the variance of a statistic from its gradient by the counts of each cell.

    Args:
        stats: the slice.
        slope: (by the positives of each cell (C,), by the negatives (C,)).

    Source: the infinitesimal jackknife (Jaeckel, 1972); for AUC it is DeLong's variance.
    """
    positive, negative = slope
    if stats.parts is not None:
        sums = stats.bucket_sums(positive, negative)
        size = len(sums)
        return float(((sums - sums.mean()) ** 2).sum()) * size / max(size - 1, 1)
    pos_sq = stats.pos if stats.table.pos_sq is None else stats.table.pos_sq
    neg_sq = stats.neg if stats.table.neg_sq is None else stats.table.neg_sq
    return float(pos_sq @ positive**2 + neg_sq @ negative**2)


def _mean_gradient(
    view: View, positive: NDArray[np.float64], negative: NDArray[np.float64], value: float
) -> Gradient:
    return (positive - value) / view.stats.n, (negative - value) / view.stats.n


def _prevalence(view: View, value: float) -> Gradient:
    ones = np.ones(len(view.stats.score))
    return _mean_gradient(view, ones, 0.0 * ones, value)


def _mean_score(view: View, value: float) -> Gradient:
    return _mean_gradient(view, view.stats.score, view.stats.score, value)


def _brier(view: View, value: float) -> Gradient:
    score = view.stats.score
    return _mean_gradient(view, (1.0 - score) ** 2, score**2, value)


def _nll(view: View, value: float) -> Gradient:
    positive, negative = view.stats.cell_losses()
    return _mean_gradient(view, positive, negative, value)


def _auc(view: View, value: float) -> Gradient:
    stats = view.stats
    below = np.cumsum(stats.neg) - stats.neg / 2.0
    above = stats.positives - np.cumsum(stats.pos) + stats.pos / 2.0
    return (
        (below / stats.negatives - value) / stats.positives,
        (above / stats.positives - value) / stats.negatives,
    )


def _average_precision(view: View, value: float) -> Gradient:
    stats = view.stats
    pos = stats.pos[::-1].astype(np.float64)
    tp, alerts = np.cumsum(pos), np.cumsum(stats.total[::-1])
    shifted = np.cumsum((pos * tp / alerts**2)[::-1])  # what one more alert costs lower cells
    gained = np.cumsum((pos / alerts)[::-1])
    precision = (tp / alerts)[::-1]
    scale = 1.0 / stats.positives
    return scale * (precision - value + gained - shifted), -scale * shifted


def on_log_scale(value: float, error: float) -> Interval:
    """Return value -+ error on the scale of the logarithm, so that the ends stay positive."""
    if value <= 0.0:
        return 0.0, error
    return value * math.exp(-error / value), value * math.exp(error / value)


def on_logit_scale(value: float, error: float) -> Interval:
    """Return value -+ error on the scale of the logit, so that the ends stay within (0, 1)."""
    centre = math.log(value / (1.0 - value))
    half = error / (value * (1.0 - value))

    def back(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0

    return back(centre - half), back(centre + half)


def _plain(value: float, error: float) -> Interval:
    return value - error, value + error


_SMOOTH: dict[str, tuple[Callable[[View, float], Gradient], Callable[[float, float], Interval]]] = {
    "mean_score": (_mean_score, _plain),
    "brier": (_brier, on_log_scale),
    "nll": (_nll, on_log_scale),
    "auc": (_auc, on_logit_scale),
    "average_precision": (_average_precision, on_logit_scale),
}


def proportion(
    stats: ScoreStats, value: float, slope: Gradient, rows: float, confidence: float
) -> Interval:
    """Return Wilson's interval of a proportion of `rows`, at the effective number of rows.

    The effective number is p (1 - p) over the variance, which is `rows` for independent
    unweighted rows and fewer with clusters or weights (Korn and Graubard, 1998).
    """
    spread = variance(stats, slope)
    most = rows * effective_n(stats) / float(stats.n)
    effective = value * (1.0 - value) / spread if spread > 0.0 else most
    if stats.parts is not None and spread <= 0.0:
        effective = min(most, buckets(stats))
    return wilson(value, max(min(effective, most), 1e-9), quantile(stats, confidence))


def _perfect_ranking(view: View, value: float, confidence: float) -> Interval:
    """AUC or AP of exactly 0 or 1 has no variance: as many trials as the rarer label has rows."""
    trials = min(view.stats.positives, view.stats.negatives)
    if view.stats.parts is not None:
        trials = min(trials, buckets(view.stats))
    reach = ((1.0 - confidence) / 2.0) ** (1.0 / max(trials, 1.0))
    return (reach, 1.0) if value >= 1.0 else (0.0, 1.0 - reach)


def _uncertainty(view: View, confidence: float) -> Interval:
    share = view.stats.positives / view.stats.n
    low, high = proportion(view.stats, share, _prevalence(view, share), view.stats.n, confidence)
    ends = [low * (1.0 - low), high * (1.0 - high)]
    return min(ends), 0.25 if low <= 0.5 <= high else max(ends)


def gradient(name: str, view: View, value: float) -> Gradient:
    """Return the gradient of a smooth metric by the counts of each cell."""
    return _SMOOTH[name][0](view, value)


def corp_gradient(view: View, name: str, value: float) -> Gradient:
    """Return the gradient of CORP's miscalibration or discrimination, the isotonic fit held."""
    stats = view.stats
    fit, _ = view.isotonic
    score = stats.score
    if name == "brier_discrimination":
        score = np.full(len(fit), stats.positives / stats.n)
    positive = (1.0 - score) ** 2 - (1.0 - fit) ** 2
    return _mean_gradient(view, positive, score**2 - fit**2, value)


def corp_optimism(view: View) -> float:
    """Return by how much isotonic recalibration of the same rows looks too good on average.

    Between one and two times its degrees of freedom, one for each block (Meyer and Woodroofe,
    2000): 1.5 times the sum of f (1 - f) / n over blocks; checked by simulation.
    """
    return _OPTIMISM * float(_block_noise(view).sum())


def _block_noise(view: View) -> NDArray[np.float64]:
    """Return what the noise of each block's level adds to its fit: f (1 - f) / n, unweighted."""
    stats = view.stats
    fit, block = view.isotonic
    level = np.zeros(int(block[-1]) + 1)
    level[block] = fit
    squares, total = stats.total, stats.total
    if stats.table.pos_sq is not None and stats.table.neg_sq is not None:
        squares = stats.table.pos_sq + stats.table.neg_sq
    share = np.bincount(block, weights=squares) / np.bincount(block, weights=total)
    noise: NDArray[np.float64] = level * (1.0 - level) * share / float(stats.n)
    return noise


def _corp(view: View, name: str, value: float, confidence: float) -> Interval:
    spread = variance(view.stats, corp_gradient(view, name, value))
    spread += 2.0 * float((_block_noise(view) ** 2).sum())
    error = quantile(view.stats, confidence) * math.sqrt(spread)
    centre = value - corp_optimism(view)
    return max(0.0, min(centre - error, value)), max(centre + error, value)


def interval(view: View, name: str, value: float, confidence: float, seed: int) -> Interval | None:
    """Return the interval of one metric, or None for a test's statistic or p-value, or n.

    Raises:
        Undefined: when the data has no such interval.
    """
    stats = view.stats
    if name in _SMOOTH:
        slope, scale = _SMOOTH[name]
        if name in ("auc", "average_precision") and not 0.0 < value < 1.0:
            return _perfect_ranking(view, value, confidence)
        spread = max(variance(stats, slope(view, value)), 0.0)
        return scale(value, quantile(stats, confidence) * math.sqrt(spread))
    if name == "prevalence":
        return proportion(stats, value, _prevalence(view, value), stats.n, confidence)
    if name == "brier_uncertainty":
        return _uncertainty(view, confidence)
    if name in ("brier_miscalibration", "brier_discrimination"):
        return _corp(view, name, value, confidence)
    if name in NORMS:
        if (exact := single_gap(view, name, confidence)) is not None:
            return min(exact[0], value), max(exact[1], value)
        return norms.interval(NORMS[name](view), confidence, seed, value)
    return None


_RANKING = ("auc", "average_precision", "ks", "kuiper")
"""Metrics that need the order of scores, which the cells of a grid have lost."""


def _widened(view: View, name: str, bounds: Interval | None) -> Interval | None:
    """Return an interval that allows for the grid's error too."""
    if bounds is None or view.stats.exact or name not in _RANKING:
        return bounds
    error = view.stats.grid_error[name]
    return max(bounds[0] - error, 0.0), min(bounds[1] + error, 1.0)


def measure(
    view: View,
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
    names: Iterable[str] = METRICS,
) -> dict[str, Found]:
    """Return metrics of a slice as (value, low, high, reason why it is undefined).

    Args:
        view: the slice.
        confidence: level of the intervals; None for none.
        seed: of the draws behind the intervals of norms.
        names: which metrics, in this order; default all.
    """
    found: dict[str, Found] = {}
    for name in names:
        try:
            if name != "n":
                view.require_rows()
            value = METRICS[name](view)
            bounds = None
            if confidence is not None:
                bounds = _widened(view, name, interval(view, name, value, confidence, seed))
        except Undefined as reason:
            found[name] = (None, None, None, str(reason))
        else:
            found[name] = (value, *(bounds or (None, None)), None)
    return found
