"""What a grid can change: bounds on each metric's distance from its value on distinct scores.

In a grid a cell may hold several distinct scores whose order is lost. The counts of the cells
still say how far off a metric can be. Counts at the kept edges, Brier and log loss are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.statistics.cells import UNIT_SHIFT, grid
from calibcli.core.statistics.curves import precision_at_cells
from calibcli.core.statistics.keys import ONE_KEY, key_probabilities, key_tails

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

_UNIT = 2.0 ** (UNIT_SHIFT - 52)  # what a mean score is rounded by, relative to its tail
_END = 2.0**-64  # the tails in the two end cells


def grid_error(stats: ScoreStats) -> dict[str, float]:
    """Return by metric how far its value can be from the one on distinct scores; 0 when exact.

    `ece` is for bins whose edges are kept in the statistics; `auc` and `average_precision` are
    left out where they are not defined. There is no bound for the metrics not named.
    """
    names = ["mean_score", "ece", "brier", "nll", "ks", "kuiper"]
    names += ["auc"] if stats.positives and stats.negatives else []
    names += ["average_precision"] if stats.positives else []
    if stats.exact or not stats.n:
        return dict.fromkeys(names, 0.0)
    starts = grid(stats.table.bits or 0, stats.edges).starts
    following = np.append(starts, ONE_KEY + 1)[np.searchsorted(starts, stats.key, side="right")]
    mixed = stats.mixed
    pos, neg = stats.pos * mixed.astype(np.float64), stats.neg * mixed.astype(np.float64)
    moved = _mean_score(stats)
    rise, fall = _walk(stats, pos, neg, key_probabilities(following - 1))
    found = {
        "mean_score": moved,
        "ece": moved,
        "brier": 0.0,
        "nll": 0.0,
        "ks": moved + max(rise, fall),
        "kuiper": 2.0 * moved + rise + fall,
    }
    if "auc" in names:
        found["auc"] = _auc(stats)
    if "average_precision" in names:
        found["average_precision"] = _average_precision(stats)
    return found


def _mean_score(stats: ScoreStats) -> float:
    """Offsets are whole units, so a row's score is known to a unit of its tail."""
    tails, _ = key_tails(stats.key)
    return float(stats.total @ np.maximum(2.0 * tails * _UNIT, _END)) / float(stats.n)


def _walk(stats: ScoreStats, pos: Array, neg: Array, highest: Array) -> tuple[float, float]:
    """Return how far the running sum of label - score can pass its values at ends of cells.

    Inside a cell it rises at most by its positives, or what its negatives then take back, and
    falls at most by its negatives, or what its positives then give back.
    """
    steps = stats.pos - stats.total * stats.score
    after = np.cumsum(steps)
    before = after - steps
    up = np.minimum(before + pos * (1.0 - stats.floor), after + neg * highest)
    down = np.maximum(before - neg * highest, after - pos * (1.0 - stats.floor))
    rise = max(float((up - max(after.max(), 0.0)).max()), 0.0)
    fall = max(float((min(after.min(), 0.0) - down).max()), 0.0)
    return rise / float(stats.n), fall / float(stats.n)


def _auc(stats: ScoreStats) -> float:
    """Half of the pairs of a positive and a negative whose order a cell has lost."""
    ranked = stats.ranks or stats
    pairs = float((ranked.pos * ranked.mixed.astype(np.float64)) @ ranked.neg)
    return pairs / 2.0 / (float(stats.positives) * float(stats.negatives))


def _average_precision(stats: ScoreStats) -> float:
    """Sum over cells of the distance to the best and to the worst order inside.

    The best has the positives first and tied. The worst has the negatives first, then one
    positive after another, where a sum of precisions is at least its integral.
    """
    ranked = stats.ranks or stats
    pos = ranked.pos[::-1].astype(np.float64)
    total = pos + ranked.neg[::-1]
    tp, alerts = np.cumsum(pos), np.cumsum(total)
    before, found = tp - pos, alerts - total
    held = pos * precision_at_cells(stats)
    best = pos * tp / np.where(pos > 0, found + pos, 1.0)
    first = alerts - pos  # alerts before the first positive of the worst order
    growth = np.log1p(np.divide(pos, first, out=np.zeros(len(pos)), where=first > 0))
    worst = pos - (first - before) * growth
    wrong = ranked.mixed[::-1]
    gain = float(((best - held) * wrong).sum())
    loss = float(((held - worst) * wrong).sum())
    return max(gain, loss, 0.0) / float(stats.positives)
