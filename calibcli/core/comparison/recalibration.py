"""Calibration slope and intercept: a logistic regression of the label on the score's logit.

Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958). The slope
is 1 and the intercept 0 where the scores are right; a slope below 1 is over-confidence. As is
usual (Steyerberg, "Clinical Prediction Models", 2nd ed. 2019, section 15.3) the intercept is
"calibration in the large": that of the model with the slope held at 1. Variances are the sandwich
estimator (Huber 1967), which holds where the regression is not the truth, and sums over whole
buckets where rows come in clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.binary.logistic import fit_logistic
from calibcli.core.calibrators.types import certain_limits, counts, limited
from calibcli.core.metrics.binary import Undefined
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.types import Limits
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The logistic recalibration of some scores.

    Attributes:
        slope: of the logit; `level` the intercept beside that slope.
        covariance: (2, 2) of (slope, level).
        intercept: with the slope held at 1.
        intercept_variance: its variance.
    """

    slope: float
    level: float
    covariance: Array
    intercept: float
    intercept_variance: float


def common_limits(*samples: ScoreStats) -> Limits:
    """Return how certain scores of exactly 0 and 1 are taken to be, the same for all samples."""
    lows, highs = zip(*(certain_limits(stats) for stats in samples), strict=True)
    known_lows = [low for low in lows if low is not None]
    known_highs = [high for high in highs if high is not None]
    return min(known_lows, default=None), max(known_highs, default=None)


def recalibrate(stats: ScoreStats, limits: Limits = (None, None)) -> Recalibration:
    """Return the slope and the intercept of these pairs, with their variances.

    Args:
        stats: the pairs.
        limits: logits to which scores are clipped (see `common_limits`).

    Raises:
        Undefined: one label only, one score only, or labels that the scores separate.
    """
    if not stats.positives or not stats.negatives:
        raise Undefined("one label only")
    z = limited(stats.logit, limits)
    used = z[stats.total > 0]
    if used.min() == used.max():
        raise Undefined("all scores are equal")
    if _separated(stats):
        raise Undefined("the scores separate the labels")
    pos, neg = counts(stats)
    columns = np.column_stack([z, np.ones_like(z)])
    theta, _ = fit_logistic(columns, pos, neg, np.array([1.0, 0.0]))
    ones = np.ones((len(z), 1))
    shift, _ = fit_logistic(ones, pos, neg, np.zeros(1), offset=z)
    covariance = _sandwich(stats, columns, columns @ theta)
    large = _sandwich(stats, ones, z + shift[0])
    if not (np.isfinite(covariance).all() and np.isfinite(large).all()):
        raise Undefined("the scores separate the labels")
    return Recalibration(
        float(theta[0]), float(theta[1]), covariance, float(shift[0]), float(large[0, 0])
    )


def _separated(stats: ScoreStats) -> bool:
    """Return whether some score has all of one label on its one side: the slope is infinite."""
    ones, zeros = stats.key[stats.pos > 0], stats.key[stats.neg > 0]
    return bool(ones[0] >= zeros[-1] or zeros[0] >= ones[-1])


def _sandwich(stats: ScoreStats, columns: Array, f: Array) -> Array:
    """Return the covariance (d, d) of the parameters of a logistic regression at its optimum."""
    p = expit(f)
    information = (columns * (stats.total * p * (1.0 - p))[:, None]).T @ columns
    try:
        bread = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        return np.full((columns.shape[1],) * 2, np.nan)
    positive, negative = columns * (1.0 - p)[:, None], -columns * p[:, None]
    if stats.parts is not None:
        sums = stats.bucket_sums(positive, negative)
        centred = sums - sums.mean(axis=0)
        meat = centred.T @ centred * len(sums) / max(len(sums) - 1, 1)
    else:
        pos_sq = stats.pos if stats.table.pos_sq is None else stats.table.pos_sq
        neg_sq = stats.neg if stats.table.neg_sq is None else stats.table.neg_sq
        meat = (positive * pos_sq[:, None]).T @ positive
        meat += (negative * neg_sq[:, None]).T @ negative
    covariance: Array = bread @ meat @ bread
    return covariance
