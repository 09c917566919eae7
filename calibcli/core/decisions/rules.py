"""Rules: what turns the scores of rows into decisions.

The same object is searched, counted, written to an artifact and applied.

Every rule has `decide(p, codes, values)`: probabilities (n,) or (n, K) and, where it differs by
group, the group of each row as codes (n,) into values. Decisions are class indices (1 and 0 of a
binary score), with NONE (-1) for "no class" and REFER (-2) for "a person decides".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibcli.core.decisions.objectives import Array
from calibcli.errors import InputError, UsageError

NONE = -1
REFER = -2

Codes = NDArray[np.integer[Any]] | None
Decisions = NDArray[Any]


class Rule(Protocol):
    """What decides about rows."""

    @property
    def refers(self) -> bool:
        """Whether a row may be referred."""

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Return one decision a row (n,), or one for each class of a row (n, K)."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut-off of one score: 1 from `threshold` up, 0 below `low`, REFER between.

    `low` is None where nothing is referred; decisions are booleans then. `logit` is the same
    cut-off on the scale of logits, which parts scores whose probabilities are 1.0 alike.
    """

    threshold: float
    low: float | None = None
    logit: float | None = None

    @property
    def refers(self) -> bool:
        """Whether there is a band."""
        return self.low is not None

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide scores (n,)."""
        if self.low is None:
            return np.asarray(p >= self.threshold)
        return decide_band(p, self.low, self.threshold)

    def of_logits(self) -> Cut | None:
        """Return what decides logits; None where the cut-off is known as a probability alone."""
        return None if self.logit is None else Cut(self.logit)


@dataclass(frozen=True, slots=True)
class MostProbable:
    """The class of the largest probability, of equal ones the first."""

    @property
    def refers(self) -> bool:
        """No row is referred."""
        return False

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide scores (n, K)."""
        return np.asarray(p.argmax(axis=1))


@dataclass(frozen=True, slots=True)
class LabelCuts:
    """A cut-off for each of K labels, decided one by one; None for a label that has none."""

    cuts: tuple[Cut | None, ...]

    @property
    def refers(self) -> bool:
        """Whether some label has a band."""
        return any(cut is not None and cut.refers for cut in self.cuts)

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide scores (n, K): booleans, or 1, 0 and REFER where some label has a band."""
        nan = float("nan")
        high = np.array([nan if cut is None else cut.threshold for cut in self.cuts])
        if not self.refers:
            return np.asarray(p >= high)
        lows = [nan if c is None else c.threshold if c.low is None else c.low for c in self.cuts]
        low = np.array(lows)
        return np.where(p >= high, 1, np.where((p < low) | np.isnan(low), 0, REFER))

    def of_logits(self) -> LabelCuts | None:
        """Return what decides logits; None where a cut-off is known as a probability alone."""
        cuts = tuple(None if cut is None else cut.of_logits() for cut in self.cuts)
        missing = [
            own is None and cut is not None for own, cut in zip(cuts, self.cuts, strict=True)
        ]
        return None if any(missing) else LabelCuts(cuts)


@dataclass(frozen=True, slots=True, eq=False)
class ClassCuts:
    """A cut-off for each of K classes that exclude each other.

    A row is won by the class with the largest probability / weight, and decided for it where its
    probability reaches the threshold of that class; a NaN threshold is never reached. Weights of 1
    are the most probable class. Whatever the thresholds, a class wins the same rows, so that its
    figures depend on its own threshold alone.

    Without weights (artifacts of earlier versions) a class claims a row when its probability
    reaches its threshold, and several claims go to the largest probability / threshold.
    """

    thresholds: Array
    weights: Array | None = None

    @property
    def refers(self) -> bool:
        """No row is referred: what no class decides is NONE."""
        return False

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide probabilities (n, K): a class or NONE."""
        if self.weights is None:
            return decide_classes(p, self.thresholds)
        winner, score = won(p, self.weights)
        return np.where(score >= self.thresholds[winner], winner, NONE)


@dataclass(frozen=True, slots=True)
class Keep:
    """The most probable class where its probability reaches `threshold`, else REFER."""

    threshold: float

    @property
    def refers(self) -> bool:
        """Rows that are not sure enough are referred."""
        return True

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide probabilities (n,) of a binary score, or (n, K)."""
        if p.ndim == 1:
            best = (p >= 0.5).astype(np.int64)
            sure = np.maximum(p, 1.0 - p)
        else:
            best = p.argmax(axis=1).astype(np.int64)
            sure = p.max(axis=1)
        return np.where(sure >= self.threshold, best, REFER)


@dataclass(frozen=True, slots=True)
class ByGroup:
    """A rule for each value of a group column; `rest` for values that have none of their own."""

    column: str
    rest: Rule
    rules: Mapping[str, Rule]

    @property
    def refers(self) -> bool:
        """Whether some group's rule refers."""
        return self.rest.refers or any(rule.refers for rule in self.rules.values())

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide rows by the rule of their group.

        Raises:
            InputError: no groups are given.
        """
        if codes is None or values is None:
            raise InputError(
                f"these thresholds differ by {self.column!r}, and no groups are given",
                "decide(scores, groups)",
            )
        order = np.argsort(codes, kind="stable")
        ordered = codes[order]
        fresh = np.append(True, ordered[1:] != ordered[:-1])[: len(codes)]
        starts = np.flatnonzero(fresh).tolist()
        none = self.rest.decide(p[:0])
        out = np.zeros((len(p), *none.shape[1:]), np.int64 if self.refers else none.dtype)
        for start, stop in zip(starts, [*starts[1:], len(codes)], strict=False):
            rows = order[start:stop]
            rule = self.rules.get(values[int(ordered[start])], self.rest)
            out[rows] = rule.decide(p[rows])
        return out


@dataclass(frozen=True, slots=True)
class LeastCost:
    """The decision of least expected cost.

    `ratio` (K,) are the prevalences where it is used, divided by those of the data; or None.
    """

    costs: CostMatrix
    ratio: Array | None = None

    @property
    def refers(self) -> bool:
        """Whether to refer is one of the decisions."""
        return self.costs.refers

    def decide(
        self, p: Array, codes: Codes = None, values: Sequence[str] | None = None
    ) -> Decisions:
        """Decide probabilities (n,) of a binary score, or (n, K)."""
        return self.costs.decide(two_columns(p), prior=self.ratio)


def of_logits(rule: Rule) -> Rule | None:
    """Return the same rule for logits in place of probabilities; None where it needs these."""
    if isinstance(rule, Cut | LabelCuts):
        return rule.of_logits()
    if isinstance(rule, ByGroup):
        rest = of_logits(rule.rest)
        rules = {value: of_logits(one) for value, one in rule.rules.items()}
        known = {value: one for value, one in rules.items() if one is not None}
        if rest is not None and len(known) == len(rules):
            return ByGroup(rule.column, rest, known)
    return None


def two_columns(p: Array) -> Array:
    """Return the probabilities of both classes (n, 2) of a binary score; others as they are."""
    return np.stack([1.0 - p, p], axis=1) if p.ndim == 1 else p


def won(p: Array, weights: Array) -> tuple[NDArray[np.int64], Array]:
    """Return the class that wins each row (n,) and its probability (n,), ties to the first.

    Args:
        p: probabilities (n, K).
        weights: (K,) positive; the largest probability / weight wins.
    """
    ratio = p if (weights == weights[0]).all() else p / weights
    if p.flags.c_contiguous or not p.flags.f_contiguous:
        winner = ratio.argmax(axis=1)
        return winner, np.take_along_axis(p, winner[:, None], axis=1)[:, 0]
    # Columns that lie apart (planes of an image) are compared one by one.
    winner, best = np.zeros(len(p), np.int64), ratio[:, 0].copy()
    for k in range(1, p.shape[1]):
        winner[ratio[:, k] > best] = k
        np.maximum(best, ratio[:, k], out=best)
    return winner, p[np.arange(len(p)), winner]


def decide_classes(probability: Array, thresholds: Array) -> NDArray[np.int64]:
    """Return one class a row, (n,), from probabilities (n, K) and a threshold a class (K,).

    A class claims a row when its probability reaches its threshold. Several claims go to the
    largest probability / threshold (threshold moving: the Bayes decision when errors on class k
    cost 1/threshold; Zhou and Liu 2006), ties to the first index; no claim is NONE.
    """
    p = np.asarray(probability, dtype=np.float64)
    t = np.asarray(thresholds, dtype=np.float64)
    claims = p >= t
    strength = np.where(claims, p / np.maximum(t, 1e-300), -1.0)
    return np.where(claims.any(axis=1), strength.argmax(axis=1), NONE)


def decide_band(score: ArrayLike, low: float, high: float) -> NDArray[np.int64]:
    """Return 1 from `high` up, 0 below `low`, REFER between, for scores (n,)."""
    s = np.asarray(score, dtype=np.float64)
    return np.where(s >= high, 1, np.where(s < low, 0, REFER))


@dataclass(frozen=True, slots=True)
class CostMatrix:
    """Costs of deciding d when the truth is k: cost[k, d], float64 (K, D).

    D is K, or K + 1 when the last decision is to refer.
    """

    cost: Array

    @classmethod
    def from_rows(cls, rows: ArrayLike) -> CostMatrix:
        """Check a matrix (K, K) or (K, K+1); UsageError says what is wrong with it."""
        cost = np.asarray(rows, dtype=np.float64)
        shape = cost.shape
        if cost.ndim != 2 or shape[0] < 2 or shape[1] not in (shape[0], shape[0] + 1):
            raise UsageError(
                "a cost matrix has a row for each true class and a column for each decision",
                "one more column is the cost of referring",
            )
        if not np.isfinite(cost).all():
            raise UsageError("a cost matrix holds finite numbers only")
        right = np.diag(cost[:, : cost.shape[0]])
        cheaper = np.argwhere(cost[:, : cost.shape[0]] < right[:, None])
        if cheaper.size:
            true, decided = (int(i) for i in cheaper[0])
            raise UsageError(
                f"in the cost matrix, deciding {decided} when the truth is {true} costs less than "
                f"deciding {true}",
                "rows are the truth, columns the decision",
            )
        return cls(cost)

    @property
    def refers(self) -> bool:
        """Whether the last decision is to refer."""
        return bool(self.cost.shape[1] > self.cost.shape[0])

    def decide(self, probability: Array, prior: Array | None = None) -> NDArray[np.int64]:
        """Return the decision of least expected cost for each row (n,), ties to the first.

        probability: calibrated, (n, K). prior: prevalence of each class where it will be used,
        divided by that of the data (K,); posteriors are reweighted by it.
        """
        p = np.asarray(probability, dtype=np.float64)
        if prior is not None:
            p = p * prior
            p = p / p.sum(axis=1, keepdims=True)
        best = (p @ self.cost).argmin(axis=1)
        return np.where(best == self.cost.shape[0], REFER, best)
