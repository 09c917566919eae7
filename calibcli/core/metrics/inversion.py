"""Inverting the test of a sum of gaps: the truths under which what was seen is in neither tail.

Along a fixed direction of the gaps a figure grows with the truth, and so does its distribution,
of which `absolute_sums` has the moments; a gamma of these has the quantiles. The directions tried
are the observed gaps, also with bins in which all labels agree on their other side, and for the
lower end the surest of them alone: gaps of one bin leave the others' noise in the sum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.absolute_sums import TINY
from calibcli.core.metrics.spread import MANY, skewed_quantile
from calibcli.core.numeric.special import betainc, t_ppf

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.metrics.absolute_sums import Gaps, Moments, Statistic

    Array = NDArray[np.float64]

_GRID = 25
_STRIDE, _INNER, _FEW = 5, 6, 24
"""Of many gaps every fifth of the first steps is looked at, and every sixth of those between two of
them: a figure's tail moves one way along a direction, so the end lies between two that differ."""
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
    directions = gaps.directions()
    tried = [*directions, gaps.surest()]
    ends = [_End(one, t) for one in range(len(tried))]
    ends += [_End(one, -t) for one in range(len(directions))]
    _Search(gaps, statistic, tried, half_row).find(ends)
    low, high = math.inf, 0.0
    for end in ends:
        if end.place is not None:  # else no multiple of the direction can show as much
            norm = float(statistic.norm(gaps.feasible(end.place * tried[end.direction])))
            low, high = (min(low, norm), high) if end.z > 0.0 else (low, max(high, norm))
    return min(low, high), high


@dataclass(slots=True, eq=False, repr=False)
class _End:
    """An end along a direction: the first multiple that is beyond, or the last that is not.

    Attributes:
        direction: its number.
        z: the quantile; positive for the first, negative for the last.
        place: what was found, None where no multiple is beyond.
        steps: multiples next to each other, of which the first is not beyond and the last is;
            empty once the place is known. `value` how far beyond each is.
    """

    direction: int
    z: float
    place: float | None = None
    steps: Array = field(default_factory=lambda: np.zeros(0))
    value: Array = field(default_factory=lambda: np.zeros(0))

    def narrow(self, steps: Array, value: Array) -> None:
        """Keep the two steps between which the end lies, or note where it is."""
        if self.z > 0.0:
            outside = np.flatnonzero(value > 0.0)
            k = int(outside[0]) - 1 if len(outside) else len(steps) - 1
            known = steps[0] if k < 0 else None
        else:
            inside = np.flatnonzero(value <= 0.0)
            k = int(inside[-1]) if len(inside) else -1
            known = 0.0 if k < 0 else steps[-1]
        if 0 <= k < len(steps) - 1:
            self.steps, self.value = steps[k : k + 2], value[k : k + 2]
        else:
            self.place, self.steps = None if known is None else float(known), steps[:0]


class _Search:
    """Looks for ends step by step, for all of them at once: coarsely, then between two steps."""

    def __init__(
        self, gaps: Gaps, statistic: Statistic, directions: list[Array], half_row: float
    ) -> None:
        self.gaps, self.statistic, self.directions = gaps, statistic, directions
        self.half_row, self.seen = half_row, statistic.seen()

    def find(self, ends: list[_End]) -> None:
        """Set the place of each end."""
        many = len(self.gaps.gap) > _FEW  # else a further look costs more than it saves
        stride, inner = (_STRIDE, _INNER) if many else (1, 1)
        steps = [_steps(one) for one in self.directions]
        moments = self._moments([(k, one[::stride]) for k, one in enumerate(steps)])
        for end in ends:
            k = end.direction
            end.narrow(steps[k][::stride], self._beyond(moments[k], end.z))
        left = [end for end in ends if len(end.steps)]
        if many:
            self._refine(left, [_inside(steps[end.direction], end.steps) for end in left])
        fine = [np.linspace(end.steps[0], end.steps[1], _GRID) for end in left]
        self._refine(left, [one[inner:-1:inner] for one in fine])
        if many:
            self._refine(left, [_inside(f, end.steps) for f, end in zip(fine, left, strict=True)])
        for end in left:
            end.place = _between(end.steps, end.value, 0)

    def _refine(self, ends: list[_End], inner: list[Array]) -> None:
        """Narrow each end by the steps between its two."""
        asked = [(end.direction, steps) for end, steps in zip(ends, inner, strict=True)]
        for end, steps, moments in zip(ends, inner, self._moments(asked), strict=True):
            first, last = end.steps.tolist(), end.value.tolist()
            value = self._beyond(moments, end.z)
            end.narrow(
                np.concatenate([first[:1], steps, first[1:]]),
                np.concatenate([last[:1], value, last[1:]]),
            )

    def _beyond(self, moments: Moments, z: float) -> Array:
        return quantile(moments, z) - self.seen + math.copysign(self.half_row, z)

    def _moments(self, asked: list[tuple[int, Array]]) -> list[Moments]:
        """Return the moments at steps of directions, of as many at once as is quick."""
        truths = [self.gaps.feasible(steps[:, None] * self.directions[k]) for k, steps in asked]
        if not truths:
            return []
        every = np.concatenate(truths)
        size = max(_MOST_NUMBERS // len(self.gaps.gap), 1)
        parts = [self.statistic.moments(every[k : k + size]) for k in range(0, len(every), size)]
        joined = [np.concatenate(moment) for moment in zip(*parts, strict=True)]
        ends = np.cumsum([len(truth) for truth in truths])[:-1]
        mean, variance, third = (np.split(moment, ends) for moment in joined)
        return list(zip(mean, variance, third, strict=True))


def _inside(steps: Array, ends: Array) -> Array:
    """Return those of the steps that lie between two of them."""
    inner: Array = steps[(steps > ends[0]) & (steps < ends[1])]
    return inner


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


def last_within(gaps: Gaps, direction: Array, beyond: Callable[[Array], Array]) -> Array:
    """Return the last multiple (m,) of a direction that is not beyond.

    `beyond` maps truths (L, m) to numbers that are positive where a truth is beyond; multiples are
    cut to what is feasible.
    """
    steps = _steps(direction)
    place = 0.0
    for _ in range(2):
        value = _values(gaps, direction, steps, beyond)
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
    draws = _draws(trials.astype(np.int64).tobytes(), chance.tobytes(), seed)
    hits, drawn = 0, 0
    while drawn < HONEST_DRAWS:
        more = _FIRST_DRAWS if math.isfinite(tail) else HONEST_DRAWS
        counts = draws.between(drawn, drawn + more)
        hits += int((of(side * (counts - gaps.rows * rare)) >= least).sum())
        drawn += more
        if abs(hits - tail * drawn) > 4.0 * math.sqrt(tail * (1.0 - tail) * drawn):
            break
    return hits / drawn


@lru_cache(maxsize=4)
def _draws(trials: bytes, chance: bytes, seed: int) -> _Draws:
    """Return the draws of bins, kept for the next figure of the same ones."""
    return _Draws(np.frombuffer(trials, np.int64), np.frombuffer(chance), seed)


class _Draws:
    """Numbers of positives of each bin (draws, m), drawn as they are asked for, in one order."""

    def __init__(self, trials: NDArray[np.int64], chance: Array, seed: int) -> None:
        self.trials, self.chance = trials, chance
        self.rng, self.lock = np.random.default_rng(seed), Lock()
        self.drawn = np.empty((0, len(trials)), np.int64)

    def between(self, first: int, last: int) -> NDArray[np.int64]:
        with self.lock:
            missing = last - len(self.drawn)
            if missing > 0:
                more = self.rng.binomial(self.trials, self.chance, (missing, len(self.trials)))
                self.drawn = np.concatenate([self.drawn, more])
            return self.drawn[first:last]
