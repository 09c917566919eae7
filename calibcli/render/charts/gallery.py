"""Every figure of a report in its order, and those of reliability and of periods.

The page, the Markdown and the folder of pictures take their figures from here, told once: what each
draws, what it says, and its caption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts import gallery_decisions, gallery_slices, periods, reliability
from calibcli.render.charts.drawing import Figure, value_of
from calibcli.render.charts.palette import AFTER, BEFORE
from calibcli.render.tables import common as tabulate
from calibcli.render.tables import serial
from calibcli.render.words import figures, verdicts, words
from calibcli.render.words.names import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Result = Mapping[str, Any]


def all_figures(report: Result) -> Iterator[Figure]:
    """Yield the figures of a report, or of a measure result with curves, in their order."""
    measure = report.get("measure") or report
    whole = report if "measure" in report else {"measure": measure}
    yield from reliability_figures(measure)
    yield from gallery_decisions.ranking_figures(whole)
    yield from gallery_decisions.confusion_figures(whole)
    yield from gallery_decisions.search_figures(whole)
    yield from gallery_decisions.trade_off_figures(whole)
    yield from gallery_decisions.decision_figures(whole)
    for place, (kind, parts) in enumerate(words.slices_by_kind(measure).items()):
        identity = gallery_slices.slices_identity(kind, place)
        yield gallery_slices.dots_figure(kind, parts, measure, identity)
        yield from gallery_slices.multiple_figures(kind, parts, measure, identity)
    yield from series_figures(measure)
    if whole.get("calibrator"):
        yield from gallery_slices.map_figures(whole["calibrator"])


def reliability_figures(result: Result) -> list[Figure]:
    """Return the reliability diagrams before and after, the CORP curve and ECE by bins."""
    params, task, overall = result.get("params", {}), words.task_of(result), result["overall"]
    after = overall.get("calibrated")
    made = [
        _diagram(overall, params, task, "Before calibration" if after else "Reliability diagram")
    ]
    if after:
        made.append(_diagram(after, params, task, "After calibration", color=AFTER))
    parts = [overall, after] if after else [overall]
    if all(part.get("corp") for part in parts):
        made.append(_corp(parts, params, task))
    if all(part.get("ece_curve") for part in parts):
        made.append(_ece_by_bins(parts, params))
    return made


def _diagram(part: Result, params: Result, task: str, title: str, color: str = BEFORE) -> Figure:
    bins, band = part.get("bins") or [], part.get("consistency")
    ece = figures.with_interval(part["metrics"].get("ece"))
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
        reliability.reliability(bins, task=task, title=title, color=color, band=band),
        f"{title}: reliability diagram, {len(bins)} bins, ECE {ece}. {said}",
        (("", caption),),
    )


def _corp(parts: Sequence[Result], params: Result, task: str) -> Figure:
    curves = [part["corp"] for part in parts]
    parted = [figures.metric(value_of(part, "brier_miscalibration")) for part in parts]
    text = (
        "The isotonic (CORP) curve: no bins to choose. Where it leaves the line, the Brier score "
        f"loses {' before and '.join(parted)}{' after' if len(parts) > 1 else ''} to "
        "miscalibration. "
    )
    band = curves[-1].get("band")
    level = f"{words.confidence_of(params) * 100:.6g}%"
    reason = curves[-1].get("reason") or ""
    text += f"Grey: {level} of the curves of an honest model." if band else _sentence(reason)
    spec = reliability.corp(curves, task=task, title="CORP reliability curve")
    return Figure("corp", spec, text.strip(), (("", text.strip()),))


def _ece_by_bins(parts: Sequence[Result], params: Result) -> Figure:
    rows = parts[-1]["ece_curve"]
    known = [row["ece"] for row in rows if row["ece"] is not None]
    low, high = min(known, default=None), max(known, default=None)
    shade = f", shaded the {tabulate.level(params)}" if tabulate.level(params) else ""
    text = (
        f"ECE depends on the bins: from {figures.metric(low)} to {figures.metric(high)} here. "
        f"Solid with dots: equal width{shade}. Dashed: equal mass."
    )
    spec = reliability.ece_by_bins([part["ece_curve"] for part in parts], title="ECE by bins")
    return Figure("ece-bins", spec, text, (("", text),))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


# -- periods ---------------------------------------------------------------------------------------


def series_figures(result: Result) -> list[Figure]:
    """Return ECE, and with a reference PSI, of each period in order."""
    found = result.get("series")
    if not found:
        return []
    shown = [name for name in periods.TITLES if periods.known(found["periods"], name)]
    if not shown:
        return []
    kept = periods.thinned(found["periods"])
    by = visible(found["by"])
    text = serial.series_words(found)
    if any(row["bad"] for row in kept):
        text += " Rings: bad periods."
    if any(row["changed"] for row in kept):
        text += " Diamonds: periods that surely differ from the reference."
    text += " Dashed: the limit." if any(name in found["limits"] for name in shown) else ""
    if any(periods.entry_of(row, name).get("low") is not None for row in kept for name in shown):
        text += f" Bars: the {words.confidence_of(result.get('params') or {}) * 100:.6g}% interval."
    left = len(found["periods"]) - len(kept)
    if left:
        text += (
            f" Left out here: {left} of {len(found['periods'])} periods; of neighbours the bad, "
            "the changed or the highest one is drawn. The table has all."
        )
    names = " and ".join(periods.TITLES[name] for name in shown)
    spec = periods.series(kept, shown, found["limits"], title=f"{names} by {by}")
    says = f"{names} of {len(found['periods'])} periods by {by}. {text}"
    return [Figure("series", spec, says, (("", text),))]
