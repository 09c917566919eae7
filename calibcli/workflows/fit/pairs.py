"""Fits from binary pairs: one score, or each label of a multi-label task by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

from calibcli.core.calibrators import CALIBRATORS, Identity, OneVsRest, Temperature
from calibcli.core.calibrators.types import label_evidence
from calibcli.core.fitting.selection import apply_to_cells, auto, cross_fit
from calibcli.errors import InputError
from calibcli.tasks.collect import Population
from calibcli.workflows.fit.fitted import FitOptions, Fitted, check_method

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.types import BinaryCalibrator
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.gather import Gathered


def fit_binary(stats: ScoreStats, options: FitOptions) -> Fitted:
    """Fit the pairs of one score.

    Raises:
        InputError: one label only.
    """
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
        kind = "unchanged" if method == Identity.method else "cross-fitted"
        return Fitted(method, chosen.calibrator, chosen.candidates, after, kind, notes)
    check_method(options.method, "binary")
    one = fitter(options.method, options)
    calibrator = one(stats)
    held, kind = _held_out(stats, one, calibrator, options)
    return Fitted(
        options.method, calibrator, (), Population("binary", held), kind, calibrator.notes
    )


def fitter(method: str, options: FitOptions) -> Callable[[ScoreStats], Calibrator]:
    """Return what fits a method by name to binary pairs."""
    if method == Temperature.method and options.temperatures:
        return lambda stats: Temperature.fit(stats, temperatures=options.temperatures)
    return cast("type[BinaryCalibrator]", CALIBRATORS[method]).fit


def _held_out(
    stats: ScoreStats,
    one: Callable[[ScoreStats], Calibrator],
    calibrator: Calibrator,
    options: FitOptions,
) -> tuple[ScoreStats, str]:
    """Return the pairs after calibration and how: cross-fitted, or in-sample where that fails."""
    if calibrator.method == Identity.method:
        return stats, "unchanged"
    if min(label_evidence(stats)) >= 2 * options.folds:
        try:
            return cross_fit(stats, one, folds=options.folds, seed=options.seed), "cross-fitted"
        except InputError:
            pass
    return stats.map(apply_to_cells(calibrator, stats)), "in-sample"


def fit_multilabel(found: Gathered, options: FitOptions) -> Fitted:
    """Each label is a binary problem of its own, chosen and fitted apart."""
    classes, notes, after, kinds, methods = [], [], [], set(), []
    for name, one in zip(found.classes, found.class_slices, strict=True):
        stats = one.population.pairs
        if not stats.positives or not stats.negatives:
            unchanged = Population("binary", stats)
            fitted = Fitted(Identity.method, Identity(), (), unchanged, "unchanged", ())
            notes.append(f"label {name!r} has one value only: its scores are kept")
        else:
            fitted = fit_binary(stats, options)
            notes += [f"label {name!r}: {note}" for note in fitted.notes]
        classes.append(fitted.calibrator)
        after.append(fitted.after.pairs)
        kinds.add(fitted.kind)
        methods.append(fitted.method)
    method = methods[0] if len(set(methods)) == 1 else OneVsRest.method
    kind = "cross-fitted" if "cross-fitted" in kinds else kinds.pop()
    calibrator = OneVsRest(tuple(classes), normalize=False, notes=())
    population = label_population(after)
    return Fitted(method, calibrator, (), population, kind, tuple(notes))


def label_population(after: list[ScoreStats]) -> Population:
    """Return the population of a multi-label task from the pairs of each label."""
    bare = [replace(stats, parts=None, edges=(), logits=False) for stats in after]
    pooled = reduce(lambda a, b: a.merge(b), bare)
    return Population("multilabel", pooled, (), tuple(after), False)
