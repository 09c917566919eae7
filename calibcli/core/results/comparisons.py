"""What one sample is compared with: a reference, a second model, its own periods, a fit's rows."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import UNSET, Number, Record, UnsetType, always
from calibcli.core.results.figures import Figure, Where
from calibcli.core.results.parts.decided import Decided


class Compared(Record, frozen=True, kw_only=True):
    """A figure of a drift: a change, an estimate without labels, a distance, or a p-value.

    A change is the figure of the current sample less that of the reference. A distance is as it is
    seen in the samples: never below 0 and never 0 by chance alone.

    Attributes:
        value: the change, the estimate or the distance; None with a `reason`.
        low: lower end of the interval (of a distance: of the true one); `high` the upper one.
        reference: the figure in the reference; `current` in the current sample.
        expected: of a distance, its mean where nothing has changed: the noise floor.
        p: of no difference; a distance: the chance of one like it where nothing has changed.
        bins: how many bins a distance has used.
    """

    value: float | None
    low: float | None = always(None)
    high: float | None = always(None)
    reference: float | UnsetType | None = UNSET
    current: float | UnsetType | None = UNSET
    expected: float | UnsetType | None = UNSET
    p: float | UnsetType | None = UNSET
    bins: int | None = None
    reason: str | None = None


class Difference(Record, frozen=True):
    """A figure of the second model less that of the first, on the same rows."""

    value: float | None
    low: float | None
    high: float | None
    first: float | None
    second: float | None
    reason: str | None = None

    @classmethod
    def of(
        cls,
        first: float | None,
        second: float | None,
        ends: tuple[float, float] | None = None,
        reason: str | None = None,
    ) -> Difference:
        """Return second less first; None where one of them is undefined."""
        value = None if first is None or second is None else second - first
        low, high = ends or (None, None)
        return cls(value, low, high, first, second, reason)


class DriftedSlice(Record, frozen=True):
    """What has changed in one class's scores against the rest, or in one group."""

    slice: Where
    metrics: dict[str, Compared]


class DriftedFigures(Record, frozen=True):
    """What has changed after calibration."""

    metrics: dict[str, Compared]


class Sample(Record, frozen=True):
    """The sample that drift is measured from: its path, kind, rows, and the digest of these."""

    path: str
    kind: Literal["scores", "stats", "calibrator"]
    rows: Number
    labelled: bool
    digest: str | None = None


class Drift(Record, frozen=True, kw_only=True):
    """What has changed since the reference; `labelled` where both samples have labels.

    `assumptions` are those of the estimates without labels, by the names of the figures; `groups`
    are held against the same groups of the reference.
    """

    reference: Sample
    labelled: bool
    metrics: dict[str, Compared]
    classes: tuple[DriftedSlice, ...]
    calibrated: DriftedFigures | None = None
    assumptions: dict[str, str]
    verdict: str
    groups: tuple[DriftedSlice, ...] | None = None


class Contrast(Record, frozen=True):
    """Two models on some of the rows: the paired differences, and which is better."""

    metrics: dict[str, Difference]
    verdict: str

    def of(self, where: Where) -> SliceContrast:
        """Return it as that of the rows of a slice."""
        return SliceContrast(where, self.metrics, self.verdict)


class SliceContrast(Record, frozen=True):
    """Two models on the rows of one class or group."""

    slice: Where
    metrics: dict[str, Difference]
    verdict: str


class Versus(Record, frozen=True):
    """A second model on the same rows: its figures less those of the first, paired.

    `calibrated` is the first model after its calibrator against the second as it is; `note` says
    why there are no `classes` and `groups`, or no `periods`.
    """

    score: str
    source: Literal["column", "file"]
    metrics: dict[str, Difference]
    verdict: str
    calibrated: Contrast | None = None
    classes: tuple[SliceContrast, ...] | None = None
    groups: tuple[SliceContrast, ...] | None = None
    note: str | None = None
    periods: tuple[SliceContrast, ...] | None = None

    @property
    def slices(self) -> tuple[SliceContrast, ...]:
        """Classes, groups and periods that are compared one by one."""
        return (*(self.classes or ()), *(self.groups or ()), *(self.periods or ()))


class PeriodGroup(Record, frozen=True):
    """The figures of a group within a period."""

    slice: Where
    metrics: dict[str, Figure]
    decision: Decided | None = None


class Period(Record, frozen=True, kw_only=True):
    """The figures of one period, and whether it is bad.

    `why` holds the gates or figures that make it bad, `changed` the tests against the reference.
    `groups` are those of the rows of a table.
    """

    value: str
    metrics: dict[str, Figure]
    drift: dict[str, Compared] | None = None
    bad: bool
    why: tuple[str, ...]
    changed: tuple[str, ...]
    decision: Decided | None = None
    groups: tuple[PeriodGroup, ...] | None = None

    @property
    def rows(self) -> Number | None:
        """How many rows the period has."""
        return self.metrics["n"].value


class Series(Record, frozen=True):
    """The same figures for each period in order.

    Attributes:
        by: the column.
        looks: how many tests all periods together are; `level` that of each.
        rule: in words, when a period is bad; `limits` what ECE and PSI are held against.
        first_bad: the first bad period; `first_changed` the first that differs from the reference.
        metrics: how many periods are bad, and how many have changed.
    """

    by: str
    looks: int
    level: float
    rule: str
    limits: dict[str, float]
    first_bad: str | None
    first_changed: str | None
    metrics: dict[str, Figure]
    periods: tuple[Period, ...]


class Overlap(Record, frozen=True):
    """How many of the current rows were used to fit.

    Attributes:
        value: estimated share of the current rows; 0 where chance explains the matches, None
            where the rows cannot tell.
        low: lower end of its interval; `high` the upper one.
        looked_up: current rows that were looked up; `matches` those found, once each.
        by_chance: matches where no row was used to fit.
        p: chance of as many.
        detectable: smallest share that raises the alarm in 95 of 100 runs.
        reason: why there is no value.
    """

    value: float | None
    low: float | None = always(None)
    high: float | None = always(None)
    looked_up: int = always(0)
    matches: int = always(0)
    by_chance: float | None = always(None)
    p: float | None = always(None)
    detectable: float | None = always(None)
    reason: str | None = None
