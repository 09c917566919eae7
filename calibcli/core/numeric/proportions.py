"""Exact and approximate intervals and tests of a binomial proportion."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.special import beta_ppf, betainc

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[Array, Array]:
    """Return the exact interval of a binomial proportion, elementwise; (0, 1) for no trials.

    Source: Clopper and Pearson, 1934. Non-integer counts (effective sizes) are allowed.
    """
    k = np.asarray(successes, dtype=np.float64)
    n = np.asarray(trials, dtype=np.float64)
    alpha = (1.0 - confidence) / 2.0
    k, miss = np.broadcast_arrays(k, np.maximum(n - k, 0.0))
    asked = list(zip(k.ravel().tolist(), miss.ravel().tolist(), strict=True))
    known = _CLOPPER.setdefault(alpha, {})
    new = list(dict.fromkeys(pair for pair in asked if pair not in known))
    if new:
        if len(known) > _MOST_KNOWN:
            known.clear()
            new = list(dict.fromkeys(asked))
        known.update(zip(new, _clopper_pearson(np.array(new), alpha), strict=True))
    ends = np.array([known[pair] for pair in asked]).reshape(*k.shape, 2)
    return ends[..., 0], ends[..., 1]


def binomial_p(successes: float, trials: float, rate: float) -> float:
    """Return the two-sided p of an exact binomial test, twice the smaller tail; 1 for no trials.

    It is below 1 - confidence exactly where `clopper_pearson` leaves `rate` out. Non-integer counts
    (effective sizes) are allowed.
    """
    if trials <= 0.0:
        return 1.0
    failures = max(trials - successes, 0.0)
    upper = float(betainc(successes, failures + 1.0, rate)) if successes > 0.0 else 1.0
    lower = float(betainc(failures, successes + 1.0, 1.0 - rate)) if failures > 0.0 else 1.0
    return min(1.0, 2.0 * min(upper, lower))


_CLOPPER: dict[float, dict[tuple[float, float], tuple[float, float]]] = {}
"""Intervals found so far: bins of many classes hold the same few counts again and again."""
_MOST_KNOWN = 1 << 16


def _clopper_pearson(pairs: Array, alpha: float) -> list[tuple[float, float]]:
    """Return the interval of each row (successes, failures) of a table."""
    k, miss = pairs.T
    ends = beta_ppf(
        np.array([[alpha], [1.0 - alpha]]),
        np.stack([np.where(k > 0, k, 1.0), k + 1.0]),
        np.stack([miss + 1.0, np.where(miss > 0, miss, 1.0)]),
    )
    low = np.where(k > 0, ends[0], 0.0)
    high = np.where(miss > 0, ends[1], 1.0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def wilson(p: float, n: float, quantile: float) -> tuple[float, float]:
    """Return the score interval of a proportion p of n rows (Wilson, 1927)."""
    z2 = quantile * quantile
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if p <= 0.0 else max(0.0, centre - half)
    return low, 1.0 if p >= 1.0 else min(1.0, centre + half)
