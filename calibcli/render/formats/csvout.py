"""Results as CSV in long form: one number a row, the same eleven columns for every result.

| column | meaning |
| --- | --- |
| stage | `before`, `calibrated`, `drift`, `series`, `decision`, `evidence` (measure), |
| | `after` (fit), `chosen`, `group` (threshold), `promotion` |
| slice, column, name | `overall`; `class` and its name; `group` or `period`, column and value |
| table | `metrics`, `confusion`, `bins`, `ece_by_bins`, `at`, `candidates`, `gates`, `versus`, |
| | `drift`, `overlap`, `cost`, `breaks` (a constraint in a group), `abstain`, `sets`, `decision`, |
| | `worst` (file and row), |
| | `steps`, `checks` |
| at | where in the table: the cut-off, the bin's number from 1, `15 width`, the confidence |
| metric | the metric's name, or the bin's `low`, `high`, `count`, `score`, `frequency`, `gap` |
| value, low, high | the number exactly, and its interval; empty where there is none |
| reason | why there is no value, or a verdict, or a note |

Filter one table and pivot on `metric` to get it wide. Texts are for reading in a spreadsheet:
control characters are spelt out, so a record is always one line, and a text that a spreadsheet
would evaluate starts with an apostrophe. JSON has names exactly.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from calibcli.core.results.figures import OVERALL
from calibcli.core.results.parts.chosen import of_apply
from calibcli.core.results.stream import numbers, of_confusion
from calibcli.core.results.threshold import ReferralBand
from calibcli.render.tables import promotion, replay
from calibcli.render.tables.decisions import costs_of
from calibcli.render.words import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Figure, Where
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.choices import Abstain, Kept
    from calibcli.core.results.parts.replay import ReplayResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.core.results.stream import Numbered
    from calibcli.core.results.threshold import ThresholdResult

    Row = tuple[Any, ...]

HEADER: Final = (
    "stage", "slice", "column", "name", "table", "at", "metric", "value", "low", "high", "reason",
)  # fmt: skip


def render_measure(result: MeasureResult) -> str:
    """Return a measure result as CSV."""
    rows: list[Row] = [_row(one) for one in numbers(result)]
    everywhere = ("before", "overall", "", "")
    for worst in result.worst.rows if result.worst is not None else ():
        told = f"predicted {worst.predicted}, label {worst.label}"
        rows.append(
            (*everywhere, "worst", f"{worst.path}:{worst.row}", "wrong", worst.wrong, "", "", told)
        )
    return _text([*rows, *_gate_rows(result.gates)])


def render_apply(result: ApplyResult) -> str:
    """Return what apply wrote as CSV: what the rows come to, and the gates."""
    return _text([*map(_row, of_apply(result)), *_gate_rows(result.gates)])


def _gate_rows(gates: Iterable[GateResult]) -> Iterator[Row]:
    for gate in gates:
        told = "passed" if gate.passed else "failed"
        yield ("before", "overall", "", "", "gates", gate.expr, "gate", gate.value, "", "", told)


def _row(one: Numbered) -> Row:
    place = (one.stage, *_where(one.where), one.table, one.at)
    return (*place, one.name, one.value, one.low, one.high, one.reason)


def render_fit(result: FitResult) -> str:
    """Return a fit result as CSV: metrics before and after, and the candidates."""
    rows: list[Row] = []
    everything = (OVERALL, result.before, result.after)
    for where, *sides in (everything, *((c.slice, c.before, c.after) for c in result.classes)):
        for stage, side, note in zip(
            ("before", "after"), sides, ("", result.after.kind or ""), strict=True
        ):
            for name, item in side.metrics.items():
                value, low, high, reason = _figures(item)
                place = (stage, *_where(where), "metrics", "")
                rows.append((*place, name, value, low, high, reason or note))
    for one in result.candidates:
        told = "; ".join(text for text in ("chosen" if one.chosen else "", one.note) if text)
        start = ("after", *_where(OVERALL), "candidates", one.method)
        rows.append((*start, "score", one.score, "", "", told))
        rows.append((*start, "se", one.se, "", "", ""))
    return _text([*rows, *_gate_rows(result.gates)])


def render_promotion(result: PromotionResult) -> str:
    """Return what became of a challenger as CSV: the decision, the steps, checks and gates."""
    return _text(promotion.csv_rows(result))


def render_replay(result: ReplayResult) -> str:
    """Return a replay as CSV: the policies, then each in every period."""
    return _text(replay.csv_rows(result))


def render_threshold(result: ThresholdResult) -> str:
    """Return a threshold result as CSV: each cut-off with its counts, rates and cost."""
    rows: list[Row] = []
    objective = result.objective or "objective"
    for item in result.thresholds:
        at = item.threshold
        start = ("chosen", *_where(item.slice), "confusion", at)
        rows.append((*start, "threshold", at, *item.ends, result.kind))
        rows.append((*start, f"objective {objective}", *_figures(item.reached)))
        rows.append((*start, "n", item.n, "", "", ""))
        if item.suppression is not None:
            rows.append((*start, "nms_iou", item.suppression, "", "", ""))
        if item.min_area is not None:
            rows.append((*start, "min_area", item.min_area, "", "", ""))
            rows.append((*start, "fill_holes", int(item.fill_holes or False), "", "", ""))
            rows.append((*start, "pooled_dice", *_figures(item.pooled_dice)))
            rows.append((*start, "pooled_iou", *_figures(item.pooled_iou)))
            rows.append((*start, "mean_dice", *_figures(item.mean_dice)))
        if item.confusion is not None:
            rows += map(_row, of_confusion("chosen", item.slice, item.confusion))
        if item.cost is not None:
            for name, value in costs_of(item.cost).items():
                rows += _cost_rows(("chosen", *_where(item.slice), "cost", at), name, value)
    for part in result.groups or ():
        rows += map(_row, of_confusion("group", part.slice, part.confusion))
        for broken in part.breaks:
            sure = "beyond chance" if broken in part.beyond_chance else ""
            start = ("group", *_where(part.slice), "breaks", part.threshold)
            rows.append((*start, broken, "", "", "", sure))
    return _text([*rows, *_other_rows(result), *_gate_rows(result.gates)])


def _cost_rows(start: tuple[Any, ...], name: str, value: Any) -> Iterator[Row]:
    """Yield a cost, or the parts of a band."""
    if isinstance(value, ReferralBand):
        parts = structs.asdict(value).items()
        yield from ((*start, f"{name} {key}", part, None, None, "") for key, part in parts)
    elif isinstance(value, tuple):
        ends = zip(("low", "high"), value, strict=True)
        yield from ((*start, f"{name} {key}", part, None, None, "") for key, part in ends)
    else:
        yield (*start, name, value, None, None, "")


def _other_rows(result: ThresholdResult) -> Iterator[Row]:
    """Yield what is kept, the quantiles of sets, or the costs of a matrix."""
    kept, sets, cost = result.abstain, result.sets, result.cost_matrix
    if kept is not None:
        parts: list[Abstain | Kept] = [kept, *(kept.groups or ())]
        for part in parts:
            start = ("chosen", *_where(part.slice), "abstain", kept.threshold)
            yield (*start, "n", part.n, None, None, "")
            yield (*start, "kept", part.kept, None, None, "")
            yield (*start, "referred", part.referred, None, None, "")
            yield (*start, "errors", part.errors, None, None, "")
            yield (*start, "coverage", part.coverage, None, None, "")
            yield (*start, "accuracy", *_figures(part.accuracy))
            yield (*start, "accuracy_of_all", part.accuracy_of_all, None, None, "")
    if sets is not None:
        for one in sets.slices:
            place: Row = ("chosen", *_where(one.slice), "sets", one.quantile)
            yield (*place, "quantile", one.quantile, "", "", sets.method)
            yield (*place, "n", one.n, "", "", "")
            yield (*place, "coverage", *_figures(one.coverage))
    if cost is not None:
        place = ("chosen", *_where(OVERALL), "cost", "")
        yield (*place, "expected", *_figures(cost.expected))
        yield (*place, "claimed", cost.claimed, None, None, "")
        yield (*place, "most_probable", cost.most_probable, None, None, "")


def _where(where: Where) -> tuple[str, str, str]:
    name = "" if where.kind == "overall" else where.title
    return where.kind, where.column or "", name


def _figures(figure: Figure | None) -> tuple[Any, Any, Any, str]:
    if figure is None:
        return None, None, None, ""
    reason = figure.reason or "" if figure.value is None else ""
    return figure.value, figure.low, figure.high, reason


def _text(rows: Iterable[Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        writer.writerow([_safe(value) for value in row])
    return out.getvalue()


def _safe(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int):
        return str(int(value))
    return names.csv(value)
