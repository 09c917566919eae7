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
from typing import TYPE_CHECKING, Self

import numpy as np

from calibcli.core.calibrators.binary.logistic import fit_logistic
from calibcli.core.calibrators.evidence import certain_limits, counts, limited
from calibcli.core.metrics.binary import Undefined
from calibcli.core.metrics.spread import squared_weights
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import Limits
    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient
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
    line, level = _line(stats, limits), _shift(stats, limits)
    covariance = _sandwich(stats, line)
    large = _sandwich(stats, level)
    slope, intercept = line.theta
    return Recalibration(
        float(slope), float(intercept), covariance, float(level.theta[0]), float(large[0, 0])
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """A logistic regression at its optimum: parameters (d,), and a row's influence on them."""

    theta: Array
    positive: Array
    negative: Array

    @classmethod
    def of(cls, stats: ScoreStats, columns: Array, offset: Array | None) -> Self:
        pos, neg = counts(stats)
        start = np.eye(columns.shape[1])[0] * (offset is None)
        theta, _ = fit_logistic(columns, pos, neg, start, offset)
        p = expit(columns @ theta + (0.0 if offset is None else offset))
        try:
            bread = np.linalg.inv((columns * (stats.total * p * (1.0 - p))[:, None]).T @ columns)
        except np.linalg.LinAlgError:
            bread = np.full((columns.shape[1],) * 2, np.nan)
        if not np.isfinite(bread).all():
            raise Undefined("the scores separate the labels")
        return cls(theta, (columns * (1.0 - p)[:, None]) @ bread, (columns * -p[:, None]) @ bread)


def _line(stats: ScoreStats, limits: Limits) -> _Fit:
    """Return the fit of (slope, intercept)."""
    z = _logits(stats, limits)
    used = z[stats.total > 0]
    if used.min() == used.max():
        raise Undefined("all scores are equal")
    if _separated(stats):
        raise Undefined("the scores separate the labels")
    return _Fit.of(stats, np.column_stack([z, np.ones_like(z)]), None)


def _shift(stats: ScoreStats, limits: Limits) -> _Fit:
    """Return the fit of (intercept,), the slope held at 1."""
    z = _logits(stats, limits)
    return _Fit.of(stats, np.ones((len(z), 1)), z)


def _logits(stats: ScoreStats, limits: Limits) -> Array:
    if not stats.positives or not stats.negatives:
        raise Undefined("one label only")
    return limited(stats.logit, limits)


def _separated(stats: ScoreStats) -> bool:
    """Return whether some score has all of one label on its one side: the slope is infinite."""
    ones, zeros = stats.key[stats.pos > 0], stats.key[stats.neg > 0]
    return bool(ones[0] >= zeros[-1] or zeros[0] >= ones[-1])


def _sandwich(stats: ScoreStats, fit: _Fit) -> Array:
    """Return the covariance (d, d) of the parameters of a logistic regression."""
    positive, negative = fit.positive, fit.negative
    if stats.parts is not None:
        sums = stats.bucket_sums(positive, negative)
        centred = sums - sums.mean(axis=0)
        between: Array = centred.T @ centred * len(sums) / max(len(sums) - 1, 1)
        return between
    pos_sq, neg_sq = squared_weights(stats)
    covariance: Array = (positive * pos_sq[:, None]).T @ positive
    covariance += (negative * neg_sq[:, None]).T @ negative
    return covariance


# -- as figures of one slice -----------------------------------------------------------------------


def _of_view(view: View, name: str) -> _Fit:
    fit = {"slope": _line, "intercept": _shift}[name]
    found: _Fit = view.kept(name, lambda: fit(view.stats, common_limits(view.stats)))
    return found


def slope(view: View) -> float:
    """Return the slope of the logistic regression of the label on the score's logit."""
    return float(_of_view(view, "slope").theta[0])


def slope_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `slope` by the counts of each cell."""
    fit = _of_view(view, "slope")
    return fit.positive[:, 0], fit.negative[:, 0]


def intercept(view: View) -> float:
    """Return calibration in the large: the intercept with the slope held at 1."""
    return float(_of_view(view, "intercept").theta[0])


def intercept_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `intercept` by the counts of each cell."""
    fit = _of_view(view, "intercept")
    return fit.positive[:, 0], fit.negative[:, 0]


def oe_ratio(view: View) -> float:
    """Return the number of positives over the sum of the scores."""
    expected = float(view.stats.total @ view.stats.score)
    if not expected > 0.0:
        raise Undefined("every score is 0")
    return float(view.stats.positives) / expected


def oe_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `oe_ratio` by the counts of each cell."""
    score = view.stats.score
    expected = float(view.stats.total @ score)
    return (1.0 - value * score) / expected, -value * score / expected
