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
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import structs

from calibcli.core.results.figures import OVERALL
from calibcli.core.results.parts.chosen import of_apply
from calibcli.core.results.stream import Numbered, numbers, of_confusion, of_figure
from calibcli.core.results.threshold import ReferralBand
from calibcli.render.tables import promotion, replay
from calibcli.render.tables.decisions import costs_of
from calibcli.render.words import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.figures import Figure
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.parts.choices import Abstain, Kept
    from calibcli.core.results.parts.replay import ReplayResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.core.results.threshold import CutOff, ThresholdResult
    from calibcli.render.tables.decisions import Price

HEADER: Final = (
    "stage", "slice", "column", "name", "table", "at", "metric", "value", "low", "high", "reason",
)  # fmt: skip


def render_measure(result: MeasureResult) -> str:
    """Return a measure result as CSV."""
    return _text([*numbers(result), *_worst(result)], result.gates)


def render_apply(result: ApplyResult) -> str:
    """Return what apply wrote as CSV: what the rows come to, and the gates."""
    return _text(of_apply(result), result.gates)


def render_fit(result: FitResult) -> str:
    """Return a fit result as CSV: metrics before and after, and the candidates."""
    return _text(_of_fit(result), result.gates)


def render_threshold(result: ThresholdResult) -> str:
    """Return a threshold result as CSV: each cut-off with its counts, rates and cost."""
    return _text(_of_threshold(result), result.gates)


def render_promotion(result: PromotionResult) -> str:
    """Return what became of a challenger as CSV: the decision, the steps, checks and gates."""
    return _text(promotion.numbers(result), result.gates, "promotion")


def render_replay(result: ReplayResult) -> str:
    """Return a replay as CSV: the policies, then each in every period."""
    return _text(replay.numbers(result))


def _worst(result: MeasureResult) -> Iterator[Numbered]:
    for one in result.worst.rows if result.worst is not None else ():
        place, told = f"{one.path}:{one.row}", f"predicted {one.predicted}, label {one.label}"
        yield Numbered("before", OVERALL, "worst", place, "wrong", one.wrong, reason=told)


def _of_fit(result: FitResult) -> Iterator[Numbered]:
    everything = (OVERALL, result.before, result.after)
    for where, *sides in (everything, *((c.slice, c.before, c.after) for c in result.classes)):
        for stage, side, note in zip(
            ("before", "after"), sides, ("", result.after.kind or ""), strict=True
        ):
            for name, item in side.metrics.items():
                shown = of_figure(stage, where, "metrics", "", name, item)
                yield shown._replace(reason=shown.reason or note)
    for one in result.candidates:
        told = "; ".join(text for text in ("chosen" if one.chosen else "", one.note) if text)
        start = partial(Numbered, "after", OVERALL, "candidates", one.method)
        yield start("score", one.score, reason=told)
        yield start("se", one.se)


def _of_threshold(result: ThresholdResult) -> Iterator[Numbered]:
    for item in result.thresholds:
        yield from _of_cut(item, result)
    for part in result.groups or ():
        yield from of_confusion("group", part.slice, part.confusion)
        for broken in part.breaks:
            sure = "beyond chance" if broken in part.beyond_chance else ""
            yield Numbered("group", part.slice, "breaks", part.threshold, broken, None, reason=sure)
    yield from _of_others(result)


def _of_cut(item: CutOff, result: ThresholdResult) -> Iterator[Numbered]:
    start = partial(Numbered, "chosen", item.slice, "confusion", item.threshold)
    yield start("threshold", item.threshold, *item.ends, result.kind)
    yield _shown(start, f"objective {result.objective or 'objective'}", item.reached)
    yield start("n", item.n)
    if item.suppression is not None:
        yield start("nms_iou", item.suppression)
    if item.min_area is not None:
        yield start("min_area", item.min_area)
        yield start("fill_holes", int(item.fill_holes or False))
        yield _shown(start, "pooled_dice", item.pooled_dice)
        yield _shown(start, "pooled_iou", item.pooled_iou)
        yield _shown(start, "mean_dice", item.mean_dice)
    if item.confusion is not None:
        yield from of_confusion("chosen", item.slice, item.confusion)
    if item.cost is not None:
        start = partial(Numbered, "chosen", item.slice, "cost", item.threshold)
        for name, value in costs_of(item.cost).items():
            for part, number in _priced(value):
                yield start(f"{name} {part}".rstrip(), number)


def _priced(value: Price) -> Iterator[tuple[str, float | None]]:
    """Yield a cost, or the parts of a band by their names."""
    if isinstance(value, ReferralBand):
        yield from structs.asdict(value).items()
    elif isinstance(value, tuple):
        yield from zip(("low", "high"), value, strict=True)
    else:
        yield "", value


def _of_others(result: ThresholdResult) -> Iterator[Numbered]:
    """Yield what is kept, the quantiles of sets, or the costs of a matrix."""
    kept, sets, cost = result.abstain, result.sets, result.cost_matrix
    if kept is not None:
        parts: list[Abstain | Kept] = [kept, *(kept.groups or ())]
        for part in parts:
            start = partial(Numbered, "chosen", part.slice, "abstain", kept.threshold)
            for name in ("n", "kept", "referred", "errors", "coverage"):
                yield start(name, getattr(part, name))
            yield _shown(start, "accuracy", part.accuracy)
            yield start("accuracy_of_all", part.accuracy_of_all)
    if sets is not None:
        for one in sets.slices:
            start = partial(Numbered, "chosen", one.slice, "sets", one.quantile)
            yield start("quantile", one.quantile, reason=sets.method)
            yield start("n", one.n)
            yield _shown(start, "coverage", one.coverage)
    if cost is not None:
        start = partial(Numbered, "chosen", OVERALL, "cost", "")
        yield _shown(start, "expected", cost.expected)
        yield start("claimed", cost.claimed)
        yield start("most_probable", cost.most_probable)


def _shown(start: Callable[..., Numbered], name: str, figure: Figure | None) -> Numbered:
    if figure is None:
        return start(name, None)
    reason = figure.reason or "" if figure.value is None else ""
    return start(name, figure.value, figure.low, figure.high, reason)


def _text(rows: Iterable[Numbered], gates: Iterable[GateResult] = (), stage: str = "before") -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for stage_of, where, *numbered in [*rows, *(_of_gate(stage, gate) for gate in gates)]:
        name = "" if where.kind == "overall" else where.title
        line = (stage_of, where.kind, where.column, name, *numbered)
        writer.writerow([_safe(value) for value in line])
    return out.getvalue()


def _of_gate(stage: str, gate: GateResult) -> Numbered:
    told = "passed" if gate.passed else "failed"
    return Numbered(stage, OVERALL, "gates", gate.expr, "gate", gate.value, reason=told)


def _safe(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, int):
        return str(int(value))
    return names.csv(value)
