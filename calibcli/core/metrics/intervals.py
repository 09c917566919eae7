"""An interval for every metric, from the cells alone; clusters stay whole.

Means have the interval of `spread`, proportions that of `shares`, rankings that of `rankings`,
norms of gaps (every ECE, MCE, KS, Kuiper) that of `gaps`, CORP's terms that of `corp`. All are
closed forms. The coverage of each is checked by simulation (docs/metrics.md).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.registry import ALL
from calibcli.core.metrics.spread import (
    effective_n,
    freedom,
    independent_moments,
    leverage,
    spread_of,
    without_each,
)
from calibcli.core.numeric.special import t_ppf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.stats import ScoreStats

Interval = tuple[float, float]
"""(low, high) of a metric."""
Found = tuple[float | None, float | None, float | None, str | None]
"""(value, low, high, reason why there is none) of a metric."""


def quantile(stats: ScoreStats, confidence: float) -> float:
    """Return the two-sided quantile of Student's t over rows, or over the buckets of clusters."""
    upper = (1.0 + confidence) / 2.0
    if stats.parts is None:
        return t_ppf(upper, max(effective_n(stats) - 1.0, 1.0))
    return t_ppf(upper, freedom(leverage(stats), 1.0))


def variance(stats: ScoreStats, slope: Gradient) -> float:
    """Return the variance of a statistic from its gradient by the counts of each cell.

    Args:
        stats: the slice.
        slope: (by the positives of each cell (C,), by the negatives (C,)).

    Source: the infinitesimal jackknife (Jaeckel, 1972); for AUC it is DeLong's variance. Between
    clusters it is the jackknife's (see `spread.without_each`).
    """
    if stats.parts is None:
        return independent_moments(stats, slope)[0]
    sums = without_each(stats.bucket_sums(*slope), leverage(stats))
    return float(sums @ sums)


def gradient(name: str, view: View, value: float) -> Gradient:
    """Return the gradient of a smooth metric by the counts of each cell."""
    known = ALL[name].gradient
    assert known is not None
    return known(view, value)


def on_logit_scale(value: float, error: float) -> Interval:
    """Return value -+ error on the scale of the logit, so that the ends stay within (0, 1)."""
    centre = math.log(value / (1.0 - value))
    half = error / (value * (1.0 - value))

    def back(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z)) if z > -700 else 0.0

    return back(centre - half), back(centre + half)


def interval(view: View, name: str, value: float, confidence: float, seed: int) -> Interval | None:
    """Return the interval of one metric, or None for a test's statistic or p-value, or n.

    Raises:
        Undefined: when the data has no such interval.
    """
    metric = ALL[name]
    if metric.ends is not None:
        low, high = metric.ends(view, value, confidence, seed)
    elif metric.gradient is not None:
        low, high = spread_of(view.stats, metric.gradient(view, value)).ends(value, confidence)
    else:
        return None
    return max(float(low), metric.least), min(float(high), metric.most)


_RANKING = ("auc", "average_precision", "ks", "kuiper")
"""Metrics that need the order of scores, which the cells of a grid have lost."""


def _widened(view: View, name: str, bounds: Interval | None) -> Interval | None:
    """Return an interval that allows for the grid's error too."""
    if bounds is None or view.stats.exact or name not in _RANKING:
        return bounds
    error = view.kept("grid_error", lambda: grid_error(view.stats))[name]
    return max(bounds[0] - error, 0.0), min(bounds[1] + error, 1.0)


def measure(
    view: View,
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
    names: Iterable[str] = ALL,
) -> dict[str, Found]:
    """Return metrics of a slice as (value, low, high, reason why it is undefined).

    Args:
        view: the slice.
        confidence: level of the intervals; None for none.
        seed: of the labels that are drawn where the lower end of a norm is doubtful.
        names: which metrics, in this order; default all.
    """
    found: dict[str, Found] = {}
    for name in names:
        try:
            if name != "n":
                view.require_rows()
            value = ALL[name](view)
            bounds = None
            if confidence is not None:
                bounds = _widened(view, name, interval(view, name, value, confidence, seed))
        except Undefined as reason:
            found[name] = (None, None, None, str(reason))
        else:
            missing = None
            if confidence is not None and bounds is None:
                missing = ALL[name].no_interval or None
            found[name] = (value, *(bounds or (None, None)), missing)
    return found
