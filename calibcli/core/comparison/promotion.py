"""Whether a challenger takes the champion's place: what is checked, and how sure it must be.

The champion is judged as it is on rows it has not been fitted on; the challenger on each fold by a
map that has not seen it. What decides is the mean over rows of the difference of their losses,
challenger less champion. Rows that are hard for both cancel, and with clusters it is whole buckets
that are compared. The challenger is better only where the whole interval lies below 0.

Several challengers (steps of different size) are looked at at once, so each interval is widened
until all hold together with the stated confidence (Bonferroni): chance alone has the first night's
odds of a promotion, not several times those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.special import norm_ppf, t_ppf
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a challenger has to pass.

    Attributes:
        min_rows: rows of the fresh dump.
        min_positives: rows of the rarer label, or of each class; None for 50 and 10.
        psi: largest population stability index of the scores against the champion's rows, less
            what chance alone makes.
        odds: largest factor by which the odds of label 1 may have changed against those rows.
        auc: largest change of the AUC (of several classes: the accuracy) against them. A refit
            mends no ranking: labels that no longer follow the scores are joined wrongly, and
            labels that follow them better than ever may have been made from them.
        steps: parts of the way from the champion to the fresh fit that are tried.
        confidence: of the interval that must lie below 0.

    Raises:
        UsageError: a limit that cannot be one.
    """

    min_rows: int = 1000
    min_positives: int | None = None
    psi: float = 0.1
    odds: float = 2.0
    auc: float = 0.1
    steps: tuple[float, ...] = (1.0, 0.5, 0.25)
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.min_rows < 1:
            raise UsageError("--min-rows must be 1 or more", "for example --min-rows 1000")
        if self.min_positives is not None and self.min_positives < 0:
            raise UsageError("--min-positives must not be negative", "--min-positives 50")
        if not self.psi > 0:
            raise UsageError("--max-shift psi must be above 0", "for example psi=0.1")
        if not self.odds >= 1:
            raise UsageError("--max-shift odds is a factor from 1 up", "for example odds=2")
        if not self.auc > 0:
            raise UsageError("--max-shift auc must be above 0", "for example auc=0.1")
        if not self.steps or not all(0.0 < step <= 1.0 for step in self.steps):
            raise UsageError("--steps are parts of the way, above 0 and up to 1", "--steps 1,0.5")
        if len(set(self.steps)) < len(self.steps):
            raise UsageError("--steps names a step twice", "for example --steps 1,0.5,0.25")

    def least_of_a_label(self, task: str) -> int:
        """Return how many rows of each label, or of each class, there must be."""
        if self.min_positives is not None:
            return self.min_positives
        return 10 if task == "multiclass" else 50


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: its figure, its limit, whether it holds, and what to say where it does not."""

    name: str
    value: float | None
    limit: float
    passed: bool
    said: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; a limit that is switched off is null."""
        limit = self.limit if math.isfinite(self.limit) else None
        found = {"name": self.name, "value": self.value, "limit": limit, "passed": self.passed}
        return found if self.passed else found | {"reason": self.said}


@dataclass(frozen=True, slots=True)
class Step:
    """One challenger against the champion.

    Attributes:
        step: how far it goes from the champion to the fresh fit.
        loss: its mean held-out loss; `difference` that less the champion's, in [low, high].
    """

    step: float
    loss: float
    difference: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """Whether it is better beyond its interval."""
        return self.high < 0.0

    def to_dict(self) -> dict[str, float]:
        """Return plain JSON types."""
        return {
            "step": self.step,
            "loss": self.loss,
            "difference": self.difference,
            "low": self.low,
            "high": self.high,
        }


class PairedLosses:
    """Sums over held-out rows of m challengers' losses, less the champion's."""

    def __init__(self, challengers: int) -> None:
        self.rows = self.squares = self.champion = 0.0
        self.sums, self.weighted = np.zeros(challengers), np.zeros(challengers)
        self.products = np.zeros(challengers)
        self.buckets = np.zeros((BUCKETS, challengers + 1))
        self.repeats = 1

    def add_cells(
        self, held_out: ScoreStats, champion: tuple[Array, Array], losses: Sequence[Any]
    ) -> None:
        """Add the rows of a fold, by cell.

        Args:
            held_out: the rows.
            champion: its loss of a positive and of a negative row in each cell (C,), (C,).
            losses: the same of each challenger.
        """
        table = held_out.table
        squares = (table.pos, table.neg)
        if table.pos_sq is not None and table.neg_sq is not None:
            squares = (table.pos_sq, table.neg_sq)
        apart = []
        for side, (count, square) in enumerate(zip((table.pos, table.neg), squares, strict=True)):
            own = np.column_stack([loss[side] - champion[side] for loss in losses])
            mass, heavy = count.astype(np.float64), square.astype(np.float64)
            self.rows += float(mass.sum())
            self.squares += float(heavy.sum())
            self.champion += float(mass @ champion[side])
            self.sums += mass @ own
            self.weighted += heavy @ own
            self.products += heavy @ own**2
            apart.append(np.hstack([own, np.ones((len(own), 1))]))
        if held_out.parts is not None:
            home = np.unique(held_out.parts.slot)
            self.buckets[home] += held_out.bucket_sums(apart[0], apart[1])

    def add_rows(
        self,
        champion: Array,
        losses: Array,
        weight: Array,
        bucket: NDArray[np.int64],
        *,
        counts: bool,
    ) -> None:
        """Add rows.

        Args:
            champion: its losses (n,).
            losses: the challengers' (n, m).
            weight: (n,) of importance, or how many identical rows each stands for.
            bucket: (n,) of the row's cluster, or of the row.
            counts: which of the two `weight` is.
        """
        own = losses - champion[:, None]
        heavy = weight if counts else weight * weight
        self.rows += float(weight.sum())
        self.squares += float(heavy.sum())
        self.champion += float(weight @ champion)
        self.sums += weight @ own
        self.weighted += heavy @ own
        self.products += heavy @ own**2
        mass = np.hstack([own, np.ones((len(own), 1))]) * weight[:, None]
        np.add.at(self.buckets, bucket, mass)

    def steps(
        self, steps: Sequence[float], *, confidence: float, clustered: bool
    ) -> tuple[Step, ...]:
        """Return each challenger's difference with its interval; all of them hold together."""
        means = self.sums / self.rows
        tail = (1.0 - confidence) / 2.0 / len(steps)
        if clustered:
            full = self.buckets[self.buckets[:, -1] > 0]
            centred = full[:, :-1] - full[:, -1:] * means
            size = len(full)
            errors = np.sqrt((centred**2).sum(axis=0) * size / max(size - 1, 1)) / self.rows
            quantile = t_ppf(1.0 - tail, max(size - 1, 1))
        else:
            spread = self.products - 2.0 * means * self.weighted + means**2 * self.squares
            # Repeats score the same rows again: no more evidence than one of them.
            errors = np.sqrt(np.maximum(spread, 0.0) * self.repeats) / self.rows
            quantile = norm_ppf(1.0 - tail)
        base = self.champion / self.rows
        return tuple(
            Step(step, base + mean, mean, mean - quantile * error, mean + quantile * error)
            for step, mean, error in zip(steps, means.tolist(), errors.tolist(), strict=True)
        )


def best_step(steps: Sequence[Step]) -> Step:
    """Return the step of least loss among those that are better for sure, else among all."""
    sure = [step for step in steps if step.better]
    return min(sure or steps, key=lambda step: step.loss)


def odds_ratio(now: tuple[float, float], before: tuple[float, float]) -> float:
    """Return the factor by which the odds of label 1 have changed, from 1 up.

    Args:
        now: rows with label 1 and with label 0; half a row is added to each count.
        before: the same of the reference.
    """
    odds = [(ones + 0.5) / (zeros + 0.5) for ones, zeros in (now, before)]
    return float(max(odds[0] / odds[1], odds[1] / odds[0]))


def class_psi(now: Array, before: Array) -> float:
    """Return the PSI of class frequencies from rows by class (K,), less what chance alone makes.

    Chance makes about (K - 1)(1/n + 1/m) (Yurdakul and Naranjo 2020). An empty class counts as
    half a row.
    """
    p, q = (np.maximum(counts, 0.5) / counts.sum() for counts in (now, before))
    found = float(((p - q) * np.log(p / q)).sum())
    floor = (len(now) - 1) * (1.0 / float(now.sum()) + 1.0 / float(before.sum()))
    return max(found - floor, 0.0)
