"""Fits from binary pairs: one score, or each label of a multi-label task by itself."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, cast

from calibcli.core.calibrators import CALIBRATORS, Identity, OneVsRest, Temperature
from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.held_out import HeldOut, map_losses, mapped
from calibcli.core.fitting.problems import BINARY_CANDIDATES, Forward, OfRows, Pairs
from calibcli.errors import InputError
from calibcli.io.task import SINGLE
from calibcli.tasks.collect import Population
from calibcli.tasks.population import of_labels, of_pairs
from calibcli.workflows.fit.fitted import (
    OF_PROBABILITIES,
    FitOptions,
    Fitted,
    check_method,
    less_accurate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.types import BinaryCalibrator
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.results.warning import Warning
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.gathered import Gathered

RAW_CANDIDATES = tuple(name for name in BINARY_CANDIDATES if name not in OF_PROBABILITIES)


def fit_binary(stats: ScoreStats, options: FitOptions, pairs: Forward | None = None) -> Fitted:
    """Fit the pairs of one score; `pairs` are they in blocks of time.

    Raises:
        InputError: one label only.
    """
    if pairs is not None:
        fitted = _fit(stats, options, pairs)
        held_out = fitted.kind == "cross-fitted"
        return replace(fitted, before=of_pairs(pairs.judged)) if held_out else fitted
    return _fit(stats, options, Pairs(stats, folds=options.folds, seed=options.seed))


def _fit(stats: ScoreStats, options: FitOptions, pairs: Pairs) -> Fitted:
    if options.method == "auto":
        chosen = auto(
            pairs,
            select=cast("Score", options.select),
            methods=RAW_CANDIDATES if options.raw else BINARY_CANDIDATES,
            clock=options.clock,
            base=RAW_CANDIDATES[0] if options.raw else Identity.method,
        )
        method, calibrator, notes = chosen.method, chosen.calibrator, chosen.notes
        candidates, folds = chosen.candidates, chosen.folds
    else:
        check_method(options.method, SINGLE)
        method, candidates, notes = options.method, (), ()
        one = fitter(method, options)
        calibrator = one(stats)
        folds = _folds(pairs, one)
    notes = (*notes, *calibrator.notes)
    if method == Identity.method:
        after = of_pairs(stats)
        return Fitted(method, calibrator, candidates, after, "unchanged", notes)
    if not folds:
        inside = of_pairs(mapped(stats, calibrator))
        return Fitted(method, calibrator, candidates, inside, "in-sample", notes)
    after = of_pairs(pairs.after(folds))
    warnings = () if options.raw else _accuracy_warnings(pairs, folds)
    return Fitted(method, calibrator, candidates, after, "cross-fitted", notes, warnings=warnings)


def fitter(method: str, options: FitOptions) -> Callable[[ScoreStats], Calibrator]:
    """Return what fits a method by name to binary pairs."""
    if method == Temperature.method and options.temperatures:
        return lambda stats: Temperature.fit(stats, temperatures=options.temperatures)
    return cast("type[BinaryCalibrator]", CALIBRATORS[method]).fit


def _folds(pairs: Pairs, one: Callable[[ScoreStats], Calibrator]) -> tuple[Calibrator, ...]:
    """Return the fits outside each fold; none where rows are too few."""
    if min(label_evidence(pairs.stats)) < 2 * pairs.folds:
        return ()
    try:
        return tuple(one(rest) for rest, _ in pairs.split())
    except InputError:
        return ()


def _accuracy_warnings(pairs: Pairs, folds: Sequence[Calibrator]) -> tuple[Warning, ...]:
    """Return a warning where a cut at one half is right less often, beyond its interval."""
    wrong = HeldOut(2)
    for (_, held), one in zip(pairs.split(), folds, strict=True):
        wrong.add_cells(held, [map_losses(m, held, "error") for m in (Identity(), one)])
    return less_accurate(wrong)


def fit_multilabel(found: Gathered, options: FitOptions) -> Fitted:
    """Each label is a binary problem of its own, chosen and fitted apart."""
    classes, notes, after, kinds, methods = [], [], [], set(), []
    warnings: list[Warning] = []
    whole = found.overall.population
    dealt = OfRows if whole.rows_apart else Pairs
    for name, stats in zip(found.classes, whole.classes, strict=True):
        if not stats.positives or not stats.negatives:
            unchanged = of_pairs(stats)
            fitted = Fitted(Identity.method, Identity(), (), unchanged, "unchanged", ())
            notes.append(f"label {name!r} has one value only: its scores are kept")
        else:
            pairs = dealt(stats, folds=options.folds, seed=options.seed)
            fitted = _fit(pairs.stats, options, pairs)
            notes += [f"label {name!r}: {note}" for note in fitted.notes]
            warnings += [warning.about(f"label {name!r}: ") for warning in fitted.warnings]
        classes.append(fitted.calibrator)
        after.append(_after(stats, fitted))
        kinds.add(fitted.kind)
        methods.append(fitted.method)
    method = methods[0] if len(set(methods)) == 1 else OneVsRest.method
    kind = "cross-fitted" if "cross-fitted" in kinds else kinds.pop()
    calibrator = OneVsRest(tuple(classes), normalize=False, notes=())
    population = of_each_label(found, after)
    return Fitted(method, calibrator, (), population, kind, tuple(notes), warnings=tuple(warnings))


def _after(stats: ScoreStats, fitted: Fitted) -> ScoreStats:
    """Return the pairs of a label after its fit, by bucket where those before it are."""
    if fitted.kind == "cross-fitted":
        return fitted.after.pairs
    return stats if fitted.kind == "unchanged" else mapped(stats, fitted.calibrator)


def of_each_label(found: Gathered, after: list[ScoreStats]) -> Population:
    """Return the rows of one score, or of several labels, from the pairs of each after its map."""
    if found.single:
        return of_pairs(after[0])
    return label_population(after, apart=found.overall.population.rows_apart)


def label_population(after: list[ScoreStats], *, apart: bool) -> Population:
    """Return the population of a multi-label task from the pairs of each label.

    Where each label has its pairs by bucket, all of them together have: the labels of a row go
    together. `apart` tells that buckets are of rows, so that one label has none.
    """
    whole = all(stats.parts is not None for stats in after)
    own = [stats if whole else replace(stats, parts=None) for stats in after]
    pooled = reduce(lambda a, b: a.merge(b), (_by_probability(stats) for stats in own))
    return replace(of_labels(pooled, tuple(own)), rows_apart=apart)


def _by_probability(stats: ScoreStats) -> ScoreStats:
    """Return pairs that can be merged with those of other labels."""
    return replace(stats.by_place(), edges=(), logits=False)
