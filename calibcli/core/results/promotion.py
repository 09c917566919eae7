"""The result of a promotion: what became of a challenger, and why."""

from __future__ import annotations

from typing import Any, Literal

from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.envelope import Envelope, GateResult, Input
from calibcli.core.results.figures import Figure, Where
from calibcli.core.results.warning import Code

Outcome = Literal[
    "promoted",
    "not-better",
    "few-rows",
    "shift",
    "gate",
    "stale-thresholds",
    "constraint",
    "unreachable",
    "rolled-back",
    "input",
]
"""Why: what an alert is made of. `not-better` alone is an ordinary night.

`constraint`: the cut-offs in use break a target and nothing better was found; `unreachable`: no
cut-off reaches it on this dump; `stale-thresholds`: cut-offs of another calibrator, which were
chosen again, or not; `input`: a file that cannot be used.
"""
Decision = Literal["promoted", "would-promote", "kept", "rolled-back", "refused"]


class Contender(Record, frozen=True, kw_only=True):
    """A calibrator; a challenger also has how far it goes from the champion to the fresh fit."""

    method: str
    step: float | None = None
    rows: Number
    digest: str | None


class Step(Record, frozen=True):
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


class ConstraintKept(Record, frozen=True):
    """A constraint in one slice: its figure under the cut-offs in use, and under the new ones."""

    constraint: str
    slice: Where
    champion: Figure | None
    challenger: Figure | None


class Comparison(Record, frozen=True):
    """What is compared, held out, of the champion and of the challenger that was taken.

    Attributes:
        score: a loss, "nll" or "brier", of calibrators; the objective of cut-offs.
        steps: of calibrators, every challenger.
        constraints: of cut-offs.
    """

    score: str
    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None
    confidence: float
    clustered: bool
    steps: tuple[Step, ...]
    larger_is_better: bool | None = None
    constraints: tuple[ConstraintKept, ...] | None = None


class CheckResult(Record, frozen=True):
    """A condition on the dump: its figure, its limit (None: switched off), whether it holds."""

    name: str
    value: Number | None
    limit: Number | None
    passed: bool
    reason: str | None = None


Why = Literal["missing", "few", "worse"]


class GroupKept(Record, frozen=True):
    """A group that keeps the map, or the cut-off, that it has in use, and why.

    Attributes:
        why: "missing" from the dump, too "few" rows to be checked, or "worse" with the new one.
    """

    slice: Where
    why: Why
    reason: str


class CutsPromoted(Record, frozen=True):
    """The cut-offs that are replaced together with a calibrator."""

    path: str
    champion: Contender | None
    challenger: Contender | None
    comparison: Comparison | None
    previous: str | None
    kept_groups: tuple[GroupKept, ...] | None = None


class PromotionResult(Envelope, frozen=True, kw_only=True):
    """What became of a challenger.

    `previous` is where the calibrator is kept that was replaced; `kept_groups`, of maps by group,
    are those whose map stays as it is.
    """

    schema: Literal["calibcli/promotion"] = always("calibcli/promotion")
    inputs: tuple[Input, ...] = always(())
    params: dict[str, Any] = always({})
    path: str
    decision: Decision
    code: Outcome
    reason: str
    dry_run: bool
    champion: Contender | None
    challenger: Contender | None
    comparison: Comparison | None
    checks: tuple[CheckResult, ...] = always(())
    gates: tuple[GateResult, ...] = always(())
    previous: str | None
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())
    thresholds: CutsPromoted | None = None
    kept_groups: tuple[GroupKept, ...] | None = None
