"""Decisions about one score as steps over the doubles: what is exported is exact, without EXP.

A rule cuts the calibrated score, and the map before it is monotone between its breakpoints, so
that decisions change at few scores. These are found by bisection over the floating-point numbers
with the very functions that `apply` runs: in a database, a score on a cut-off falls on its side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators.pieces import doubles, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Decide = Callable[[Floats], NDArray[np.int64]]

_NEAR = 256
"""Doubles below a step in which rounding may still let the decision through."""
_BETWEEN = 9
_LARGEST = 1e308


def steps_of(
    decide: Decide, starts: Sequence[float], *, logits: bool
) -> tuple[list[float], list[int]]:
    """Return where decisions change, increasing, and the decisions before, between and after.

    Args:
        decide: decisions (n,) of scores (n,).
        starts: scores at which the map changes its formula.
        logits: whether scores are logits; else probabilities.
    """
    ends = np.array([-np.inf, np.inf] if logits else [0.0, 1.0])
    edges = np.unique(np.array([*starts, *ends]))
    inner = np.clip(edges, -1e4, 1e4)
    share = np.linspace(0.0, 1.0, _BETWEEN)
    between = (inner[:-1, None] + np.diff(inner)[:, None] * share).reshape(-1)
    tried = ordered(np.unique(np.concatenate([edges, between])))
    points = np.unique(np.concatenate([tried, ordered(edges)[1:] - 1]))
    found = decide(doubles(points))
    low, high = points[:-1], points[1:]
    below, above = found[:-1], found[1:]
    while True:
        open_ = np.flatnonzero((below != above) & (low + 1 < high))
        if not len(open_):
            break
        middle = (low[open_] >> 1) + (high[open_] >> 1) + (low[open_] & high[open_] & 1)
        decided = decide(doubles(middle))
        # A third decision between two is a step of its own on both sides.
        parts = (
            (np.delete(low, open_), np.delete(high, open_)),
            (low[open_], middle),
            (middle, high[open_]),
        )
        pairs = (
            (np.delete(below, open_), np.delete(above, open_)),
            (below[open_], decided),
            (decided, above[open_]),
        )
        low, high = (np.concatenate(side) for side in zip(*parts, strict=True))
        below, above = (np.concatenate(side) for side in zip(*pairs, strict=True))
        kept = below != above
        low, high, below, above = low[kept], high[kept], below[kept], above[kept]
    changed = np.flatnonzero(below != above)
    order = changed[np.argsort(high[changed])]
    at, values = [], [int(found[0])]
    for place in order.tolist():
        first = _first(decide, int(high[place]), int(above[place]), int(points[0]))
        start = float(doubles(np.array([first]))[0])
        if abs(start) < _LARGEST and start > ends[0]:
            at.append(start + 0.0)
            values.append(int(above[place]))
    return at, values


def _first(decide: Decide, at: int, decision: int, lowest: int) -> int:
    """Return the first of the doubles just below a step that already has its decision."""
    near = np.arange(max(lowest, at - _NEAR), at + 1)
    return int(near[np.flatnonzero(decide(doubles(near)) == decision)[0]])
