"""Every figure of a report in its order, and those of reliability and of periods.

The page, the Markdown and the folder of pictures take their figures from here, told once: what each
draws, what it says, and its caption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.base import UNSET
from calibcli.core.results.report import ReportResult
from calibcli.render.charts import gallery_decisions, gallery_slices, periods, reliability
from calibcli.render.charts.drawing import Figure
from calibcli.render.charts.palette import AFTER, BEFORE
from calibcli.render.tables import common as tabulate
from calibcli.render.tables import serial
from calibcli.render.words import figures, verdicts, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.conventions import Conventions
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.curves import BinnedEcePoint, CorpCurve
    from calibcli.tasks.words import Words


def all_figures(found: ReportResult | MeasureResult) -> Iterator[Figure]:
    """Yield the figures of a report, or of a measure result with curves, in their order."""
    whole = found if isinstance(found, ReportResult) else ReportResult(measure=found)
    measure = whole.measure
    yield from reliability_figures(measure)
    yield from gallery_decisions.ranking_figures(whole)
    yield from gallery_decisions.confusion_figures(whole)
    yield from gallery_decisions.search_figures(whole)
    yield from gallery_decisions.trade_off_figures(whole)
    yield from gallery_decisions.decision_figures(whole)
    for place, (kind, parts) in enumerate(words.slices_by_kind(measure).items()):
        identity = gallery_slices.slices_identity(kind, place)
        if gallery_slices.calibrates(parts):
            yield gallery_slices.dots_figure(kind, parts, measure, identity)
        yield from gallery_slices.multiple_figures(kind, parts, measure, identity)
    yield from series_figures(measure)
    if whole.calibrator is not None:
        yield from gallery_slices.map_figures(whole.calibrator)


def reliability_figures(result: MeasureResult) -> list[Figure]:
    """Return the reliability diagrams before and after, the CORP curve and ECE by bins."""
    params, task, overall = result.conventions, words.task_of(result), result.overall
    after = overall.calibrated
    if not overall.bins:  # raw scores have none until they are fitted
        parts = [after] if after is not None and after.bins else []
        made = [_diagram(one, params, task, "After calibration", color=AFTER) for one in parts]
        if not parts:
            return []
    elif after is None:
        made, parts = [_diagram(overall, params, task, "Reliability diagram")], [overall]
    else:
        made = [_diagram(overall, params, task, "Before calibration")]
        made.append(_diagram(after, params, task, "After calibration", color=AFTER))
        parts = [overall, after]
    curves = [part.corp for part in parts if part.corp is not None]
    if len(curves) == len(parts):
        made.append(_corp(parts, curves, params, task))
    binned = [part.ece_curve for part in parts if part.ece_curve]
    if len(binned) == len(parts):
        made.append(_ece_by_bins(binned, params))
    return made


def _diagram(
    part: SliceResult, params: Conventions, task: Words, title: str, color: str = BEFORE
) -> Figure:
    bins, band = part.bins, None if part.consistency is UNSET else part.consistency
    ece = figures.with_interval(part.ece)
    said = verdicts.slice_verdict(part, params, task).headline
    interval = tabulate.level(params)
    caption = f"ECE {ece}. "
    if interval:
        caption += (
            f"Filled points miss the line by more than their {interval}, as one in "
            f"{words.odds(params)} does by chance. "
        )
    caption += "Grey: where an honest model's points would lie. " if band else ""
    caption += "Bars: rows in each bin."
    return Figure(
        {"Before calibration": "reliability-before", "After calibration": "reliability-after"}.get(
            title, "reliability"
        ),
        reliability.reliability(bins, task=task, title=title, color=color, within=band),
        f"{title}: reliability diagram, {len(bins)} bins, ECE {ece}. {said}",
        (("", caption),),
    )


def _corp(
    parts: Sequence[SliceResult], curves: Sequence[CorpCurve], params: Conventions, task: Words
) -> Figure:
    parted = [figures.metric(part.value("brier_miscalibration")) for part in parts]
    text = (
        "The isotonic (CORP) curve: no bins to choose. Where it leaves the line, the Brier score "
        f"loses {' before and '.join(parted)}{' after' if len(parts) > 1 else ''} to "
        "miscalibration. "
    )
    band = curves[-1].band
    level = f"{params.level * 100:.6g}%"
    reason = curves[-1].reason or ""
    text += f"Grey: {level} of the curves of an honest model." if band else words.sentence(reason)
    spec = reliability.corp(curves, task=task, title="CORP reliability curve")
    return Figure("corp", spec, text.strip(), (("", text.strip()),))


def _ece_by_bins(curves: Sequence[Sequence[BinnedEcePoint]], params: Conventions) -> Figure:
    known = [row.ece for row in curves[-1] if row.ece is not None]
    low, high = min(known, default=None), max(known, default=None)
    shade = f", shaded the {tabulate.level(params)}" if tabulate.level(params) else ""
    text = (
        f"ECE depends on the bins: from {figures.metric(low)} to {figures.metric(high)} here. "
        f"Solid with dots: equal width{shade}. Dashed: equal mass."
    )
    spec = reliability.ece_by_bins(curves, title="ECE by bins")
    return Figure("ece-bins", spec, text, (("", text),))


# -- periods ---------------------------------------------------------------------------------------


def series_figures(result: MeasureResult) -> list[Figure]:
    """Return ECE, and with a reference PSI, of each period in order."""
    found = result.series
    if found is None:
        return []
    shown = [name for name in periods.TITLES if periods.known(found.periods, name)]
    if not shown:
        return []
    kept = periods.thinned(found.periods)
    by = visible(found.by)
    text = serial.series_words(found)
    if any(row.bad for row in kept):
        text += " Rings: bad periods."
    if any(row.changed for row in kept):
        text += " Diamonds: periods that surely differ from the reference."
    text += " Dashed: the limit." if any(name in found.limits for name in shown) else ""
    entries = [periods.entry_of(row, name) for row in kept for name in shown]
    if any(one is not None and one.low is not None for one in entries):
        text += f" Bars: the {result.conventions.level * 100:.6g}% interval."
    left = len(found.periods) - len(kept)
    if left:
        text += (
            f" Left out here: {left} of {len(found.periods)} periods; of neighbours the bad, "
            "the changed or the highest one is drawn. The table has all."
        )
    names = " and ".join(periods.TITLES[name] for name in shown)
    spec = periods.series(kept, shown, found.limits, title=f"{names} by {by}")
    says = f"{names} of {len(found.periods)} periods by {by}. {text}"
    return [Figure("series", spec, says, (("", text),))]
