"""Results as CSV in long form: one number a row, the same eleven columns for every result.

| column | meaning |
| --- | --- |
| stage | `before`, `calibrated`, `drift`, `series`, `decision` (measure), `after` (fit), |
| | `chosen`, `group` (threshold), `promotion` |
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

from calibcli.core.results.chosen import of_apply
from calibcli.core.results.envelope import GateResult
from calibcli.core.results.reading import typed, typed_as
from calibcli.core.results.stream import numbers
from calibcli.render.tables import promotion
from calibcli.render.tables.common import RATES, entry
from calibcli.render.tables.documents import fit_kind
from calibcli.render.words import names
from calibcli.render.words.words import slice_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from calibcli.core.results.apply import ApplyResult
    from calibcli.core.results.measure import MeasureResult
    from calibcli.core.results.stream import Numbered

    Result = Mapping[str, Any]
    Row = tuple[Any, ...]

HEADER: Final = (
    "stage", "slice", "column", "name", "table", "at", "metric", "value", "low", "high", "reason",
)  # fmt: skip


def render_measure(result: Result) -> str:
    """Return a measure result as CSV."""
    found: MeasureResult = typed(result)
    rows: list[Row] = [_row(one) for one in numbers(found)]
    everywhere = ("before", "overall", "", "")
    for worst in found.worst.rows if found.worst is not None else ():
        told = f"predicted {worst.predicted}, label {worst.label}"
        rows.append(
            (*everywhere, "worst", f"{worst.path}:{worst.row}", "wrong", worst.wrong, "", "", told)
        )
    return _text([*rows, *_gate_rows(found.gates)])


def render_apply(result: Result) -> str:
    """Return what apply wrote as CSV: what the rows come to, and the gates."""
    found: ApplyResult = typed(result)
    return _text([*map(_row, of_apply(found)), *_gate_rows(found.gates)])


def _gate_rows(gates: Iterable[GateResult]) -> Iterator[Row]:
    for gate in gates:
        told = "passed" if gate.passed else "failed"
        yield ("before", "overall", "", "", "gates", gate.expr, "gate", gate.value, "", "", told)


def _row(one: Numbered) -> Row:
    where = one.where
    name = "" if where.kind == "overall" else where.title
    place = (one.stage, where.kind, where.column or "", name, one.table, one.at)
    return (*place, one.name, one.value, one.low, one.high, one.reason)


def render_fit(result: Result) -> str:
    """Return a fit result as CSV: metrics before and after, and the candidates."""
    everywhere = ("overall", "", "")
    kind = fit_kind(result)
    rows: list[Row] = []
    for part in [result, *(result.get("classes") or [])]:
        where = _where(part.get("slice") or {})
        for stage, note in (("before", ""), ("after", kind)):
            metrics = (part.get(stage) or {}).get("metrics") or {}
            rows += _metric_rows(stage, where, metrics, note=note)
    for item in result.get("candidates") or []:
        note = "; ".join(
            text for text in ("chosen" if item.get("chosen") else "", item.get("note")) if text
        )
        start = ("after", *everywhere, "candidates", item["method"])
        rows.append((*start, "score", item.get("score"), "", "", note))
        rows.append((*start, "se", item.get("se"), "", "", ""))
    return _text([*rows, *_gates_of(result)])


def _gates_of(result: Result) -> Iterator[Row]:
    yield from _gate_rows(typed_as(result.get("gates", ()), tuple[GateResult, ...]))


def render_promotion(result: Result) -> str:
    """Return what became of a challenger as CSV: the decision, the steps, checks and gates."""
    return _text(promotion.csv_rows(result))


def render_threshold(result: Result) -> str:
    """Return a threshold result as CSV: each cut-off with its counts, rates and cost."""
    rows: list[Row] = []
    objective = str(result.get("objective") or "objective")
    for item in result.get("thresholds") or []:
        where = _where(item.get("slice") or {})
        at = item.get("threshold")
        start = ("chosen", *where, "confusion", at)
        ends = (item.get("threshold_low"), item.get("threshold_high"))
        rows.append((*start, "threshold", at, *ends, result.get("kind", "")))
        rows.append((*start, f"objective {objective}", *_figures(item.get("value"))))
        rows.append((*start, "n", item.get("n"), "", "", ""))
        if item.get("nms_iou") is not None:
            rows.append((*start, "nms_iou", item["nms_iou"], "", "", ""))
        if "min_area" in item:
            rows.append((*start, "min_area", item["min_area"], "", "", ""))
            rows.append((*start, "fill_holes", int(item["fill_holes"]), "", "", ""))
            for key in ("pooled_dice", "pooled_iou", "mean_dice"):
                rows.append((*start, key, *_figures(item[key])))
        rows += _confusion_rows("chosen", where, item.get("confusion") or {}, at)
        for name, value in (item.get("cost") or {}).items():
            rows += _cost_rows(("chosen", *where, "cost", at), name, value)
    for part in result.get("groups") or []:
        where = _where(part.get("slice") or {})
        at = part.get("threshold")
        rows += _confusion_rows("group", where, part.get("confusion") or {}, at)
        for broken in part.get("breaks") or []:
            sure = "beyond chance" if broken in part["beyond_chance"] else ""
            rows.append(("group", *where, "breaks", at, broken, "", "", "", sure))
    return _text([*rows, *_other_rows(result), *_gates_of(result)])


def _cost_rows(start: tuple[Any, ...], name: str, value: Any) -> Iterator[Row]:
    """Yield a cost, or the parts of a band."""
    if isinstance(value, dict) and "referred" in value:
        for key, part in value.items():
            yield (*start, f"{name} {key}", *_figures(part))
    elif isinstance(value, list):
        for key, part in zip(("low", "high"), value, strict=False):
            yield (*start, f"{name} {key}", *_figures(part))
    else:
        yield (*start, name, *_figures(value))


def _other_rows(result: Result) -> Iterator[Row]:
    """Yield what is kept, the quantiles of sets, or the costs of a matrix."""
    kept: Result = result.get("abstain") or {}
    for part in [kept, *(kept.get("groups") or [])] if kept else []:
        start = ("chosen", *_where(part.get("slice") or {}), "abstain", kept["threshold"])
        for key in ("n", "kept", "referred", "errors", "coverage", "accuracy", "accuracy_of_all"):
            yield (*start, key, *_figures(part.get(key)))
    sets: Result = result.get("sets") or {}
    for part in sets.get("slices") or []:
        start = ("chosen", *_where(part["slice"]), "sets", part["quantile"])
        yield (*start, "quantile", part["quantile"], "", "", str(sets["method"]))
        yield (*start, "n", part["n"], "", "", "")
        yield (*start, "coverage", *_figures(part.get("coverage")))
    cost: Result = result.get("cost_matrix") or {}
    for key in ("expected", "claimed", "most_probable") if cost else ():
        yield ("chosen", "overall", "", "", "cost", "", key, *_figures(cost.get(key)))


def _where(where: Result) -> tuple[str, str, str]:
    kind = str(where.get("kind", "overall"))
    name = "" if kind == "overall" else slice_name({"slice": where})
    return kind, str(where.get("column", "")), name


def _metric_rows(
    stage: str, where: tuple[str, str, str], metrics: Result, *, note: str = ""
) -> Iterator[Row]:
    for name, item in metrics.items():
        value, low, high, reason = _figures(item)
        yield (stage, *where, "metrics", "", name, value, low, high, reason or note)


def _confusion_rows(
    stage: str, where: tuple[str, str, str], item: Result, at: float | None
) -> Iterator[Row]:
    for key in ("tp", "fp", "fn", "tn"):
        yield (stage, *where, "confusion", at, key, item.get(key), "", "", "")
    for key in (*RATES, "dice", "iou"):
        if key in item:
            yield (stage, *where, "confusion", at, key, *_figures(item[key]))


def _figures(value: Any) -> tuple[Any, Any, Any, str]:
    item = entry(value)
    reason = item.get("reason") or "" if item.get("value") is None else ""
    return item.get("value"), item.get("low"), item.get("high"), str(reason)


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
