"""`fit`: learn the correction on held-out data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli._version import __version__
from calibcli.core.calibrators import CALIBRATORS, OneVsRest, Temperature
from calibcli.core.calibrators.rowmath import clipped_log
from calibcli.core.calibrators.types import BINARY, FREE_FORM_ROWS, BinaryCalibrator
from calibcli.core.selection import auto, cross_fit
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.artifacts import write_artifact
from calibcli.tasks.collect import Population, count, usable
from calibcli.tasks.pairs import row_buckets
from calibcli.workflows.gather import Gathered, Slice, from_counted, gather, layout_of
from calibcli.workflows.slices import slice_result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calibcli.core.calibrators import Calibrator, RowBatch, RowSource
    from calibcli.core.selection import Candidate
    from calibcli.core.stats import ScoreStats
    from calibcli.io.dataset import Dataset, InputSpec
    from calibcli.tasks.collect import Layout
    from calibcli.workflows.conventions import Conventions
    from calibcli.workflows.gather import Progress

Result = dict[str, Any]
_CACHED_NUMBERS = 1 << 24


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What to fit and how to choose.

    `temperatures` limits temperature scaling to a list; `clock` times the candidates' fits.
    """

    method: str = "auto"
    folds: int = 5
    select: str = "nll"
    temperatures: tuple[float, ...] = ()
    seed: int = 0
    clock: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        known = [*(m for m in CALIBRATORS if m != OneVsRest.method), "auto"]
        if self.method not in known:
            hint = did_you_mean(self.method, known) or f"one of: {', '.join(known)}"
            raise UsageError(f"unknown method {self.method!r}", hint)
        if self.select not in ("nll", "brier"):
            raise UsageError(f"--select {self.select!r}", "nll or brier")
        if not 2 <= self.folds <= 50:
            raise UsageError("--folds must lie between 2 and 50", "for example --folds 5")
        if self.temperatures and min(self.temperatures) <= 0:
            raise UsageError("temperatures must be positive", "for example --temperatures 0.5,1,2")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A calibrator, how it was chosen, and the same rows after it, held out or in-sample."""

    method: str
    calibrator: Calibrator
    candidates: tuple[Candidate, ...]
    after: Population
    kind: str
    notes: tuple[str, ...]


def fit(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    *,
    output: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Fit a calibrator; write it to `output`; return the result with figures before and after.

    Figures after are of maps that have not seen the rows (cross-fitted) wherever there are
    enough rows of each class, and are labelled in-sample otherwise.

    Raises:
        InputError: unusable input, one class only.
        UsageError: a method that does not fit the task.
    """
    # Groups play no part in a fit; leaving them out leaves the pass cheaper.
    found = gather(replace(spec, groups=()), conventions, threads=threads, progress=progress)
    if options.temperatures and options.method == "auto":
        options = replace(options, method="temperature")
    if found.task == "binary":
        fitted = _fit_binary(found.overall.population.pairs, options)
    elif found.task == "multilabel":
        fitted = _fit_multilabel(found, options)
    else:
        fitted = _fit_rows(found, spec, conventions, options, threads)
    result = _result(found, conventions, options, fitted)
    if output is not None:
        write_artifact(output, "calibrator", _artifact(found, fitted, result))
    return result


def _check(method: str, task: str) -> None:
    kind = CALIBRATORS[method]
    if task != "multiclass" and not kind.tasks >= BINARY:
        usable_here = [m for m, c in CALIBRATORS.items() if c.tasks >= BINARY]
        raise UsageError(
            f"{method} is for several classes, these scores are {task}",
            f"one of: {', '.join(usable_here)}",
        )


def _temperatures(stats: ScoreStats, options: FitOptions) -> Temperature:
    return Temperature.fit(stats, temperatures=options.temperatures or None)


def _fit_binary(stats: ScoreStats, options: FitOptions) -> _Fitted:
    if options.method == "auto":
        chosen = auto(
            stats,
            folds=options.folds,
            select=cast("Any", options.select),
            seed=options.seed,
            clock=options.clock,
        )
        method = chosen.calibrator.method
        after = Population("binary", chosen.held_out)
        notes = (*chosen.notes, *chosen.calibrator.notes)
        kind = "cross-fitted"
        if method == "identity":
            kind = "unchanged"
        return _Fitted(method, chosen.calibrator, chosen.candidates, after, kind, notes)
    _check(options.method, "binary")
    one = _fitter(options)
    calibrator = one(stats)
    held, kind = _held_out(stats, one, calibrator, options)
    return _Fitted(
        options.method, calibrator, (), Population("binary", held), kind, calibrator.notes
    )


def _fitter(options: FitOptions) -> Callable[[ScoreStats], Calibrator]:
    if options.method == "temperature" and options.temperatures:
        return lambda stats: _temperatures(stats, options)
    return cast("type[BinaryCalibrator]", CALIBRATORS[options.method]).fit


def _held_out(
    stats: ScoreStats,
    one: Callable[[ScoreStats], Calibrator],
    calibrator: Calibrator,
    options: FitOptions,
) -> tuple[ScoreStats, str]:
    """Return the pairs after calibration and how: cross-fitted, or in-sample where that fails."""
    from calibcli.core.selection import apply_to_cells

    if calibrator.method == "identity":
        return stats, "unchanged"
    if min(stats.positives, stats.negatives) >= 2 * options.folds:
        try:
            return cross_fit(stats, one, folds=options.folds, seed=options.seed), "cross-fitted"
        except InputError:
            pass
    return stats.map(apply_to_cells(calibrator, stats)), "in-sample"


def _fit_multilabel(found: Gathered, options: FitOptions) -> _Fitted:
    """Each label is a binary problem of its own, chosen and fitted apart."""
    classes, notes, after, kinds, methods = [], [], [], set(), []
    for name, one in zip(found.classes, found.class_slices, strict=True):
        stats = one.population.pairs
        if not stats.positives or not stats.negatives:
            fitted = _fit_binary_identity(stats)
            notes.append(f"label {name!r} has one value only: its scores are kept")
        else:
            fitted = _fit_binary(stats, options)
            notes += [f"label {name!r}: {note}" for note in fitted.notes]
        classes.append(fitted.calibrator)
        after.append(fitted.after.pairs)
        kinds.add(fitted.kind)
        methods.append(fitted.method)
    from functools import reduce

    bare = [replace(stats, parts=None, edges=()) for stats in after]
    pooled = reduce(lambda a, b: a.merge(b), (replace(s, logits=False) for s in bare))
    method = methods[0] if len(set(methods)) == 1 else "one-vs-rest"
    kind = "cross-fitted" if "cross-fitted" in kinds else kinds.pop()
    calibrator = OneVsRest(tuple(classes), normalize=False, notes=())
    population = Population("multilabel", pooled, (), tuple(after), False)
    return _Fitted(method, calibrator, (), population, kind, tuple(notes))


def _fit_binary_identity(stats: ScoreStats) -> _Fitted:
    identity = cast("type[BinaryCalibrator]", CALIBRATORS["identity"])
    from calibcli.core.calibrators import Identity

    assert identity is Identity
    return _Fitted("identity", Identity(), (), Population("binary", stats), "unchanged", ())


# -- several classes: whole rows -------------------------------------------------------------------


def row_source(dataset: Dataset, layout: Layout) -> RowSource:
    """Return passes over the rows as (logits or log-probabilities, label, weight, bucket).

    Small data is kept in memory after the first pass, large data is read again each time.
    """
    kept: list[RowBatch] = []
    complete = [False]

    def read() -> Iterator[RowBatch]:
        for batch in dataset.batches():
            rows, _ = usable(batch, layout)
            weight = batch.weight if layout.weighted else batch.count
            assert batch.labels is not None
            scores, labels = batch.scores, batch.labels
            if rows is not None:
                scores, labels = scores[rows], labels[rows]
                weight = None if weight is None else weight[rows]
            z = scores if layout.logits else clipped_log(scores)
            mass = None if weight is None else weight.astype(np.float64)
            yield z, labels.astype(np.int64), mass, row_buckets(batch, rows)

    def passes() -> Iterator[RowBatch]:
        if complete[0]:
            yield from kept
            return
        kept.clear()
        numbers, keeping = 0, True
        for one in read():
            numbers += one[0].size
            keeping = keeping and numbers <= _CACHED_NUMBERS
            if keeping:
                kept.append(one)
            yield one
        complete[0] = keeping
        if not keeping:
            kept.clear()

    return passes


def _fit_rows(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    threads: int | None,
) -> _Fitted:
    from calibcli.core.selection_rows import auto_rows, cross_fit_rows, fit_method

    if found.dataset is None:
        raise UsageError(
            "several classes are fitted from whole rows", "give the score files, not statistics"
        )
    spec = replace(spec, groups=())
    layout = layout_of(found.dataset, spec, conventions)
    rows, size = row_source(found.dataset, layout), len(found.classes)
    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()
    if options.method == "auto":
        chosen = auto_rows(
            rows,
            size,
            folds=options.folds,
            select=cast("Any", options.select),
            clustered=spec.cluster is not None,
            clock=options.clock,
        )
        calibrator, folds = chosen.calibrator, chosen.fold_calibrators
        candidates, notes = chosen.candidates, chosen.notes
        method = next(c.method for c in candidates if c.chosen)
    else:
        method = options.method
        if options.temperatures:
            calibrator = Temperature.fit_rows(rows, size, temperatures=options.temperatures)
        else:
            calibrator = fit_method(rows, size, method)
        try:
            folds = cross_fit_rows(rows, size, method, folds=options.folds, start=None)
        except InputError:
            folds = ()
        if options.temperatures:
            folds = ()
    kind = "unchanged" if method == "identity" else ("cross-fitted" if folds else "in-sample")
    counted = count(found.dataset, layout, calibrator=folds or calibrator, threads=threads)
    after = from_counted(found.dataset, spec, counted).overall.calibrated
    assert after is not None
    return _Fitted(method, calibrator, candidates, after, kind, (*notes, *calibrator.notes))


# -- results ---------------------------------------------------------------------------------------


def _result(
    found: Gathered, conventions: Conventions, options: FitOptions, fitted: _Fitted
) -> Result:
    where: Result = {"kind": "overall"}
    before = slice_result(where, found.overall.population, conventions)
    after = slice_result(where, fitted.after, conventions)
    notes = list(fitted.notes)
    kind = CALIBRATORS.get(fitted.method, OneVsRest)
    few = found.overall.population.pairs.n < FREE_FORM_ROWS
    if kind.free_form and few and not any("free-form" in note for note in notes):
        notes.append(f"{fitted.method} is free-form and needs {FREE_FORM_ROWS:,} rows or more")
    classes = []
    after_slices = replace(found, overall=Slice(where, fitted.after)).class_slices
    for own, changed in zip(found.class_slices, after_slices, strict=True):
        classes.append(
            {
                "slice": own.where,
                "before": _brief(slice_result(own.where, own.population, conventions)),
                "after": _brief(slice_result(own.where, changed.population, conventions)),
            }
        )
    return {
        "schema": "calibcli/fit",
        "version": 1,
        "calibcli": __version__,
        "inputs": found.inputs,
        "params": {
            **found.params,
            **conventions.to_dict(),
            "method": options.method,
            "folds": options.folds,
            "select": options.select,
            "temperatures": list(options.temperatures) or None,
        },
        "task": found.task,
        "method": fitted.method,
        "calibrator": fitted.calibrator.to_dict(),
        "before": _brief(before),
        "after": {**_brief(after), "kind": fitted.kind},
        "classes": classes,
        "candidates": [candidate.to_dict() for candidate in fitted.candidates],
        "warnings": list(found.warnings) + notes,
    }


def _brief(result: Result) -> Result:
    return {"metrics": result["metrics"], "bins": result["bins"]}


def _artifact(found: Gathered, fitted: _Fitted, result: Result) -> Result:
    rows = sum(one["rows"] or 0 for one in found.inputs)
    return {
        "calibcli": __version__,
        "task": found.task,
        "classes": list(found.classes),
        "method": fitted.method,
        "input": {
            "scores": found.params["score"] or [],
            "logits": found.logits,
            "positive": found.params["positive"],
        },
        "calibrator": result["calibrator"],
        "params": result["params"],
        "rows": rows,
        "inputs": found.inputs,
        "before": {"metrics": result["before"]["metrics"]},
        "after": {"metrics": result["after"]["metrics"], "kind": fitted.kind},
        "candidates": result["candidates"],
        "stats": None,
        "warnings": result["warnings"],
    }


__all__ = ["FitOptions", "fit", "row_source"]
