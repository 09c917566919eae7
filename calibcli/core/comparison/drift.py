"""How far the scores of one sample lie from those of another, and how far chance alone takes them.

A distance between two samples is never 0, so none is read without its noise floor. With n and m
independent rows in B bins the population stability index has an expected value of about
(B - 1)(1/n + 1/m) where nothing has changed (Yurdakul and Naranjo, "Statistical properties of the
population stability index", Journal of Risk Model Validation 14, 2020), and n m / (n + m) times it
is chi-squared with B - 1 degrees of freedom; the Jensen-Shannon divergence is an eighth of that.
Rows in clusters or with weights count as the independent rows that would tell as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.shared_bins import BINS, Shares, binned, distributions
from calibcli.core.numeric.special import norm_ppf, scaled_chi2_sf
from calibcli.core.results.comparisons import Compared

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

_KS_MEAN = math.sqrt(math.pi / 2.0) * math.log(2.0)
"""Mean of Kolmogorov's distribution."""


@dataclass(frozen=True, slots=True)
class Distance:
    """A distance between two samples of scores.

    Attributes:
        value: as it is seen in the samples; it is never below 0 and never 0 by chance alone.
        low: lower end of the interval of the true distance; `high` the upper one.
        expected: mean of `value` where nothing has changed: the noise floor of these sample sizes.
        p: chance of a distance like this one where nothing has changed.
        bins: how many bins were used; 0 where there are none.
    """

    value: float
    low: float
    high: float
    expected: float
    p: float
    bins: int = 0

    def told(self) -> Compared:
        """Return it as a result holds it."""
        return Compared(
            value=self.value,
            low=self.low,
            high=self.high,
            expected=self.expected,
            p=self.p,
            bins=self.bins or None,
        )


def psi(
    reference: ScoreStats, current: ScoreStats, *, bins: int = BINS, confidence: float = 0.95
) -> Distance:
    """Return the population stability index: the sum over bins of (q - p) ln(q / p).

    Bins hold equal shares of the reference and never split tied scores; a tied score with a whole
    bin's share has a bin of its own. An empty bin counts as half a row. The interval takes the
    noise floor off. `p` is that of Pearson's chi-squared test of the same bins, which keeps its
    level in small samples.

    Raises:
        Undefined: one of the two has no rows.
    """
    return psi_of(binned(reference, current, bins), confidence)


def jensen_shannon(
    reference: ScoreStats, current: ScoreStats, *, bins: int = BINS, confidence: float = 0.95
) -> Distance:
    """Return the Jensen-Shannon divergence in bits, from 0 to 1, over the bins of `psi`.

    Raises:
        Undefined: one of the two has no rows.
    """
    return jensen_shannon_of(binned(reference, current, bins), confidence)


def ks(reference: ScoreStats, current: ScoreStats, *, confidence: float = 0.95) -> Distance:
    """Return the largest difference between the two distribution functions of the scores.

    The interval is Kolmogorov's, which holds for every distribution. Tied scores make it wide and
    the p-value large, never the reverse.

    Raises:
        Undefined: one of the two has no rows.
    """
    shares = distributions(reference, current)
    p, q, n, m = shares.reference, shares.current, shares.n, shares.m
    value = float(np.abs(np.cumsum(q - p)).max(initial=0.0))
    root = math.sqrt(n * m / (n + m))
    reach = _kolmogorov_quantile(1.0 - confidence) / root
    scaled = (root + 0.12 + 0.11 / root) * value  # Stephens (1970)
    return Distance(
        value,
        max(0.0, value - reach),
        min(1.0, value + reach),
        _KS_MEAN / root,
        kolmogorov_sf(scaled),
    )


def psi_of(shares: Shares, confidence: float = 0.95) -> Distance:
    """Return the population stability index of shares that are already binned."""
    p, q = _filled(shares)
    value = float((q - p) @ np.log(q / p))
    spread = _delta(p, np.log(p / q) + 1.0 - q / p, shares.n)
    spread += _delta(q, np.log(q / p) + 1.0 - p / q, shares.m)
    return _distance(shares, value, 1.0, spread, confidence)


def jensen_shannon_of(shares: Shares, confidence: float = 0.95) -> Distance:
    """Return the Jensen-Shannon divergence, in bits, of shares that are already binned."""
    middle = (shares.reference + shares.current) / 2.0
    value = spread = 0.0
    for share, rows in ((shares.reference, shares.n), (shares.current, shares.m)):
        slope = np.zeros(len(share))
        np.divide(share, middle, out=slope, where=share > 0)
        slope = np.log2(slope, out=np.zeros(len(share)), where=share > 0) / 2.0
        value += float(share @ slope)
        spread += _delta(share, slope, rows)
    return _distance(shares, max(value, 0.0), 1.0 / (8.0 * math.log(2.0)), spread, confidence)


def _distance(
    shares: Shares, value: float, scale: float, spread: float, confidence: float
) -> Distance:
    """Return a distance of which value / scale / noise is chi-squared where nothing has changed."""
    df = len(shares.reference) - 1
    if df < 1:
        return Distance(0.0, 0.0, 0.0, 0.0, 1.0, 1)
    expected = scale * df * shares.noise
    centre = value - expected
    reach = norm_ppf((1.0 + confidence) / 2.0) * math.sqrt(
        spread + 2.0 * df * (scale * shares.noise) ** 2
    )
    low, high = max(0.0, min(centre - reach, value)), max(centre + reach, value)
    return Distance(value, low, high, expected, _pearson(shares), df + 1)


def _pearson(shares: Shares) -> float:
    """Return the p-value of the two-sample chi-squared test."""
    n, m = shares.n, shares.m
    pooled = (n * shares.reference + m * shares.current) / (n + m)
    used = pooled > 0
    gap = (shares.reference - shares.current)[used]
    statistic = float((gap**2 / pooled[used]).sum()) / shares.noise
    return scaled_chi2_sf(statistic, max(int(used.sum()) - 1, 1), shares.df)


def _filled(shares: Shares) -> tuple[Array, Array]:
    """Return the shares with half a row in an empty bin."""
    p = np.where(shares.reference > 0, shares.reference, 0.5 / shares.n)
    q = np.where(shares.current > 0, shares.current, 0.5 / shares.m)
    return p, q


def _delta(share: Array, slope: Array, rows: float) -> float:
    """Return the variance of a function of multinomial shares from its gradient."""
    total = float(share.sum())
    mean = float(share @ slope) / total
    spread = float((share @ (slope - mean) ** 2).item())
    return spread / (total * rows)


def kolmogorov_sf(x: float) -> float:
    """Return P(K >= x) for Kolmogorov's distribution."""
    if x < 0.2:
        return 1.0
    terms = ((-1.0) ** (k - 1) * math.exp(-2.0 * (k * x) ** 2) for k in range(1, 101))
    return min(max(2.0 * sum(terms), 0.0), 1.0)


def _kolmogorov_quantile(tail: float) -> float:
    low, high = 0.2, 10.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if kolmogorov_sf(middle) > tail else (low, middle)
    return high
