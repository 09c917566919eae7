"""The result of `fit --replay`: what each way of refitting would have cost, period by period."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.envelope import Envelope
from calibcli.core.results.figures import Figure
from calibcli.core.results.promotion import Outcome
from calibcli.core.results.warning import Code

PolicyName = Literal["never", "always", "step", "promote", "online", "uncalibrated"]
"""How one refits.

`never` keeps the fit of the first period, `always` takes that of each, `step` goes a part of the
way to it, `promote` is `fit --promote-over`, `online` learns a line of logits row by row,
`uncalibrated` leaves the scores as they are.
"""


def _title(name: PolicyName, step: float | None) -> str:
    return name if step is None else f"{name} {step:g}"


class Night(Record, frozen=True):
    """A period: its name in its column, and a loss by row in it."""

    value: str
    loss: float


class Policy(Record, frozen=True, kw_only=True):
    """What a way of refitting has cost over all judged periods.

    Attributes:
        step: of `step`, the part of the way.
        replaced: in how many judged periods the calibrator was replaced.
        loss: by row, with its interval.
        difference: that less the loss of `never` on the same rows, with its paired interval; those
            of all policies hold together.
        worst: the period of the largest loss by row.
    """

    name: PolicyName
    step: float | None = None
    replaced: int
    loss: Figure
    difference: Figure
    worst: Night

    @property
    def title(self) -> str:
        """What it is called."""
        return _title(self.name, self.step)


class Acted(Record, frozen=True):
    """What a policy did in a period.

    Attributes:
        name: of the policy, and its `step`.
        loss: by row, of the calibrator in place; None in the first period.
        replaced: whether another one was in place afterwards.
        code: of `promote`: why.
    """

    name: PolicyName
    step: float | None
    loss: float | None
    replaced: bool
    code: Outcome | None = None

    @property
    def title(self) -> str:
        """What the policy is called."""
        return _title(self.name, self.step)


class Replayed(Record, frozen=True):
    """A period in its order.

    Attributes:
        value: its name in its column.
        n: its rows.
        judged: whether its rows count: all but the first.
        policies: what each did.
        reason: why nothing could be fitted to it.
    """

    value: str
    n: Number
    judged: bool
    policies: tuple[Acted, ...]
    reason: str | None = None


class ReplayResult(Envelope, frozen=True, kw_only=True):
    """What each way of refitting would have cost.

    Attributes:
        by: the column of the periods.
        score: the loss, "nll" or "brier"; of pairs "cost", that of the decisions.
        nights: how many periods were judged, and their `rows`.
    """

    schema: Literal["calibcli/replay"] = always("calibcli/replay")
    by: str
    score: str
    nights: int
    rows: Number
    policies: tuple[Policy, ...]
    periods: tuple[Replayed, ...]
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())

    @property
    def best(self) -> Policy | None:
        """The policy of least loss among those that are better than `never` beyond the interval."""
        sure = [one for one in self.policies if (one.difference.high or 0.0) < 0.0]
        return min(sure, key=lambda one: one.loss.value or 0.0, default=None)
