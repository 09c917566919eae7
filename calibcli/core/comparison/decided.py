"""Two rules on the same rows: figures of each, and the paired difference of what they are for.

Rows that both rules decide alike cancel in the difference. A figure is a function of the counts of
a confusion table, so a row of a cell adds the gradient of the figure to it; the variance of the sum
over rows, or over whole units, is that of the difference (the delta method). One more row on which
the rules differ is added to it, so that a handful of such rows is not taken for certainty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from calibcli.core.decisions.rules import REFER
from calibcli.core.numeric.special import norm_ppf, t_ppf

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from calibcli.core.decisions.counts import RuleCounts
    from calibcli.core.decisions.objectives import Figure

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

TP, FP, FN, TN = range(4)
_STEP = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Duel:
    """Rows by truth and both decisions: cells (m,) each.

    Attributes:
        target: the label that is decided by itself; 0 where one class is decided a row.
        truth, old, new: classes; 1 and 0 of a label or a binary score.
        unit: what varies together.
        count: rows or their weight; `square` the sum of squared weights.
        targets: K labels or classes; 1 of a binary score.
        exclusive: whether one class is decided a row.
        clustered: whether units are clusters.
    """

    target: Ints
    truth: Ints
    old: Ints
    new: Ints
    unit: Ints
    count: Floats
    square: Floats
    targets: int
    exclusive: bool
    clustered: bool

    @classmethod
    def of(
        cls, joint: RuleCounts, classes: int, members: Sequence[int], *, exclusive: bool
    ) -> Duel:
        """Decode the counts of `tasks.rows.rivals.Rivals`, of some members together."""
        cells = [joint.cells(member) for member in members]
        columns = {
            name: np.concatenate([getattr(one, name) for one in cells])
            for name in ("slot", "truth", "decision", "unit", "count", "square")
        }
        truth, old = np.divmod(columns["truth"], classes - REFER)
        count = columns["count"].astype(np.float64)
        return cls(
            columns["slot"],
            truth,
            old + REFER,
            columns["decision"],
            columns["unit"],
            count,
            columns["square"] if joint.weighted else count,
            classes if exclusive else joint.slots,
            exclusive,
            joint.clustered,
        )

    @cached_property
    def shares(self) -> Floats:
        """Rows of each truth of each target (targets, 2), or of each class (K,)."""
        if self.exclusive:
            return np.asarray(np.bincount(self.truth, self.count, self.targets), np.float64)
        found = np.bincount(self.target * 2 + self.truth, self.count, 2 * self.targets)
        return np.asarray(found, np.float64).reshape(-1, 2)

    def at_prior(self, prior: Sequence[float] | None) -> Floats:
        """Return what a row of each cell counts (m,), where prevalences are others."""
        if prior is None:
            return np.ones(len(self.count))
        wanted = np.asarray(prior, np.float64)
        if self.exclusive:
            ratio: Floats = wanted * self.shares.sum() / np.maximum(self.shares, 1e-300)
            return ratio[self.truth]
        both = np.stack([1.0 - wanted, wanted], axis=1)
        ratio = both * self.shares.sum(axis=1, keepdims=True) / np.maximum(self.shares, 1e-300)
        return ratio[self.target, self.truth]

    def tables(self, decision: Ints, worth: Floats) -> Floats:
        """Return tp, fp, fn, tn of each target (targets, 4)."""
        mass = self.count * worth
        if not self.exclusive:
            found = np.bincount(self.target * 4 + self._outcome(decision), mass, 4 * self.targets)
            return np.asarray(found, np.float64).reshape(-1, 4)
        some = decision >= 0
        true = np.bincount(self.truth, mass, self.targets)
        decided = np.bincount(decision[some], mass[some], self.targets)
        hit = decision == self.truth
        tp = np.bincount(self.truth[hit], mass[hit], self.targets)
        return np.stack([tp, decided - tp, true - tp, mass.sum() - true - decided + tp], axis=1)

    def _outcome(self, decision: Ints) -> Ints:
        positive, true = decision == 1, self.truth == 1
        return np.where(positive, np.where(true, TP, FP), np.where(true, FN, TN))

    def slopes(self, decision: Ints, gradient: Floats) -> Floats:
        """Return what one more row of each cell adds to a sum over the targets (m,).

        Args:
            decision: of each cell.
            gradient: of each target's term by the counts of its table (targets, 4).
        """
        if not self.exclusive:
            return np.asarray(gradient[self.target, self._outcome(decision)])
        apart = gradient - gradient[:, TN:]
        hit, some = decision == self.truth, decision >= 0
        found = np.full(len(decision), float(gradient[:, TN].sum()))
        found += np.where(hit, apart[self.truth, TP], apart[self.truth, FN])
        found += np.where(some & ~hit, apart[np.where(some, decision, 0), FP], 0.0)
        return found

    def variance(self, slope: Floats) -> float:
        """Return the variance of the sum of a slope (m,) over rows, or over whole units."""
        if not self.clustered:
            return float(self.square @ slope**2)
        _, index = np.unique(self.unit, return_inverse=True)
        sums = np.bincount(index, slope * self.count)
        return float(((sums - sums.mean()) ** 2).sum()) * len(sums) / max(len(sums) - 1, 1)

    def reach(self, confidence: float) -> float:
        """Return how many standard errors an interval reaches."""
        tail = (1.0 + confidence) / 2.0
        if not self.clustered:
            return norm_ppf(tail)
        return t_ppf(tail, max(len(np.unique(self.unit)) - 1, 1))


def gradients(figure: Figure, tables: Floats) -> tuple[Floats, Floats]:
    """Return a figure of tables (k,) and its gradient by their counts (k, 4), by differences."""
    value = np.asarray(figure(*tables.T), np.float64)
    step = _STEP * np.maximum(tables.sum(axis=1), 1.0)
    columns = []
    for place in range(4):
        moved = tables.copy()
        moved[:, place] += step
        columns.append((np.asarray(figure(*moved.T)) - value) / step)
    return value, np.stack(columns, axis=1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON types."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Compared:
    """What two rules reach, and the difference of the second to the first."""

    old: float
    new: float
    difference: Estimate


def compare(
    duel: Duel,
    figure: Figure,
    confidence: float,
    *,
    prior: Sequence[float] | None = None,
    over: Literal["mean", "sum", "pooled"] = "mean",
) -> Compared | None:
    """Compare the mean of a figure over the targets; None where it is undefined.

    `over` "sum" compares its sum, "pooled" the figure of all their tables together.
    """
    worth = duel.at_prior(prior)
    tables = [duel.tables(one, worth) for one in (duel.old, duel.new)]
    if over == "pooled":
        tables = [np.tile(one.sum(axis=0), (duel.targets, 1)) for one in tables]
    sides = [gradients(figure, one) for one in tables]
    known = ~np.isnan(sides[0][0]) & ~np.isnan(sides[1][0])
    if not known.any():
        return None
    part = known / (1.0 if over == "sum" else float(known.sum()))
    own = np.ones(len(known)) if over == "pooled" else part
    terms = [np.where(known, value, 0.0) @ part for value, _ in sides]
    slopes = [
        duel.slopes(decision, np.where(known[:, None], gradient, 0.0) * own[:, None])
        for decision, (_, gradient) in zip((duel.old, duel.new), sides, strict=True)
    ]
    return _paired(duel, terms, (slopes[1] - slopes[0]) * worth, confidence)


def compare_losses(
    duel: Duel,
    loss: Floats,
    confidence: float,
    *,
    prior: Sequence[float] | None = None,
) -> Compared:
    """Compare mean losses.

    Args:
        duel: the rows.
        loss: (truths, decisions): columns are REFER, NONE and the classes in order.
        confidence: of the interval.
        prior: prevalences where it will be used.
    """
    worth = duel.at_prior(prior)
    mass = duel.count * worth
    each = [loss[duel.truth, decision - REFER] for decision in (duel.old, duel.new)]
    rows = float(mass.sum()) / (1 if duel.exclusive else duel.targets)
    terms = [float(mass @ one) / rows for one in each]
    apart = each[1] - each[0]
    centre = float(mass @ apart) / max(float(mass.sum()), 1e-300)
    return _paired(duel, terms, (apart - centre) * worth / rows, confidence)


def _paired(duel: Duel, terms: Sequence[Any], slope: Floats, confidence: float) -> Compared:
    gap = float(terms[1] - terms[0])
    differ = duel.old != duel.new
    if not differ.any():
        return Compared(float(terms[0]), float(terms[1]), Estimate(0.0, 0.0, 0.0))
    largest = float((slope[differ] ** 2).max())
    margin = duel.reach(confidence) * float(np.sqrt(duel.variance(slope) + largest))
    return Compared(float(terms[0]), float(terms[1]), Estimate(gap, gap - margin, gap + margin))


def estimates(
    duel: Duel,
    figure: Figure,
    confidence: float,
    *,
    challenger: bool,
    prior: Sequence[float] | None = None,
) -> list[Estimate | None]:
    """Return a figure of one of the rules for each target; None where it is undefined.

    Intervals are those of the tables with one more row in each of the four cells (about Agresti
    and Coull's two successes and two failures), so that they have a width also at 0 and 1.
    """
    worth = duel.at_prior(prior)
    decision = duel.new if challenger else duel.old
    tables = duel.tables(decision, worth)
    values = np.asarray(figure(*tables.T), np.float64)
    centre, gradient = gradients(figure, tables + 1.0)
    reach = duel.reach(confidence)
    found: list[Estimate | None] = []
    for k, value in enumerate(values.tolist()):
        if np.isnan(value):
            found.append(None)
            continue
        own = np.zeros_like(gradient)
        own[k] = gradient[k]
        slope = duel.slopes(decision, own) * worth
        if not duel.exclusive:
            slope = np.where(duel.target == k, slope, 0.0)
        added = float((gradient[k] ** 2).sum())
        margin = reach * float(np.sqrt(duel.variance(slope) + added))
        low, high = float(centre[k]) - margin, float(centre[k]) + margin
        found.append(Estimate(value, min(low, value), max(high, value)))
    return found
