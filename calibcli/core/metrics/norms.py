"""Intervals for metrics that are a norm of a vector of gaps, by inverting a test.

ECE, MCE, KS and their kin are f(g) of a vector of signed gaps g that we only see with noise,
g + N(0, S). Since f is convex, f of what we see is biased upwards, most of all where the truth
is 0, and a bootstrap doubles that bias instead of removing it. But f(t d) grows with t along a
fixed direction d, so for every t the distribution of the statistic at truth t d can be drawn,
and the interval is the set of t f(d) under which the value we saw is not surprising. The
directions tried are the observed gaps, and those of them that stand out of their noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Norm = Callable[[Array], Array]

DRAWS = 1000
_STEPS = 14
_NEAR = 1e-4  # a fiftieth of the noise that the draws themselves leave
_MOST_NUMBERS = 1 << 22
_LARGEST = 1.0  # every metric here is a gap between probabilities


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Noise:
    """The sampling noise of m gaps.

    How to draw rows of it (R, m), the variances (m,), and where rows come in buckets what each
    bucket contributes (buckets, m) and the variance of noise apart from the buckets (m,).
    """

    draw: Callable[[np.random.Generator, int], Array]
    variance: Array
    by_bucket: Array | None = None
    apart: Array | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GapNorm:
    """A metric f(g): gaps (m,), their noise, and f on rows of a matrix (R, m).

    `statistic` is the estimator when it is not f itself (debiased); `linear` a map applied to
    rows before either, done once for the noise; `half_row` how far half a row moves f: counts come
    in whole rows, so an observed value stands for all up to half way to the next.
    """

    gaps: Array
    noise: Noise
    norm: Norm
    statistic: Norm | None = None
    linear: Norm | None = None
    half_row: float = 0.0


def interval(
    problem: GapNorm, confidence: float, seed: int, value: float | None = None
) -> tuple[float, float]:
    """Return the values of f under which the observed statistic is not in either tail.

    Args:
        problem: what is known of the gaps.
        confidence: level of the interval.
        seed: of the draws.
        value: the metric itself, where the gaps are of coarser blocks; the interval holds it.
    """
    linear = problem.linear or (lambda x: x)
    statistic = problem.statistic or problem.norm
    gaps = linear(problem.gaps[None, :])
    observed = float(statistic(gaps)[0])
    spread = linear(np.sqrt(problem.noise.variance)[None, :])
    rng = np.random.default_rng(seed)
    rows = min(DRAWS, max(_MOST_NUMBERS // len(problem.gaps), 200)) // 2
    half = problem.noise.draw(rng, rows)
    # By column: a norm of each row then runs down the columns, many rows at a time.
    noise = np.asfortranarray(linear(np.concatenate([half, -half])))
    shifted = np.empty_like(noise)
    surprise = round((1.0 - confidence) / 2.0 * len(noise))
    reach = 2.0 * (observed + float(problem.norm(spread)[0]))
    low = high = observed if value is None else value
    farthest = observed + problem.half_row
    for direction in directions(problem, linear):

        def excess(truth: float, place: int, seen: float, direction: Array = direction) -> float:
            drawn = statistic(np.add(noise, truth * direction, out=shifted))
            drawn.partition(place)
            return float(drawn[place]) - seen

        low = min(low, crossing(lambda t: excess(t, len(noise) - 1 - surprise, observed), reach))
        high = max(high, crossing(lambda t: excess(t, surprise, farthest), reach))
    return low, max(min(high, _LARGEST), low)


def exceeds_p(problem: GapNorm, truth: float, seed: int) -> float:
    """Return the p-value that f is at most `truth`: one-sided, and normal from the draws.

    For norms of the gaps themselves, which a few draws cannot tell at a very small level.
    """
    observed = float(problem.norm(problem.gaps[None, :])[0])
    half = problem.noise.draw(np.random.default_rng(seed), DRAWS // 2)
    noise = np.concatenate([half, -half])
    p = 0.0
    for direction in directions(problem):
        drawn = problem.norm(truth * direction + noise)
        away, error = observed - float(drawn.mean()), float(drawn.std())
        z = away / error if error > 0.0 else math.copysign(math.inf, away)
        p = max(p, math.erfc(z / math.sqrt(2.0)) / 2.0)
    return p


def directions(problem: GapNorm, linear: Norm | None = None) -> list[Array]:
    """Return directions of norm 1: the observed gaps, and those that stand out of their noise.

    Gaps spread over all bins and gaps of one bin bias the norm differently; the interval is wide
    enough for both.
    """
    spread, gaps = problem.noise.variance, problem.gaps
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(gaps != 0, np.maximum(1.0 - spread / gaps**2, 0.0), 0.0)
    candidates = [gaps, gaps * kept] if np.any(gaps != 0) else [np.sqrt(spread)]
    rows = [candidate[None, :] for candidate in candidates]
    if linear is not None:
        rows = [linear(row) for row in rows]
    scales = [float(problem.norm(row)[0]) for row in rows]
    return [row / scale for row, scale in zip(rows, scales, strict=True) if scale > 0.0]


def crossing(rising: Callable[[float], float], reach: float) -> float:
    """Return the last t >= 0 where a rising function is not positive (Illinois' false position)."""
    low, high = 0.0, reach
    at_low, at_high = rising(low), rising(high)
    if at_low > 0.0:
        return 0.0
    while at_high <= 0.0:
        if high >= _LARGEST:
            return _LARGEST
        low, at_low, high = high, at_high, 2.0 * high
        at_high = rising(high)
    for _ in range(_STEPS):
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        if at_low == 0.0:
            middle = (low + high) / 2.0
        value = rising(middle)
        if value > 0.0:
            high, at_high, at_low = middle, value, at_low / 2.0
        else:
            low, at_low, at_high = middle, value, at_high / 2.0
        if high - low <= _NEAR * high or abs(value) <= _NEAR * reach:
            return middle
    return (low + high) / 2.0


# -- noise ---------------------------------------------------------------------------------------


def independent(variance: Array) -> Noise:
    """Return independent normal noise."""
    root = np.sqrt(variance)
    return Noise(lambda rng, rows: rng.standard_normal((rows, len(root))) * root, variance)


def of_shares(gaps: Array, spread: Array, rows: float) -> Noise:
    """Return the noise of shares of all rows: covariance diag(spread) - g g' / rows.

    Drawn without a factorisation: with D = diag(spread) and q = g' D^-1 g <= rows, the map
    x -> x - c g (g' D^-1 x), c = (1 - sqrt(1 - q / rows)) / q, takes N(0, D) there.
    """
    root = np.sqrt(spread)
    pull = np.divide(gaps, spread, out=np.zeros_like(gaps), where=spread > 0)
    q = min(float(gaps @ pull), rows)
    c = (1.0 - np.sqrt(1.0 - q / rows)) / q if q > 0.0 else 0.0

    def draw(rng: np.random.Generator, size: int) -> Array:
        noise = rng.standard_normal((size, len(root))) * root
        drawn: Array = noise - np.outer(noise @ pull, c * gaps)
        return drawn

    return Noise(draw, np.maximum(spread - gaps**2 / rows, 0.0))


def between_buckets(centred: Array, apart: Array | None = None) -> Noise:
    """Return multivariate t noise from what each bucket of clusters contributes (buckets, m).

    `apart` is a variance (m,) on top of it, independent between gaps.
    """
    df = max(len(centred) - 1, 1)
    rows_of = centred * np.sqrt(len(centred) / df)
    extra = np.zeros(centred.shape[1]) if apart is None else apart

    def draw(rng: np.random.Generator, size: int) -> Array:
        scale = np.sqrt(df / rng.chisquare(df, size))[:, None]
        drawn: Array = (rng.standard_normal((size, len(rows_of))) * scale) @ rows_of
        if extra.any():
            drawn += rng.standard_normal((size, len(extra))) * np.sqrt(extra) * scale
        return drawn

    return Noise(draw, (rows_of**2).sum(axis=0) + extra, centred, extra)


def scaled(problem: GapNorm, factor: float) -> GapNorm:
    """Return the gaps as shares of a larger population, of which these rows are `factor`."""
    noise = problem.noise
    return GapNorm(
        problem.gaps * factor,
        Noise(
            lambda rng, rows: noise.draw(rng, rows) * factor,
            noise.variance * factor**2,
            None if noise.by_bucket is None else noise.by_bucket * factor,
            None if noise.apart is None else noise.apart * factor**2,
        ),
        problem.norm,
    )


def joined(problems: list[GapNorm], classes: int) -> GapNorm:
    """Return the sum of |gaps| over several problems divided by `classes`.

    Where all keep the same buckets, what a bucket contributes to all of them is drawn together;
    otherwise the problems are drawn apart.
    """
    gaps = np.concatenate([p.gaps for p in problems])

    def norm(x: Array) -> Array:
        total: Array = np.abs(x).sum(axis=1) / classes
        return total

    shares = [p.noise.by_bucket for p in problems]
    known = [share for share in shares if share is not None]
    if len(known) == len(problems) and len({len(share) for share in known}) == 1:
        apart = np.concatenate([p.noise.apart for p in problems if p.noise.apart is not None])
        return GapNorm(gaps, between_buckets(np.concatenate(known, axis=1), apart), norm)
    variance = np.concatenate([p.noise.variance for p in problems])

    def draw(rng: np.random.Generator, rows: int) -> Array:
        return np.concatenate([p.noise.draw(rng, rows) for p in problems], axis=1)

    return GapNorm(gaps, Noise(draw, variance), norm)
