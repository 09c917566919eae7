"""`measure`: is the model honest, and what does its cut-off do?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from calibcli._version import __version__
from calibcli.core.results.base import plain
from calibcli.core.results.reading import typed
from calibcli.core.results.warning import warned
from calibcli.errors import InputError, UsageError
from calibcli.workflows.input.gated import parsed, passed
from calibcli.workflows.input.gather import gather, with_group_of
from calibcli.workflows.input.gathered import Gathered
from calibcli.workflows.input.saved import stats_payload
from calibcli.workflows.input.warnings import calibrator_warnings, measure_warnings
from calibcli.workflows.measure.classes import brief_classes, page_classes
from calibcli.workflows.measure.slices import (
    change_parts,
    judge_readings,
    slice_result,
    with_after,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.comparison.evidence import Promise
    from calibcli.core.decisions.costs import Costs
    from calibcli.core.decisions.gates import Gate
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.results.comparisons import Versus
    from calibcli.core.results.figures import Where
    from calibcli.core.results.measure import SliceResult
    from calibcli.core.results.warning import Warning
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Slice
    from calibcli.workflows.measure.compared.reference import Reference
    from calibcli.workflows.measure.decided.applied import Applied, Decisions


Result = dict[str, Any]


def measure(
    spec: InputSpec,
    conventions: Conventions,
    *,
    calibrator: str | None = None,
    thresholds: str | None = None,
    versus: str | None = None,
    reference: str | None = None,
    by: str | None = None,
    fail_if: Sequence[str] = (),
    save_stats: str | None = None,
    evidence: str | None = None,
    promises: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
    curves: Costs | None = None,
    worst: int = 0,
    in_brief: bool = False,
    confusions: bool = False,
) -> Result:
    """Return every metric with its interval, as the JSON result (see docs).

    Args:
        spec: what to read.
        conventions: how to bin, where to cut, how sure to be.
        calibrator: path of a calibrator, to show figures before and after.
        thresholds: path of thresholds, whose cut-offs are shown too.
        versus: a second model on the same rows: a score column, or a file.
        reference: what drift is measured from: scores, statistics, or a calibrator; the rows then
            need no labels.
        by: a column of periods: the same figures for each, in order, and the first bad one.
        fail_if: gates.
        save_stats: path to write the statistics to.
        evidence: path of what the nights before have told against the promises, to add this one.
        promises: what every night is to keep; by default the tolerance, and what the thresholds
            are bound to.
        threads: how many threads read; default all cores of this process.
        progress: called with the number of rows read so far.
        curves: what errors cost, to have also the curves that a report draws.
        worst: how many of the rows to show that are most confidently wrong.
        in_brief: of classes that exclude each other only the figures that tables show.
        confusions: of such classes count also which is taken for which, in one more pass.

    Raises:
        InputError: unusable input or artifacts.
        UsageError: a gate that cannot be understood or evaluated.
    """
    gates = parsed(fail_if)
    mapping: Calibrator | None = None
    loaded = watch = shared = None
    applied: Applied | None = None
    if calibrator is not None:
        from calibcli.workflows.input.loaded.loading import load_calibrator
        from calibcli.workflows.input.overlap import found_overlap, watch_of

        loaded = load_calibrator(calibrator)
        mapping, watch = loaded.calibrator, watch_of(loaded)
    reading = conventions
    if thresholds is not None:
        from calibcli.workflows.measure.decided.applied_boxes import applied_of

        applied = applied_of(thresholds, calibrator=calibrator is not None)
        reading = conventions.cutting(*applied.edges)
    wanted: tuple[Promise, ...] = ()
    if evidence is not None:
        from calibcli.workflows.measure.evidence import promised

        wanted = promised(promises, conventions, applied)
        if reading.confidence is None:  # the labels of a row are weighed together
            reading = replace(reading, confidence=0.95)
    elif promises:
        raise UsageError("--promise is weighed over nights", "add --evidence FILE")
    if curves is not None:
        from calibcli.workflows.measure.report_curves import EXACT

        reading = replace(reading, also_exact=EXACT)
    options: Result = {"calibrator": mapping, "threads": threads, "progress": progress}
    options |= {"watch": watch, "by_bucket": save_stats is not None, "to_logits": True}
    absent: InputError | None = None
    before: Reference | None = None
    periods: list[Slice] = []
    whole = spec
    if applied is not None:
        whole = applied.reading(spec)
        reading = applied.asking(reading) if whole.raw else reading
    if by is not None:
        from calibcli.workflows.measure.series import with_by

        whole = with_by(whole, by)
    if reference is None:
        found = gather(whole, reading, **options)
    else:
        from calibcli.workflows.measure.compared.reference import gather_current, scaled_as

        spec, whole = scaled_as(spec, reference), scaled_as(whole, reference)
        found, absent = gather_current(whole, reading, **options)
    if by is not None:
        from calibcli.workflows.measure.series import split

        found, periods = split(found, by)
    if applied is not None:
        found = applied.asked(found, spec)
    if not found.labelled:
        _refuse_unlabelled(versus=versus, save_stats=save_stats)
        if curves is not None:
            raise UsageError(
                "a report and its pictures need labels, and these rows have none",
                "--label COL, or --labels FILE; measure --reference tells drift without them",
            )

    def asked(spec: InputSpec, conventions: Conventions) -> Asked:
        from calibcli.workflows.input.asked import Asked

        return Asked(spec, conventions, threads=threads, loaded=loaded, path=calibrator)

    warnings = list(found.warnings)
    if loaded is not None:
        shared = found_overlap(loaded, found.watch, conventions.confidence)
        warnings += calibrator_warnings(loaded, found, whole, shared)
    if applied is not None:
        warnings += applied.warnings(loaded, found)
    result = measured(found, conventions, curves=curves, applied=applied, in_brief=in_brief)
    params: Result = result["params"]
    decided: Decisions | None = None
    if applied is not None and found.labelled:
        params |= applied.params()
        decided = applied.decisions(found, asked(whole, conventions))
        if decided is not None:
            result["decision"] = decided.shown(spec.groups)
    elif confusions and applied is None and found.exclusive:
        from calibcli.workflows.measure.decided.confused import confusions as confused

        told = confused(found, asked(whole, conventions))
        result |= {} if told is None else {"confusions": plain(told)}
    warnings += measure_warnings(found, typed(result), conventions)
    if found.labelled and found.dataset is not None and found.dataset.medium == "images":
        from calibcli.workflows.measure.structures import judge

        warnings += judge(result, found, conventions)
    if conventions.at and found.labelled:
        judge_readings(result, conventions.confidence)
    if shared is not None:
        result["overlap"] = shared
    if reference is not None:
        from calibcli.workflows.measure.compared.drift import drift
        from calibcli.workflows.measure.compared.reference import load_reference

        before = load_reference(reference, asked(spec, reading), found)
        if absent is not None and not before.labelled:
            raise absent
        result["drift"] = drift(found, before, conventions)
        warnings += before.warnings
        params["reference"] = reference
    two: Versus | None = None
    remarks: list[Warning] = []
    if versus is not None:
        from calibcli.io.rows.keys import MISSING_GROUP
        from calibcli.workflows.measure.compared.versus import versus as compare

        columns = with_group_of(whole, mapping).groups
        two = compare(
            found,
            asked(spec, conventions),
            versus,
            columns=columns,
            periods=[one for one in periods if one.value != MISSING_GROUP],
            warnings=remarks,
        )
    if by is not None:
        from calibcli.workflows.measure.crossed import cross, with_versus
        from calibcli.workflows.measure.series import by_column, series

        crossed = cross(found, asked(whole, reading), by_column(by), spec.groups, applied)
        result["series"], said = series(
            periods,
            by,
            conventions,
            gates,
            reference=before,
            labelled=found.labelled,
            decisions={} if decided is None else decided.of_periods(periods),
            applied=applied,
            crossed=with_versus(crossed, two),
        )
        warnings += said
        params["by"] = by
    if two is not None:
        result["versus"] = two
        warnings += remarks
        params["versus"] = versus
    if worst:
        from calibcli.workflows.measure.worst import worst_rows

        result["worst"] = worst_rows(found, asked(spec, conventions), worst)
        params["worst"] = worst
    result |= warned(warnings)
    if calibrator is not None:
        params["calibrator"] = calibrator
    if evidence is None:
        _finish(result, gates, found, applied, save_stats)
        return cast(Result, plain(result))
    from calibcli.workflows.measure.evidence import held_year

    with held_year(evidence, wanted, conventions) as year:
        result["evidence"] = year.count(found, conventions, result, applied, decided)
        _finish(result, gates, found, applied, save_stats)
        year.write()
    return cast(Result, plain(result))


def _finish(
    result: Result,
    gates: Sequence[Gate],
    found: Gathered,
    applied: Applied | None,
    save_stats: str | None,
) -> None:
    """Evaluate the gates, and write the statistics, unless a gate cannot be evaluated."""
    passed(result, gates, None if applied is None else applied.chosen_cutoff)
    if save_stats is not None:
        from calibcli.io.artifacts.artifacts import write_artifact

        write_artifact(save_stats, "stats", stats_payload(found))


def _refuse_unlabelled(**options: str | None) -> None:
    """Raise UsageError for an option that needs the labels that these rows do not have."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} needs labels, and these rows have none",
                "--label COL, or --labels FILE",
            )


def measured(
    found: Gathered,
    conventions: Conventions,
    *,
    curves: Costs | None = None,
    applied: Applied | None = None,
    in_brief: bool = False,
) -> Result:
    """Return the measure result of gathered populations, without gates and warnings.

    `applied` holds chosen cut-offs, which are shown where they cut; `curves` is what errors cost,
    to have also what a report draws; `in_brief` is that of `measure`.
    """
    made: list[tuple[SliceResult, Population]] = []

    def unlabelled(one: Slice) -> SliceResult:
        from calibcli.workflows.measure.ranking import unlabelled_result

        judged = partial(unlabelled_result, conventions=conventions)
        before = unlabelled_result(one.where, one.population, conventions, raw=scale is not None)
        return with_after(one, before, judged)

    scale = found.raw_scale

    def ranked(one: Slice, scale: RawScale, costs: Costs | None) -> SliceResult:
        from calibcli.workflows.measure.ranking import ranking_result

        own = conventions if applied is None else applied.raw_cuts(conventions, one.where)
        drawn = costs is not None
        result = ranking_result(one.where, one.population, own, scale, curves=drawn)
        later = partial(slice_result, conventions=cut(one.where, after=True), curves=costs)
        return with_after(one, result, later)

    def cut(where: Where, *, after: bool) -> Conventions:
        return conventions if applied is None else applied.cut(conventions, where, after=after)

    def shown(one: Slice, costs: Costs | None) -> SliceResult:
        if not found.labelled:
            return unlabelled(one)
        if scale is not None:
            return ranked(one, scale, costs)
        own = cut(one.where, after=False)
        before = slice_result(one.where, one.population, own, curves=costs)
        later = partial(slice_result, conventions=cut(one.where, after=True), curves=costs)
        whole = with_after(one, before, later)
        if one.calibrated is None or one.where.kind == "overall":
            made.append((whole, one.population))
        if whole.calibrated is not None and one.calibrated is not None:
            made.append((whole.calibrated, one.calibrated))
        return whole

    def of_classes() -> list[SliceResult]:
        if not (in_brief and found.exclusive and found.labelled and found.medium == "rows"):
            return [shown(one, curves) for one in found.class_slices]
        if curves is None:
            return brief_classes(found, conventions)
        return page_classes(found, conventions, curves, partial(shown, costs=curves))

    stats = found.overall.population.pairs
    whole: Result = {
        "schema": "calibcli/measure",
        "version": 1,
        "calibcli": __version__,
        "inputs": found.inputs,
        "params": {
            **found.params,
            **(conventions if applied is None else applied.asking(conventions)).to_dict(),
            "cells": "distinct scores" if stats.exact else f"grid of {stats.table.bits} bits",
        },
        "task": found.name,
        "overall": shown(found.overall, curves),
        "classes": of_classes(),
        "groups": [shown(one, None) for one in found.groups],
        "gates": [],
        **warned(()),
    }
    if curves is not None:
        from calibcli.workflows.measure.decided.cutoffs import with_cutoffs

        change_parts(whole, with_cutoffs(made, whole["params"]["thresholds"]))
    return whole
