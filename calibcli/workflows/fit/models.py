"""`fit --ensemble`: several models' scores to one calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Temperature, calibrate
from calibcli.core.calibrators.classes.rows import fold_rows
from calibcli.core.calibrators.composed.model_pool import ModelPool, logits_of, pooled
from calibcli.core.calibrators.types import MULTICLASS, label_evidence, worth
from calibcli.core.fitting.selection import (
    Candidate,
    auto,
    cell_losses,
    clustered_errors,
    independent_errors,
    one_standard_error,
)
from calibcli.core.fitting.selection_rows import (
    auto_rows,
    cross_fit_rows,
    fit_method,
    label_losses,
)
from calibcli.core.fitting.shrinkage import merged
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.core.statistics.tally import Tally
from calibcli.errors import InputError
from calibcli.tasks.collect import count
from calibcli.tasks.rows.models import open_models
from calibcli.workflows.fit.fitted import Fitted, check_method
from calibcli.workflows.fit.model_passes import ModelPasses
from calibcli.workflows.fit.pairs import fitter
from calibcli.workflows.input.gather import from_counted, layout_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.composed.pooling import Pool
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.watching import Watch
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered, Progress

    Array = NDArray[np.float64]

POOLS: tuple[Pool, ...] = ("linear", "logit")
CANDIDATES: tuple[tuple[str, Pool], ...] = tuple(
    (first, pool) for first in ("average", "calibrate") for pool in POOLS
)
"""What is compared, simplest first: one map, then one for each model."""


@dataclass(frozen=True, slots=True)
class _Source:
    """One model, or one average: its map fitted on all rows, and on those outside each fold."""

    method: str
    whole: Calibrator
    folds: tuple[Calibrator, ...]


def fit_models(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    threads: int | None,
    progress: Progress | None,
    watch: Watch,
) -> tuple[Gathered, Fitted]:
    """Choose by cross-fitting whether to average or to calibrate first, and how to pool.

    Raises:
        UsageError: a method that does not fit the task, multi-label scores.
        InputError: unusable input, one label only, too few rows.
    """
    dataset = open_models(spec, options.models)
    if options.method != "auto" and dataset.task == "binary":
        check_method(options.method, "binary")
    layout = layout_of(dataset, spec, conventions)
    counted = count(dataset, layout, beside=(watch,), threads=threads, progress=progress)
    found = from_counted(dataset, spec, counted)
    _refuse_few(found, options)
    passes = ModelPasses(dataset, layout, worth(found.overall.population.pairs))
    if dataset.task == "binary":
        sources = [_fit_pairs(*one, options) for one in _stats(passes, options)]
    else:
        every = (*range(len(options.models)), *POOLS)
        sources = [_fit_rows(passes, one, len(dataset.classes), options) for one in every]
    files = dataset.files

    def pool_of(first: str, pool: Pool, fold: int | None) -> ModelPool:
        size = len(options.models)
        chosen = [sources[size + POOLS.index(pool)]] if first == "average" else sources[:size]
        maps = tuple(one.whole if fold is None else one.folds[fold] for one in chosen)
        kind = cast("Any", first)
        return ModelPool(options.models, files, kind, pool, maps, (), len(dataset.classes))

    folds = [[pool_of(first, pool, f) for f in range(options.folds)] for first, pool in CANDIDATES]
    singles = [one.folds for one in sources[: len(options.models)]]
    means, errors = _compare(passes, folds, singles, options)
    size = len(CANDIDATES)
    names = [_name(first, pool) for first, pool in CANDIDATES]
    choice = one_standard_error(names, means[:size], errors[:size, :size], list(range(size)))
    best = names.index(choice.chosen)
    first, pool = CANDIDATES[best]
    calibrator = pool_of(first, pool, None)
    again = count(dataset, layout, calibrator=tuple(folds[best]), threads=threads)
    after = from_counted(dataset, spec, again).overall.calibrated
    assert after is not None
    alone = int(np.argmin(means[size:]))
    notes = [note for one in calibrator.calibrators for note in one.notes]
    if means[size + alone] < means[best] - errors[best, size + alone]:
        notes.append(
            f"{options.models[alone]} calibrated alone is better than every pool: "
            f"{means[size + alone]:.4f} against {means[best]:.4f}"
        )
    candidates = _candidates(names, options.models, sources, means, errors, best)
    title = f"pool of {len(options.models)} models ({names[best]})"
    return replace(found, watch=watch), Fitted(
        title, calibrator, candidates, after, "cross-fitted", tuple(notes)
    )


def _name(first: str, pool: Pool) -> str:
    after = "calibrate" if first == "average" else "average"
    return f"{first}, then {after} ({pool})"


def _refuse_few(found: Gathered, options: FitOptions) -> None:
    """Raise InputError where folds would hold too few rows of the second label to compare pools."""
    population = found.overall.population
    if found.task == "binary":
        rows = list(label_evidence(population.pairs))
    else:
        rows = [label_evidence(stats)[0] for stats in population.classes]
    if sorted(rows)[-2] < 2 * options.folds:
        raise InputError(
            f"fewer than {2 * options.folds} rows of a second label: too few to choose a pool",
            "give more rows, or fit one model",
        )


def _stats(passes: ModelPasses, options: FitOptions) -> list[tuple[list[ScoreStats], ScoreStats]]:
    """Return (by fold, whole) of each model and of each average, in one pass.

    A row's fold is its bucket modulo the folds, so that a cluster is in one fold.
    """
    layout = passes.layout
    size = len(options.models)
    kinds = [layout.logits] * size + [logits_of(pool) for pool in POOLS]
    common: dict[str, Any] = {"weighted": layout.weighted}
    by_fold = [Tally(options.folds, logits=kind, **common) for kind in kinds]
    parts = [Tally(BUCKETS, logits=kind, **common) for kind in kinds] if layout.clustered else []
    for rows in passes:
        for place, source in enumerate((*range(size), *POOLS)):
            column, kind = rows.of(source, logits=layout.logits)
            key = logit_keys(column) if kind else probability_keys(np.clip(column, 0.0, 1.0))
            by_fold[place].add(key, rows.label, rows.bucket % options.folds, rows.weight)
            if parts:
                parts[place].add(key, rows.label, rows.bucket, rows.weight)
    found = []
    for place, tally in enumerate(by_fold):
        folds = [ScoreStats.from_tally(tally, fold) for fold in range(options.folds)]
        whole = merged(folds)
        if parts:
            whole = replace(whole, parts=parts[place].table())
        found.append((folds, whole))
    return found


def _fit_pairs(parts: list[ScoreStats], whole: ScoreStats, options: FitOptions) -> _Source:
    method = options.method
    if method == "auto":
        chosen = auto(
            whole, folds=options.folds, select=cast("Any", options.select), seed=options.seed
        )
        method = chosen.calibrator.method
    fit = fitter(method, options)
    whole = replace(whole, parts=None)
    folds = tuple(
        fit(merged([part for other, part in enumerate(parts) if other != fold]))
        for fold in range(len(parts))
    )
    return _Source(method, fit(whole), folds)


def _fit_rows(
    passes: ModelPasses, which: int | Pool, n_classes: int, options: FitOptions
) -> _Source:
    """Fit one model, or one average, of several classes."""
    rows, folds = passes.source(which), options.folds
    if options.temperatures:
        outside = (fold_rows(rows, folds, fold, inside=False) for fold in range(folds))
        whole, *rest = (
            Temperature.fit_rows(source, n_classes, temperatures=options.temperatures)
            for source in (rows, *outside)
        )
        return _Source(options.method, whole, tuple(rest))
    if options.method != "auto":
        fitted = fit_method(rows, n_classes, options.method)
        start = fitted if MULTICLASS <= CALIBRATORS[options.method].tasks else None
        by_fold = cross_fit_rows(rows, n_classes, options.method, folds=folds, start=start)
        return _Source(options.method, fitted, by_fold)
    chosen = auto_rows(
        rows,
        n_classes,
        folds=options.folds,
        select=cast("Any", options.select),
        clustered=passes.layout.clustered,
    )
    method = next(one.method for one in chosen.candidates if one.chosen)
    return _Source(method, chosen.calibrator, chosen.fold_calibrators)


def _compare(
    passes: ModelPasses,
    pools: list[list[ModelPool]],
    singles: list[tuple[Calibrator, ...]],
    options: FitOptions,
) -> tuple[Array, Array]:
    """Return held-out mean losses (m,) of pools and single models, and paired SEs (m, m)."""
    layout = passes.layout
    size = len(pools) + len(singles)
    sums, weighted, products = np.zeros(size), np.zeros(size), np.zeros((size, size))
    buckets = np.zeros((BUCKETS, size + 1))
    total = squares = 0.0
    for rows in passes:
        fold_of = rows.bucket % options.folds
        losses = np.empty((len(rows.label), size))
        for fold in range(options.folds):
            mine = np.flatnonzero(fold_of == fold)
            x = rows.scores[mine]
            parts = [
                calibrate(one[fold], x[:, k], logits=layout.logits) for k, one in enumerate(singles)
            ]
            for place, pool in enumerate(pools):
                one = pool[fold]
                p = (
                    pooled(parts, one.pool)
                    if one.first == "calibrate"
                    else one.combine(x, logits=layout.logits)
                )
                losses[mine, place] = _losses(p, rows.label[mine], options)
            for place, p in enumerate(parts):
                losses[mine, len(pools) + place] = _losses(p, rows.label[mine], options)
        mass = np.ones(len(losses)) if rows.weight is None else rows.weight.astype(np.float64)
        heavy = mass if not layout.weighted else mass * mass
        total += float(mass.sum())
        squares += float(heavy.sum())
        sums += mass @ losses
        weighted += heavy @ losses
        products += (losses.T * heavy) @ losses
        for column in range(size):
            buckets[:, column] += np.bincount(rows.bucket, mass * losses[:, column], BUCKETS)
        buckets[:, size] += np.bincount(rows.bucket, mass, BUCKETS)
    means = sums / total
    if layout.clustered:
        return means, clustered_errors(buckets[buckets[:, size] > 0], means, total)
    return means, independent_errors(products, weighted, squares, means, total)


def _losses(p: Array, label: NDArray[Any], options: FitOptions) -> Array:
    select = cast("Any", options.select)
    if p.ndim == 2:
        chosen: Array = label_losses(p, select)[np.arange(len(label)), label]
        return chosen
    positive, negative = cell_losses(p, select)
    return np.where(label, positive, negative)


def _candidates(
    names: list[str],
    models: tuple[str, ...],
    sources: list[_Source],
    means: Array,
    errors: Array,
    chosen: int,
) -> tuple[Candidate, ...]:
    least = int(np.argmin(means))
    size = len(names)
    titles = [*names, *(f"{model} alone" for model in models)]
    notes = [
        sources[len(models) + POOLS.index(pool)].method
        if first == "average"
        else ", ".join(one.method for one in sources[: len(models)])
        for first, pool in CANDIDATES
    ]
    notes += [f"{one.method}; for comparison" for one in sources[: len(models)]]
    return tuple(
        Candidate(
            title,
            float(means[i]),
            float(means[i] - means[least]),
            float(errors[i, least]),
            None,
            i == chosen and i < size,
            notes[i],
        )
        for i, title in enumerate(titles)
    )
