"""Intervals for metrics that are a norm of a vector of gaps, by inverting a test.

ECE, MCE, KS and their kin are f(g) of a vector of signed gaps g that we only see with noise,
g + N(0, S). Since f is convex, f of what we see is biased upwards, most of all where the truth
is 0, and a bootstrap doubles that bias instead of removing it. But f(t d) grows with t along a
fixed direction d, so for every t the distribution of the statistic at truth t d can be drawn,
and the interval is the set of t f(d) under which the value we saw is not surprising. The
directions tried are the observed gaps, and those of them that stand out of their noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.curves import Binning, Reliability, reliability
from calibcli.core.metrics import View, debias_term

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.stats import ScoreStats

    Array = NDArray[np.float64]
    Norm = Callable[[Array], Array]

DRAWS = 1000
_BLOCKS = 64
_STEPS = 14
_NEAR = 1e-4  # a fiftieth of the noise that the draws themselves leave
_MOST_NUMBERS = 1 << 22
_LARGEST = 1.0  # every metric here is a gap between probabilities


@dataclass(frozen=True, slots=True)
class Noise:
    """The sampling noise of m gaps.

    How to draw rows of it (R, m), the variances (m,), and where rows come in buckets what each
    bucket contributes (buckets, m).
    """

    draw: Callable[[np.random.Generator, int], Array]
    variance: Array
    by_bucket: Array | None = None


@dataclass(frozen=True, slots=True)
class GapNorm:
    """A metric f(g): gaps (m,), their noise, and f on rows of a matrix (R, m).

    `statistic` is the estimator when it is not f itself (debiased); `linear` a map applied to
    rows before either, done once for the noise.
    """

    gaps: Array
    noise: Noise
    norm: Norm
    statistic: Norm | None = None
    linear: Norm | None = None


def interval(problem: GapNorm, confidence: float, seed: int) -> tuple[float, float]:
    """Return the values of f under which the observed statistic is not in either tail."""
    linear = problem.linear or (lambda x: x)
    statistic = problem.statistic or problem.norm
    gaps = linear(problem.gaps[None, :])
    observed = float(statistic(gaps)[0])
    spread = linear(np.sqrt(problem.noise.variance)[None, :])
    rng = np.random.default_rng(seed)
    rows = min(DRAWS, max(_MOST_NUMBERS // len(problem.gaps), 200)) // 2
    half = problem.noise.draw(rng, rows)
    noise = linear(np.concatenate([half, -half]))
    surprise = round((1.0 - confidence) / 2.0 * len(noise))
    reach = 2.0 * (observed + float(problem.norm(spread)[0]))
    low = high = observed
    for direction in _directions(problem, linear):

        def excess(truth: float, place: int, direction: Array = direction) -> float:
            drawn = statistic(truth * direction + noise)
            drawn.partition(place)
            return float(drawn[place]) - observed

        low = min(low, _root(lambda t: excess(t, len(noise) - 1 - surprise), reach))
        high = max(high, _root(lambda t: excess(t, surprise), reach))
    return low, high


def _directions(problem: GapNorm, linear: Norm) -> list[Array]:
    """Return directions of norm 1: the observed gaps, and those that stand out of their noise.

    Gaps spread over all bins and gaps of one bin bias the norm differently; the interval is wide
    enough for both.
    """
    spread, gaps = problem.noise.variance, problem.gaps
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(gaps != 0, np.maximum(1.0 - spread / gaps**2, 0.0), 0.0)
    candidates = [gaps, gaps * kept] if np.any(gaps != 0) else [np.sqrt(spread)]
    rows = [linear(candidate[None, :]) for candidate in candidates]
    scales = [float(problem.norm(row)[0]) for row in rows]
    return [row / scale for row, scale in zip(rows, scales, strict=True) if scale > 0.0]


def _root(rising: Callable[[float], float], reach: float) -> float:
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


def of_shares(gaps: Array, squares: Array, n: float) -> Noise:
    """Return the noise of shares of n rows: covariance diag(squares / n^2) - g g' / n.

    Drawn without a factorisation: with D = diag(squares / n^2) and q = g' D^-1 g <= n, the map
    x -> x - c g (g' D^-1 x), c = (1 - sqrt(1 - q / n)) / q, takes N(0, D) there.
    """
    spread = squares / n**2
    root = np.sqrt(spread)
    pull = np.divide(gaps, spread, out=np.zeros_like(gaps), where=spread > 0)
    q = min(float(gaps @ pull), n)
    c = (1.0 - np.sqrt(1.0 - q / n)) / q if q > 0.0 else 0.0

    def draw(rng: np.random.Generator, rows: int) -> Array:
        noise = rng.standard_normal((rows, len(root))) * root
        drawn: Array = noise - np.outer(noise @ pull, c * gaps)
        return drawn

    return Noise(draw, np.maximum(spread - gaps**2 / n, 0.0))


def between_buckets(centred: Array) -> Noise:
    """Return multivariate t noise from what each bucket of clusters contributes (buckets, m)."""
    df = max(len(centred) - 1, 1)
    rows_of = centred * np.sqrt(len(centred) / df)

    def draw(rng: np.random.Generator, rows: int) -> Array:
        scale = np.sqrt(df / rng.chisquare(df, rows))
        drawn: Array = (rng.standard_normal((rows, len(rows_of))) * scale[:, None]) @ rows_of
        return drawn

    return Noise(draw, (rows_of**2).sum(axis=0), centred)


# -- what the gaps of each metric are ----------------------------------------------------------


def _squares(stats: ScoreStats, index: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    """Return sum of (label - score)^2 by block, with one row added at the block's own score.

    That row keeps a block where every label agrees from having no variance.
    """
    score = stats.score
    pos = stats.pos if stats.table.pos_sq is None else stats.table.pos_sq
    neg = stats.neg if stats.table.neg_sq is None else stats.table.neg_sq
    found = np.bincount(index, weights=pos * (1 - score) ** 2 + neg * score**2, minlength=size)
    mass = np.bincount(index, weights=stats.total, minlength=size)
    mean = np.bincount(index, weights=stats.total * score, minlength=size)
    mean = mean / np.where(mass > 0, mass, 1)
    return found + np.where(mass > 0, mean * (1.0 - mean), 0.0)


def _clustered(
    stats: ScoreStats, index: NDArray[np.intp], size: int, *, residual: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (sum of label - score, or of label; rows) by bucket and block, (buckets, size)."""
    parts = stats.parts
    assert parts is not None
    cells, inverse = np.unique(parts.key, return_inverse=True)
    home = stats.part_cells()
    mass = np.bincount(home, weights=stats.total, minlength=len(cells))
    mean = np.bincount(home, weights=stats.total * stats.score, minlength=len(cells))
    mean = mean / np.where(mass > 0, mass, 1)
    block = np.zeros(len(cells), dtype=np.int64)
    block[home] = index
    buckets, bucket = np.unique(parts.slot, return_inverse=True)
    joint = bucket * size + block[inverse]
    total = parts.pos + parts.neg
    value = parts.pos - total * mean[inverse] if residual else parts.pos
    shape = (len(buckets), size)
    return (
        np.bincount(joint, weights=value, minlength=shape[0] * size).reshape(shape),
        np.bincount(joint, weights=total, minlength=shape[0] * size).reshape(shape),
    )


def _shares(
    view: View, index: NDArray[np.intp], size: int, norm: Norm, linear: Norm | None = None
) -> GapNorm:
    """Gaps as shares of all rows: g_b = sum over block b of (label - score) / n."""
    stats = view.stats
    gaps = np.bincount(index, weights=view.residual, minlength=size) / stats.n
    if stats.parts is not None:
        sums, rows = _clustered(stats, index, size)
        centred = (sums - rows.sum(axis=1, keepdims=True) * gaps) / stats.n
        return GapNorm(gaps, between_buckets(centred), norm, linear=linear)
    noise = of_shares(gaps, _squares(stats, index, size), stats.n)
    return GapNorm(gaps, noise, norm, linear=linear)


def _means(view: View, norm: Norm, statistic: Norm | None = None) -> GapNorm:
    """Gaps as means within the non-empty bins: g_b = mean of (label - score) in bin b."""
    stats, bins = view.stats, view.bins
    used = bins.used
    count, gaps = bins.count[used].astype(np.float64), bins.gap[used]
    if stats.parts is not None:
        sums, rows = _clustered(stats, bins.index, len(bins.count))
        centred = (sums[:, used] - rows[:, used] * gaps) / count
        return GapNorm(gaps, between_buckets(centred), norm, statistic)
    squares = _squares(stats, bins.index, len(bins.count))[used]
    spread = (squares - gaps**2) / count**2
    return GapNorm(gaps, independent(spread), norm, statistic)


def effective_rows(view: View) -> Array:
    """Return how many independent rows each bin is worth (B,), never more than it holds.

    With clusters that is f (1 - f) over the variance of the frequency f between buckets; with
    weights it is Kish's (sum w)^2 / sum w^2; otherwise the count.
    """
    stats, bins = view.stats, view.bins
    count = bins.count.astype(np.float64)
    if stats.parts is not None:
        positives, rows = _clustered(stats, bins.index, len(count), residual=False)
        centred = (positives - rows * bins.frequency) / np.where(count > 0, count, 1.0)
        spread = between_buckets(centred).variance
        flat = np.minimum((rows > 0).sum(axis=0), count)
        worth = bins.frequency * (1.0 - bins.frequency)
        effective = np.divide(worth, spread, out=flat.astype(np.float64), where=spread > 0)
        return np.minimum(effective, count)
    if stats.table.pos_sq is not None and stats.table.neg_sq is not None:
        squares = stats.table.pos_sq + stats.table.neg_sq
        squares = np.bincount(bins.index, weights=squares, minlength=len(count))
        return np.divide(count**2, squares, out=np.zeros_like(count), where=squares > 0)
    return count


def _sum(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(x).sum(axis=1)


def _largest(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.abs(x).max(axis=1)


def ece_gaps(view: View) -> GapNorm:
    """Return the gaps of ECE: the sum of |shares| over bins."""
    return _shares(view, view.bins.index, len(view.bins.count), _sum)


def scaled(problem: GapNorm, factor: float) -> GapNorm:
    """Return the gaps as shares of a larger population, of which these rows are `factor`."""
    noise = problem.noise
    return GapNorm(
        problem.gaps * factor,
        Noise(
            lambda rng, rows: noise.draw(rng, rows) * factor,
            noise.variance * factor**2,
            None if noise.by_bucket is None else noise.by_bucket * factor,
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
        return GapNorm(gaps, between_buckets(np.concatenate(known, axis=1)), norm)
    variance = np.concatenate([p.noise.variance for p in problems])

    def draw(rng: np.random.Generator, rows: int) -> Array:
        return np.concatenate([p.noise.draw(rng, rows) for p in problems], axis=1)

    return GapNorm(gaps, Noise(draw, variance), norm)


def _ece_debiased(view: View) -> GapNorm:
    bins: Reliability = view.bins
    weight = bins.weight[bins.used]
    enough = weight * (bins.count[bins.used] >= 2)
    term = debias_term(bins)
    return _means(
        view,
        lambda x: np.sqrt((x**2) @ weight),
        lambda x: np.sqrt(np.maximum((x**2) @ enough - term, 0.0)),
    )


def _ks_blocks(view: View) -> NDArray[np.intp]:
    return reliability(view.stats, Binning("mass", _BLOCKS)).index


def _walk(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.cumsum(x, axis=1)


def _ks(view: View) -> GapNorm:
    index = _ks_blocks(view)
    return _shares(view, index, int(index.max()) + 1, _largest, _walk)


def _kuiper(view: View) -> GapNorm:
    index = _ks_blocks(view)

    def norm(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(x.max(axis=1), 0.0) - np.minimum(x.min(axis=1), 0.0)

    return _shares(view, index, int(index.max()) + 1, norm, _walk)


def _smooth_ece(view: View) -> GapNorm:
    """Smoothed at the bandwidth that was found, over blocks of equal width."""
    bandwidth = max(view.smooth[1], 1.0 / _BLOCKS)
    index = np.minimum((view.stats.score * _BLOCKS).astype(np.int64), _BLOCKS - 1)
    used, index = np.unique(index, return_inverse=True)
    centres = (np.arange(_BLOCKS) + 0.5) / _BLOCKS
    images = np.concatenate([centres, -centres, 2.0 - centres])
    distance = (images[:, None] - centres[used][None, :]) / bandwidth
    kernel = np.exp(-0.5 * distance**2).reshape(3, _BLOCKS, len(used)).sum(axis=0)
    kernel /= kernel.sum(axis=0)

    return _shares(view, index, len(used), _sum, lambda x: x @ kernel.T)


NORMS: dict[str, Callable[[View], GapNorm]] = {
    "ece": ece_gaps,
    "ece_debiased": _ece_debiased,
    "mce": lambda view: _means(view, _largest),
    "ace": lambda view: _means(view, lambda x: np.abs(x).mean(axis=1)),
    "smooth_ece": _smooth_ece,
    "ks": _ks,
    "kuiper": _kuiper,
}
