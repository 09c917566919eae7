"""A report: a result of `measure`, and the artifacts that go with it."""

from __future__ import annotations

from typing import Any, Literal

from calibcli.core.results.base import Record, always, field
from calibcli.core.results.conventions import Conventions
from calibcli.core.results.envelope import Envelope, GateResult, Input, conventions_of
from calibcli.core.results.fit import Candidate, FittedGroup, Side
from calibcli.core.results.measure import MeasureResult
from calibcli.core.results.parts.stored import MapPoint
from calibcli.core.results.threshold import ThresholdsFile
from calibcli.core.results.warning import Code


class CalibratorFile(Record, frozen=True, kw_only=True):
    """What a report shows of a calibrator: how it was chosen, and its map."""

    method: str = ""
    inputs: tuple[Input, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    calibrator: dict[str, Any] = field(default_factory=dict)
    before: Side | None = None
    after: Side | None = None
    candidates: tuple[Candidate, ...] = ()
    groups: tuple[FittedGroup, ...] = ()
    map: tuple[MapPoint, ...] = ()

    @property
    def conventions(self) -> Conventions:
        """What of `params` words, tables and charts rest on."""
        return conventions_of(self.params)


class ReportResult(Envelope, frozen=True, kw_only=True):
    """Everything on one page: a measurement, and the artifacts that it was made with."""

    schema: Literal["calibcli/report"] = always("calibcli/report")
    inputs: tuple[Input, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)
    task: str | None = None
    measure: MeasureResult
    calibrator: CalibratorFile | None = None
    thresholds: ThresholdsFile | None = None
    gates: tuple[GateResult, ...] = ()
    warnings: tuple[str, ...] = ()
    warning_codes: tuple[Code, ...] = ()
