"""The result of a promotion: what became of a challenger, and why."""

from __future__ import annotations

from typing import Any, Literal

from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.envelope import Envelope, GateResult
from calibcli.core.results.warning import Code

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


class Comparison(Record, frozen=True):
    """Held-out losses of the champion and of the challenger that was taken, and all steps."""

    score: Literal["nll", "brier"]
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    confidence: float
    clustered: bool
    steps: tuple[Step, ...]


class CheckResult(Record, frozen=True):
    """A condition on the dump: its figure, its limit (None: switched off), whether it holds."""

    name: str
    value: Number | None
    limit: Number | None
    passed: bool
    reason: str | None = None


class PromotionResult(Envelope, frozen=True, kw_only=True):
    """What became of a challenger.

    `previous` is where the calibrator is kept that was replaced.
    """

    schema: Literal["calibcli/promotion"] = always("calibcli/promotion")
    inputs: tuple[dict[str, Any], ...] = always(())
    params: dict[str, Any] = always({})
    path: str
    decision: Decision
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
