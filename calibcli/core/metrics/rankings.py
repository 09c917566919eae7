"""Intervals of AUC and average precision that hold where few rows have a label.

With three positives the variance that was seen is that of three numbers, and none where the
ranking is perfect. So each end is the value at which a score test just rejects: the variance
there is that of the rows, scaled to the tested value, mixed with the one that the value itself
implies, which has the weight of two rows. For AUC that is Hanley and McNeil's (1982), inverted
as Newcombe does ("Confidence intervals for an effect size measure based on the Mann-Whitney
statistic", 2006, method 5); for average precision the binomial's over the positives (Boyd, Eng
and Page, "Area under the precision-recall curve", 2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import gradients
from calibcli.core.metrics.spread import (
    effective_n,
    spread_of,
    squared_weights,
)
from calibcli.core.numeric.special import t_ppf
from calibcli.core.statistics.curves import precision_at_cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.stats import ScoreStats

_IMPLIED_ROWS = 2.0
_STEPS = 48
_NOTHING = 1e-13
"""A variance below is rounding."""


def auc_interval(view: View, value: float, confidence: float, seed: int) -> tuple[float, float]:
    """Return the interval of the area under the ROC curve."""
    found: tuple[float, float] = view.kept(
        f"interval of auc, {confidence}", lambda: _auc_interval(view, value, confidence)
    )
    return found


def _auc_interval(view: View, value: float, confidence: float) -> tuple[float, float]:
    def positives(at: float) -> float:
        return at * (1.0 - at) ** 2 / (2.0 - at)

    test = _Test.of(
        view,
        gradients.auc(view, value),
        value,
        (positives, lambda at: positives(1.0 - at)),
        confidence,
    )
    return test.end(value, 0.0), test.end(value, 1.0)


def average_precision_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of the average precision.

    A positive counts itself among the hits at its own score, which flatters: without that the
    estimate would be too low by about as much. The lower end is taken from halfway.
    """
    found: tuple[float, float] = view.kept(
        f"interval of average_precision, {confidence}",
        lambda: _average_precision_interval(view, value, confidence),
    )
    return found


def _average_precision_interval(view: View, value: float, confidence: float) -> tuple[float, float]:
    implied = (lambda at: at * (1.0 - at), lambda _: 0.0)
    test = _Test.of(view, gradients.average_precision(view, value), value, implied, confidence)
    return test.end(unflattered(view, value), 0.0), test.end(value, 1.0)


def unflattered(view: View, value: float) -> float:
    """Return the middle of the average precision and of that without each positive's own hit."""
    return (value + _without_itself(view.stats)) / 2.0


def _without_itself(stats: ScoreStats) -> float:
    """Return the mean precision at the positives, each left out of its own."""
    one = float(stats.n) / effective_n(stats)
    ranked = stats.ranks or stats
    pos = ranked.pos[::-1].astype(np.float64)
    others = np.cumsum(pos + ranked.neg[::-1]) - one
    precision = precision_at_cells(stats)
    lost = np.divide(one * (1.0 - precision), others, out=precision.copy(), where=others > 0.0)
    return float(pos @ np.maximum(precision - lost, 0.0)) / float(stats.positives)


@dataclass(frozen=True, slots=True)
class _Side:
    """One label's part of the variance: what was seen, and what a value implies for one row.

    `df` are its degrees of freedom.
    """

    rows: float
    seen: float
    implied: Callable[[float], float]
    df: float

    def variance(self, at: float) -> float:
        """Return the part of the variance if the figure is `at`."""
        mass = self.seen * self.rows * self.rows + _IMPLIED_ROWS * self.implied(at)
        return mass / (self.df * self.rows)


@dataclass(frozen=True, slots=True)
class _Test:
    """A score test of a figure in [0, 1]: rejected where it is too far for the variance there."""

    value: float
    sides: tuple[_Side, _Side]
    effect: float
    unforeseen: tuple[float, float]
    quantile: float

    @classmethod
    def of(
        cls,
        view: View,
        slope: Gradient,
        value: float,
        implied: tuple[Callable[[float], float], Callable[[float], float]],
        confidence: float,
    ) -> _Test:
        stats = view.stats
        sides = _sides(stats, slope, implied)
        spread = spread_of(stats, slope)
        more, fewer = float(spread.more[0]), float(spread.fewer[0])
        effect, df = 1.0, spread.df
        if stats.parts is not None:
            seen = sides[0].seen + sides[1].seen
            doubt = max(more, fewer, 1e-300)
            effect = (float(spread.variance) + doubt) / (seen + doubt)
        else:
            parts = [side.variance(value) for side in sides]
            of = sum(part**2 / side.df for part, side in zip(parts, sides, strict=True))
            df = sum(parts) ** 2 / of if sum(parts) > _NOTHING else spread.df
            df = math.floor(min(df, spread.df) + 1e-9)  # a whole number may fall short by rounding
        return cls(value, sides, effect, (fewer, more), t_ppf((1.0 + confidence) / 2.0, df))

    def end(self, centre: float, limit: float) -> float:
        """Return the last value between a centre and a limit (0 or 1) that is not rejected."""
        one, other = self.sides
        first, second = one.implied, other.implied
        worth = self.value * (1.0 - self.value)
        seen = self.effect * (one.seen * one.rows / one.df + other.seen * other.rows / other.df)
        seen = seen / worth if worth > 0.0 else 0.0
        a, b = (self.effect * _IMPLIED_ROWS / (side.df * side.rows) for side in self.sides)
        more, limits = self.unforeseen[limit > centre], self.quantile**2
        inside, outside, at = centre, limit, limit
        for _ in range(_STEPS + 1):
            # The variance of both sides at this value (see `_Side.variance`), and of one row more.
            variance = at * (1.0 - at) * seen + a * first(at) + b * second(at) + more
            if (at - centre) ** 2 > limits * variance:
                outside = at
            elif at == limit:
                return limit
            else:
                inside = at
            at = (inside + outside) / 2.0
        return inside


def _sides(
    stats: ScoreStats,
    slope: Gradient,
    implied: tuple[Callable[[float], float], Callable[[float], float]],
) -> tuple[_Side, _Side]:
    found = []
    totals = (float(stats.positives), float(stats.negatives))
    for k, squares in enumerate(squared_weights(stats)):
        mass = float(squares.sum())
        rows = totals[k] ** 2 / mass if mass > 0.0 else 1.0
        df = rows - 1.0 + _IMPLIED_ROWS
        found.append(_Side(rows, float(squares @ slope[k] ** 2), implied[k], df))
    return found[0], found[1]


__all__ = ["auc_interval", "average_precision_interval", "unflattered"]
