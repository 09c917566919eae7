"""Changes between two samples that chance does not explain: a change less its margin of chance.

The limits of a dump as a whole are for thousands of rows. One group of it has fewer, and of many
groups some change by chance each night; what is held against a limit is therefore the end of the
change's interval that lies nearest to no change, at a level that all groups share. Rows in
clusters count as the independent rows that would tell as much; what a sample without its clusters
was worth is told by the clusters of the other one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.comparison.drift import psi
from calibcli.core.metrics.binary import Undefined, View, auc
from calibcli.core.metrics.intervals import measure
from calibcli.core.metrics.spread import independent_moments, spread_of
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.statistics.curves import Binning

if TYPE_CHECKING:
    from collections.abc import Sequence

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


LEVEL = 0.998
"""One dump of a thousand with labels at random is taken for one whose scores rank."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """What the scores of some binary problems tell about their labels.

    Labels that have nothing to do with the scores have an AUC above one half in one dump of two.
    So what is asked is the lower end of its interval, of one problem at least, at a level that all
    share (Bonferroni).

    Attributes:
        value: mean AUC of several classes (macro one-vs-rest), largest AUC of several labels; None
            where none is defined.
        beyond: whether one problem is ranked beyond its interval.
        backwards: places of the problems that are ranked the wrong way beyond their interval.
    """

    value: float | None
    beyond: bool
    backwards: tuple[int, ...]

    @classmethod
    def of(cls, problems: Sequence[ScoreStats], *, exclusive: bool) -> Ranks:
        """Return it for a score, for labels, or for classes of which each row has one.

        The macro average is Provost and Domingos', "Well-trained PETs" (2000), unweighted; the
        intervals are those of `metrics.rankings`, by units where there are clusters.
        """
        level = 1.0 - (1.0 - LEVEL) / max(len(problems), 1)
        found = [
            measure(View(one, Binning()), confidence=level, names=("auc",))["auc"][:3]
            for one in problems
        ]
        values = [value for value, _, _ in found if value is not None]
        value = None
        if values:
            value = sum(values) / len(values) if exclusive else max(values)
        low = max((low for _, low, _ in found if low is not None), default=0.0)
        backwards = tuple(
            k for k, (_, _, high) in enumerate(found) if high is not None and high < 0.5
        )
        return cls(value, low > 0.5, backwards)
