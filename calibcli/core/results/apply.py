"""The result of `apply`: what was written, and of what its gates read."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.conventions import Conventions
from calibcli.core.results.envelope import Envelope, GateResult, conventions_of
from calibcli.core.results.figures import Figure
from calibcli.core.results.warning import Code


class SharesOfClass(Record, frozen=True, kw_only=True):
    """A class: its mean probability, and how many rows are decided to be it."""

    name: str
    calibrated: dict[str, Figure]
    metrics: dict[str, Figure]


class Shares(Record, frozen=True, kw_only=True):
    """What probabilities and decisions come to, without a label.

    Attributes:
        calibrated: `mean_score`, of the probabilities.
        metrics: of the decisions: `positive-rate`, `alerts` (a number of rows), `undecided`,
            `referred`, `set_size`.
        classes: the same of each class.
    """

    calibrated: dict[str, Figure]
    metrics: dict[str, Figure]
    classes: tuple[SharesOfClass, ...] = ()


class ApplyResult(Envelope, frozen=True, kw_only=True):
    """What `apply` wrote.

    Attributes:
        rows: how many were written; of boxes those that are left, `of` all.
        provenance: the files beside that say what made the output.
        decided: what the rows come to, where gates ask for it.
    """

    schema: Literal["calibcli/apply"] = always("calibcli/apply")
    method: str | None
    rows: Number
    of: Number | None = None
    nms: str | None = None
    output: str
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())
    prevalence: str | None = None
    provenance: str | None = None
    decided: Shares | None = None
    gates: tuple[GateResult, ...] = ()

    @property
    def conventions(self) -> Conventions:
        """The tags; `params` names the calibrator and the thresholds, which are files."""
        return conventions_of({"tags": self.params.get("tags") or {}})
