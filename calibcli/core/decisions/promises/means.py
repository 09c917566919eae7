"""Tests of the mean of figures between 0 and 1, of which every unit has one.

The hypothesis is "the expected figure is below the target"; a p-value at most the level lets it be
rejected, whatever the distribution of the figures.

They are made by betting on every figure in turn (Waudby-Smith and Ramdas 2024, *Estimating means
of bounded random variables by betting*, sections 3 and 4.2).

A bettor who starts with 1 and puts a share of the capital on "above the target" before each figure
is shown has, where the hypothesis is true, an expected capital of at most 1 at every time, so that
it ever reaches 1/level with probability at most the level (Ville). Shares follow the mean and the
variance of the figures before. Units with many rows have figures that vary little, which the bettor
finds out and a bound from the mean alone (Bates, Angelopoulos, Lei, Malik and Jordan 2021,
*Distribution-free, risk-controlling prediction sets*, proposition 5) does not: it certifies with
fewer units.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_MOST_STAKED = 0.75
"""Share of the capital that the worst figure may cost."""


def betting(figures: Floats, target: float, level: float) -> float:
    """Return the p-value of "the expected figure is below `target`".

    Args:
        figures: (n,) in [0, 1], of units in an order that has nothing to do with them.
        target: between 0 and 1.
        level: the error probability that the stakes are best for.
    """
    n = len(figures)
    if n == 0 or target >= 1.0:
        return 1.0
    if target <= 0.0:
        return 0.0
    place = np.arange(1.0, n + 1.0)
    mean = (0.5 + np.cumsum(figures)) / (place + 1.0)
    variance = (0.25 + np.cumsum((figures - mean) ** 2)) / (place + 1.0)
    before = np.append(0.25, variance[:-1])
    stake = np.sqrt(2.0 * math.log(1.0 / level) / (n * before))
    gain = np.log1p(np.minimum(stake, _MOST_STAKED / target) * (figures - target))
    return min(1.0, math.exp(-max(float(np.cumsum(gain).max()), 0.0)))


def fewest(target: float, level: float) -> int:
    """Return the fewest units that certify a target, all of whose figures are 1."""
    if target <= 0.0:
        return 1
    low, high = 0, 8
    while betting(np.ones(high), target, level) > level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        passes = betting(np.ones(middle), target, level) <= level
        low, high = (low, middle) if passes else (middle, high)
    return high


def units_needed(mean: float, variance: float, target: float, level: float) -> float:
    """Return about how many units would certify a target, of figures with this mean and variance.

    From Bernstein's inequality; infinite where the mean is not above the target.
    """
    margin = mean - target
    if margin <= 0.0:
        return math.inf
    return math.log(1.0 / level) * (2.0 * variance / margin**2 + 4.0 / (3.0 * margin))
