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
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


RUN_ENDS: Final = 60


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


def has_intervals(bins: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether any bin has an interval for its frequency."""
    return any(b.get("frequency_low") is not None for b in bins)


def miss(row: Mapping[str, Any]) -> float:
    """Return how many half-widths of its interval a bin's score lies away from its frequency.

    Above 1 the interval excludes the score; 0 for an empty bin or one without an interval.
    """
    if not row["count"] or row.get("frequency_low") is None or row.get("frequency_high") is None:
        return 0.0
    gap = row["frequency"] - row["score"]
    # Intervals near 0 and 1 are lopsided: the side that faces the score is the one that matters.
    half = (
        row["frequency"] - row["frequency_low"]
        if gap > 0
        else (row["frequency_high"] - row["frequency"])
    )
    if gap == 0:
        return 0.0
    return float(abs(gap) / half) if half > 0 else inf


def looks_at(bins: Sequence[Mapping[str, Any]]) -> int:
    """Return how many runs of neighbouring bins hold rows: what the level is shared among."""
    filled = sum(1 for b in bins if b["count"])
    return filled * (filled + 1) // 2


def sure_regions(
    bins: Sequence[Mapping[str, Any]],
    *,
    confidence: float,
    beyond: float = 0.0,
    looks: int | None = None,
) -> list[Region]:
    """Return the disjoint runs of bins whose pooled gap chance does not explain, worst first.

    Only runs whose pooled gap is larger than `beyond` count. `looks` is the number of runs among
    which the level is shared; default: those of these bins.
    """
    filled = [b for b in bins if b["count"]]
    alpha = 1.0 - confidence
    if not filled or not has_intervals(filled):
        return []
    limit = two_sided_z(alpha / max(looks or looks_at(filled), 1))
    rows, sums, variances = [0.0], [0.0], [0.0]
    for row in filled:
        distance = row["gap"] * row["count"]
        z = miss(row) * two_sided_z(alpha)
        rows.append(rows[-1] + row["count"])
        sums.append(sums[-1] + distance)
        # On the diagonal the facing half has no side; the whole interval stands in for it.
        error = abs(distance) / z if z > 0 else _half(row) * row["count"] / two_sided_z(alpha)
        variances.append(variances[-1] + error**2)
    # Very many bins are looked at in steps: the work stays that of RUN_ENDS bins.
    stride = ceil(len(filled) / RUN_ENDS)
    found: list[Region] = []
    pending = [(0, len(filled))]
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
            found.append(_pooled(filled[run[0] : run[1]]))
            pending += [(start, run[0]), (run[1], stop)]
    return sorted(found, key=lambda region: -region.harm)


def _half(row: Mapping[str, Any]) -> float:
    low, high = row.get("frequency_low"), row.get("frequency_high")
    return 0.0 if low is None or high is None else float(high - low) / 2


def any_regions(bins: Sequence[Mapping[str, Any]], tolerance: float) -> list[Region]:
    """Return the regions with a gap above `tolerance`, whether chance explains them or not."""
    filled = [b for b in bins if b["count"]]
    return _grouped(filled, [abs(b["gap"]) > tolerance for b in filled])


def _grouped(filled: Sequence[Mapping[str, Any]], marked: Sequence[bool]) -> list[Region]:
    runs: list[list[int]] = []
    for i, row in enumerate(filled):
        if not marked[i]:
            continue
        side = row["gap"] > 0
        if runs:
            before = runs[-1][-1]
            between = range(before, i)
            if all((filled[k]["gap"] > 0) == side and filled[k]["gap"] != 0 for k in between):
                runs[-1].extend(range(before + 1, i + 1))
                continue
        runs.append([i])
    return sorted((_pooled([filled[i] for i in run]) for run in runs), key=lambda r: -r.harm)


def _pooled(rows: Sequence[Mapping[str, Any]]) -> Region:
    total = sum(b["count"] for b in rows)
    return Region(
        low=rows[0]["low"],
        high=rows[-1]["high"],
        count=total,
        score=sum(b["count"] * b["score"] for b in rows) / total,
        frequency=sum(b["count"] * b["frequency"] for b in rows) / total,
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
