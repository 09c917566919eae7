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
from calibcli.tasks.collect import Population
from calibcli.tasks.scan import scan
from calibcli.workflows.fit.models import PoolLosses
from calibcli.workflows.fit.pairs import fitter, of_each_label
from calibcli.workflows.fit.rows import counted, rows_of
from calibcli.workflows.input.gathered import Slice
from calibcli.workflows.promote.shift import shift_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.results.promotion import GroupKept, Step
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.gather import Reading
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


@dataclass(frozen=True, slots=True, eq=False)
class Bout:
    """A champion and the fresh fit that challenges it.

    Attributes:
        found: the rows; `reading` how they are read again.
        options: of the fit.
        champion: what is in use, or what a first calibrator is held against.
        fitted: the fresh fit.
        rule: what a challenger has to pass.
    """

    found: Gathered
    reading: Reading
    options: FitOptions
    champion: Calibrator
    fitted: Fitted
    rule: Rule

    @property
    def select(self) -> Score:
        """The loss that is compared."""
        return cast("Score", self.options.select)

    @property
    def steps(self) -> list[float]:
        """The parts of the way at which there is something; the whole way where there is none.

        Maps without parameters in common have no half way between them.
        """
        fresh = self.fitted.calibrator
        there = [s for s in self.rule.steps if self.champion.toward(fresh, s) is not None]
        return there or [1.0]

    def toward(self, step: float, fresh: Calibrator) -> Calibrator:
        """Return what lies a part of the way to a fit, or that where nothing lies between."""
        return self.champion.toward(fresh, step) or fresh

    def compared(self, held: HeldOut, steps: Sequence[float]) -> tuple[tuple[Step, ...], Step, int]:
        """Return every step against the champion, the best of them, and its place."""
        tried = compared(held, steps, self.rule.confidence)
        best = best_step(tried)
        return tried, best, steps.index(best.step)

    def ended(
        self,
        tried: tuple[Step, ...],
        best: Step,
        after: Population,
        folds: tuple[Calibrator, ...],
        *,
        clustered: bool,
    ) -> Contest:
        """Return what came of it; `after` are the rows under the maps of `folds`."""
        calibrator = self.toward(best.step, self.fitted.calibrator)
        kind = "unchanged" if isinstance(calibrator, Identity) else "cross-fitted"
        fitted = replace(self.fitted, calibrator=calibrator, after=after, kind=kind, folds=folds)
        return Contest(tried, best, fitted, clustered, partial(self.toward, best.step))


def contest(bout: Bout) -> Contest:
    """Compare the champion with what lies on the way from it to the fresh fit.

    Raises:
        InputError: too few rows to fit a challenger without each fold.
    """
    return _rows(bout) if bout.found.exclusive else _cells(bout)


# -- binary pairs ----------------------------------------------------------------------------------


def _cells(bout: Bout) -> Contest:
    whole, steps = bout.found.overall.population, bout.steps
    problems = whole.classes or (whole.pairs,)
    # Below 1,000 rows the luck of one split is averaged out, as it is when methods are chosen.
    repeats = REPEATS if min(map(effective_rows, problems)) < FREE_FORM_ROWS else 1
    held = HeldOut(1 + len(steps), repeats=repeats)
    challengers = [
        _challengers(stats, place, bout, steps, held) for place, stats in enumerate(problems)
    ]
    tried, best, place = bout.compared(held, steps)
    after = [pairs.after([maps[place] for maps in folds]) for pairs, folds in challengers]
    population, clustered = of_each_label(bout.found, after), held.units is not None
    return bout.ended(tried, best, population, bout.fitted.folds, clustered=clustered)


def map_of_label(one: Calibrator, place: int) -> Calibrator:
    """Return the map of one label; a map of one score serves all of them."""
    return one.calibrators[place] if isinstance(one, OneVsRest) else one


def _challengers(
    stats: ScoreStats, place: int, bout: Bout, steps: Sequence[float], held: HeldOut
) -> tuple[Pairs, list[list[Calibrator]]]:
    """Add one binary problem's losses; return its pairs and each fold's challengers."""
    champion, fresh = (map_of_label(m, place) for m in (bout.champion, bout.fitted.calibrator))
    constant = isinstance(fresh, Identity)
    one = fitter(fresh.method, bout.options)
    pairs = Pairs(stats, folds=bout.options.folds, seed=bout.options.seed)
    first: list[list[Calibrator]] = []
    for again in range(held.repeats):
        ends = [fresh if constant else one(rest) for rest, _ in pairs.split(again)]
        folds = [[champion.toward(end, step) or end for step in steps] for end in ends]
        first = first or folds
        by_map = [[champion] * len(ends), *map(list, zip(*folds, strict=True))]
        pairs.score(held, by_map, bout.select, again=again)
    return pairs, first


# -- whole rows of several classes -----------------------------------------------------------------


def _rows(bout: Bout) -> Contest:
    found, steps, ends = bout.found, bout.steps, bout.fitted.folds
    if isinstance(bout.fitted.calibrator, Identity):
        ends = tuple(Identity() for _ in range(bout.options.folds))
    if not ends or found.dataset is None:
        raise InputError(
            "the challenger cannot be fitted without each fold: too few rows of some class",
            "give more rows, or fewer --folds",
        )
    maps = [[bout.champion, *(bout.toward(step, end) for step in steps)] for end in ends]
    held = HeldOut(1 + len(steps), clustered=found.clustered)
    losses = FoldLosses(held, maps, deal(len(maps)), bout.select)
    rows_of(found.dataset, bout.reading).scan(losses)
    tried, best, place = bout.compared(held, steps)
    chosen = tuple(own[1 + place] for own in maps)
    _, after = counted(found.dataset, bout.reading, chosen)
    return bout.ended(tried, best, after, chosen, clustered=found.clustered)


# -- pools of several models -----------------------------------------------------------------------


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


def contest_models(bout: Bout) -> Contest:
    """Compare the pool in use with what lies on the way from it to a fresh one."""
    dataset, steps, ends = bout.found.dataset, bout.steps, bout.fitted.folds
    assert dataset is not None
    ways = [[bout.toward(step, end) for end in ends] for step in steps]
    layout = bout.reading.layout(dataset)
    held = HeldOut(1 + len(steps), clustered=layout.clustered)
    every = cast("list[list[ModelPool]]", [[bout.champion] * len(ends), *ways])
    losses = PoolLosses(held, layout, every, [], bout.select)
    scan(dataset, layout, losses, threads=bout.reading.threads)
    tried, best, place = bout.compared(held, steps)
    chosen = tuple(ways[place])
    after = bout.reading.read((dataset, ()), chosen).overall.used
    return bout.ended(tried, best, after, ends, clustered=layout.clustered)


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
