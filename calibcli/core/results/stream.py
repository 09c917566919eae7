"""Every number of a result as one stream: what CSV, Prometheus and gates are loops over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from calibcli.core.results.base import UNSET
from calibcli.core.results.figures import OVERALL, Where

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.core.results.comparisons import Compared, Difference, Versus
    from calibcli.core.results.figures import Confusion, Interval
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.results.parts.evidence import Broken

Cell = float | int | str | None
_BIN = ("low", "high", "count", "score", "frequency", "gap")
_READING = ("count", "score", "correctness", "gap")
_OF_CHANGES = ("reference", "current", "expected", "p")


class Numbered(NamedTuple):
    """A number of a result, and where in it that stands.

    Attributes:
        stage: "before", "calibrated", "drift", "drift calibrated", "series", "second",
            "difference", "decision" or "evidence".
        where: which rows.
        table: "metrics", "confusion", "bins", "ece_by_bins", "at", "drift", "series", "overlap",
            "versus", "versus, calibrated" or "evidence".
        at: where in the table: the cut-off, the number of the bin, the confidence, the second
            model; of a drift the name of a number beside the change.
        name: of the figure.
        value: the number; None with a `reason`.
        low: lower end of its interval; `high` the upper one.
    """

    stage: str
    where: Where
    table: str
    at: Cell
    name: str
    value: Cell
    low: float | None = None
    high: float | None = None
    reason: str = ""


def numbers(result: MeasureResult) -> Iterator[Numbered]:
    """Yield every number of a measure result, in the order of its tables."""
    for part in result.slices:
        yield from of_slice("before", part.where, part)
        if part.calibrated is not None:
            yield from of_slice("calibrated", part.where, part.calibrated)
    if result.drift is not None:
        yield from of_drift("drift", OVERALL, result.drift.metrics)
        if result.drift.calibrated is not None:
            yield from of_drift("drift calibrated", OVERALL, result.drift.calibrated.metrics)
        for changed in (*result.drift.classes, *(result.drift.groups or ())):
            yield from of_drift("drift", changed.slice, changed.metrics)
    yield from _of_series(result)
    if result.overlap is not None:
        yield of_figure("calibrated", OVERALL, "overlap", "", "overlap", result.overlap)
    if result.versus is not None:
        yield from of_versus(result.versus)
    if result.decision is not None:
        yield from of_decision(OVERALL, result.decision)
    if result.evidence is not None:
        yield from of_evidence(OVERALL, result.evidence.promises)
        for group in result.evidence.groups or ():
            yield from of_evidence(group.slice, group.promises)


def of_evidence(where: Where, promises: Sequence[Broken]) -> Iterator[Numbered]:
    """Yield what all nights tell against each promise."""
    for one in promises:
        yield Numbered("evidence", where, "evidence", "", one.figure, one.value)
        yield Numbered("evidence", where, "evidence", "", f"{one.figure}.p", one.p)


def of_slice(stage: str, where: Where, part: SliceResult) -> Iterator[Numbered]:
    """Yield the numbers of a slice, before calibration or after."""
    for name, figure in part.metrics.items():
        yield of_figure(stage, where, "metrics", "", name, figure)
    for table in part.confusion or ():
        yield from of_confusion(stage, where, table)
    for number, row in enumerate(part.bins, start=1):
        for key in _BIN:
            ends = (row.frequency_low, row.frequency_high) if key == "frequency" else (None, None)
            yield Numbered(stage, where, "bins", number, key, getattr(row, key), *ends)
    for binned in part.ece_by_bins:
        label = f"{binned.bins} {binned.binning}".strip()
        yield of_figure(stage, where, "ece_by_bins", label, "ece", binned.ece)
    for reading in part.at or ():
        for key in _READING:
            said = reading.verdict if key == "gap" else ""
            correct = (reading.correctness_low, reading.correctness_high)
            ends = correct if key == "correctness" else (None, None)
            value = getattr(reading, key)
            yield Numbered(stage, where, "at", reading.at, key, value, *ends, reason=said)


def of_confusion(stage: str, where: Where, table: Confusion) -> Iterator[Numbered]:
    """Yield the counts and rates at a cut-off."""
    for name, count in table.counts.items():
        yield Numbered(stage, where, "confusion", table.threshold, name, count)
    for name, rate in table.rates.items():
        yield of_figure(stage, where, "confusion", table.threshold, name, rate)


def of_drift(stage: str, where: Where, metrics: Mapping[str, Compared]) -> Iterator[Numbered]:
    """Yield what has changed, and what stands beside each change."""
    for name, item in metrics.items():
        reason = item.reason or ""
        yield Numbered(stage, where, "drift", "", name, item.value, item.low, item.high, reason)
        for key in _OF_CHANGES:
            beside = getattr(item, key)
            if beside is not UNSET and beside is not None:
                yield Numbered(stage, where, "drift", key, name, beside)


def _of_series(result: MeasureResult) -> Iterator[Numbered]:
    """Yield the figures of each period, and whether it is bad."""
    if result.series is None:
        return
    for period in result.series.periods:
        where = Where("period", column=result.series.by, value=period.value)
        for table, items in (("metrics", period.metrics), ("drift", period.drift or {})):
            for name, item in items.items():
                ends = item.value, item.low, item.high
                yield Numbered("series", where, table, "", name, *ends, item.reason or "")
        why = ", ".join(period.why)
        yield Numbered("series", where, "series", "", "bad", int(period.bad), reason=why)


def of_versus(versus: Versus) -> Iterator[Numbered]:
    """Yield the figures of the second model, and the paired differences."""
    yield from of_differences(OVERALL, "versus", versus.score, versus.metrics)
    if versus.calibrated is not None:
        after = versus.calibrated.metrics
        yield from of_differences(OVERALL, "versus, calibrated", versus.score, after)
    for part in versus.slices:
        yield from of_differences(part.slice, "versus", versus.score, part.metrics)


def of_differences(
    where: Where, table: str, model: str, metrics: Mapping[str, Difference]
) -> Iterator[Numbered]:
    """Yield the second model's figures, and second less first."""
    for name, item in metrics.items():
        reason = item.reason or ""
        yield Numbered("second", where, table, model, name, item.second, reason=reason)
        ends = item.value, item.low, item.high
        yield Numbered("difference", where, table, model, name, *ends, reason)


def of_decision(where: Where, decided: Decided) -> Iterator[Numbered]:
    """Yield what decisions are worth: all together, of each class, in each group."""
    for name, figure in decided.metrics.items():
        yield of_figure("decision", where, "metrics", "", name, figure)
    counts = decided.confusion
    if counts is not None:
        for name in ("tp", "fp", "fn", "tn"):
            count = getattr(counts, name)
            if count is not UNSET:
                yield Numbered("decision", where, "confusion", "", name, count)
    for one in decided.classes if where.kind == "overall" else ():
        mine = Where("class", name=one.name)
        for name in ("precision", "recall", "f1", "coverage"):
            rate = getattr(one, name)
            if rate is not None:
                yield of_figure("decision", mine, "metrics", "", name, rate)
    for part in decided.groups or ():
        if part.slice is not None:
            yield from of_decision(part.slice, part)


def of_figure(
    stage: str, where: Where, table: str, at: Cell, name: str, figure: Interval
) -> Numbered:
    """Return a figure's number; its reason is told where there is no value."""
    reason = (figure.reason or "") if figure.value is None else ""
    return Numbered(stage, where, table, at, name, figure.value, figure.low, figure.high, reason)
