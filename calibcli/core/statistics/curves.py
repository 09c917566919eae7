"""Curves read off the cells: reliability bins, ROC and precision-recall, the isotonic fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from calibcli.core.statistics.keys import probability_keys
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import Counts
    from calibcli.core.statistics.keys import Keys
    from calibcli.core.statistics.stats import ScoreStats

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Binning:
    """How scores are cut into bins.

    `kind` is "width" (B intervals of equal width), "mass" (B groups of about equal counts that
    never split tied scores) or "edges" (given ones). `closed` says which end a bin holds: right
    is (lo, hi], and the first bin also holds lo.
    """

    kind: Literal["width", "mass", "edges"] = "width"
    bins: int = 15
    closed: Literal["right", "left"] = "right"
    custom: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "edges":
            good = len(self.custom) > 1 and list(self.custom) == sorted(set(self.custom))
            if not good or self.custom[0] != 0.0 or self.custom[-1] != 1.0:
                raise UsageError(
                    "bin edges must increase from 0 to 1", "for example --edges 0,.25,.5,.75,1"
                )
        elif self.bins < 1:
            raise UsageError("the number of bins must be at least 1", "for example --bins 15")

    @property
    def edges(self) -> tuple[float, ...]:
        """Bin edges; i/B correctly rounded, so a score read as 0.3 lies on the edge 0.3."""
        if self.kind == "edges":
            return self.custom
        if self.kind == "mass":
            return ()
        return tuple(i / self.bins for i in range(self.bins + 1))

    def describe(self) -> str:
        """Return the convention in words."""
        interval = "(lo, hi]" if self.closed == "right" else "[lo, hi)"
        if self.kind == "edges":
            return f"{len(self.custom) - 1} bins with given edges, {interval}"
        return f"{self.bins} equal-{self.kind} bins, {interval}"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reliability:
    """A reliability diagram's bins.

    Attributes:
        index: the bin of each cell (C,).
        low: lower ends (B,); `high` upper ends.
        count: rows in each bin (B,), or their weight.
        positive: those with label 1 (B,).
        score_sum: sum of the scores (B,).
        effective: how many equally weighted rows tell as much (B,): `count` when unweighted,
            else the squared sum of the weights over the sum of their squares (Kish, 1965).
    """

    index: NDArray[np.intp]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: Counts
    positive: Counts
    score_sum: NDArray[np.float64]
    effective: NDArray[np.float64]

    @property
    def used(self) -> NDArray[np.bool_]:
        """Bins that hold rows."""
        return self.count > 0

    @property
    def weight(self) -> NDArray[np.float64]:
        """Share of rows in each bin."""
        weight: NDArray[np.float64] = self.count / max(self.count.sum(), 1e-300)
        return weight

    @property
    def score(self) -> NDArray[np.float64]:
        """Mean score of each bin, 0 where empty."""
        return self.score_sum / np.where(self.used, self.count, 1)

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Frequency of label 1 in each bin, 0 where empty."""
        return self.positive / np.where(self.used, self.count, 1)

    @property
    def gap(self) -> NDArray[np.float64]:
        """Frequency minus mean score: negative is over-confident; 0 where empty."""
        return (self.positive - self.score_sum) / np.where(self.used, self.count, 1)


def reliability(stats: ScoreStats, binning: Binning) -> Reliability:
    """Cut the cells into bins. Equal-mass bins that tied scores leave empty are dropped."""
    return reliabilities([stats], binning)[0]


def reliabilities(many: Sequence[ScoreStats], binning: Binning) -> list[Reliability]:
    """Cut the cells of each of many statistics into bins, all at once where edges are given."""
    if binning.kind == "mass":
        return [_binned([stats], *_mass_bins(stats, binning))[0] for stats in many]
    edges, inner = _edges(binning)
    size = len(edges) - 1
    # Cells are in order: the few edges are looked up among them, not they among edges.
    ends = np.zeros((len(many), size + 1), np.intp)
    for own, stats in zip(ends, many, strict=True):
        own[1:-1], own[-1] = np.searchsorted(stats.place, inner, binning.closed), len(stats.place)
    index = np.repeat(np.arange(len(many) * size), np.diff(ends).reshape(-1))
    return _binned(many, index, edges[:-1], edges[1:])


def _mass_bins(stats: ScoreStats, binning: Binning) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the bin of each cell, and the lower and upper ends of the bins."""
    total = stats.total
    twice_rank = 2 * np.cumsum(total) - total  # of the middle of the tied rows
    place = binning.bins * twice_rank // max(2 * stats.n, 1e-300)
    place = np.minimum(place, binning.bins - 1)
    # Cells are in order, and so are their places: bins that hold any are numbered anew.
    index = np.cumsum(np.append(place[:1] != place[:1], place[1:] != place[:-1]))
    bins = np.arange(int(index.max(initial=-1)) + 1)
    first = np.searchsorted(index, bins, side="left")
    last = np.searchsorted(index, bins, side="right") - 1
    return index, stats.floor[first], stats.score[last]


def _binned(
    many: Sequence[ScoreStats], index: NDArray[np.intp], low: Floats, high: Floats
) -> list[Reliability]:
    """Return the bins of statistics from the bin of each cell, counted on from one to the next."""
    size, shape = len(low), (len(many), len(low))

    def summed(values: Counts) -> Counts:
        found = np.bincount(index, weights=values, minlength=len(many) * size)
        return found.astype(values.dtype, copy=False).reshape(shape)

    total = joined(many, "total")
    count = summed(total)
    effective = count.astype(np.float64)
    if many[0].weighted:
        squares = summed(joined(many, "squares"))
        effective = np.divide(effective**2, squares, out=np.zeros(shape), where=squares > 0)
    positive, score_sum = summed(joined(many, "pos")), summed(total * joined(many, "score"))
    cells = cells_of(many)
    return [
        Reliability(index[own] - k * size, low, high, *sums)
        for k, (own, sums) in enumerate(
            zip(cells, zip(count, positive, score_sum, effective, strict=True), strict=True)
        )
    ]


def joined(many: Sequence[ScoreStats], name: str) -> NDArray[Any]:
    """Return what is known of each cell, of one after another of many statistics."""
    if len(many) == 1:
        found: NDArray[Any] = getattr(many[0], name)
        return found
    return np.concatenate([getattr(stats, name) for stats in many])


def cells_of(many: Sequence[ScoreStats]) -> list[slice]:
    """Return where the cells of each of many statistics are among those of all."""
    ends = np.cumsum([0, *(len(stats.key) for stats in many)]).tolist()
    return [slice(*own) for own in pairwise(ends)]


@lru_cache(maxsize=64)
def _edges(binning: Binning) -> tuple[NDArray[np.float64], Keys]:
    """Return the edges, and the keys of those between bins."""
    edges = np.array(binning.edges)
    return edges, probability_keys(edges[1:-1])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curve:
    """Cumulative counts at every distinct score, highest first.

    `tp[i]` and `fp[i]` count the rows with score >= threshold[i]; tied scores move together.
    """

    threshold: NDArray[np.float64]
    tp: Counts
    fp: Counts


def threshold_curve(stats: ScoreStats) -> Curve:
    """Return tp and fp at every distinct score. In a grid a cell's lowest score stands for it."""
    floor = stats.floor[::-1]
    last = np.ones(len(floor), dtype=bool)
    last[:-1] = floor[:-1] != floor[1:]
    tp, fp = np.cumsum(stats.pos[::-1]), np.cumsum(stats.neg[::-1])
    return Curve(floor[last], tp[last], fp[last])


def precision_at_cells(stats: ScoreStats) -> NDArray[np.float64]:
    """Return the mean precision at the positives of each cell (C,), highest score first.

    Rows of one score are alerts together. A cell of a grid holds several scores in an order that
    is not known; about the middle of it is what a random order has.
    """
    ranked = stats.ranks or stats
    pos = ranked.pos[::-1].astype(np.float64)
    total = pos + ranked.neg[::-1]
    tp, alerts = np.cumsum(pos), np.cumsum(total)
    inside = ranked.mixed[::-1] & (pos > 0)
    one = _own_weight(stats)
    tp -= np.where(inside, (pos - one) / 2.0, 0.0)
    alerts -= np.where(inside, (total - one) / 2.0, 0.0)
    precision: NDArray[np.float64] = tp / alerts
    return precision


def _own_weight(stats: ScoreStats) -> NDArray[np.float64] | float:
    """Return the mean weight of a positive, weighted by it, in each cell (C,), highest first.

    The finer cells of a grid keep no squares, and have the mean of the cell that they lie in.
    """
    pos_sq = stats.table.pos_sq
    if pos_sq is None:
        return 1.0
    pos = stats.pos.astype(np.float64)
    own = np.divide(pos_sq, pos, out=np.zeros(len(pos)), where=pos > 0)
    if stats.ranks is not None:
        home = np.searchsorted(stats.place, stats.ranks.start, side="right") - 1
        own = own[np.maximum(home, 0)]
    return own[::-1]


def pav(
    successes: NDArray[np.number], totals: NDArray[np.number], apart: Sequence[slice] = ()
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the isotonic (non-decreasing) least-squares fit of successes / totals.

    Args:
        successes: (C,) weighted sum of the response at each distinct score, in score order.
        totals: (C,) weights, positive.
        apart: cells of sequences that are fitted each by itself, one after another; by default
            all cells are of one.

    Returns:
        The fitted value of each cell (C,) and the block each cell belongs to (C,), counted on
        from one sequence to the next.

    Source: pool adjacent violators (Ayer et al., 1955; Barlow et al., 1972). Violators may be
    pooled in any order, so whole decreasing runs are pooled at once; a stack finishes the rest.
    """
    size = len(totals)
    sums = np.asarray(successes, dtype=np.float64)
    masses = np.asarray(totals, dtype=np.float64)
    block = np.arange(size)
    first = np.array([own.start for own in apart if own.start < size], np.intp)
    for _ in range(30):
        mean = sums / masses
        rises = np.append(True, mean[1:] > mean[:-1])[:size]
        rises[first] = True
        starts = np.flatnonzero(rises)
        if len(starts) == len(mean):
            break
        home = np.cumsum(rises) - 1
        block, first = home[block], home[first]
        sums, masses = np.add.reduceat(sums, starts), np.add.reduceat(masses, starts)
    else:
        sums, masses, home = _pool_by_stack(sums, masses, set(first.tolist()))
        block = home[block]
    return (sums / masses)[block], block


def _pool_by_stack(
    sums: Floats, masses: Floats, first: set[int]
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Pool cells one by one, none with those before where a sequence begins."""
    done: list[tuple[float, float, int]] = []
    stack: list[tuple[float, float, int]] = []
    for at, (value, mass) in enumerate(zip(sums.tolist(), masses.tolist(), strict=True)):
        if at in first:
            done += stack
            stack = []
        cells = 1
        while stack and stack[-1][0] * mass >= value * stack[-1][1]:
            before = stack.pop()
            value, mass, cells = value + before[0], mass + before[1], cells + before[2]
        stack.append((value, mass, cells))
    done += stack
    pooled = np.array([s[0] for s in done]), np.array([s[1] for s in done])
    return *pooled, np.repeat(np.arange(len(done)), [s[2] for s in done])
