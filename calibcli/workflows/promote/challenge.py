"""The champion and its challengers on the same held-out rows, for each task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

from calibcli.core.calibrators import Identity, OneVsRest
from calibcli.core.calibrators.classes.rows import deal
from calibcli.core.calibrators.composed.model_pool import ModelPool
from calibcli.core.calibrators.evidence import FREE_FORM_ROWS, effective_rows
from calibcli.core.comparison.promotion import best_step, compared
from calibcli.core.fitting.auto import REPEATS
from calibcli.core.fitting.held_out import FoldLosses, HeldOut
from calibcli.core.fitting.problems import Pairs
from calibcli.core.results.figures import OVERALL
from calibcli.errors import InputError
from calibcli.io.failures import listing, show
from calibcli.tasks.collect import Population, count
from calibcli.tasks.population import of_pairs
from calibcli.tasks.scan import scan
from calibcli.workflows.fit.models import PoolLosses
from calibcli.workflows.fit.pairs import fitter, label_population
from calibcli.workflows.fit.rows import counted, rows_of
from calibcli.workflows.input.gather import from_counted, layout_of
from calibcli.workflows.input.gathered import Slice
from calibcli.workflows.promote.shift import shift_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.results.promotion import GroupKept, Step
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator


@dataclass(frozen=True, slots=True)
class Contest:
    """What came of it.

    Attributes:
        steps: every challenger against the champion.
        best: the one that would take its place.
        fitted: that challenger, with the rows after it, held out.
        clustered: whether whole buckets of rows were compared.
        way: what another fresh fit becomes when it goes as far from the champion.
        kept: of maps by group, the groups that keep the map that they have.
    """

    steps: tuple[Step, ...]
    best: Step
    fitted: Fitted
    clustered: bool
    way: Callable[[Calibrator], Calibrator]
    kept: tuple[GroupKept, ...] | None = None


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
    if found.exclusive:
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
    problems = found.overall.population.classes or (found.overall.population.pairs,)
    # Below 1,000 rows the luck of one split is averaged out, as it is when methods are chosen.
    repeats = REPEATS if min(map(effective_rows, problems)) < FREE_FORM_ROWS else 1
    held = HeldOut(1 + len(steps), repeats=repeats)
    challengers = []
    for place, stats in enumerate(problems):
        old, new = (_member(one, place) for one in (champion, fitted.calibrator))
        challengers.append(_challengers(stats, old, new, options, steps, held))
    tried = compared(held, steps, rule.confidence)
    best = best_step(tried)
    place = steps.index(best.step)
    after = [pairs.after([maps[place] for maps in folds]) for pairs, folds in challengers]
    if found.overall.population.labels:
        population = label_population(after, apart=found.overall.population.rows_apart)
    else:
        population = of_pairs(after[0])
    clustered = held.units is not None
    outcome = _outcome(fitted, champion, best.step, population)
    return Contest(tried, best, outcome, clustered, partial(toward, champion, best.step))


def _member(one: Calibrator, place: int) -> Calibrator:
    """Return the map of one label; the identity serves all of them."""
    return one.calibrators[place] if isinstance(one, OneVsRest) else one


def _challengers(
    stats: ScoreStats,
    champion: Calibrator,
    fresh: Calibrator,
    options: FitOptions,
    steps: Sequence[float],
    held: HeldOut,
) -> tuple[Pairs, list[list[Calibrator]]]:
    """Add one binary problem's losses; return its pairs and each fold's challengers."""
    constant = isinstance(fresh, Identity)
    one = fitter(fresh.method, options)
    pairs = Pairs(stats, folds=options.folds, seed=options.seed)
    first: list[list[Calibrator]] = []
    for again in range(held.repeats):
        ends = [fresh if constant else one(rest) for rest, _ in pairs.split(again)]
        folds = [[champion.toward(end, step) or end for step in steps] for end in ends]
        first = first or folds
        by_map = [[champion] * len(ends), *map(list, zip(*folds, strict=True))]
        pairs.score(held, by_map, cast("Any", options.select), again=again)
    return pairs, first


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
    ends = fitted.folds
    if isinstance(fitted.calibrator, Identity):
        ends = tuple(Identity() for _ in range(options.folds))
    if not ends or found.dataset is None:
        raise InputError(
            "the challenger cannot be fitted without each fold: too few rows of some class",
            "give more rows, or fewer --folds",
        )
    maps = [[champion, *(champion.toward(end, s) or end for s in steps)] for end in ends]
    held = HeldOut(1 + len(steps), clustered=found.clustered)
    losses = FoldLosses(held, maps, deal(len(maps)), cast("Any", options.select))
    rows_of(found.dataset, spec, conventions, threads=threads).scan(losses)
    tried = compared(held, steps, rule.confidence)
    best = best_step(tried)
    place = 1 + steps.index(best.step)
    chosen = tuple(own[place] for own in maps)
    _, after = counted(found.dataset, spec, conventions, chosen, threads)
    outcome = replace(_outcome(fitted, champion, best.step, after), folds=chosen)
    return Contest(tried, best, outcome, found.clustered, partial(toward, champion, best.step))


def toward(champion: Calibrator, step: float, fresh: Calibrator) -> Calibrator:
    """Return what lies a part of the way to a fresh fit, or that where nothing lies between."""
    return champion.toward(fresh, step) or fresh


def _outcome(fitted: Fitted, champion: Calibrator, step: float, after: Population) -> Fitted:
    calibrator = toward(champion, step, fitted.calibrator)
    kind = "unchanged" if isinstance(calibrator, Identity) else "cross-fitted"
    return replace(fitted, calibrator=calibrator, after=after, kind=kind)


def check_pool(path: str, champion: LoadedCalibrator, models: tuple[str, ...]) -> None:
    """Raise InputError unless champion and challenger are of the same models."""
    one = champion.calibrator
    was = one.models if isinstance(one, ModelPool) else ()
    if was == models:
        return
    if not was:
        raise InputError(
            f"{show(path)} is of one model, and a pool of several reads other columns",
            hint="put the pool in place once: calibcli fit SCORES --ensemble … -o FILE",
        )
    raise InputError(
        f"{show(path)} is a pool of {listing(list(was))}", hint=f"add --ensemble {','.join(was)}"
    )


def contest_models(
    found: Gathered,
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    champion: Calibrator,
    fitted: Fitted,
    rule: Rule,
    threads: int | None,
) -> Contest:
    """Compare the pool in use with what lies on the way from it to a fresh one."""
    assert found.dataset is not None
    steps = [s for s in rule.steps if champion.toward(fitted.calibrator, s) is not None] or [1.0]
    ways = [[toward(champion, step, end) for end in fitted.folds] for step in steps]
    layout = layout_of(found.dataset, spec, conventions)
    held = HeldOut(1 + len(steps), clustered=layout.clustered)
    pools = [[cast("ModelPool", one) for one in way] for way in ways]
    old = [cast("ModelPool", champion)] * len(fitted.folds)
    losses = PoolLosses(held, layout, [old, *pools], [], cast("Score", options.select))
    scan(found.dataset, layout, losses, threads=threads)
    tried = compared(held, steps, rule.confidence)
    best = best_step(tried)
    chosen = tuple(ways[steps.index(best.step)])
    counted = count(found.dataset, layout, calibrator=chosen, threads=threads)
    after = from_counted(found.dataset, spec, counted).overall.calibrated
    assert after is not None
    calibrator = toward(champion, best.step, fitted.calibrator)
    outcome = replace(fitted, calibrator=calibrator, after=after, kind="cross-fitted")
    way = partial(toward, champion, best.step)
    return Contest(tried, best, outcome, layout.clustered, way)


def model_checks(
    found: Gathered,
    rows: dict[str, Population],
    champion: LoadedCalibrator,
    rule: Rule,
) -> list[Check]:
    """Hold the scores of each model against those that the pool in use was fitted on.

    An average shows little of one model whose column is stuck or joined to the wrong rows.
    """
    known = champion.stored.model_stats or {}
    checks = []
    for name, population in rows.items():
        if name not in known:
            continue
        own = replace(found, overall=Slice(OVERALL, population))
        for check in shift_checks(own, known[name], rule):
            said = f"{name}: {check.said}"
            checks.append(replace(check, name=f"{check.name}[{name}]", said=said))
    return checks
