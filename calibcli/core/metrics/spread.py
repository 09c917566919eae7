"""How far an estimate may be off: the second and third moments of what each unit adds to it.

An estimate is, to first order, a sum over independent units (rows, or buckets of whole clusters)
of their influence on it. The sum of the squared influences is its variance (the infinitesimal
jackknife, Jaeckel 1972), the sum of their cubes its skewness. An interval that takes only the
variance is too short on the side of the tail where few rows decide, as with rare positives, and
has no width at all where no row happens to differ. So the ends are those of Fay and Feuer's
interval for a weighted sum of counts, "Confidence intervals for directly standardized rates"
(1997), in the form that moments give: a gamma distribution of the variance and twice the skewness
of the estimate, on the far side of the tail with one unforeseen row more, a row like those that
were seen but of the other label. Of one kind of event that is Clopper and Pearson's interval; of
a sum that is close to normal it is Hall's second-order correction of Student's t (Hall, "On the
removal of skewness by transformation", 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.special import t_ppf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]
    Numbers = Any
    """A number, or an array of them: the same formulas serve one slice and many classes."""
    Gradient = tuple[Array, Array]
    """What one more row adds to an estimate, by the cell of a positive (C,) and a negative."""

MANY = 1e9
"""Degrees of freedom of a variance that is as good as known."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """Moments of an estimate around the truth; numbers, or arrays of one shape for many at once.

    Attributes:
        variance: sum over units of the squared influence.
        third: sum of the cubes, negative where the lower tail is the long one.
        more: second and third moment of an unforeseen row that would raise the estimate.
        fewer: the same of one that would lower it.
        df: degrees of freedom of the variance.
    """

    variance: Numbers
    third: Numbers
    more: tuple[Numbers, Numbers]
    fewer: tuple[Numbers, Numbers]
    df: float

    def ends(self, value: Numbers, confidence: float) -> tuple[Numbers, Numbers]:
        """Return the lower and the upper end of the interval around an estimate."""
        t = t_ppf((1.0 + confidence) / 2.0, self.df)
        up = reach(self.variance + self.more[0], self.third + self.more[1], t)
        down = reach(self.variance + self.fewer[0], self.fewer[1] - self.third, t)
        return value - down, value + up


def reach(variance: Numbers, third: Numbers, quantile: float) -> Numbers:
    """Return how far the truth may lie above an estimate, of moments that are those towards it.

    The gamma quantile is Wilson and Hilferty's (1931). A third moment of v^1.5 and no doubt
    besides, one event, makes it 3.67 events where Clopper and Pearson's limit is 3.69.
    """
    tiny = np.finfo(np.float64).tiny
    error = np.sqrt(np.maximum(variance, 0.0))
    skewness = np.clip(2.0 * third / np.maximum(error * error * error, tiny), -6.0, 6.0)
    one_event = np.maximum(third, 0.0) / np.maximum(variance, tiny)
    return np.minimum(one_event, error) + error * skewed_quantile(quantile, skewness)


def skewed_quantile(z: float, skewness: Numbers) -> Numbers:
    """Return the quantile of a gamma of mean 0, variance 1 and a skewness, from the normal's z."""
    near = np.abs(skewness) < 1e-4
    g = np.where(near, 1.0, skewness)
    root = np.maximum(1.0 + g * z / 6.0 - g * g / 36.0, 0.0)
    found: Numbers = np.where(
        near, z + skewness * (z * z - 1.0) / 6.0, 2.0 / g * (root * root * root - 1.0)
    )
    return found


# -- from cells ------------------------------------------------------------------------------------


def effective_n(stats: ScoreStats) -> float:
    """Return how many equally weighted rows tell as much: n, or (sum w)^2 / sum w^2."""
    pos_sq, neg_sq = stats.table.pos_sq, stats.table.neg_sq
    if pos_sq is None or neg_sq is None:
        return float(stats.n)
    return float(stats.n) ** 2 / float(pos_sq.sum() + neg_sq.sum())


@lru_cache(maxsize=2)
def squared_weights(stats: ScoreStats) -> Gradient:
    """Return the sum of squared weights of the positives and of the negatives of each cell.

    Kept for the next figure of the same statistics: not to be written to.
    """
    pos_sq = stats.pos if stats.table.pos_sq is None else stats.table.pos_sq
    neg_sq = stats.neg if stats.table.neg_sq is None else stats.table.neg_sq
    return pos_sq.astype(np.float64), neg_sq.astype(np.float64)


def independent_moments(stats: ScoreStats, slope: Gradient) -> tuple[float, float]:
    """Return the variance and the third moment of an estimate if its rows were independent.

    The cube of a weight is the square of what weights of its label are on average, by weight: that
    of its own row would let the heaviest one decide which tail is the long one.
    """
    variance = third = 0.0
    weighted = stats.table.pos_sq is not None
    for counts, squares, one in zip(
        (stats.pos, stats.neg), squared_weights(stats), slope, strict=True
    ):
        square = one * one
        variance += float(squares @ square)
        square *= one  # NumPy's own third power costs fifty times as much
        mass = float(counts.sum()) if weighted else 0.0
        if mass > 0.0:
            third += (float(squares.sum()) / mass) ** 2 * float(counts @ square)
        else:
            third += float(squares @ square)
    return variance, third


def buckets(stats: ScoreStats) -> int:
    """Return how many buckets of clusters hold rows; 0 without clusters."""
    return 0 if stats.parts is None else len(stats.places.buckets)


def leverage(stats: ScoreStats) -> Array:
    """Return the share of all rows that each bucket of clusters holds (buckets,)."""
    parts = stats.parts
    assert parts is not None
    mass = np.bincount(stats.places.bucket, weights=parts.pos + parts.neg)
    share: Array = mass / max(float(mass.sum()), 1e-300)
    return share


def without_each(sums: Array, share: Array) -> Array:
    """Return what the estimate loses without each bucket, from what the bucket adds to it.

    Args:
        sums: (buckets,) or (buckets, m) sums of influences.
        share: (buckets,) of all rows.

    Source: the cluster jackknife, CR3 (MacKinnon, Nielsen and Webb, 2023): large clusters pull
    the estimate towards themselves, and 1 / (1 - share) undoes that.
    """
    size = len(share)
    scale = np.sqrt((size - 1.0) / size) if size > 1 else 1.0
    grown = scale / (1.0 - np.minimum(share, 0.9))
    found: Array = (sums.T * grown).T
    return found


def freedom(share: Array, between: float) -> float:
    """Return the degrees of freedom of a variance between buckets of clusters.

    Satterthwaite's, where the part `between` of the variance is of clusters as a whole, whose
    share of it goes with the square of their rows, and the rest of rows.

    Source: Bell and McCaffrey, 2002; Carter, Schnepel and Steigerwald, 2017.
    """
    size = len(share)
    if size < 2:
        return 1.0
    of = (1.0 - between) * share + between * share**2 / float((share**2).sum())
    found = (size - 1.0) / size / float((of**2).sum())
    return max(round(found, 1), 1.0)  # so that few quantiles are computed


def spread_of(stats: ScoreStats, slope: Gradient) -> Spread:
    """Return the spread of an estimate from its gradient by the counts of each cell."""
    variance, third = independent_moments(stats, slope)
    n = effective_n(stats)
    more, fewer = unforeseen(stats, slope)
    if stats.parts is None:
        df = max(n - 1.0, 1.0)
        return Spread(variance * n / df, third, more, fewer, df)
    share = leverage(stats)
    sums = without_each(stats.bucket_sums(*slope), share)
    clustered = float(sums @ sums)
    between = 1.0 - variance / clustered if clustered > variance > 0.0 else 0.0
    # Rows of a cluster go together: an unforeseen row comes with as many others as the clusters
    # say, of which nothing is known where all of them agree.
    rows = n * float((share**2).sum())
    together = []
    for square, cube in (more, fewer):
        doubt = max(square, 1e-300)
        effect = (clustered + doubt * rows**2) / (variance + doubt)
        together.append((square * effect, cube * effect**1.5))
    # Of few clusters the largest would decide alone which tail is the long one. That of rows is
    # exact for rows in m copies, whose variance is m times and third moment m^2 times theirs.
    effect = max(clustered / variance, 1.0) if variance > 0.0 else 1.0
    return Spread(clustered, third * effect**2, together[0], together[1], freedom(share, between))


def unforeseen(stats: ScoreStats, slope: Gradient) -> tuple[tuple[float, float], ...]:
    """Return second and third moment of a row of the other label: if that raises, if it lowers.

    Which row that is goes by the score's own doubt, p (1 - p), and by one row of any score.
    """
    flip = slope[0] - slope[1]
    one = float(stats.n) / effective_n(stats)
    rows, total = _doubtful(stats)
    up, down = np.maximum(flip, 0.0), np.minimum(flip, 0.0)
    np.negative(down, out=down)
    if one != 1.0:
        up *= one
        down *= one

    def mean(one: Array, other: Array) -> float:
        return float(rows[0] @ one + rows[1] @ other) / total

    up2, down2 = up * up, down * down
    second = mean(up2, down2), mean(down2, up2)
    up2 *= up
    down2 *= down
    third = mean(up2, down2), mean(down2, up2)
    return (second[0], third[0]), (second[1], third[1])


@lru_cache(maxsize=2)
def _doubtful(stats: ScoreStats) -> tuple[Gradient, float]:
    """Return by cell (C,), (C,) how likely a negative and a positive were otherwise; their sum.

    Kept for the next figure of the same statistics.
    """
    doubt = stats.score * (1.0 - stats.score) + 1.0 / effective_n(stats)
    rows = stats.neg * doubt, stats.pos * doubt
    return rows, float(rows[0].sum() + rows[1].sum())


def totals(index: NDArray[np.intp], weights: Any, size: int) -> Array:
    """Return the sum of weights by index (size,), in float64."""
    return np.asarray(np.bincount(index, weights=weights, minlength=size), dtype=np.float64)


def by_bucket(
    stats: ScoreStats, index: NDArray[np.intp], size: int, *, residual: bool = True
) -> tuple[Array, Array]:
    """Return (sum of label - score, or of label; rows) by bucket and block, (buckets, size)."""
    parts = stats.parts
    assert parts is not None
    places = stats.places
    cells, inverse, home = places.cells, places.index, places.home
    mass = totals(home, stats.total, len(cells))
    mean = totals(home, stats.total * stats.score, len(cells))
    mean = mean / np.where(mass > 0, mass, 1)
    block = np.zeros(len(cells), dtype=np.int64)
    block[home] = index
    joint = places.bucket * size + block[inverse]
    total = parts.pos + parts.neg
    value = parts.pos - total * mean[inverse] if residual else parts.pos
    shape = (len(places.buckets), size)
    return (
        totals(joint, value, shape[0] * size).reshape(shape),
        totals(joint, total, shape[0] * size).reshape(shape),
    )
