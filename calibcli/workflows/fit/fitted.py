"""What a fit is asked for, and what it hands on to be shown and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from calibcli.core.calibrators import CALIBRATORS, OneVsRest
from calibcli.core.calibrators.types import SCORE
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.composed.grouped import Grouped
    from calibcli.core.fitting.held_out import HeldOut
    from calibcli.core.results.figures import Where
    from calibcli.core.results.fit import Candidate
    from calibcli.tasks.collect import Population


OF_PROBABILITIES = ("identity", "temperature")
"""Methods that have no place for where raw scores mean one half."""


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What to fit and how to choose.

    Attributes:
        method: a method by name, or "auto".
        folds: of cross-fitting.
        select: the proper score that decides, "nll" or "brier".
        temperatures: limits temperature scaling to a list.
        per_class: several classes: one map for each class against the rest.
        per_group: a column: one map for each of its values.
        models: columns or files of several models, to be pooled into one probability.
        seed: of everything that is drawn.
        clock: seconds, to time the candidates' fits with; left out of artifacts.
        raw: whether scores are no probabilities.
        by: a column of times: folds are blocks of time, judged by fits on earlier ones.
    """

    method: str = "auto"
    folds: int = 5
    select: str = "nll"
    temperatures: tuple[float, ...] = ()
    per_class: bool = False
    per_group: str | None = None
    models: tuple[str, ...] = ()
    seed: int = 0
    clock: Callable[[], float] | None = None
    raw: bool = False
    by: str | None = None

    def __post_init__(self) -> None:
        known = [*(m for m in CALIBRATORS if m != OneVsRest.method), "auto"]
        if self.method not in known:
            hint = did_you_mean(self.method, known) or f"one of: {', '.join(known)}"
            raise UsageError(f"unknown method {self.method!r}", hint)
        if self.select not in ("nll", "brier"):
            raise UsageError(f"--select {self.select!r}", "nll or brier")
        if not 2 <= self.folds <= 50:
            raise UsageError("--folds must lie between 2 and 50", "for example --folds 5")
        if self.temperatures and min(self.temperatures) <= 0:
            raise UsageError("temperatures must be positive", "for example --temperatures 0.5,1,2")
        if self.temperatures and self.method not in ("auto", "temperature"):
            raise UsageError(
                f"--temperatures is for temperature scaling, not {self.method}",
                "--method temperature --temperatures 0.5,1,2",
            )
        if self.per_class and self.per_group is not None:
            raise UsageError("--per-class and --per-group are two fits", "give one of them")
        if self.raw and (self.method in OF_PROBABILITIES or self.temperatures):
            raise UsageError(
                f"{self.method} leaves raw scores where they are, or only stretches them",
                "--method platt, beta, spline, isotonic, venn-abers, histogram, scaling-binning",
            )
        if self.raw and self.models:
            raise UsageError("--ensemble is of probabilities or logits", "fit each model, then it")
        if self.models and (self.per_class or self.per_group is not None):
            raise UsageError("--ensemble is one map for all rows", "leave out --per-class/-group")
        if len(self.models) == 1 or len(set(self.models)) < len(self.models):
            raise UsageError("--ensemble needs two or more models", "--ensemble p_a,p_b")
        several = {
            "--per-group": self.per_group is not None,
            "--per-class": self.per_class,
            "--ensemble": bool(self.models),
        }
        for name, given in several.items():
            if self.by is not None and given:
                raise UsageError(f"--folds time:COL is of one map, not for {name}", "--folds 5")


@dataclass(frozen=True, slots=True)
class GroupOutcome:
    """One value of the group column: how much of the map is its own, and the rows before, after."""

    where: Where
    rows: float
    weight: tuple[float, ...]
    note: str
    before: Population
    after: Population

    @classmethod
    def of(cls, one: Grouped, where: Where, before: Population, after: Population) -> Self:
        """Return what a calibrator by group has made of a value's rows."""
        own = one.groups.get(str(where.value))
        if own is None:
            return cls(where, float(before.pairs.n), (0.0,), "", before, after)
        return cls(where, own.rows, own.weight, own.note, before, after)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibrator, how it was chosen, and the same rows after it, held out or in-sample.

    Attributes:
        method: as it is shown.
        calibrator: fitted on all rows.
        candidates: what was compared.
        after: the rows under maps that have not seen them, where `kind` is "cross-fitted".
        kind: "cross-fitted", "in-sample" or "unchanged".
        notes: warnings.
        groups: what became of each group.
        folds: several classes: the map at index f has not seen the rows with bucket % folds = f;
            maps by group of pairs: it has not seen those that `families.deal` deals to f.
        warnings: with codes of their own.
        before: the rows that `after` is of, where these are not all.
    """

    method: str
    calibrator: Calibrator
    candidates: tuple[Candidate, ...]
    after: Population
    kind: str
    notes: tuple[str, ...]
    groups: tuple[GroupOutcome, ...] = ()
    folds: tuple[Calibrator, ...] = ()
    warnings: tuple[Warning, ...] = ()
    before: Population | None = None


def less_accurate(wrong: HeldOut) -> tuple[Warning, ...]:
    """Return a warning where a map is wrong more often than the scores, beyond the interval.

    Args:
        wrong: held-out errors of the scores as they are, and of the map.
    """
    low, high = wrong.interval(1, 0.95)
    if low <= 0.0:
        return ()
    before, after = (100.0 * (1.0 - float(one)) for one in wrong.losses)
    text = (
        f"the accuracy falls from {before:.4g} % to {after:.4g} %, beyond its interval: "
        f"{100.0 * low:.2g} to {100.0 * high:.2g} points"
    )
    return (Warning("less-accurate", text),)


def check_method(method: str, task: str) -> None:
    """Refuse a method that does not serve the task.

    Raises:
        UsageError: a method of several classes for binary pairs.
    """
    if not CALIBRATORS[method].takes >= SCORE:
        usable = [m for m, kind in CALIBRATORS.items() if kind.takes >= SCORE]
        raise UsageError(
            f"{method} is for several classes, these scores are {task}",
            f"one of: {', '.join(usable)}",
        )
