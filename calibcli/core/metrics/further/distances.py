"""Distances between scores and frequencies, and a test of calibration by drawing labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.binary import View, ece, require_independent_rows
from calibcli.core.metrics.gaps import bin_gaps, norm_interval
from calibcli.core.metrics.inversion import HONEST_DRAWS, honest_share
from calibcli.core.metrics.spread import spread_of
from calibcli.core.statistics.curves import Binning

if TYPE_CHECKING:
    from collections.abc import Callable

_TEST_BINS = 20


def ici(view: View) -> float:
    """Return the integrated calibration index: the mean |score - isotonic frequency|.

    Source: Austin and Steyerberg, "The Integrated Calibration Index (ICI) and related metrics",
    2019; their loess is here the isotonic (CORP) recalibration, which has no bandwidth.
    """
    fit, _ = view.isotonic
    return float(view.stats.total @ np.abs(fit - view.stats.score)) / view.stats.n


def e50(view: View) -> float:
    """Return the median of |score - isotonic frequency| over rows (see `ici`)."""
    return _distance_quantile(view, 0.5)


def e90(view: View) -> float:
    """Return the 90th percentile of |score - isotonic frequency| over rows (see `ici`)."""
    return _distance_quantile(view, 0.9)


def _distance_quantile(view: View, share: float) -> float:
    """Return the smallest distance that at least this share of the rows does not exceed."""
    fit, _ = view.isotonic
    distance = np.abs(fit - view.stats.score)
    order = np.argsort(distance)
    reached = np.cumsum(view.stats.total[order])
    at = int(np.searchsorted(reached, share * reached[-1] * (1.0 - 1e-12)))
    return float(distance[order[at]])


def over_confidence(view: View) -> float:
    """Return the sum over bins of weight times score above frequency; both sides make ECE."""
    return float(view.bins.weight @ np.maximum(-view.bins.gap, 0.0))


def under_confidence(view: View) -> float:
    """Return the sum over bins of weight times frequency above score."""
    return float(view.bins.weight @ np.maximum(view.bins.gap, 0.0))


def one_sided_interval(sign: float) -> Callable[[View, float, float, int], tuple[float, float]]:
    """Return the interval of half of ECE plus `sign` times the mean of label - score.

    The two parts' intervals are added as if their errors went together, the worst that they can
    do (Zou and Donner, 2008, without their independence); so it covers at least its level.
    """

    def ends(view: View, value: float, confidence: float, seed: int) -> tuple[float, float]:
        n, score = view.stats.n, view.stats.score
        lean = float(view.residual.sum()) / n
        slope = (1.0 - score - lean) / n, (-score - lean) / n
        least, most = (float(end) for end in spread_of(view.stats, slope).ends(lean, confidence))
        low, high = norm_interval(view, "ece", ece(view), confidence, seed)
        side = (least, most) if sign > 0 else (-most, -least)
        return max(min((low + side[0]) / 2.0, value), 0.0), max((high + side[1]) / 2.0, value)

    return ends


def miscalibration_p(view: View) -> float:
    """Return how often labels that are drawn from the scores show gaps as large as these.

    The squared gaps of up to 20 equal-mass bins, summed by their rows, of 2,000 draws (seeded by
    `View.seed`); the number of positives of a bin is drawn as a binomial of its mean and variance.
    Source: Bröcker and Smith, "Increasing the reliability of reliability diagrams", 2007.
    """
    require_independent_rows(view)
    gaps = bin_gaps(View(view.stats, Binning("mass", _TEST_BINS)))
    share = honest_share(
        gaps, float(gaps.share @ gaps.gap**2) - 1e-12, lambda gap: gap**2 @ gaps.share, view.seed
    )
    return (share * HONEST_DRAWS + 1.0) / (HONEST_DRAWS + 1.0)
