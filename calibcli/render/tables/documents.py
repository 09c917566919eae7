"""Which tables a result is made of, and in which order, for the formats that people read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.tables import common as tabulate
from calibcli.render.tables import drifted, paired, segmentation, serial, slices, worst
from calibcli.render.words import figures, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from calibcli.render.tables.layout import Table

    Result = Mapping[str, Any]


def measure_tables(result: Result, *, limit: int | None = None) -> list[Table]:
    """Return the tables of a measure result; `limit` bounds the rows of per-class tables."""
    params, task, overall = result.get("params", {}), words.task_of(result), result["overall"]
    after = overall.get("calibrated")
    return _present(
        [
            tabulate.gates_table(result.get("gates") or []),
            segmentation.structures_table(result),
            tabulate.metrics_table(overall["metrics"], after and after["metrics"], params),
            *drifted.drift_tables(result),
            serial.series_table(result),
            paired.versus_table(result),
            paired.calibrated_table(result),
            paired.slices_table(result),
            tabulate.ece_by_bins_table(overall, params),
            tabulate.confusion_table(confusion_parts(overall), params),
            segmentation.at_table(result) or slices.at_table(result),
            tabulate.bins_table(overall, params, task),
            tabulate.calibrated_bins_table(overall, params, task),
            *(
                slices.slices_table(parts, params, title=kind, limit=limit)
                for kind, parts in words.slices_by_kind(result).items()
            ),
            worst.worst_table(result),
        ]
    )


def fit_tables(result: Result) -> list[Table]:
    """Return the tables of a fit result: before and after, the candidates, the slices."""
    from calibcli.render.tables import decisions

    params, kind = result.get("params", {}), fit_kind(result)
    title = f"after, {kind}" if kind else "after"
    before, after = _metrics(result.get("before")), _metrics(result.get("after"))
    return _present(
        [
            tabulate.gates_table(result.get("gates") or []),
            tabulate.metrics_table(before, after, params, after_title=title),
            decisions.candidates_table(result.get("candidates") or [], params),
            decisions.fitted_slices_table(result.get("groups") or [], params, "Per group"),
            decisions.fitted_slices_table(result.get("classes") or [], params),
        ]
    )


def threshold_tables(result: Result) -> list[Table]:
    """Return the tables of a threshold result: cut-offs, costs, groups, or other decisions."""
    from calibcli.render.tables import choices, decisions
    from calibcli.render.tables.judged import decision_tables

    return _present(
        [
            tabulate.gates_table(result.get("gates") or []),
            decisions.thresholds_table(result),
            segmentation.regions_table(result),
            segmentation.together_table(result),
            decisions.costs_table(result),
            *decision_tables(result),
            decisions.groups_table(result),
            *choices.tables(result),
        ]
    )


def apply_tables(result: Result) -> list[Table]:
    """Return the tables of what apply wrote: the gates."""
    return _present([tabulate.gates_table(result.get("gates") or [])])


def apply_headline(result: Result) -> str:
    """Return how many rows there are and where they go."""
    return f"{figures.count(result['rows'])} rows for {result['output']}"


def confusion_parts(part: Result) -> list[tuple[str, Result]]:
    """Return the slice as (row title, confusion source) pairs: before and after, or just one."""
    if part.get("calibrated") and part["calibrated"].get("confusion"):
        return [("before", part), ("calibrated", part["calibrated"])]
    return [("", part)]


def inputs_line(result: Result) -> str:
    """Return the inputs and their rows, raw names: the first three and how many more."""
    inputs = result.get("inputs") or []
    said = [
        f"{item['path']} ({figures.count(item['rows'])} rows)"
        if item.get("rows") is not None
        else str(item["path"])
        for item in inputs[:3]
    ]
    more = f" and {len(inputs) - 3} more" if len(inputs) > 3 else ""
    return ", ".join(said) + more


def params_facts(result: Result) -> list[tuple[str, str]]:
    """Return every convention used as (name, value) texts; what was not set is left out."""
    return [
        (key, _plain(value))
        for key, value in (result.get("params") or {}).items()
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


def measure_headline(result: Result) -> str:
    """Return the headline figure: ECE with its interval, before and after where there are two."""
    overall = result["overall"]
    if (result.get("params") or {}).get("raw") and not overall.get("calibrated"):
        return f"AUC {figures.with_interval(overall['metrics'].get('auc'))}"
    text = f"ECE {figures.with_interval(overall['metrics'].get('ece'))}"
    if overall.get("calibrated"):
        after = overall["calibrated"]["metrics"].get("ece")
        text += f" to {figures.with_interval(after)} calibrated"
    return text


def measure_facts(result: Result) -> list[str]:
    """Return the facts beside the headline: rows, prevalence or accuracy, task."""
    shown = result["overall"]["metrics"]
    facts = [f"n {figures.count((shown.get('n') or {}).get('value'))}"]
    facts += [
        f"{name} {figures.named(name, shown[name])}"
        for name in ("prevalence", "accuracy")
        if name in shown
    ]
    return [*facts, *segmentation.facts(result), str(result["task"])]


def fit_headline(result: Result) -> str:
    """Return the method and what it did to ECE."""
    before, after = _metrics(result.get("before")), _metrics(result.get("after"))
    return f"{result['method']}: {words.change_words(before, after)}"


def fit_kind(result: Result) -> str:
    """Return how a fit's after figures were made: cross-fitted, in-sample, or nothing."""
    return str((result.get("after") or {}).get("kind") or "")


def _metrics(side: Result | None) -> Result:
    """Return the metrics of one side of a fit; a side that could not be measured has none."""
    return (side or {}).get("metrics") or {}


def _present(tables: Iterable[Table | None]) -> list[Table]:
    return [table for table in tables if table is not None]
