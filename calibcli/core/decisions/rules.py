"""From thresholds or costs to one decision a row, where there are several classes.

NONE (-1) is "no class", REFER (-2) "a person decides".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from calibcli.core.decisions.objectives import Array
from calibcli.errors import UsageError

NONE = -1
REFER = -2


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

    def mean_cost(
        self, label: NDArray[np.integer], decision: NDArray[np.integer], weight: Array | None = None
    ) -> float:
        """Return the mean cost of decisions (n,) given the truth (n,)."""
        column = np.where(decision == REFER, self.cost.shape[0], decision)
        return float(np.average(self.cost[label, column], weights=weight))
