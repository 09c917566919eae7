"""Changes between two samples that chance does not explain: a change less its margin of chance.

The limits of a dump as a whole are for thousands of rows. One group of it has fewer, and of many
groups some change by chance each night; what is held against a limit is therefore the end of the
change's interval that lies nearest to no change, at a level that all groups share. Rows in
clusters count as the independent rows that would tell as much; what a sample without its clusters
was worth is told by the clusters of the other one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.comparison.drift import psi
from calibcli.core.metrics.binary import Undefined, View, auc
from calibcli.core.metrics.spread import independent_moments, spread_of
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.statistics.curves import Binning

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


def psi_beyond(before: ScoreStats, now: ScoreStats, level: float) -> float | None:
    """Return the lower end of the interval of the PSI, from 0 up; None without rows."""
    try:
        return max(psi(before, now, confidence=level).low, 0.0)
    except Undefined:
        return None


def odds_beyond(before: ScoreStats, now: ScoreStats, level: float) -> float:
    """Return the factor, from 1 up, by which the odds of label 1 have changed at least.

    The interval is Woolf's (1955), of the log odds ratio, with half a row added to each count.
    """
    logs, variance, design = [], 0.0, _design(now)
    for one in (before, now):
        ones, zeros = (count + 0.5 for count in _worth(one, design))
        logs.append(math.log(ones / zeros))
        variance += 1.0 / ones + 1.0 / zeros
    return math.exp(_beyond(logs[1] - logs[0], variance, level))


def auc_beyond(before: ScoreStats, now: ScoreStats, level: float) -> float | None:
    """Return by how much the AUC has changed at least; None where one has no AUC.

    The variance is that of Hanley and McNeil, "The meaning and use of the area under a receiver
    operating characteristic curve" (1982).
    """
    values, variance, design = [], 0.0, _design(now)
    for one in (before, now):
        try:
            area = auc(View(one, Binning()))
        except Undefined:
            return None
        ones, zeros = (max(count, 1.0) for count in _worth(one, design))
        q1, q2 = area / (2.0 - area), 2.0 * area * area / (1.0 + area)
        spread = area * (1.0 - area) + (ones - 1.0) * (q1 - area * area)
        variance += (spread + (zeros - 1.0) * (q2 - area * area)) / (ones * zeros)
        values.append(area)
    return _beyond(values[1] - values[0], variance, level)


def rate_beyond(before: ScoreStats, now: ScoreStats, level: float) -> float | None:
    """Return by how much the share of label 1 has changed at least; None without rows."""
    shares, variance, design = [], 0.0, _design(now)
    for one in (before, now):
        ones, zeros = _worth(one, design)
        rows = ones + zeros
        if rows <= 0.0:
            return None
        share = (ones + 0.5) / (rows + 1.0)
        shares.append(share)
        variance += share * (1.0 - share) / rows
    return _beyond(shares[1] - shares[0], variance, level)


def _beyond(change: float, variance: float, level: float) -> float:
    margin = norm_ppf((1.0 + level) / 2.0) * math.sqrt(max(variance, 0.0))
    return max(abs(change) - margin, 0.0)


def _worth(stats: ScoreStats, design: float) -> tuple[float, float]:
    """Return how many independent rows of label 1 and of label 0 these tell as much as."""
    ones, zeros = label_evidence(stats)
    return ones / design, zeros / design


def _design(stats: ScoreStats) -> float:
    """Return by how much clusters widen the variance of the share of label 1; 1 without any."""
    if stats.parts is None or not stats.positives or not stats.negatives:
        return 1.0
    n, share = float(stats.n), float(stats.positives / stats.n)
    size = len(stats.pos)
    slope = np.full(size, (1.0 - share) / n), np.full(size, -share / n)
    alone, _ = independent_moments(stats, slope)
    return max(float(spread_of(stats, slope).variance) / alone, 1.0) if alone > 0.0 else 1.0
