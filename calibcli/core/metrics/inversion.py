"""Inverting the test of a sum of gaps: the truths under which what was seen is in neither tail.

Along a fixed direction of the gaps a figure grows with the truth, and so does its distribution,
of which `absolute_sums` has the moments; a gamma of these has the quantiles. The directions tried
are the observed gaps, also with bins in which all labels agree on their other side, and for the
lower end the surest of them alone: gaps of one bin leave the others' noise in the sum.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.absolute_sums import TINY
from calibcli.core.metrics.spread import MANY, skewed_quantile
from calibcli.core.numeric.special import betainc, t_ppf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from calibcli.core.metrics.absolute_sums import Gaps, Moments, Statistic

    Array = NDArray[np.float64]

_GRID = 25
_MOST_NUMBERS = 1 << 17
_UNIT_STEPS = np.append(0.0, np.geomspace(1e-5, 1e3, 3 * _GRID))


def interval(
    gaps: Gaps, statistic: Statistic, confidence: float, half_row: float
) -> tuple[float, float]:
    """Return the truths of a figure under which its observed value is in neither tail.

    Args:
        gaps: of the bins.
        statistic: the figure, and its moments under a truth.
        confidence: level of the interval.
        half_row: how far half a row moves the figure: counts come in whole rows, so an observed
            value stands for all that are no more than half a row away.
    """
    t = t_ppf((1.0 + confidence) / 2.0, freedom_of(gaps))
    seen = statistic.seen()

    def side(z: float) -> Callable[[Array], Array]:
        def beyond(truth: Array) -> Array:
            return quantile(statistic.moments(truth), z) - seen + math.copysign(half_row, z)

        return beyond

    low, high = math.inf, 0.0
    directions = gaps.directions()
    tried = [*directions, gaps.surest()]
    first = _first_moments(gaps, statistic, tried)
    for number, direction in enumerate(tried):
        lower, upper = (
            quantile(first[number], z) - seen + math.copysign(half_row, z) for z in (t, -t)
        )
        truth = first_beyond(gaps, direction, side(t), lower)
        if truth is not None:  # else no multiple of the direction can show as much
            low = min(low, float(statistic.norm(truth)))
        if number < len(directions):
            truth = last_within(gaps, direction, side(-t), upper)
            high = max(high, float(statistic.norm(truth)))
    return min(low, high), high


def _first_moments(gaps: Gaps, statistic: Statistic, directions: list[Array]) -> list[Moments]:
    """Return the moments at the steps of each direction, of as many at once as is quick."""
    truths = [gaps.feasible(_steps(one)[:, None] * one) for one in directions]
    if sum(truth.size for truth in truths) > _MOST_NUMBERS:
        size = max(_MOST_NUMBERS // len(gaps.gap), 1)
        cut = [[truth[k : k + size] for k in range(0, len(truth), size)] for truth in truths]
        parts = [[statistic.moments(part) for part in one] for one in cut]
        return [_all(np.concatenate(moment) for moment in zip(*one, strict=True)) for one in parts]
    ends = np.cumsum([len(truth) for truth in truths])[:-1]
    moments = [np.split(moment, ends) for moment in statistic.moments(np.concatenate(truths))]
    return [_all(one) for one in zip(*moments, strict=True)]


def _all(moments: Iterable[Array]) -> Moments:
    mean, variance, third = moments
    return mean, variance, third


def freedom_of(gaps: Gaps) -> float:
    """Return the degrees of freedom of the variances of gaps."""
    return MANY if gaps.shared is None else gaps.shared.df


def quantile(moments: Moments, z: float) -> Array:
    """Return the quantile of a statistic from its moments, at a normal or Student's quantile."""
    mean, variance, third = moments
    error = np.sqrt(np.maximum(variance, TINY))
    found: Array = mean + error * skewed_quantile(
        z, np.clip(third / (error * error * error), -6.0, 6.0)
    )
    return found


def upper_tail(moments: Moments, seen: float, df: float) -> float:
    """Return the probability of a statistic as large as seen: `quantile` turned round."""
    mean, variance, third = (float(moment) for moment in moments)
    error = math.sqrt(max(variance, TINY))
    away, skewness = (seen - mean) / error, min(max(third / error**3, -6.0), 6.0)
    z = away
    if abs(skewness) >= 1e-4:
        root = np.cbrt(max(1.0 + skewness * away / 2.0, 0.0))
        z = 6.0 / skewness * (float(root) - 1.0 + skewness**2 / 36.0)
    if df >= MANY:
        return math.erfc(z / math.sqrt(2.0)) / 2.0
    tail = float(betainc(df / 2.0, 0.5, df / (df + z * z))) / 2.0
    return tail if z > 0.0 else 1.0 - tail


def first_beyond(
    gaps: Gaps,
    direction: Array,
    beyond: Callable[[Array], Array],
    first: Array | None = None,
) -> Array | None:
    """Return the first multiple (m,) of a direction that is beyond, or None.

    `beyond` maps truths (L, m) to numbers that are positive where a truth is beyond; multiples are
    cut to what is feasible. `first` are the numbers of the first steps, where they are known.
    """
    steps = _steps(direction)
    place = 0.0
    for again in range(2):
        known = first is not None and not again
        value = first if known else _values(gaps, direction, steps, beyond)
        assert value is not None
        outside = np.flatnonzero(value > 0.0)
        if not len(outside):
            return None
        k = int(outside[0])
        if k == 0:
            place = float(steps[0])
            break
        place = _between(steps, value, k - 1)
        steps = np.linspace(steps[k - 1], steps[k], _GRID)
    return gaps.feasible(place * direction)


def last_within(
    gaps: Gaps,
    direction: Array,
    beyond: Callable[[Array], Array],
    first: Array | None = None,
) -> Array:
    """Return the last multiple (m,) of a direction that is not beyond, see `first_beyond`."""
    steps = _steps(direction)
    place = 0.0
    for again in range(2):
        known = first is not None and not again
        value = first if known else _values(gaps, direction, steps, beyond)
        assert value is not None
        inside = np.flatnonzero(value <= 0.0)
        if not len(inside):
            break
        k = int(inside[-1])
        if k == len(steps) - 1:
            place = float(steps[k])
            break
        place = _between(steps, value, k)
        steps = np.linspace(steps[k], steps[k + 1], _GRID)
    return gaps.feasible(place * direction)


def _steps(direction: Array) -> Array:
    return _UNIT_STEPS / max(float(np.abs(direction).max()), TINY)


def _values(gaps: Gaps, direction: Array, steps: Array, beyond: Callable[[Array], Array]) -> Array:
    size = max(_MOST_NUMBERS // len(direction), 1)
    some = [steps[first : first + size] for first in range(0, len(steps), size)]
    return np.concatenate([beyond(gaps.feasible(part[:, None] * direction)) for part in some])


def _between(steps: Array, value: Array, k: int) -> float:
    """Return where a line from step k, not beyond, to the next reaches 0."""
    ratio = float(value[k] / min(value[k] - value[k + 1], -TINY))
    return float(steps[k]) + ratio * float(steps[k + 1] - steps[k])


def exceeds_p(gaps: Gaps, statistic: Statistic, truth: float) -> float:
    """Return the one-sided p-value that a figure is at most `truth`."""
    seen, p = statistic.seen(), 0.0
    for direction in gaps.directions():
        at = last_within(gaps, direction, lambda found: statistic.norm(found) - truth)
        p = max(p, upper_tail(statistic.moments(at), seen, freedom_of(gaps)))
    return p


HONEST_DRAWS = 2000
_FIRST_DRAWS = 250


def honest_share(
    gaps: Gaps, least: float, of: Callable[[Array], Array], seed: int, tail: float = math.nan
) -> float:
    """Return how often honest scores would show a figure of at least that, by drawing the labels.

    `of` gives the figure of observed gaps (..., m).

    The number of positives of a bin is about binomial, with the mean and the variance that its
    scores imply. Where only the side of a `tail` matters, drawing ends once that is sure, four
    standard errors away from it.
    """
    rare = np.minimum(gaps.score, 1.0 - gaps.score)
    spread = np.maximum(rare - gaps.doubt, rare**2)  # mean of the squared chances
    trials = np.maximum(np.ceil(gaps.rows * rare**2 / np.maximum(spread, TINY) - 1e-9), 1.0)
    chance = np.minimum(gaps.rows * rare / trials, 1.0)
    side = np.where(gaps.score < 0.5, 1.0, -1.0) / gaps.rows
    rng = np.random.default_rng(seed)
    hits, drawn = 0, 0
    while drawn < HONEST_DRAWS:
        more = _FIRST_DRAWS if math.isfinite(tail) else HONEST_DRAWS
        counts = rng.binomial(trials.astype(np.int64), chance, (more, len(rare)))
        hits += int((of(side * (counts - gaps.rows * rare)) >= least).sum())
        drawn += more
        if abs(hits - tail * drawn) > 4.0 * math.sqrt(tail * (1.0 - tail) * drawn):
            break
    return hits / drawn
