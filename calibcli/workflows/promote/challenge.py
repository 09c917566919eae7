"""The champion and its challengers on the same held-out rows, for each task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from calibcli.core.calibrators import Identity, OneVsRest
from calibcli.core.calibrators.types import FREE_FORM_ROWS, effective_rows
from calibcli.core.comparison.promotion import PairedLosses, best_step
from calibcli.core.fitting.selection import REPEATS, apply_to_cells, cell_losses, folds_of
from calibcli.errors import InputError
from calibcli.tasks.collect import Population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.comparison.promotion import Rule, Step
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Gathered


@dataclass(frozen=True, slots=True)
class Contest:
    """What came of it.

    Attributes:
        steps: every challenger against the champion.
        best: the one that would take its place.
        fitted: that challenger, with the rows after it, held out.
        clustered: whether whole buckets of rows were compared.
    """

    steps: tuple[Step, ...]
    best: Step
    fitted: Fitted
    clustered: bool


def contest(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    champion: Calibrator,
    fitted: Fitted,
    rule: Rule,
    threads: int | None,
) -> Contest:
    """Compare the champion with what lies on the way from it to the fresh fit.

    Raises:
        InputError: too few rows to fit a challenger without each fold.
    """
    steps = [s for s in rule.steps if champion.toward(fitted.calibrator, s) is not None]
    if not steps:
        # Maps without parameters in common have no half way between them.
        steps = [1.0]
    if found.task == "multiclass":
        return _rows(found, spec, conventions, options, champion, fitted, rule, steps, threads)
    return _cells(found, options, champion, fitted, rule, steps)


# -- binary pairs ----------------------------------------------------------------------------------


def _cells(
    found: Gathered,
    options: FitOptions,
    champion: Calibrator,
    fitted: Fitted,
    rule: Rule,
    steps: Sequence[float],
) -> Contest:
    labels = found.task == "multilabel"
    problems = found.overall.population.classes if labels else (found.overall.population.pairs,)
    sums = PairedLosses(len(steps))
    folds = []
    for place, stats in enumerate(problems):
        old, new = (_member(one, place) if labels else one for one in (champion, fitted.calibrator))
        folds.append(_one(stats, old, new, options, steps, sums))
    clustered = all(stats.parts is not None for stats in problems)
    tried = sums.steps(steps, confidence=rule.confidence, clustered=clustered)
    best = best_step(tried)
    place = steps.index(best.step)
    after = []
    for parts in folds:
        mapped = [held.map(apply_to_cells(maps[place], held)) for held, maps in parts]
        after.append(reduce(lambda a, b: a.merge(b), mapped))
    if labels:
        from calibcli.workflows.fit.pairs import label_population

        population = label_population(after)
    else:
        population = Population("binary", after[0])
    return Contest(tried, best, _outcome(fitted, champion, best.step, population), clustered)


def _member(one: Calibrator, place: int) -> Calibrator:
    """Return the map of one label; the identity serves all of them."""
    return one.calibrators[place] if isinstance(one, OneVsRest) else one


def _one(
    stats: ScoreStats,
    champion: Calibrator,
    fresh: Calibrator,
    options: FitOptions,
    steps: Sequence[float],
    sums: PairedLosses,
) -> list[tuple[ScoreStats, list[Calibrator]]]:
    """Add one binary problem's rows; return each fold's rows with the challengers' maps."""
    from calibcli.workflows.fit.pairs import fitter

    constant = isinstance(fresh, Identity)
    one = fitter(fresh.method, options)
    select = cast("Any", options.select)
    found: list[tuple[ScoreStats, list[Calibrator]]] = []
    # Below 1,000 rows the luck of one split is averaged out, as it is when methods are chosen.
    sums.repeats = REPEATS if effective_rows(stats) < FREE_FORM_ROWS else 1
    for again in range(sums.repeats):
        for rest, held_out in folds_of(stats, options.folds, options.seed + again):
            end = fresh if constant else one(rest)
            maps = [champion.toward(end, step) or end for step in steps]
            base = cell_losses(apply_to_cells(champion, held_out), select)
            losses = [cell_losses(apply_to_cells(each, held_out), select) for each in maps]
            sums.add_cells(held_out, base, losses)
            if again == 0:
                found.append((held_out, maps))
    return found


# -- whole rows of several classes -----------------------------------------------------------------


def _rows(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    champion: Calibrator,
    fitted: Fitted,
    rule: Rule,
    steps: Sequence[float],
    threads: int | None,
) -> Contest:
    from calibcli.workflows.fit.rows import passes_over, population_after

    ends = fitted.folds
    if isinstance(fitted.calibrator, Identity):
        ends = tuple(Identity() for _ in range(options.folds))
    if not ends:
        raise InputError(
            "the challenger cannot be fitted without each fold: too few rows of some class",
            "give more rows, or fewer --folds",
        )
    maps = [[champion, *(champion.toward(end, s) or end for s in steps)] for end in ends]
    sums = PairedLosses(len(steps))
    counts = spec.weight is None
    for z, label, weight, bucket in passes_over(found, spec, conventions).source()():
        mass = np.ones(len(label)) if weight is None else weight
        home = np.asarray(bucket).astype(np.int64)
        for fold, fitted_maps in enumerate(maps):
            mine = np.flatnonzero(home % len(maps) == fold)
            losses = _row_losses(z[mine], label[mine], fitted_maps, options.select)
            sums.add_rows(losses[:, 0], losses[:, 1:], mass[mine], home[mine], counts=counts)
    clustered = found.clustered
    tried = sums.steps(steps, confidence=rule.confidence, clustered=clustered)
    best = best_step(tried)
    place = 1 + steps.index(best.step)
    after = population_after(found, spec, conventions, tuple(own[place] for own in maps), threads)
    return Contest(tried, best, _outcome(fitted, champion, best.step, after), clustered)


def _row_losses(
    z: NDArray[Any], label: NDArray[np.int64], maps: Sequence[Calibrator], select: str
) -> NDArray[np.float64]:
    """Return the loss (n, m) of rows under each map, in blocks that stay small."""
    from calibcli.core.calibrators.classes.rows import BLOCK, finite_rows
    from calibcli.core.fitting.selection_rows import label_losses
    from calibcli.core.numeric.scales import softmax

    losses = np.empty((len(z), len(maps)))
    height = max(BLOCK // z.shape[1], 1)
    for start in range(0, len(z), height):
        finite = finite_rows(z[start : start + height])
        truth = label[start : start + height]
        own = softmax(finite)
        for place, one in enumerate(maps):
            p = one.apply(own if one.space == "probability" else finite)
            loss = label_losses(p, cast("Any", select))
            losses[start : start + height, place] = loss[np.arange(len(truth)), truth]
    return losses


def _outcome(fitted: Fitted, champion: Calibrator, step: float, after: Population) -> Fitted:
    calibrator = champion.toward(fitted.calibrator, step) or fitted.calibrator
    kind = "unchanged" if isinstance(calibrator, Identity) else "cross-fitted"
    return replace(fitted, calibrator=calibrator, after=after, kind=kind)
