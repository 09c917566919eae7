"""Where a reliability table departs from the diagonal by more than chance.

Every run of neighbouring bins is looked at, pooled: ten bins that each err a little on one side are
a fault that none of them shows alone. With 15 bins that is 120 looks, so the level is shared out
among them (Bonferroni; the looks overlap, so honest models are accused less often than that). The
intervals of the bins stay the judge: a bin's standard error is the half of its interval that faces
the score, in normal units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, erfc, inf, sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calibcli.core.results.figures import Bin


RUN_ENDS: Final = 60


@dataclass(frozen=True, slots=True)
class Filled:
    """A bin that holds rows with labels; the ends are those of the frequency's interval."""

    low: float
    high: float
    count: float
    score: float
    frequency: float
    gap: float
    frequency_low: float | None
    frequency_high: float | None

    @property
    def half(self) -> float:
        """Half the width of its interval; 0 without one."""
        low, high = self.frequency_low, self.frequency_high
        return 0.0 if low is None or high is None else (high - low) / 2

    @property
    def farthest(self) -> float:
        """How far the end of its interval lies from the score that lies farthest from it."""
        low, high = self.frequency_low, self.frequency_high
        return inf if low is None or high is None else max(high - self.score, self.score - low)


def filled(bins: Iterable[Bin]) -> list[Filled]:
    """Return the bins that hold rows with labels."""
    return [
        Filled(
            b.low, b.high, b.count, b.score, b.frequency, b.gap, b.frequency_low, b.frequency_high
        )
        for b in bins
        if b.count and b.score is not None and b.frequency is not None and b.gap is not None
    ]


@dataclass(frozen=True, slots=True)
class Region:
    """Neighbouring bins that err on one side: pooled rows, mean score and frequency."""

    low: float
    high: float
    count: float
    score: float
    frequency: float

    @property
    def gap(self) -> float:
        """Frequency minus score: negative where the scores promise too much."""
        return self.frequency - self.score

    @property
    def harm(self) -> float:
        """Rows times the size of the gap: what the region adds to ECE times the rows."""
        return self.count * abs(self.gap)


def has_intervals(bins: Iterable[Bin | Filled]) -> bool:
    """Return whether any bin has an interval for its frequency."""
    return any(b.frequency_low is not None for b in bins)


def miss(row: Bin | Filled) -> float:
    """Return how many half-widths of its interval a bin's score lies away from its frequency.

    Above 1 the interval excludes the score; 0 for an empty bin or one without an interval.
    """
    score, frequency = row.score, row.frequency
    low, high = row.frequency_low, row.frequency_high
    if not row.count or score is None or frequency is None or low is None or high is None:
        return 0.0
    gap = frequency - score
    if gap == 0:
        return 0.0
    # Intervals near 0 and 1 are lopsided: the side that faces the score is the one that matters.
    half = frequency - low if gap > 0 else high - frequency
    return abs(gap) / half if half > 0 else inf


def looks_at(bins: Iterable[Bin | Filled]) -> int:
    """Return how many runs of neighbouring bins hold rows: what the level is shared among."""
    held = sum(1 for b in bins if b.count)
    return held * (held + 1) // 2


def sure_regions(
    bins: Iterable[Bin],
    *,
    confidence: float,
    beyond: float = 0.0,
    looks: int | None = None,
) -> list[Region]:
    """Return the disjoint runs of bins whose pooled gap chance does not explain, worst first.

    Only runs whose pooled gap is larger than `beyond` count. `looks` is the number of runs among
    which the level is shared; default: those of these bins.
    """
    held = filled(bins)
    alpha = 1.0 - confidence
    if not has_intervals(held):
        return []
    limit = two_sided_z(alpha / max(looks or looks_at(held), 1))
    rows, sums, variances = [0.0], [0.0], [0.0]
    for row in held:
        distance = row.gap * row.count
        z = miss(row) * two_sided_z(alpha)
        rows.append(rows[-1] + row.count)
        sums.append(sums[-1] + distance)
        # On the diagonal the facing half has no side; the whole interval stands in for it.
        error = abs(distance) / z if z > 0 else row.half * row.count / two_sided_z(alpha)
        variances.append(variances[-1] + error**2)
    # Very many bins are looked at in steps: the work stays that of RUN_ENDS bins.
    stride = ceil(len(held) / RUN_ENDS)
    found: list[Region] = []
    pending = [(0, len(held))]
    while pending:
        start, stop = pending.pop()
        best, run = limit, (0, 0)
        ends = [*range(start, stop, stride), stop]
        for place, a in enumerate(ends):
            for b in ends[place + 1 :]:
                spread = sqrt(variances[b] - variances[a])
                distance = abs(sums[b] - sums[a])
                z = distance / spread if spread > 0 else (inf if distance > 0 else 0.0)
                if z > best and distance > beyond * (rows[b] - rows[a]):
                    best, run = z, (a, b)
        if run != (0, 0):
            found.append(_pooled(held[run[0] : run[1]]))
            pending += [(start, run[0]), (run[1], stop)]
    return sorted(found, key=lambda region: -region.harm)


def any_regions(bins: Iterable[Bin], tolerance: float) -> list[Region]:
    """Return the regions with a gap above `tolerance`, whether chance explains them or not."""
    held = filled(bins)
    return _grouped(held, [abs(b.gap) > tolerance for b in held])


def _grouped(held: Sequence[Filled], marked: Sequence[bool]) -> list[Region]:
    runs: list[list[int]] = []
    for i, row in enumerate(held):
        if not marked[i]:
            continue
        side = row.gap > 0
        if runs:
            before = runs[-1][-1]
            between = range(before, i)
            if all((held[k].gap > 0) == side and held[k].gap != 0 for k in between):
                runs[-1].extend(range(before + 1, i + 1))
                continue
        runs.append([i])
    return sorted((_pooled([held[i] for i in run]) for run in runs), key=lambda r: -r.harm)


def _pooled(rows: Sequence[Filled]) -> Region:
    total = sum(b.count for b in rows)
    return Region(
        low=rows[0].low,
        high=rows[-1].high,
        count=total,
        score=sum(b.count * b.score for b in rows) / total,
        frequency=sum(b.count * b.frequency for b in rows) / total,
    )


@lru_cache(maxsize=64)
def two_sided_z(alpha: float) -> float:
    """Return z with P(|N(0, 1)| > z) = alpha, by bisection.

    >>> round(two_sided_z(0.05), 4)
    1.96
    """
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        if erfc(middle / sqrt(2)) > alpha:
            low = middle
        else:
            high = middle
    return (low + high) / 2
