"""What a fit says and writes: the JSON result, and the calibrator artifact with its statistics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from calibcli._version import __version__
from calibcli.core.calibrators import CALIBRATORS, OneVsRest
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.calibrators.evidence import FREE_FORM_ROWS, effective_rows, few_rows_note
from calibcli.core.fitting.map_intervals import map_points
from calibcli.core.numeric.scales import logit
from calibcli.core.results.base import plain
from calibcli.core.results.figures import OVERALL
from calibcli.core.results.warning import Warning, any_of, warned
from calibcli.io.rows.hashing import with_digest
from calibcli.tasks.families import compact_stats, digest_of
from calibcli.tasks.table import medium
from calibcli.workflows.input.gathered import Slice
from calibcli.workflows.input.overlap import fitted_rows
from calibcli.workflows.measure.classes import shown_classes
from calibcli.workflows.measure.ranking import ranking_brief
from calibcli.workflows.measure.slices import brief_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.results.parts.stored import MapPoint
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions, Fitted, GroupOutcome
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered

Result = dict[str, Any]
GROUP_CELLS, FEWEST_CELLS = 2000, 40
"""Cells of the statistics of all groups in a calibrator together, and of each at least."""


def result_of(
    found: Gathered,
    conventions: Conventions,
    options: FitOptions,
    fitted: Fitted,
    *,
    in_brief: bool = False,
) -> Result:
    """Return the JSON result; `in_brief` of classes only the figures that tables show."""
    raw = found.raw_scale is not None
    before = _brief(fitted.before or found.overall.population, conventions, found.medium, raw=raw)
    after = _brief(fitted.after, conventions, found.medium)
    pairs = found.overall.population.pairs
    few = few_rows_note(fitted.method, pairs)
    notes = [Warning("free-form" if note in few else "fit", note) for note in fitted.notes]
    warnings = [*found.warnings, *notes, *fitted.warnings]
    free_form = CALIBRATORS.get(fitted.method, OneVsRest).free_form
    scarce = effective_rows(pairs) < FREE_FORM_ROWS
    if free_form and scarce and not any_of(notes, "free-form"):
        text = f"{fitted.method} is free-form and needs {FREE_FORM_ROWS:,} rows or more"
        warnings.append(Warning("free-form", text))
    after_slices = replace(found, overall=Slice(OVERALL, fitted.after)).class_slices
    sides = [
        _classes(some, found, conventions, in_brief=in_brief)
        for some in (found.class_slices, after_slices)
    ]
    classes = [
        {"slice": own.where, "before": one, "after": other}
        for own, one, other in zip(found.class_slices, *sides, strict=True)
    ]
    result = {
        "schema": "calibcli/fit",
        "version": 1,
        "calibcli": __version__,
        "inputs": [with_digest(one) for one in found.inputs],
        "params": {
            **found.params,
            "positive": found.params.get("positive"),
            **conventions.to_dict(),
            "method": options.method,
            "folds": options.folds,
            **({} if options.by is None else {"folds_by": options.by}),
            "select": options.select,
            "temperatures": list(options.temperatures) or None,
            "per_class": options.per_class,
            "per_group": options.per_group,
            "ensemble": list(options.models) or None,
        },
        "task": found.fitted_task,
        "method": fitted.method,
        "calibrator": fitted.calibrator.to_dict(),
        "before": before,
        "after": {**after, "kind": fitted.kind},
        "classes": classes,
        "groups": group_rows(fitted.groups, conventions, found.medium, raw=raw),
        "candidates": fitted.candidates,
        "map": _map(found, fitted.calibrator, conventions),
        "class_map": _class_map(found, fitted, conventions),
        **warned(warnings),
        "data": digest_of(found.overall.population),
    }
    return cast(Result, plain(result))


def _classes(
    slices: Sequence[Slice], found: Gathered, conventions: Conventions, *, in_brief: bool
) -> list[Result]:
    if in_brief and found.exclusive and found.medium == "rows":
        shown = shown_classes([(one.where, one.population) for one in slices], conventions)
        return [{"metrics": one.metrics, "bins": one.bins} for one in shown]
    return [brief_result(one.population, conventions) for one in slices]


def group_rows(
    groups: Sequence[GroupOutcome],
    conventions: Conventions,
    of: str = "rows",
    *,
    raw: bool = False,
) -> list[Result]:
    """Return what became of each group, with figures before and after."""
    return [
        {
            "slice": one.where,
            "rows": one.rows,
            "weight": one.weight[0] if len(one.weight) == 1 else list(one.weight),
            "note": one.note,
            "before": _brief(one.before, conventions, of, raw=raw),
            "after": _brief(one.after, conventions, of),
        }
        for one in groups
    ]


def _brief(
    population: Population, conventions: Conventions, of: str, *, raw: bool = False
) -> Result:
    """Return figures and bins; of boxes as pairs, without the objects that were missed."""
    if raw:
        return ranking_brief(population, conventions)
    result = brief_result(population, conventions)
    for name in medium(of).needs_all:
        result["metrics"].pop(name, None)
    return result


def _map(found: Gathered, calibrator: Calibrator, conventions: Conventions) -> list[MapPoint]:
    """Return the calibrated probability at chosen scores with its interval; binary scores only."""
    if not found.single:
        return []
    one = calibrator.overall if isinstance(calibrator, Grouped) else calibrator
    if one.method not in CALIBRATORS:
        return []
    points = map_points(
        one,
        found.overall.population.pairs,
        confidence=conventions.confidence,
        seed=conventions.seed,
    )
    scale = found.raw_scale
    if scale is None:
        return points
    inner = [point for point in points if 0.0 < point.score < 1.0]
    shown = [structs.replace(one, score=float(scale.raw(logit(one.score)))) for one in inner]
    return shown[::-1] if scale.descending else shown


def _class_map(found: Gathered, fitted: Fitted, conventions: Conventions) -> list[Result]:
    """Return the map of each class with its interval, of parametric maps of several classes."""
    if not found.exclusive:
        return []
    from calibcli.core.fitting.class_map import class_map

    maps = class_map(
        fitted.calibrator,
        fitted.folds,
        len(found.classes),
        logits=found.logits,
        confidence=conventions.confidence,
    )
    return [
        {
            "class": None if k is None else found.classes[k],
            "points": points,
        }
        for k, points in maps
    ]


def artifact_of(
    found: Gathered, fitted: Fitted, result: Result, confidence: float | None
) -> Result:
    """Return the calibrator artifact: the same for the same rows, however long the fit took.

    `confidence` is the level of the intervals of its maps; None for none.
    """
    scale = found.raw_scale
    return {
        "calibcli": __version__,
        "task": found.fitted_task,
        "classes": list(found.fitted_classes),
        "method": fitted.method,
        "input": {
            "scores": found.params["score"] or [],
            "logits": found.logits and scale is None,
            "positive": found.params.get("positive"),
            **({} if scale is None else {"raw": scale.to_dict()}),
            **({} if found.dataset is None else medium(found.medium).artifact_input(found.dataset)),
        },
        **_of(result, "calibrator", "params"),
        "rows": _rows(found, fitted.calibrator),
        **_of(result, "inputs", "data"),
        "before": _of(result["before"], "metrics"),
        "after": {**_of(result["after"], "metrics"), "kind": fitted.kind},
        "groups": [
            {**_of(one, "slice", "rows", "weight", "note"), "stats": stats}
            for one, stats in zip(result["groups"], _group_stats(fitted), strict=True)
        ],
        "candidates": [
            {key: value for key, value in one.items() if key != "seconds"}
            for one in result["candidates"]
        ],
        **_of(result, "map", "class_map"),
        **_folds(found, fitted, confidence),
        "stats": compact_stats(found.overall.population),
        "sketch": None if found.watch is None else fitted_rows(found.watch),
        **_of(result, "warnings"),
    }


def _folds(found: Gathered, fitted: Fitted, confidence: float | None) -> Result:
    """Return the maps of several classes without each fold, where rows' intervals need them."""
    if not found.exclusive or found.medium != "rows":
        return {}
    from calibcli.core.fitting.class_map import kept_folds

    folds = kept_folds(fitted.calibrator, fitted.folds, confidence=confidence)
    return {"folds": folds} if folds else {}


def _group_stats(fitted: Fitted) -> list[Result]:
    """Return the statistics of each group's rows, which a promotion holds later ones against."""
    cells = max(GROUP_CELLS // max(len(fitted.groups), 1), FEWEST_CELLS)
    return [compact_stats(one.before, cells) for one in fitted.groups]


def _of(whole: Result, *names: str) -> Result:
    return {name: whole[name] for name in names}


def _rows(found: Gathered, calibrator: Calibrator) -> int:
    """Return the rows read; models of a file each have the same rows."""
    rows = [int(one["rows"] or 0) for one in found.inputs]
    return rows[0] if getattr(calibrator, "files", False) else sum(rows)
