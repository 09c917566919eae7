"""Bets against a promise where rows come in units: patients, prompts, videos, images.

Labels of one unit go together, so the bet is on a unit: 1 + b sum(m - x) over its rows, with the m
and x of `evidence`. Units are independent given the nights before, and what they add has a mean of
0 at most while the rows keep the promise, so the product of such bets has one of 1 at most. (Where
units differ and only all of a night together have such a mean: the mean of a product is the
product of the means, which is at most what it would be were all alike.) The figure is that of the
rows, as it is printed.

No unit may cost more than there is, and b may not follow from what has come tonight: large units
may be better or worse than others, so a bet that is smaller on nights that have some would gain on
average. So b is bounded by what the unit that could cost most had at stake on the nights before;
on the first night nothing is bet. A unit with more at stake tonight counts for as much as that.

Units are buckets of them where there are many (`core.statistics.buckets`): sums of independent
units are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.comparison.evidence import BETS, RATES, off_by, sides_tried, widths
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.comparison.evidence import Evidence, Promise
    from calibcli.core.decisions.counts import Cells
    from calibcli.core.statistics.stats import ScoreStats

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A score that is cut: its pairs, and the first cell that is decided positive."""

    stats: ScoreStats
    first: int

    def decisions(self, promise: Promise) -> tuple[float, float]:
        """Return how many decisions keep a rate, and how many break it."""
        kept, broken = (self._of(outcomes) for outcomes in RATES[promise.figure][1:])
        pos, neg = self.stats.pos.astype(np.float64), self.stats.neg.astype(np.float64)
        return float(pos @ kept[0] + neg @ kept[1]), float(pos @ broken[0] + neg @ broken[1])

    def by_unit(self, promise: Promise) -> Floats:
        """Return the same by bucket (BUCKETS, 2).

        Raises:
            InputError: counts by unit are in cells so wide that the cut-off lies within one.
        """
        home, found = self.stats.part_cells(), np.zeros((BUCKETS, 2))
        if 0 < self.first < len(home) and home[self.first - 1] == home[self.first]:
            raise InputError(
                "there are too many distinct scores to tell by unit which are above the cut-off",
                "round the scores",
            )
        sides = [self._of(outcomes) for outcomes in RATES[promise.figure][1:]]
        pos, neg = (np.column_stack([side[at] for side in sides]) for at in (0, 1))
        found[self.stats.places.buckets] = self.stats.bucket_sums(pos, neg)
        return found

    def _of(self, outcomes: tuple[str, ...]) -> tuple[Floats, Floats]:
        """Mark the cells (C,) whose positives, and whose negatives, have one of the outcomes."""
        alert = np.arange(len(self.stats.pos)) >= self.first
        of_label = {"tp": (alert, 0), "fn": (~alert, 0), "fp": (alert, 1), "tn": (~alert, 1)}
        marks = [np.zeros(len(alert)), np.zeros(len(alert))]
        for name in outcomes:
            where, label = of_label[name]
            marks[label] += where
        return marks[0], marks[1]


def decided_units(cells: Cells, promise: Promise) -> Floats:
    """Return decisions of each unit that keep a rate, and that break it (U, 2), as they were made.

    Args:
        cells: decisions of 1 or 0, each about one score, by unit.
        promise: the rate.
    """
    found = np.zeros((int(cells.unit.max(initial=-1)) + 1, 2))
    alert, truth = cells.decision == 1, cells.truth == 1
    of = {"tp": alert & truth, "fp": alert & ~truth, "fn": ~alert & truth, "tn": ~alert & ~truth}
    for side, outcomes in enumerate(RATES[promise.figure][1:]):
        for name in outcomes:
            np.add.at(found[:, side], cells.unit[of[name]], cells.count[of[name]])
    return found


def after_units(past: Evidence, units: Floats, promise: Promise) -> Evidence:
    """Return the evidence against a rate after a night.

    Args:
        past: the evidence before it.
        units: decisions of each unit that keep the promise, and that do not (U, 2).
        promise: the rate that was promised.
    """
    least = promise.bound if RATES[promise.figure][0] else 1.0 - promise.bound
    rows = units.sum(axis=1)
    most = (1.0 - least) * rows
    gains, largest = _gains(least * rows - units[:, 0], most, past, 0)
    return past.after(gains, largest=(largest,))


def after_unit_pairs(
    past: Evidence, stats: ScoreStats, home: NDArray[np.intp], tolerance: float
) -> Evidence:
    """Return the evidence against an ECE after a night.

    What the sums of a unit may be off by where it is counted in wider cells is taken off.

    Args:
        past: the evidence before it.
        stats: the pairs, by unit too.
        home: the bin of each cell (C,).
        tolerance: the ECE that was promised.
    """
    score, ones = stats.score, np.ones(len(stats.score))
    rows = stats.bucket_sums(ones, ones)
    gains, largest = [], []
    for place, sides in enumerate(sides_tried(past, home)):
        hit, miss = sides * (1.0 - score), -sides * score
        sums = stats.bucket_sums(hit, miss)
        doubt = stats.bucket_sums(_spread(stats, hit), _spread(stats, miss))
        lost = -np.minimum(hit, miss)  # of a row whose label is the worse one
        most = tolerance * rows + stats.bucket_sums(lost, lost) + doubt
        gained = np.maximum(sums - tolerance * rows - doubt, -most)
        own, at_stake = _gains(gained, most, past, place)
        gains.append(own)
        largest.append(at_stake)
    return past.after(np.concatenate(gains), off_by(stats, home, past).tolist(), largest)


def _gains(sums: Floats, most: Floats, past: Evidence, place: int) -> tuple[Floats, float]:
    """Return the logarithm of the gain of each bet on what units (U,) add, and the most at stake.

    `most` (U,) is what each unit could cost; `place` that of what was at stake before.
    """
    limit = past.largest[place] if past.largest else 0.0
    largest = max(limit, float(most.max(initial=0.0)))
    if limit <= 0.0:
        return np.zeros(len(BETS)), largest
    parts = sums / np.maximum(most, limit)
    found: Floats = np.log1p(np.array(BETS)[:, None] * parts).sum(axis=1)
    return found, largest


def _spread(stats: ScoreStats, value: Floats) -> Floats:
    """Return how far the value of a row (C,) may be from the one that its unit counts it with."""
    home = stats.part_cells()
    size = int(home.max(initial=-1)) + 1
    high, low = np.full(size, -np.inf), np.full(size, np.inf)
    np.maximum.at(high, home, value)
    np.minimum.at(low, home, value)
    spread: Floats = (high - low)[home] + widths(stats)
    return spread
