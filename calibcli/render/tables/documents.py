"""Which tables a result is made of, and in which order, for the formats that people read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from calibcli.render.tables import common as tabulate
from calibcli.render.tables import drifted, judged, paired, segmentation, serial, slices
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.envelope import Input
    from calibcli.core.results.fit import FitResult
    from calibcli.core.results.measure import MeasureResult, SliceResult
    from calibcli.core.results.parts.replay import ReplayResult
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.core.results.threshold import ThresholdResult
    from calibcli.render.tables.layout import Table

    Told = FitResult | ThresholdResult | PromotionResult | ReplayResult | ApplyResult
    Other = FitResult | ThresholdResult | PromotionResult | ApplyResult
    Gated = MeasureResult | Other
    """Results that gates may stand beside."""


def measure_tables(result: MeasureResult, *, limit: int | None = None) -> list[Table]:
    """Return the tables of a measure result; `limit` bounds the rows of per-class tables."""
    params, task, overall = result.conventions, words.task_of(result), result.overall
    return _present(
        [
            tabulate.gates_table(result.gates),
            segmentation.structures_table(result),
            tabulate.metrics_table(overall.metrics, overall.after, params),
            *drifted.drift_tables(result),
            serial.series_table(result),
            paired.versus_table(result),
            paired.calibrated_table(result),
            paired.slices_table(result),
            tabulate.ece_by_bins_table(overall, params),
            tabulate.confusion_table(confusion_parts(overall), params),
            judged.confusions_table(result),
            segmentation.at_table(result) or slices.at_table(result),
            tabulate.bins_table(overall, params, task),
            tabulate.calibrated_bins_table(overall, params, task),
            *(
                slices.slices_table(parts, params, title=kind, limit=limit)
                for kind, parts in words.slices_by_kind(result).items()
            ),
            judged.worst_table(result),
        ]
    )


def confusion_parts(part: SliceResult) -> list[tuple[str, SliceResult]]:
    """Return the slice as (row title, confusion source) pairs: before and after, or just one."""
    if part.calibrated and part.calibrated.confusion:
        return [("before", part), ("calibrated", part.calibrated)]
    return [("", part)]


def inputs_line(inputs: Sequence[Input]) -> str:
    """Return the inputs and their rows, raw names: the first three and how many more."""
    said = [
        item.path if item.rows is None else f"{item.path} ({figures.count(item.rows)} rows)"
        for item in inputs[:3]
    ]
    more = f" and {len(inputs) - 3} more" if len(inputs) > 3 else ""
    return ", ".join(said) + more


def params_facts(params: dict[str, Any]) -> list[tuple[str, str]]:
    """Return every convention used as (name, value) texts; what was not set is left out."""
    return [
        (key, _plain(value))
        for key, value in params.items()
        if value is not None and value != [] and value != ""
    ]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(item)}" for key, item in value.items())
    return str(value)


def measure_headline(result: MeasureResult) -> str:
    """Return the headline figure: ECE with its interval, before and after where there are two."""
    overall, after = result.overall, result.overall.calibrated
    if result.conventions.raw is not None and after is None:
        return f"AUC {figures.with_interval(overall.metrics.get('auc'))}"
    text = f"ECE {figures.with_interval(overall.ece)}"
    return text if after is None else f"{text} to {figures.with_interval(after.ece)} calibrated"


def measure_facts(result: MeasureResult) -> list[str]:
    """Return the facts beside the headline: rows, prevalence or accuracy, task."""
    shown = result.overall.metrics
    facts = [f"n {figures.count(result.overall.value('n'))}"]
    facts += [
        f"{name} {figures.named(name, shown[name])}"
        for name in ("prevalence", "accuracy")
        if name in shown
    ]
    return [*facts, *segmentation.facts(result), str(result.task)]


def tables_of(result: Any) -> list[Table]:
    """Return the tables of a result of any command."""
    measured = result.schema == "calibcli/measure"
    return measure_tables(result) if measured else document(result).tables()


def measure_summary(result: MeasureResult) -> str:
    """Return the headline figure and the facts beside it, in one line."""
    return ", ".join([measure_headline(result), *measure_facts(result)])


@dataclass(frozen=True, slots=True)
class Document:
    """What people read of a result of any command but measure, whatever the format.

    Attributes:
        title: of the result, as a heading; `done` what the command has done, in a word.
        headline: the answer in a line; `facts` the lines below it.
        tables: returns what follows.
    """

    title: str
    done: str
    headline: str
    facts: Sequence[str]
    tables: Callable[[], list[Table]]


def document(result: Told) -> Document:
    """Return what people read of a result of any command but measure."""
    return _DOCUMENTS[result.schema](result)


def _of_fit(result: FitResult) -> Document:
    from calibcli.render.tables import decisions

    params, kind = result.conventions, result.after.kind
    before, after = result.before.metrics, result.after.metrics

    def tables() -> list[Table | None]:
        title = f"after, {kind}" if kind else "after"
        return [
            tabulate.metrics_table(before, after, params, after_title=title),
            decisions.candidates_table(result.candidates, params),
            decisions.fitted_slices_table(result.groups, params, "Per group"),
            decisions.fitted_slices_table(result.classes, params),
        ]

    facts = words.after_words(kind), decisions.parameters_words(result.calibrator)
    headline = f"{result.method}: {words.change_words(before, after)}"
    return Document("Calibrator", "fitted", headline, facts, _gates_first(result, tables))


def _of_threshold(result: ThresholdResult) -> Document:
    from calibcli.render.tables import choices, decisions

    def tables() -> list[Table | None]:
        return [
            decisions.thresholds_table(result.thresholds, result.conventions),
            judged.rows_table(result),
            segmentation.regions_table(result),
            segmentation.together_table(result),
            decisions.costs_table(result),
            *judged.decision_tables(result),
            decisions.groups_table(result),
            *choices.tables(result),
        ]

    headline, facts = decisions.thresholds_headline(result), [decisions.kind_words(result)]
    return Document("Thresholds", "chosen", headline, facts, _gates_first(result, tables))


def _of_promotion(result: PromotionResult) -> Document:
    from calibcli.render.tables import promotion

    headline, facts = promotion.headline(result), promotion.facts(result)
    return Document("Promotion", "compared", headline, facts, lambda: promotion.tables(result))


def _of_replay(result: ReplayResult) -> Document:
    from calibcli.render.tables import replay

    headline, facts = replay.headline(result), [replay.facts(result)]
    return Document("Replay", "replayed", headline, facts, lambda: replay.tables(result))


def _of_apply(result: ApplyResult) -> Document:
    headline = f"{figures.count(result.rows)} rows for {result.output}"
    return Document("Applied", "applied", headline, (), _gates_first(result, list))


def _gates_first(
    result: FitResult | ThresholdResult | ApplyResult, tables: Callable[[], list[Table | None]]
) -> Callable[[], list[Table]]:
    return lambda: _present([tabulate.gates_table(result.gates), *tables()])


_DOCUMENTS: Final[Mapping[str, Callable[[Any], Document]]] = {
    "calibcli/fit": _of_fit,
    "calibcli/threshold": _of_threshold,
    "calibcli/promotion": _of_promotion,
    "calibcli/replay": _of_replay,
    "calibcli/apply": _of_apply,
}


def _present(tables: Iterable[Table | None]) -> list[Table]:
    return [table for table in tables if table is not None]
