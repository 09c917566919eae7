"""`fit --ensemble`: several models' scores to one calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.buckets import BUCKETS
from calibcli.core.calibrators import calibrate
from calibcli.core.cells import logit_keys, probability_keys
from calibcli.core.fitting.model_pool import ModelPool, averaged, logits_of, pooled
from calibcli.core.fitting.selection import (
    Candidate,
    auto,
    cell_losses,
    clustered_errors,
    independent_errors,
    one_standard_error,
)
from calibcli.core.fitting.shrinkage import merged
from calibcli.core.stats import ScoreStats
from calibcli.core.tally import Tally
from calibcli.errors import InputError
from calibcli.tasks.collect import count, usable
from calibcli.tasks.models import ModelBatch, open_models
from calibcli.tasks.pairs import row_buckets
from calibcli.workflows.fit_binary import fitter
from calibcli.workflows.fitted import Fitted, check_method
from calibcli.workflows.gather import from_counted, layout_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.fitting.pooling import Pool
    from calibcli.io.dataset import Dataset, InputSpec
    from calibcli.tasks.collect import Layout
    from calibcli.workflows.conventions import Conventions
    from calibcli.workflows.fitted import FitOptions
    from calibcli.workflows.gather import Gathered, Progress

    Array = NDArray[np.float64]

POOLS: tuple[Pool, ...] = ("linear", "logit")
CANDIDATES: tuple[tuple[str, Pool], ...] = tuple(
    (first, pool) for first in ("average", "calibrate") for pool in POOLS
)
"""What is compared, simplest first: one map, then one for each model."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Usable rows of a batch: scores (n, M), labels, weights, buckets."""

    scores: Array
    label: NDArray[np.bool_]
    weight: NDArray[Any] | None
    bucket: NDArray[np.int64]


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
) -> tuple[Gathered, Fitted]:
    """Choose by cross-fitting whether to average or to calibrate first, and how to pool.

    Raises:
        UsageError: scores that are not binary.
        InputError: unusable input, one label only, too few rows.
    """
    if options.method != "auto":
        check_method(options.method, "binary")
    dataset = open_models(spec, options.models)
    layout = layout_of(dataset, spec, conventions)
    found = from_counted(dataset, spec, count(dataset, layout, threads=threads, progress=progress))
    pairs = found.overall.population.pairs
    if min(pairs.positives, pairs.negatives) < 2 * options.folds:
        raise InputError(
            f"fewer than {2 * options.folds} rows of one label: too few to choose a pool",
            "give more rows, or fit one model",
        )
    sources = [
        _fit_source(parts, whole, options) for parts, whole in _stats(dataset, layout, options)
    ]
    files = bool(dataset.files)  # type: ignore[attr-defined]

    def pool_of(first: str, pool: Pool, fold: int | None) -> ModelPool:
        size = len(options.models)
        chosen = [sources[size + POOLS.index(pool)]] if first == "average" else sources[:size]
        maps = tuple(one.whole if fold is None else one.folds[fold] for one in chosen)
        return ModelPool(options.models, files, cast("Any", first), pool, maps)

    folds = [[pool_of(first, pool, f) for f in range(options.folds)] for first, pool in CANDIDATES]
    singles = [one.folds for one in sources[: len(options.models)]]
    means, errors = _compare(dataset, layout, folds, singles, options)
    size = len(CANDIDATES)
    names = [_name(first, pool) for first, pool in CANDIDATES]
    choice = one_standard_error(names, means[:size], errors[:size, :size], list(range(size)))
    best = names.index(choice.chosen)
    first, pool = CANDIDATES[best]
    calibrator = pool_of(first, pool, None)
    counted = count(dataset, layout, calibrator=tuple(folds[best]), threads=threads)
    after = from_counted(dataset, spec, counted).overall.calibrated
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
    return found, Fitted(title, calibrator, candidates, after, "cross-fitted", tuple(notes))


def _name(first: str, pool: Pool) -> str:
    after = "calibrate" if first == "average" else "average"
    return f"{first}, then {after} ({pool})"


def _rows(dataset: Dataset, layout: Layout) -> Iterator[_Rows]:
    for batch in dataset.batches():
        assert isinstance(batch, ModelBatch)
        assert batch.labels is not None
        assert batch.models is not None
        rows, _ = usable(batch, layout)
        chosen = slice(None) if rows is None else rows
        weight = batch.weight if layout.weighted else batch.count
        yield _Rows(
            batch.models[chosen].astype(np.float64),
            batch.labels[chosen].astype(bool),
            None if weight is None else weight[chosen],
            row_buckets(batch, rows),
        )


def _stats(
    dataset: Dataset, layout: Layout, options: FitOptions
) -> list[tuple[list[ScoreStats], ScoreStats]]:
    """Return (by fold, whole) of each model and of each average, in one pass.

    A row's fold is its bucket modulo the folds, so that a cluster is in one fold.
    """
    size = len(options.models)
    kinds = [layout.logits] * size + [logits_of(pool) for pool in POOLS]
    common: dict[str, Any] = {"weighted": layout.weighted}
    by_fold = [Tally(options.folds, logits=kind, **common) for kind in kinds]
    parts = [Tally(BUCKETS, logits=kind, **common) for kind in kinds] if layout.clustered else []
    for rows in _rows(dataset, layout):
        averages = [averaged(rows.scores, pool, logits=layout.logits) for pool in POOLS]
        columns = [*rows.scores.T, *averages]
        for place, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
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


def _fit_source(parts: list[ScoreStats], whole: ScoreStats, options: FitOptions) -> _Source:
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


def _compare(
    dataset: Dataset,
    layout: Layout,
    pools: list[list[ModelPool]],
    singles: list[tuple[Calibrator, ...]],
    options: FitOptions,
) -> tuple[Array, Array]:
    """Return held-out mean losses (m,) of pools and single models, and paired SEs (m, m)."""
    size = len(pools) + len(singles)
    sums, weighted, products = np.zeros(size), np.zeros(size), np.zeros((size, size))
    buckets = np.zeros((BUCKETS, size + 1))
    total = squares = 0.0
    for rows in _rows(dataset, layout):
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


def _losses(p: Array, label: NDArray[np.bool_], options: FitOptions) -> Array:
    positive, negative = cell_losses(p, cast("Any", options.select))
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
