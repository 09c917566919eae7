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
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.results.promotion import CheckResult, Step
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.fitting.held_out import HeldOut

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

    def least_of_a_label(self, *, exclusive: bool) -> int:
        """Return how many rows of each label, or of each class, there must be."""
        if self.min_positives is not None:
            return self.min_positives
        return 10 if exclusive else 50


@dataclass(frozen=True, slots=True)
class Check:
    """One condition: its figure, its limit, whether it holds, and what to say where it does not."""

    name: str
    value: float | None
    limit: float
    passed: bool
    said: str

    @property
    def result(self) -> CheckResult:
        """What a result says of it; a limit that is switched off is null."""
        limit = self.limit if math.isfinite(self.limit) else None
        reason = None if self.passed else self.said
        return CheckResult(self.name, self.value, limit, self.passed, reason)


def compared(held: HeldOut, steps: Sequence[float], confidence: float) -> tuple[Step, ...]:
    """Return each challenger's difference with its interval; all of them hold together.

    Args:
        held: losses of the champion, the base, then of each challenger.
        steps: how far each challenger goes.
        confidence: with which all intervals hold.
    """
    each = 1.0 - (1.0 - confidence) / len(steps)
    found = []
    for place, step in enumerate(steps, start=1):
        low, high = held.interval(place, each)
        loss, difference = float(held.losses[place]), float(held.differences[place])
        found.append(Step(step, loss, difference, low, high))
    return tuple(found)


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
