"""Two models on the same rows: the difference of a metric, and how sure it is.

Each smooth metric is, to first order, a mean over rows of an influence that depends on the row's
cell and label (the infinitesimal jackknife). The difference of two models' metrics then has the
influence difference row by row, and its variance is the sum of squares of those: paired, so what
makes a row hard for both models cancels. For AUC this is the paired test of DeLong, DeLong and
Clarke-Pearson (1988). Only sums are kept, so memory does not grow with the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import intervals, registry
from calibcli.core.metrics.binary import Undefined
from calibcli.core.metrics.gradients import corp_gradient
from calibcli.core.metrics.registry import ALL
from calibcli.core.numeric.special import norm_ppf, t_ppf
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.keys import key_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.intervals import Found
    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.keys import Keys

    Array = NDArray[np.float64]

SMOOTH = ("mean_score", "brier", "nll", "auc", "average_precision", *registry.SMOOTH)
CORP = ("brier_miscalibration", "brier_discrimination")


@dataclass(frozen=True, slots=True)
class Influences:
    """Influence of a row on m metrics, by its cell and label.

    Attributes:
        key: (C,) the key of each distinct score, or the place where the cell of a grid starts.
        positive: (C, m) of a row with label 1, for a weight of 1.
        negative: (C, m) of a row with label 0.
        grid_of_logits: whether `key` holds places, while rows come by the keys of logits.
    """

    key: Keys
    positive: Array
    negative: Array
    grid_of_logits: bool = False

    def at(self, key: Keys, label: NDArray[np.bool_]) -> Array:
        """Return the influences (n, m) of rows with these keys and labels (n,)."""
        key = key_places(key, logits=self.grid_of_logits)
        cell = np.maximum(np.searchsorted(self.key, key, side="right") - 1, 0)
        found: Array = np.where(label[:, None], self.positive[cell], self.negative[cell])
        return found


def influences(view: View, names: Sequence[str]) -> Influences:
    """Return the influences on metrics of these pairs; NaN where a metric is undefined."""
    gradients = [_gradient(view, name) for name in names]
    positive, negative = (np.stack([g[side] for g in gradients], axis=1) for side in (0, 1))
    stats = view.stats
    gridded = stats.logits and not stats.exact
    return Influences(stats.key, positive, negative, gridded)


def _gradient(view: View, name: str) -> Gradient:
    try:
        view.require_rows()
        value = ALL[name](view)
        if name == "ece":
            return _ece(view, value)
        if name == "prevalence":
            ones = np.ones(len(view.stats.key)) / view.stats.n
            return (1.0 - value) * ones, -value * ones
        if name in CORP:
            return corp_gradient(view, name, value)
        return intervals.gradient(name, view, value)
    except Undefined:
        undefined = np.full(len(view.stats.key), np.nan)
        return undefined, undefined


def _ece(view: View, value: float) -> Gradient:
    """ECE is a sum over bins of |sum of (label - score)| / n; the signs are held."""
    bins, score = view.bins, view.stats.score
    sign = np.sign(np.nan_to_num(bins.gap))[bins.index]
    n = view.stats.n
    return (sign * (1.0 - score) - value) / n, (-sign * score - value) / n


@dataclass(slots=True)
class PairedSums:
    """Sums over rows of the difference of two models' influences on m metrics. Mergeable.

    Attributes:
        size: m.
        squares: (m,) sums of squared differences; `buckets` (64, m) sums by bucket of clusters.
        rows: (64,) rows of each bucket.
    """

    size: int
    squares: Array = field(init=False)
    buckets: Array = field(init=False)
    rows: Array = field(init=False)

    def __post_init__(self) -> None:
        self.squares = np.zeros(self.size)
        self.buckets = np.zeros((BUCKETS, self.size))
        self.rows = np.zeros(BUCKETS)

    def add(
        self,
        difference: Array,
        bucket: NDArray[np.int64],
        *,
        weight: Array | None = None,
        counts: Array | None = None,
    ) -> None:
        """Add rows.

        Args:
            difference: (n, m) of influences, second model less first, for a weight of 1.
            bucket: (n,) bucket of the row's cluster, or of the row.
            weight: (n,) importance weights, squared with the difference.
            counts: (n,) how many identical, independent rows each stands for.
        """
        mass = weight if weight is not None else counts
        one = difference if mass is None else difference * mass[:, None]
        self.squares += np.einsum("ij,ij->j", one, difference if weight is None else one)
        for j in range(self.size):
            self.buckets[:, j] += np.bincount(bucket, weights=one[:, j], minlength=BUCKETS)
        self.rows += np.bincount(bucket, minlength=BUCKETS)

    def merge(self, other: PairedSums) -> None:
        """Add other rows."""
        self.squares += other.squares
        self.buckets += other.buckets
        self.rows += other.rows

    def errors(self, *, clustered: bool) -> Array:
        """Return the standard error of each difference (m,)."""
        if not clustered:
            errors: Array = np.sqrt(self.squares)
            return errors
        sums = self.buckets[self.rows > 0]
        size = len(sums)
        spread = ((sums - sums.mean(axis=0)) ** 2).sum(axis=0)
        clustered_errors: Array = np.sqrt(spread * size / max(size - 1, 1))
        return clustered_errors

    def quantile(self, confidence: float, *, clustered: bool) -> float:
        """Return the normal quantile, or Student's t over buckets of clusters."""
        upper = (1.0 + confidence) / 2.0
        if not clustered:
            return norm_ppf(upper)
        return t_ppf(upper, max(int((self.rows > 0).sum()) - 1, 1))


NEAR_ZERO = ("ece", "classwise_ece", "brier_miscalibration", "nll_miscalibration")
"""Smooth only where both models are surely wrong: near 0 they are biased, and not normal."""


def surely_wrong(figure: Found) -> bool:
    """Return whether the interval of a norm leaves out 0."""
    return figure[1] is not None and figure[1] > 0.0


def bounds_apart(first: Found, second: Found) -> tuple[float, float] | None:
    """Return the interval of second less first from the intervals of both, or None without them.

    The variances are recovered from the distances to the ends, and what both models share counts
    for nothing, so that the interval holds where each of the two does, also at an honest model.
    Source: Zou and Donner, "Construction of confidence limits about effect measures", 2008.
    """
    (a, low_a, high_a, _), (b, low_b, high_b, _) = first, second
    if a is None or b is None or None in (low_a, high_a, low_b, high_b):
        return None
    assert low_a is not None
    assert high_a is not None
    assert low_b is not None
    assert high_b is not None
    return b - a - math.hypot(b - low_b, high_a - a), b - a + math.hypot(high_b - b, a - low_a)


def bounds(value: float, error: float, quantile: float) -> tuple[float, float] | None:
    """Return (low, high) of a difference, or None where its error is unknown."""
    if not math.isfinite(error):
        return None
    return value - quantile * error, value + quantile * error


__all__ = [
    "CORP",
    "NEAR_ZERO",
    "SMOOTH",
    "Influences",
    "PairedSums",
    "bounds",
    "bounds_apart",
    "influences",
    "surely_wrong",
]
