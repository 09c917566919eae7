"""Two samples of scores in the same cells and the same bins, and what their rows are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics.binary import Undefined
from calibcli.core.metrics.spread import effective_n
from calibcli.core.statistics.cells import grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

BINS = 10
FEWEST_ROWS = 5
"""Rows that a bin has on average in the smaller sample; fewer rows, fewer bins."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Two samples as shares of B bins, and how many independent rows each is worth.

    Attributes:
        reference: (B,) shares of the reference; `current` of the current rows.
        n: effective rows of the reference; `m` of the current ones.
        df: degrees of freedom of these, where rows come in clusters; None for many.
    """

    reference: Array
    current: Array
    n: float
    m: float
    df: int | None = None

    @property
    def noise(self) -> float:
        """1/n + 1/m."""
        return 1.0 / self.n + 1.0 / self.m


def binned(reference: ScoreStats, current: ScoreStats, bins: int = BINS) -> Shares:
    """Return both samples in bins of equal shares of the reference.

    Bins never split tied scores, and a tied score with a whole bin's share has its own.

    Raises:
        Undefined: one of the two has no rows.
    """
    shared = _common(reference, current)
    least = min(effective_n(reference), effective_n(current))
    index = _mass_bins(shared, max(2, min(bins, int(least / FEWEST_ROWS))))
    size = int(index.max()) + 1

    def shares(counts: Array) -> Array:
        return _share(np.bincount(index, weights=counts, minlength=size).astype(np.float64))

    n = independent_rows(reference, index[shared.of_reference], size)
    m = independent_rows(current, index[shared.of_current], size)
    df = bucket_freedom(reference, current)
    return Shares(shares(shared.reference), shares(shared.current), n, m, df)


def binned_index(
    reference: ScoreStats, current: ScoreStats, bins: int | None = None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the bin of each cell of the reference and of the current sample, as in `binned`.

    `bins` may be given; without it there are fewer where the smaller sample has few rows.

    Raises:
        Undefined: one of the two has no rows.
    """
    shared = _common(reference, current)
    if bins is None:
        least = min(effective_n(reference), effective_n(current))
        bins = max(2, min(BINS, int(least / FEWEST_ROWS)))
    index = _mass_bins(shared, bins)
    return index[shared.of_reference], index[shared.of_current]


def bucket_freedom(*samples: ScoreStats) -> int | None:
    """Return the buckets of clusters less one in the sample that has fewest; None without any."""
    clustered = [len(np.unique(s.parts.slot)) for s in samples if s.parts is not None]
    return max(min(clustered) - 1, 1) if clustered else None


def class_bins(
    reference: ScoreStats, current: ScoreStats
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """Return the bin of each cell of both, where both labels count the same, and how many bins.

    Bins hold equal shares of an even mix of the reference's labels, so that they are narrow where
    a rare label is found.

    Raises:
        Undefined: one of the two has no rows.
    """
    shared = _common(reference, current)
    mixed = np.zeros(len(shared.reference))
    for counts, rows in (
        (reference.pos, reference.positives),
        (reference.neg, reference.negatives),
    ):
        mixed += np.bincount(shared.of_reference, weights=counts, minlength=len(mixed)) / float(
            rows
        )
    least = min(float(reference.positives), float(reference.negatives))
    index = _mass_bins(
        replace(shared, reference=mixed), max(2, min(2 * BINS, int(least / FEWEST_ROWS)))
    )
    return index[shared.of_reference], index[shared.of_current], int(index.max()) + 1


def distributions(reference: ScoreStats, current: ScoreStats) -> Shares:
    """Return both samples in their common cells, in score order; rows count as in the bins.

    Raises:
        Undefined: one of the two has no rows.
    """
    shared = _common(reference, current)
    index = _mass_bins(shared, BINS)
    size = int(index.max()) + 1
    n = independent_rows(reference, index[shared.of_reference], size, below=True)
    m = independent_rows(current, index[shared.of_current], size, below=True)
    return Shares(_share(shared.reference), _share(shared.current), n, m)


@dataclass(frozen=True, slots=True)
class _Shared:
    """Counts of two samples (C,) in common cells, and which of them each own cell lies in."""

    reference: Array
    current: Array
    of_reference: NDArray[np.intp]
    of_current: NDArray[np.intp]


def _common(reference: ScoreStats, current: ScoreStats) -> _Shared:
    """Return the distinct scores of both, or the cells of the coarser grid of the two."""
    if not reference.n or not current.n:
        raise Undefined("no rows" if not current.n else "no rows in the reference")
    keys = [reference.place, current.place]
    bits = [stats.table.bits for stats in (reference, current) if stats.table.bits is not None]
    if bits:
        coarse = grid(min(bits), ())
        keys = [coarse.starts[coarse.cells(key)] for key in keys]
    cells, index = np.unique(np.concatenate(keys), return_inverse=True)
    first, second = index[: len(keys[0])], index[len(keys[0]) :]

    def counts(index: NDArray[np.intp], total: Any) -> Array:
        return np.bincount(index, weights=total, minlength=len(cells)).astype(np.float64)

    return _Shared(counts(first, reference.total), counts(second, current.total), first, second)


def _mass_bins(shared: _Shared, bins: int) -> NDArray[np.intp]:
    """Return the bin of each common cell (C,)."""
    counts, n = shared.reference, shared.reference.sum()
    twice_rank = 2.0 * np.cumsum(counts) - counts
    place = np.minimum(np.floor(bins * twice_rank / (2.0 * n)), bins - 1)
    tied = counts >= n / bins
    apart = np.append(False, tied[1:] | tied[:-1])
    index = np.cumsum(np.append(False, place[1:] != place[:-1]) | apart)
    return _merged(index, _share(counts), _share(shared.current), 1.0 / (4.0 * bins))


def _merged(index: NDArray[Any], p: Array, q: Array, least: float) -> NDArray[np.intp]:
    """Join bins that are small in both samples to the smaller of their neighbours."""
    size = int(index[-1]) + 1
    first = np.bincount(index, weights=p, minlength=size).tolist()
    second = np.bincount(index, weights=q, minlength=size).tolist()
    homes = [[b] for b in range(size)]
    while len(homes) > 1:
        largest = [max(a, b) for a, b in zip(first, second, strict=True)]
        small = min(range(len(homes)), key=largest.__getitem__)
        if largest[small] >= least:
            break
        sides = [b for b in (small - 1, small + 1) if 0 <= b < len(homes)]
        into = min(sides, key=largest.__getitem__)
        left = min(small, into)
        for column in (first, second):
            column[left] += column.pop(left + 1)
        homes[left] += homes.pop(left + 1)
    table = np.empty(size, np.intp)
    for number, home in enumerate(homes):
        table[home] = number
    found: NDArray[np.intp] = table[index]
    return found


def independent_rows(
    stats: ScoreStats, index: NDArray[np.intp], size: int, *, below: bool = False
) -> float:
    """Return how many independent rows tell the shares of bins as precisely.

    Without clusters that is Kish's effective number. With clusters it is n over the mean design
    effect of the bins (Rao and Scott, "On chi-squared tests for multiway contingency tables",
    Annals of Statistics 12, 1984), from the sums by bucket, and never more than n; for the shares
    `below` each edge it is the mean of theirs, since neighbouring bins of a cluster add up.
    """
    most = effective_n(stats)
    if stats.parts is None or size < 2:
        return most
    inside = np.zeros((len(stats.key), size))
    inside[np.arange(len(stats.key)), index] = 1.0 / float(stats.n)
    sums = stats.bucket_sums(inside, inside)
    if len(sums) < 2:
        return 1.0
    whole = sums.sum(axis=1, keepdims=True)
    if below:
        sums = np.cumsum(sums, axis=1)[:, :-1]
    share = sums.sum(axis=0)
    variance = ((sums - whole * share) ** 2).sum(axis=0) * len(sums) / (len(sums) - 1)
    used = (share > 0.0) & (share < 1.0)
    if not used.any():
        return most
    if below:
        effects = variance[used] / (share[used] * (1.0 - share[used]))
        return most / max(most * float(effects.mean()), 1.0)
    effect = most * float((variance[used] / share[used]).sum()) / max(int(used.sum()) - 1, 1)
    return most / max(effect, 1.0)


def _share(counts: Array) -> Array:
    share: Array = counts / counts.sum()
    return share
