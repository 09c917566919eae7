"""The search for one cut-off over every breakpoint.

A row is positive iff its score >= threshold, so the distinct scores are all the cut-offs there
are: rows of one score move together. One candidate comes on top, "nothing is positive", whose
threshold is the next float above the largest score; it competes wherever the figures asked for are
defined there (a cost, accuracy, fpr), and precision is not.

One pass of cumulative sums over the cells, no loop over candidates: 1M cells take a fraction of a
second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from calibcli.core.decisions.objectives import (
    TOLERANCE,
    Array,
    Constraint,
    Figure,
    Objective,
    youden,
)

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale

Counts = NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Confusion:
    """The four counts at one cut-off; int, or float where rows are weighted."""

    tp: int | float
    fp: int | float
    fn: int | float
    tn: int | float

    def figure(self, function: Figure) -> float | None:
        """Return a figure of this table, None where it is undefined."""
        four = (np.asarray(float(v)) for v in (self.tp, self.fp, self.fn, self.tn))
        value = float(function(*four))
        return None if np.isnan(value) else value


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Curve:
    """The confusion counts at every candidate, thresholds increasing.

    All arrays have length C + 1 for C cells; the last candidate is "nothing is positive" (left out
    when the largest score is infinite: no finite threshold lies above it).
    """

    threshold: Array
    tp: Counts
    fp: Counts
    fn: Counts
    tn: Counts

    @classmethod
    def from_cells(cls, score: Array, pos: Counts, neg: Counts) -> Self:
        """Cumulate cells from the top.

        score: float64[C], increasing: the lowest score in each cell, in the space and with the
        value that the scores will be compared in. Cells of equal score (a saturated sigmoid) are
        one candidate, since no threshold can part them. pos, neg: int64[C] or float64[C].
        """
        score = np.asarray(score, dtype=np.float64)
        if score.ndim != 1 or score.shape != np.shape(pos) or score.shape != np.shape(neg):
            raise ValueError("score, pos and neg are three one-dimensional arrays of one length")
        step = np.diff(score)
        if not np.all(step >= 0):
            raise ValueError("the scores of cells must be increasing, without NaN")
        tp, fp = _from_top(pos), _from_top(neg)
        if np.any(step == 0):
            first = np.append(np.flatnonzero(np.append(True, step > 0)), score.size)
            score, tp, fp = score[first[:-1]], tp[first], fp[first]
        above = np.nextafter(score[-1], np.inf) if score.size else 1.0
        threshold = np.append(score, above)
        keep = threshold.size if np.isfinite(above) else threshold.size - 1
        return cls(threshold[:keep], tp[:keep], fp[:keep], (tp[0] - tp)[:keep], (fp[0] - fp)[:keep])

    def less(self, part: Curve) -> Curve:
        """Return the counts of the same candidates without some of the rows."""
        pairs = zip(self._counts(), part._counts(), strict=True)
        return Curve(self.threshold, *(whole - own for whole, own in pairs))

    def _counts(self) -> tuple[Counts, Counts, Counts, Counts]:
        return self.tp, self.fp, self.fn, self.tn

    def above(self, lowest: float) -> Curve:
        """Return the candidates from `lowest` on; what lies below stays missed."""
        first = int(np.searchsorted(self.threshold, lowest))
        counts = [column[first:] for column in (self.tp, self.fp, self.fn, self.tn)]
        return Curve(self.threshold[first:], *counts)

    @property
    def positives(self) -> float:
        """Rows with label 1."""
        return float(self.tp[0] + self.fn[0]) if self.threshold.size else 0.0

    @property
    def negatives(self) -> float:
        """Rows with label 0."""
        return float(self.fp[0] + self.tn[0]) if self.threshold.size else 0.0

    def figure(self, function: Figure) -> Array:
        """Return a figure at every candidate, float64, NaN where undefined."""
        return function(*map(_floats, (self.tp, self.fp, self.fn, self.tn)))

    def value(self, objective: Objective) -> Array:
        """Return the objective at every candidate, float64, NaN where undefined."""
        return self.figure(objective.function)

    def index(self, threshold: float) -> int:
        """Return the candidate that decides these rows as `threshold` does.

        A threshold above every score is the last candidate.
        """
        found = int(np.searchsorted(self.threshold, threshold, side="left"))
        return min(found, self.threshold.size - 1)

    def confusion(self, index: int) -> Confusion:
        """Return the counts of one candidate as plain numbers."""
        return Confusion(*(a[index].item() for a in (self.tp, self.fp, self.fn, self.tn)))

    def at(self, threshold: float) -> Confusion:
        """Return the counts at any threshold, also between candidates."""
        return self.confusion(self.index(threshold))

    def at_prevalence(self, prior: float) -> Curve:
        """Return the same rows reweighted so that label 1 has the share `prior` (label shift).

        The total stays what it is. Raises ValueError when a class is absent or the prior is not
        strictly between 0 and 1.
        """
        positives, negatives = self.positives, self.negatives
        if not 0 < prior < 1:
            raise ValueError(f"a prevalence lies strictly between 0 and 1, not {prior!r}")
        if positives <= 0 or negatives <= 0:
            raise ValueError("one class only: no weights give it another prevalence")
        total = positives + negatives
        up, down = prior * total / positives, (1 - prior) * total / negatives
        return Curve(
            self.threshold,
            *(_floats(a) * w for a, w in ((self.tp, up), (self.fp, down))),
            *(_floats(a) * w for a, w in ((self.fn, up), (self.tn, down))),
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen candidate: threshold, the objective's value there, and its (unshifted) counts."""

    threshold: float
    value: float
    confusion: Confusion
    index: int
    tied: int
    """Candidates whose value equals the best (1: the optimum is unique)."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How near one constraint can be brought: its best value and where that is.

    `best` and `threshold` are None where no candidate qualifies. `others_hold` says whether the
    search was among the candidates that meet all other constraints.
    """

    constraint: Constraint
    best: float | None
    threshold: float | None
    others_hold: bool


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No candidate meets the constraints; the best attainable, for the message.

    `undefined` is the objective where some candidates meet them, and it is undefined at each;
    `logits` tells that candidates are logits, `scale` that they are those of raw scores.
    """

    shortfalls: tuple[Shortfall, ...]
    undefined: str | None = None
    logits: bool = False
    scale: RawScale | None = None

    def message(self) -> str:
        """Return one line: what cannot be met and how near it comes."""
        if not self.shortfalls:
            return "the objective is undefined at every cut-off"
        wanted = " and ".join(str(s.constraint) for s in self.shortfalls)
        together = " together" if len(self.shortfalls) > 1 else ""
        return f"no cut-off meets {wanted}{together}: {self.nearest()}"

    @property
    def short(self) -> float:
        """By how much the constraints are missed at best, summed; infinite where undefined."""
        gaps = (math.inf if s.best is None else abs(s.constraint.target - s.best)
                for s in self.shortfalls)  # fmt: skip
        return sum(gaps)

    def nearest(self) -> str:
        """Return how near each constraint comes."""
        if self.undefined is not None:
            return f"{self.undefined} is undefined wherever it holds"
        return "; ".join(_nearest(one, self.logits, self.scale) for one in self.shortfalls)


def choose(
    curve: Curve,
    objective: Objective,
    constraints: tuple[Constraint, ...] = (),
    *,
    prior: float | None = None,
    allowed: NDArray[np.bool_] | None = None,
) -> Choice | Unreachable:
    """Return the best candidate that meets every constraint, or how near they can be met.

    allowed: bool, one for each candidate; the others do not compete.

    Equal values (within 1e-12) go to the larger Youden's J, then to the highest threshold: of two
    cut-offs with the same recall the one with fewer false positives, of two with the same
    precision the one that finds more. With `prior` the objective and the constraints are those of
    that prevalence; the counts of the answer stay those of the rows.
    """
    judged = curve if prior is None else curve.at_prevalence(prior)
    value = judged.value(objective)
    meets = [c.met(judged.figure(c.function)) for c in constraints]
    feasible = ~np.isnan(value) if allowed is None else ~np.isnan(value) & allowed
    for mask in meets:
        feasible &= mask
    if not feasible.any():
        held = np.logical_and.reduce([np.ones(len(value), np.bool_), *meets])
        undefined = objective.name if meets and held.any() and allowed is None else None
        return Unreachable(_shortfalls(judged, constraints, meets), undefined)
    signed = np.where(feasible, value if objective.larger_is_better else -value, -np.inf)
    best = _ties(signed)
    j = np.nan_to_num(judged.figure(youden)[best])
    index = int(best[_ties(j)[-1]])
    return Choice(
        threshold=float(curve.threshold[index]),
        value=float(value[index]),
        confusion=curve.confusion(index),
        index=index,
        tied=int(best.size),
    )


def _floats(count: Counts) -> Array:
    return np.asarray(count, dtype=np.float64)


def _from_top(count: Counts) -> Counts:
    total = np.append(np.cumsum(count[::-1])[::-1], 0)
    if total.dtype.kind in "iu":
        return total.astype(np.int64, copy=False)
    return total.astype(np.float64, copy=False)


def _ties(value: Array) -> NDArray[np.intp]:
    """Return the indices, increasing, whose value equals the largest."""
    top = float(np.max(value))
    return np.flatnonzero(value >= top - TOLERANCE * max(1.0, abs(top)))


def _shortfalls(
    curve: Curve, constraints: tuple[Constraint, ...], meets: list[NDArray[np.bool_]]
) -> tuple[Shortfall, ...]:
    """Return each constraint's best value, among the candidates that meet the others if any."""
    found = []
    for i, constraint in enumerate(constraints):
        others = np.ones(curve.threshold.shape, dtype=bool)
        for k, mask in enumerate(meets):
            if k != i:
                others &= mask
        value = curve.figure(constraint.function)
        defined = ~np.isnan(value)
        others_hold = bool((others & defined).any())
        among = np.flatnonzero(others & defined if others_hold else defined)
        if among.size == 0:
            found.append(Shortfall(constraint, None, None, others_hold=False))
            continue
        signed = value[among] if constraint.at_least else -value[among]
        index = int(among[_ties(signed)[0]])
        at = float(curve.threshold[index])
        found.append(Shortfall(constraint, float(value[index]), at, others_hold))
    return tuple(found)


def _nearest(shortfall: Shortfall, logits: bool, scale: RawScale | None) -> str:
    name = shortfall.constraint.name
    if shortfall.best is None:
        return f"{name} is undefined at every cut-off"
    edge = "at most" if shortfall.constraint.at_least else "at least"
    where = "" if shortfall.others_hold else " at any cut-off"
    at = f"{'logit ' if logits else ''}{shortfall.threshold!r}"
    if scale is not None and shortfall.threshold is not None:
        at = repr(scale.cut(shortfall.threshold))
    return f"{name} is {edge} {shortfall.best:.6g}{where}, at {at}"
