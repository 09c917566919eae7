"""What chosen cut-offs do on the rows of a report, beside what they did when they were chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from calibcli.core.results.threshold import CutOff, ThresholdsFile
from calibcli.render.tables import choices, decisions
from calibcli.render.words import words

if TYPE_CHECKING:
    from calibcli.core.results.figures import Confusion, Where
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.report import ReportResult
    from calibcli.render.tables.layout import Table


def counted(report: ReportResult) -> list[tuple[Where, Confusion]]:
    """Return the counts of the report's own rows at the chosen cut-offs, as far as it has them.

    A cut-off of calibrated probabilities is looked up after calibration, where it was measured.
    """
    chosen, found = report.thresholds, []
    for item in chosen.thresholds if chosen is not None else ():
        part = _part(report.measure, item.slice)
        if part is not None and chosen is not None and chosen.calibrated:
            part = part.calibrated
        for table in (part.confusion if part is not None else None) or ():
            if table.threshold == item.threshold:
                found.append((item.slice, table))
                break
    return found


def overall_tables(report: ReportResult) -> list[Confusion]:
    """Return the counts of all rows at the chosen cut-offs, else at those that were measured."""
    if report.thresholds is None:
        return list(report.measure.overall.last.confusion or ())
    return [table for where, table in counted(report) if where.kind == "overall"]


def tables(report: ReportResult, chosen: ThresholdsFile) -> list[Table]:
    """Return the cut-offs on these rows, then what was seen when they were chosen."""
    here = [
        CutOff(slice=where, threshold=table.threshold, n=table.rows, confusion=table)
        for where, table in counted(report)
    ]
    made = []
    now = decisions.thresholds_table(here, report.measure.conventions)
    if now:
        sign = words.cut_sign(report.measure.conventions)
        made.append(replace(now, caption=f"On the rows of this report: score {sign} threshold"))
    then = decisions.thresholds_table(chosen.thresholds, chosen.conventions)
    if then:
        made.append(replace(then, caption="On the rows that it was chosen on"))
    others = [decisions.costs_table(chosen), *choices.tables(chosen)]
    made += [replace(one, caption=f"{one.caption} (when chosen)") for one in others if one]
    return made


def _part(measure: MeasureResult, where: Where) -> SliceResult | None:
    if where.kind == "overall":
        return measure.overall
    if where.kind == "class":
        return next((part for part in measure.classes if part.where.name == where.name), None)
    return None
