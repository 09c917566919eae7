"""`fit --per-group` for several classes: passes over rows, each group's map pooled by its size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import CALIBRATORS, Identity, Temperature
from calibcli.core.calibrators.classes.rows import finite_rows, fold_rows
from calibcli.core.calibrators.composed.grouped import Grouped, GroupMap
from calibcli.core.calibrators.composed.pooling import log_pool_rows
from calibcli.core.calibrators.types import MULTICLASS
from calibcli.core.fitting.selection import Candidate, clustered_errors
from calibcli.core.fitting.selection_rows import auto_rows, fit_method, label_losses
from calibcli.core.fitting.shrinkage import FEWEST, PRIOR_ROWS
from calibcli.core.numeric.scales import softmax
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import InputError
from calibcli.tasks.collect import count
from calibcli.workflows.fit.fitted import Fitted, GroupOutcome
from calibcli.workflows.fit.rows import passes_over
from calibcli.workflows.input.gather import from_counted, layout_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator, RowSource
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered
    from calibcli.workflows.input.row_passes import RowPasses

    Array = NDArray[np.float64]

SIMPLE = ("temperature", "vector")
"""Methods of a group's own map that `auto` takes over from the whole; else it is a temperature."""
_BLOCK = 8192


@dataclass(frozen=True, slots=True)
class _Fold:
    """The maps fitted outside one fold, and the class weights behind them (G, K)."""

    overall: Calibrator
    own: tuple[Calibrator | None, ...]
    mass: Array


def fit_group_rows(
    found: Gathered,
    spec: InputSpec,
    column: str,
    conventions: Conventions,
    options: FitOptions,
    threads: int | None,
) -> Fitted:
    """Fit several classes by group; every group takes passes of its own over the rows.

    Raises:
        UsageError: statistics instead of rows.
        InputError: labels of one class only.
    """
    passes = passes_over(found, spec, conventions, place=0)
    rows, size = passes.source(), len(found.classes)
    overall, method = _overall(rows, size, options)
    own_method = method
    if method == Identity.method or (options.method == "auto" and method not in SIMPLE):
        own_method = Temperature.method
    mass = _masses(passes, size, options.folds)
    names = list(passes.values)
    folds = [
        _fit_outside(passes, size, fold, (method, own_method), overall, mass, options)
        for fold in range(options.folds)
    ]
    means, errors = _compare(passes, folds, options, clustered=found.clustered)
    relative = means - means[-1]
    best = min(range(len(PRIOR_ROWS)), key=lambda i: (means[i], -PRIOR_ROWS[i]))
    if options.method == "auto" and -relative[best] <= errors[best]:
        best = len(PRIOR_ROWS) - 1
    prior = PRIOR_ROWS[best]
    whole = mass.sum(axis=0)
    groups = {}
    for member, name in enumerate(names):
        if not whole[member].any():
            continue
        own, note = _own(passes, member, size, own_method, whole[member], overall, options)
        weight = 0.0 if own is None else _weight(whole[member], prior)
        groups[name] = GroupMap(
            own if weight else None, float(whole[member].sum()) / passes.worth, (weight,), note
        )
    shown = None if math.isinf(prior) else prior
    common = math.isinf(prior)
    notes = overall.notes
    if common:
        notes = (*notes, f"the groups of {column} do not differ enough: one map serves all")
    calibrator = Grouped(column, overall, groups, exclusive=True, prior_rows=shown, notes=notes)
    by_fold = tuple(_grouped(fold, names, column, prior) for fold in folds)
    after, outcomes = _after(found, spec, column, conventions, by_fold, groups, threads)
    candidates = [
        Candidate(f"{method}, one map", float(means[-1]), None, None, None, common, ""),
        *(
            Candidate(
                f"{own_method} by {column}",
                float(means[i]),
                float(relative[i]),
                float(errors[i]),
                None,
                i == best,
                f"n0 = {PRIOR_ROWS[i]:g}",
            )
            for i in [best if not common else int(np.argmin(means[:-1]))]
        ),
    ]
    title = f"{method} (one map for every {column})" if common else f"{own_method} by {column}"
    return Fitted(title, calibrator, tuple(candidates), after, "cross-fitted", notes, outcomes)


def _overall(rows: RowSource, size: int, options: FitOptions) -> tuple[Calibrator, str]:
    if options.method != "auto":
        return _fit(rows, size, options.method, options), options.method
    chosen = auto_rows(rows, size, folds=options.folds, select=cast("Any", options.select))
    return chosen.calibrator, next(c.method for c in chosen.candidates if c.chosen)


def _fit(
    rows: RowSource, size: int, method: str, options: FitOptions, start: Calibrator | None = None
) -> Calibrator:
    if method == Temperature.method and options.temperatures:
        return Temperature.fit_rows(rows, size, temperatures=options.temperatures)
    kind = CALIBRATORS[method]
    if start is not None and start.method == method and MULTICLASS <= kind.tasks:
        return cast("Calibrator", cast("Any", kind).fit_rows(rows, size, start=start))
    return fit_method(rows, size, method)


def _masses(passes: RowPasses, size: int, folds: int) -> Array:
    """Return the weight by fold, group and class (F, G, K)."""
    parts: list[tuple[Any, ...]] = []
    for (_, label, weight, bucket), group in passes.with_groups():
        parts.append((np.asarray(bucket) % folds, group, label, weight))
    mass = np.zeros((folds, len(passes.values), size))
    for fold, group, label, weight in parts:
        np.add.at(mass, (fold, group, label), 1.0 if weight is None else weight)
    return mass


def _weight(classes: Array, prior: float) -> float:
    """Return n / (n + n0), n being n (1 - sum p^2) K / (K - 1): 4 n p (1 - p) for two classes."""
    total, size = float(classes.sum()), len(classes)
    if total <= 0 or math.isinf(prior):
        return 0.0
    share = classes / total
    n = total * (1.0 - float(share @ share)) * size / (size - 1)
    return n / (n + prior) if n > 0 else 0.0


def _own(
    passes: RowPasses,
    member: int,
    size: int,
    method: str,
    classes: Array,
    overall: Calibrator,
    options: FitOptions,
    outside: int | None = None,
) -> tuple[Calibrator | None, str]:
    if np.count_nonzero(classes) < 2:
        return None, "one label only: the overall map"
    if classes.sum() < 2 * FEWEST:
        return None, f"fewer than {2 * FEWEST} rows: the overall map"
    rows = passes.of_group(member)
    if outside is not None:
        rows = fold_rows(rows, options.folds, outside, inside=False)
    try:
        return _fit(rows, size, method, options, overall), ""
    except InputError as error:
        return None, f"could not be fitted ({error.message}): the overall map"


def _fit_outside(
    passes: RowPasses,
    size: int,
    fold: int,
    methods: tuple[str, str],
    start: Calibrator,
    mass: Array,
    options: FitOptions,
) -> _Fold:
    rest = fold_rows(passes.source(), options.folds, fold, inside=False)
    overall = _fit(rest, size, methods[0], options, start)
    outside = mass.sum(axis=0) - mass[fold]
    own = tuple(
        _own(passes, member, size, methods[1], outside[member], start, options, fold)[0]
        for member in range(mass.shape[1])
    )
    return _Fold(overall, own, outside)


def _compare(
    passes: RowPasses, folds: list[_Fold], options: FitOptions, *, clustered: bool
) -> tuple[Array, Array]:
    """Return by n0 the mean held-out loss, and the SE of its difference to one map for all."""
    select = cast("Any", options.select)
    size = len(PRIOR_ROWS)
    base_sum = 0.0
    squares, buckets = np.zeros(size), np.zeros((BUCKETS, size + 1))
    for (z, label, weight, bucket), group in passes.with_groups():
        mass = np.ones(len(label)) if weight is None else weight
        home = np.asarray(bucket).astype(np.int64)
        for place, fold in enumerate(folds):
            inside = np.flatnonzero(home % len(folds) == place)
            for member in np.unique(group[inside]).tolist():
                mine = inside[group[inside] == member]
                for start in range(0, len(mine), _BLOCK):
                    chosen = mine[start : start + _BLOCK]
                    base, apart = _apart(
                        fold, member, finite_rows(z[chosen]), label[chosen], select
                    )
                    own = mass[chosen]
                    base_sum += float(own @ base)
                    squares += (own * own) @ apart**2
                    for column in range(size):
                        worth = own * apart[:, column]
                        buckets[:, column] += np.bincount(home[chosen], worth, BUCKETS)
                    buckets[:, size] += np.bincount(home[chosen], own, BUCKETS)
    total = float(buckets[:, size].sum())
    means = buckets[:, :size].sum(axis=0) / total
    errors = np.sqrt(np.maximum(squares - total * means**2, 0.0)) / total
    if clustered:
        used = np.insert(buckets[buckets[:, size] > 0], 0, 0.0, axis=1)
        errors = clustered_errors(used, np.append(0.0, means), total)[0, 1:]
    return base_sum / total + means, errors


def _apart(
    fold: _Fold, member: int, z: Array, label: NDArray[np.int64], select: Any
) -> tuple[Array, Array]:
    """Return the loss of one map for all (n,), and by n0 how much that of the pool exceeds it."""
    shared = _apply(fold.overall, z)
    base = _losses(shared, label, select)
    apart = np.zeros((len(z), len(PRIOR_ROWS)))
    own_map = fold.own[member]
    if own_map is not None:
        own = _apply(own_map, z)
        for i, prior in enumerate(PRIOR_ROWS):
            w = _weight(fold.mass[member], prior)
            if w:
                pooled = log_pool_rows((own, shared), (w, 1.0 - w))
                apart[:, i] = _losses(pooled, label, select) - base
    return base, apart


def _losses(p: Array, label: NDArray[np.int64], select: Any) -> Array:
    loss: Array = label_losses(p, select)[np.arange(len(p)), label]
    return loss


def _apply(calibrator: Calibrator, z: Array) -> Array:
    return calibrator.apply(z if calibrator.space == "logit" else softmax(z))


def _grouped(fold: _Fold, names: list[str], column: str, prior: float) -> Grouped:
    groups = {
        name: GroupMap(own, float(mass.sum()), (_weight(mass, prior),))
        for name, own, mass in zip(names, fold.own, fold.mass, strict=True)
    }
    if math.isinf(prior):
        groups = {}
    return Grouped(column, fold.overall, groups, exclusive=True)


def _after(
    found: Gathered,
    spec: InputSpec,
    column: str,
    conventions: Conventions,
    folds: tuple[Grouped, ...],
    groups: dict[str, GroupMap],
    threads: int | None,
) -> tuple[Any, tuple[GroupOutcome, ...]]:
    """Return the rows after the maps that have not seen them, in all and by group."""
    assert found.dataset is not None
    spec = replace(spec, groups=(column,))
    layout = layout_of(found.dataset, spec, conventions)
    counted = count(found.dataset, layout, calibrator=folds, columns=spec.groups, threads=threads)
    made = from_counted(found.dataset, spec, counted)
    outcomes = []
    for one in made.groups:
        fit = groups.get(str(one.where["value"]))
        if fit is not None and one.calibrated is not None:
            outcomes.append(
                GroupOutcome(
                    one.where, fit.rows, fit.weight, fit.note, one.population, one.calibrated
                )
            )
    return made.overall.calibrated, tuple(outcomes)
