"""`fit --ensemble`: several models' scores to one calibrated probability."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import Temperature, calibrate
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.composed.model_pool import ModelPool, averaged, logits_of, pooled
from calibcli.core.calibrators.evidence import label_evidence
from calibcli.core.fitting.auto import auto
from calibcli.core.fitting.choice import one_standard_error
from calibcli.core.fitting.families import merged
from calibcli.core.fitting.held_out import HeldOut, cell_losses, label_losses
from calibcli.core.fitting.problems import BINARY_CANDIDATES, ROW_CANDIDATES, Pairs, Rows
from calibcli.core.results.fit import Candidate
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import InputError
from calibcli.io.task import SINGLE
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.rows.models import open_models
from calibcli.tasks.scan import mass_of, scan
from calibcli.tasks.table import TASKS
from calibcli.workflows.fit.fitted import Fitted, check_method
from calibcli.workflows.fit.pairs import fitter
from calibcli.workflows.input.row_passes import DataRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.classes.rows import RowSource
    from calibcli.core.calibrators.composed.pooling import Pool
    from calibcli.core.fitting.held_out import Score
    from calibcli.io.dataset import Batch
    from calibcli.tasks.population import Layout
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.gather import Reading
    from calibcli.workflows.input.gathered import Gathered

    Array = NDArray[np.float64]
    Which = int | Pool
    """A model by its place, or an average."""

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


def fit_models(reading: Reading, options: FitOptions) -> tuple[Gathered, Fitted]:
    """Choose by cross-fitting whether to average or to calibrate first, and how to pool.

    Raises:
        UsageError: a method that does not fit the task, multi-label scores.
        InputError: unusable input, one label only, too few rows.
    """
    spec, threads = reading.spec, reading.threads
    if TASKS.get(spec.task, "rows") != "rows":
        refuse("fit --ensemble", kind_of(SINGLE, TASKS[spec.task]))
    dataset = open_models(spec, options.models).by_content()
    if options.method != "auto" and dataset.single:
        check_method(options.method, SINGLE)
    layout = reading.layout(dataset)
    opened = dataset, ()
    found = reading.read(opened)
    _refuse_few(found, options)
    every: tuple[Which, ...] = (*range(len(options.models)), *POOLS)
    if dataset.single:
        tallies = _ModelPairs(layout, every, options.folds)
        scan(dataset, layout, tallies, threads=threads)
        sources = [_fit_pairs(*one, options) for one in tallies.stats()]
    else:
        sources = []
        for which in every:
            logits = layout.logits if isinstance(which, int) else logits_of(which)
            pick = partial(_scores_of, which=which, logits=layout.logits)
            rows = DataRows(dataset, layout, scores=pick, logits=logits, threads=threads)
            sources.append(_fit_rows(rows, options, clustered=layout.clustered))
    files = dataset.files

    def pool_of(first: str, pool: Pool, fold: int | None) -> ModelPool:
        size = len(options.models)
        chosen = [sources[size + POOLS.index(pool)]] if first == "average" else sources[:size]
        maps = tuple(one.whole if fold is None else one.folds[fold] for one in chosen)
        kind = cast("Any", first)
        return ModelPool(options.models, files, kind, pool, maps, (), len(dataset.classes))

    folds = [[pool_of(first, pool, f) for f in range(options.folds)] for first, pool in CANDIDATES]
    singles = [one.folds for one in sources[: len(options.models)]]
    size = len(CANDIDATES)
    held = HeldOut(size + len(singles), clustered=layout.clustered)
    losses = PoolLosses(held, layout, folds, singles, cast("Score", options.select))
    scan(dataset, layout, losses, threads=threads)
    means, errors = held.losses, held.errors
    names = [_name(first, pool) for first, pool in CANDIDATES]
    choice = one_standard_error(names, means[:size], errors[:size, :size], list(range(size)))
    best = names.index(choice.chosen)
    first, pool = CANDIDATES[best]
    calibrator = pool_of(first, pool, None)
    maps = tuple(folds[best])
    after = reading.again.read(opened, maps).overall.used
    alone = int(np.argmin(means[size:]))
    notes = [note for one in calibrator.calibrators for note in one.notes]
    if means[size + alone] < means[best] - errors[best, size + alone]:
        notes.append(
            f"{options.models[alone]} calibrated alone is better than every pool: "
            f"{means[size + alone]:.4f} against {means[best]:.4f}"
        )
    candidates = _candidates(names, options.models, sources, means, errors, best)
    title = f"pool of {len(options.models)} models ({names[best]})"
    return found, Fitted(
        title,
        calibrator,
        candidates,
        after,
        "cross-fitted",
        tuple(notes),
        folds=maps,
    )


def _name(first: str, pool: Pool) -> str:
    after = "calibrate" if first == "average" else "average"
    return f"{first}, then {after} ({pool})"


def _refuse_few(found: Gathered, options: FitOptions) -> None:
    """Raise InputError where folds would hold too few rows of the second label to compare pools."""
    population = found.overall.population
    if found.single:
        rows = list(label_evidence(population.pairs))
    else:
        rows = [label_evidence(stats)[0] for stats in population.classes]
    if sorted(rows)[-2] < 2 * options.folds:
        raise InputError(
            f"fewer than {2 * options.folds} rows of a second label: too few to choose a pool",
            "give more rows, or fit one model",
        )


def _scores_of(batch: Batch, *, which: Which, logits: bool) -> Array:
    """Return the scores of a model, or an average, of a batch: (n,), or (n, K)."""
    assert batch.models is not None
    scores = batch.models.astype(np.float64)
    return scores[:, which] if isinstance(which, int) else averaged(scores, which, logits=logits)


class _ModelPairs:
    """An accumulator of the binary pairs of each model and average, by fold and by bucket.

    A row's fold is its bucket modulo the folds, so that a cluster is in one fold.
    """

    def __init__(self, layout: Layout, every: Sequence[Which], folds: int) -> None:
        self.layout, self.every, self.folds = layout, every, folds
        self.kinds = [layout.logits if isinstance(w, int) else logits_of(w) for w in every]
        weighted = layout.weighted
        self.by_fold = [Tally(folds, logits=kind, weighted=weighted) for kind in self.kinds]
        self.parts: list[Tally] = []
        if layout.clustered:
            self.parts = [Tally(BUCKETS, logits=kind, weighted=weighted) for kind in self.kinds]

    def fresh(self) -> _ModelPairs:
        return _ModelPairs(self.layout, self.every, self.folds)

    def add(self, batch: Batch) -> None:
        assert batch.labels is not None
        bucket, mass = row_buckets(batch), mass_of(batch, self.layout)
        label = batch.labels.astype(np.bool_)
        for place, which in enumerate(self.every):
            column = _scores_of(batch, which=which, logits=self.layout.logits)
            kind = self.kinds[place]
            key = logit_keys(column) if kind else probability_keys(np.clip(column, 0.0, 1.0))
            self.by_fold[place].add(key, label, bucket % self.folds, mass)
            if self.parts:
                self.parts[place].add(key, label, bucket, mass)

    def finish(self) -> None:
        """Nothing waits."""

    def merge(self, other: _ModelPairs) -> None:
        for mine, theirs in zip(
            [*self.by_fold, *self.parts], [*other.by_fold, *other.parts], strict=True
        ):
            mine.merge(theirs)

    def stats(self) -> list[tuple[list[ScoreStats], ScoreStats]]:
        """Return (by fold, whole) of each model and of each average."""
        found = []
        for place, tally in enumerate(self.by_fold):
            folds = [ScoreStats.from_tally(tally, fold) for fold in range(self.folds)]
            whole = merged(folds)
            if self.parts:
                whole = replace(whole, parts=self.parts[place].table())
            found.append((folds, whole))
        return found


def _fit_pairs(parts: list[ScoreStats], whole: ScoreStats, options: FitOptions) -> _Source:
    method = options.method
    if method == "auto":
        pairs = Pairs(whole, folds=options.folds, seed=options.seed)
        select = cast("Score", options.select)
        method = auto(pairs, select=select, methods=BINARY_CANDIDATES).method
    fit = fitter(method, options)
    whole = replace(whole, parts=None)
    folds = tuple(
        fit(merged([part for other, part in enumerate(parts) if other != fold]))
        for fold in range(len(parts))
    )
    return _Source(method, fit(whole), folds)


def _fit_rows(rows: RowSource, options: FitOptions, *, clustered: bool) -> _Source:
    """Fit one model, or one average, of several classes."""
    problem = Rows(rows, folds=options.folds, clustered=clustered)
    if options.temperatures:
        outside = (rows.outside(deal(options.folds), fold) for fold in range(options.folds))
        whole, *rest = (
            Temperature.fit(source, temperatures=options.temperatures)
            for source in (rows, *outside)
        )
        return _Source(options.method, whole, tuple(rest))
    if options.method != "auto":
        fitted = problem.fit(options.method)
        return _Source(options.method, fitted, problem.fit_folds(options.method, fitted))
    chosen = auto(problem, select=cast("Score", options.select), methods=ROW_CANDIDATES)
    return _Source(chosen.method, chosen.calibrator, chosen.folds)


class PoolLosses:
    """An accumulator of the held-out losses of pools, then of single models.

    Of pools of models that were calibrated first, those are the single models where there are any.
    """

    def __init__(
        self,
        held: HeldOut,
        layout: Layout,
        pools: list[list[ModelPool]],
        singles: list[tuple[Calibrator, ...]],
        select: Score,
    ) -> None:
        self.held, self.layout = held, layout
        self.pools, self.singles, self.select = pools, singles, select

    def fresh(self) -> PoolLosses:
        """Return one that holds nothing."""
        return PoolLosses(self.held.fresh(), self.layout, self.pools, self.singles, self.select)

    def add(self, batch: Batch) -> None:
        """Take in rows."""
        assert batch.labels is not None
        assert batch.models is not None
        logits = self.layout.logits
        bucket, mass = row_buckets(batch), mass_of(batch, self.layout)
        losses = np.empty((len(bucket), self.held.size))
        folds = len(self.pools[0])
        for fold in range(folds):
            mine = np.flatnonzero(bucket % folds == fold)
            x, label = batch.models[mine].astype(np.float64), batch.labels[mine]
            parts = [
                calibrate(one[fold], x[:, k], logits=logits) for k, one in enumerate(self.singles)
            ]
            pools = [
                pooled(parts, pool[fold].pool)
                if parts and pool[fold].first == "calibrate"
                else pool[fold].combine(x, logits=logits)
                for pool in self.pools
            ]
            for place, p in enumerate([*pools, *parts]):
                losses[mine, place] = _losses(p, label, self.select)
        weight = np.ones(len(losses)) if mass is None else mass.astype(np.float64)
        square = weight * weight if self.layout.weighted else weight
        self.held.add_rows(losses, weight, square, bucket)

    def finish(self) -> None:
        """Nothing waits."""

    def merge(self, other: PoolLosses) -> None:
        """Take in other rows."""
        self.held.merge(other.held)


def _losses(p: Array, label: NDArray[Any], select: Score) -> Array:
    if p.ndim == 2:
        classes = label.astype(np.int64)
        chosen: Array = label_losses(p, select)[np.arange(len(label)), classes]
        return chosen
    positive, negative = cell_losses(p, select)
    return np.where(label.astype(np.bool_), positive, negative)


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
