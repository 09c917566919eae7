"""`fit --replay`: a dump period by period, as if each had come at its night.

The calibrators in place are judged on the rows of a period before anything is fitted to them, so no
row is ever judged by a map that has seen it, or a later one (Dawid, "Statistical Theory: The
Prequential Approach", 1984). Then every policy acts on the period. All begin with the same fit, to
the first period, whose rows judge nothing.

Given what came before, the maps in place are fixed, and the losses of a night's rows vary about
their mean like those of any fixed map: intervals are those of means over rows, or over clusters.
Those of differences are widened until all hold together (Bonferroni).
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from calibcli.core.fitting.held_out import map_losses
from calibcli.core.results.envelope import Input
from calibcli.core.results.parts.replay import Acted, Replayed, ReplayResult
from calibcli.core.results.reading import typed_as
from calibcli.core.results.warning import Warning, told
from calibcli.errors import InputError
from calibcli.io.rows.keys import MISSING_GROUP
from calibcli.tasks.families import compact_stats
from calibcli.tasks.features import kind_of, refuse
from calibcli.tasks.table import medium
from calibcli.workflows.fit.pairs import fit_binary
from calibcli.workflows.input.gather import gather, open_input
from calibcli.workflows.measure.series import order_warnings, split, with_by
from calibcli.workflows.promote.challenge import Bout, contest
from calibcli.workflows.promote.outcome import checked, limits
from calibcli.workflows.promote.replay_pair import PairCourse, wished
from calibcli.workflows.promote.shift import checks_of
from calibcli.workflows.promote.ways import Ledger, Way

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.comparison.promotion import Rule
    from calibcli.core.results.parts.replay import PolicyName
    from calibcli.core.results.promotion import Outcome
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Gathered, Slice


def replay(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    by: str,
    rule: Rule,
    *,
    thresholds: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ReplayResult:
    """Return what each policy would have cost; nothing is written.

    Args:
        spec: the rows of all periods.
        conventions: how to read them.
        options: what is fitted each time; its `select` is the loss that is counted.
        by: the column of the periods, as `measure --by` takes it.
        rule: what `promote` asks of a challenger; its steps below 1 are policies too.
        thresholds: path of cut-offs that were chosen by what errors cost: pairs are played, whose
            loss is that cost.
        threads: to read with.
        progress: is told of rows.

    Raises:
        InputError: rows without a period, one period only, nothing to fit in the first.
        UsageError: scores of another kind, saved statistics.
    """
    if options.temperatures:
        options = replace(options, method="temperature")
    spec = with_by(replace(spec, groups=()), by)
    opened = open_input(spec)
    if opened[0] is not None:
        refuse("fit --replay", kind_of(opened[0].task, opened[0].medium))
    found = gather(spec, conventions, threads=threads, progress=progress, opened=opened)
    medium(found.medium).check_fit(found.overall.population.pairs, spec)
    found, periods = split(found, by)
    _check(periods, by)
    course: _Course | PairCourse
    more: dict[str, Any] = {}
    with ExitStack() as stack:
        if thresholds is None:
            course = _Course(found, conventions, options, rule)
        else:
            folder = stack.enter_context(TemporaryDirectory(prefix="calibcli-"))
            asked = wished(thresholds, found)
            course = PairCourse(found, conventions, options, rule, asked, Path(folder), threads)
            more = {"thresholds_file": thresholds, "cost": asked[1].text}
        nights = [course.night(place, one) for place, one in enumerate(periods)]
    told_of = [one.place for one in course.ways if one.acts]
    nights = [
        structs.replace(one, policies=tuple(one.policies[place] for place in told_of))
        for one in nights
    ]
    warnings = [*found.warnings, *order_warnings(periods, by), *course.warnings]
    return ReplayResult(
        inputs=typed_as(found.inputs, tuple[Input, ...]),
        params={
            **found.params,
            **conventions.to_dict(),
            "method": options.method,
            "folds": options.folds,
            "select": options.select,
            **limits(rule, found.task),
            "steps": list(rule.steps),
            "replay": by,
            **more,
        },
        task=found.fitted_task,
        by=by,
        score="cost" if more else options.select,
        nights=len(periods) - 1,
        rows=sum(one.n for one in nights if one.judged),
        policies=tuple(course.ledger.outcome(course.ways[place]) for place in told_of),
        periods=tuple(nights),
        **told(warnings),
    )


def _check(periods: Sequence[Slice], by: str) -> None:
    if any(one.value == MISSING_GROUP for one in periods):
        raise InputError(f"rows without a value of {by} have no place in time", "leave them out")
    if len(periods) < 2:
        raise InputError(
            f"all rows are of one period of {by}", "cut time finer: --replay hour:COL or rows:1000"
        )


class _Course:
    """The policies on their way through the periods."""

    def __init__(
        self, found: Gathered, conventions: Conventions, options: FitOptions, rule: Rule
    ) -> None:
        self.found, self.conventions = found, conventions
        self.options, self.rule = options, rule
        steps: list[tuple[PolicyName, float | None]]
        steps = [("step", step) for step in rule.steps if step < 1.0]
        names = [
            ("never", None),
            ("always", None),
            *steps,
            ("promote", None),
            ("online", None),
            ("uncalibrated", None),
        ]
        self.ways = [
            Way(place, cast("PolicyName", name), step) for place, (name, step) in enumerate(names)
        ]
        self.ledger = Ledger(self.ways, rule.confidence)

    @property
    def warnings(self) -> list[Warning]:
        """Which policies are not told of, and why."""
        idle = [f"{one.step:g}" for one in self.ways if not one.acts]
        if not idle:
            return []
        text = f"steps of {', '.join(idle)} are left out: there is nothing between these maps"
        return [Warning("fit", text)]

    def night(self, place: int, period: Slice) -> Replayed:
        """Judge the calibrators in place on a period, then let the policies act on it."""
        stats, value = period.population.pairs, period.value
        losses = self._judge(stats, value) if place else [None] * len(self.ways)
        reason = None
        try:
            fitted = fit_binary(stats, self.options)
        except InputError as error:
            if not place:
                raise InputError(
                    f"nothing can be fitted to the first period, {value}: {error.message}",
                    "cut time coarser, or begin later",
                ) from error
            fitted, reason = None, error.message
        acted = []
        for one, loss in zip(self.ways, losses, strict=True):
            code = None
            if one.name == "online":
                one.line = one.line.after(stats, self.conventions.seed)
                one.calibrator, done = one.line.calibrator, True
            elif not place:
                done = self._begin(one, fitted, period)
            elif one.name == "promote":
                done, code = self._promote(one, fitted, period)
            else:
                done = _follow(one, fitted)
            one.replaced += done and place > 0
            acted.append(Acted(one.name, one.step, loss, done, code))
        return Replayed(value, stats.n, place > 0, tuple(acted), reason)

    def _judge(self, stats: ScoreStats, value: str) -> list[float | None]:
        select = cast("Any", self.options.select)
        losses = [map_losses(one.calibrator, stats, select) for one in self.ways]
        return self.ledger.judge(stats, value, losses)

    def _begin(self, one: Way, fitted: Fitted | None, period: Slice) -> bool:
        if one.name == "uncalibrated" or fitted is None:
            return False
        one.calibrator, one.known = fitted.calibrator, _known(period)
        return True

    def _promote(self, one: Way, fitted: Fitted | None, period: Slice) -> tuple[bool, Outcome]:
        """Do what `fit --promote-over` does."""
        found = replace(self.found, overall=period, groups=())
        try:
            code, _ = checked(checks_of(found, one.known, self.rule))
            if code is not None:
                return False, code
            if fitted is None:
                return False, "input"
            unread = cast("Any", None)  # pairs are fitted from what was counted
            met = contest(Bout(found, unread, self.options, one.calibrator, fitted, self.rule))
        except InputError:
            return False, "input"
        if not met.best.better:
            return False, "not-better"
        one.calibrator, one.known = met.fitted.calibrator, _known(period)
        return True, "promoted"


def _known(period: Slice) -> dict[str, Any]:
    return compact_stats(period.population)


def _follow(one: Way, fitted: Fitted | None) -> bool:
    """Take the new fit, or go a part of the way to it; return whether anything was replaced."""
    if fitted is None or one.name not in ("always", "step"):
        return False
    step = 1.0 if one.step is None else one.step
    between = one.calibrator.toward(fitted.calibrator, step)
    one.parts += between is not None
    one.wholes += between is None
    one.calibrator = fitted.calibrator if between is None else between
    return True


__all__ = ["replay"]
