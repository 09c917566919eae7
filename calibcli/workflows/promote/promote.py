"""`fit --promote-over`: a fresh fit takes the champion's place only if it is better for sure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.core.calibrators import Identity, Platt
from calibcli.core.numeric.scales import logit
from calibcli.core.results.base import plain
from calibcli.core.results.envelope import Input
from calibcli.core.results.promotion import Contender
from calibcli.core.results.reading import typed_as
from calibcli.core.results.warning import told
from calibcli.core.statistics.sketch import CAPACITY
from calibcli.errors import InputError, UsageError
from calibcli.io.artifacts.artifacts import artifact_text
from calibcli.io.boxes.dataset import CLASS
from calibcli.io.failures import show
from calibcli.io.output.succession import target_of
from calibcli.tasks.table import TASKS
from calibcli.tasks.watching import Watch
from calibcli.workflows.fit.each_model import model_stats, of_each_model, plain_average
from calibcli.workflows.fit.fit import fit_gathered
from calibcli.workflows.fit.models import fit_models
from calibcli.workflows.fit.result import artifact_of, result_of
from calibcli.workflows.input.gated import parsed
from calibcli.workflows.input.gather import Reading, reads_stats
from calibcli.workflows.input.loaded.loading import load_calibrator
from calibcli.workflows.input.overlap import found_overlap
from calibcli.workflows.input.remembered import with_scale
from calibcli.workflows.input.warnings import check_fits
from calibcli.workflows.promote.challenge import (
    Bout,
    check_pool,
    contest,
    contest_models,
    model_checks,
)
from calibcli.workflows.promote.groups.maps import contest_groups
from calibcli.workflows.promote.groups.shift import group_checks, stats_of_groups, with_kept
from calibcli.workflows.promote.outcome import (
    blank,
    checked,
    held,
    judged,
    limits,
    put_in_place,
    refuse_gone,
    refuse_other_input,
    rollback,
)
from calibcli.workflows.promote.shift import checks_of
from calibcli.workflows.promote.words import better, comparison_of, not_better, same_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.decisions.gates import Findings, Gate
    from calibcli.core.results.comparisons import Overlap
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions, Fitted
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.promote.challenge import Contest
    from calibcli.workflows.promote.outcome import Attempt, Decided


def promote(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    attempt: Attempt,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PromotionResult:
    """Fit a challenger, compare it with the champion, replace the file if it is better.

    Raises:
        InputError: a dump that cannot be used or is of another kind than the champion's, a
            champion that cannot be read, a file that cannot be locked or written: nothing has
            been replaced.
        UsageError: options that do not go together, a gate that cannot be evaluated.
    """
    check_options(options, conventions)
    gates = parsed(attempt.fail_if)
    target_of(attempt.path)
    with held(attempt):
        tried = challenge(spec, conventions, options, attempt, gates, threads, progress)
        result, previous = put_in_place(
            tried.result, attempt.path, tried.text, dry_run=attempt.dry_run
        )
        return structs.replace(result, previous=previous)


def check_options(options: FitOptions, conventions: Conventions) -> None:
    """Raise UsageError for what cannot be promoted."""
    if conventions.confidence is None:
        raise UsageError("--promote-over decides by an interval", "leave out --no-ci")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Tried:
    """A challenger that has been judged, and is not in place yet.

    Attributes:
        result: as it is shown; its decision is "kept" or "would-promote".
        found: the rows; `reading` how they are read again.
        champion: the calibrator in use.
        met: the comparison; None, and `text` empty, where the dump did not pass its checks.
        text: the challenger's artifact.
        fresh: of several models, the fit, and `each` the rows under each of them.
    """

    result: PromotionResult
    found: Gathered
    reading: Reading
    champion: LoadedCalibrator | None
    met: Contest | None = None
    text: str = ""
    fresh: Fitted | None = None
    each: dict[str, Population] | None = None

    @property
    def worse(self) -> bool:
        """Whether the champion is better beyond the interval."""
        return self.met is not None and self.met.best.low > 0.0


def challenge(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    attempt: Attempt,
    gates: Sequence[Gate],
    threads: int | None,
    progress: Progress | None,
) -> Tried:
    """Fit a challenger and compare it with the champion, and write nothing.

    Raises:
        InputError: see `promote`.
        UsageError: a gate that cannot be evaluated.
    """
    if options.temperatures:
        options = replace(options, method="temperature")
    if options.per_class and TASKS.get(spec.task) == "boxes":
        options = replace(options, per_class=False, per_group=CLASS)
    column = options.per_group
    models = options.models
    champion = _champion(attempt.path, column, models)
    spec = replace(spec, groups=() if column is None or reads_stats(spec) else (column,))
    if champion is not None:  # raw scores are read as they were
        spec = with_scale(spec, champion.raw_scale, "the champion was fitted")
    options = replace(options, raw=spec.raw)
    reading = Reading(spec, conventions, Watch(CAPACITY), threads, progress)
    fitted, each = None, None
    if models:
        found, fitted = fit_models(reading, options)
        each = of_each_model(found, reading.again, models)
    else:
        found = reading.read().as_pairs()
    if champion is not None:
        _same_kind(champion, found)
    known = None if champion is None else champion.stored.stats or {}
    checks = checks_of(found, known, attempt.rule)
    if column is not None and champion is not None:
        checks += group_checks(
            found, column, stats_of_groups(champion.stored, column), attempt.rule
        )
    if each is not None and champion is not None:
        checks += model_checks(found, each, champion, attempt.rule)
    code, reason = checked(checks)
    outcome = blank(
        attempt.path,
        "kept",
        code or "not-better",
        reason,
        inputs=typed_as(found.inputs, tuple[Input, ...]),
        params={
            **found.params,
            **conventions.to_dict(),
            "method": options.method,
            "folds": options.folds,
            "select": options.select,
            "per_group": column,
            "ensemble": list(models) or None,
            **limits(attempt.rule, found.task),
            "steps": list(attempt.rule.steps),
        },
        task=found.fitted_task,
        dry_run=attempt.dry_run,
        champion=None if champion is None else described(champion),
        checks=tuple(check.result for check in checks),
        **told(found.warnings),
    )
    tried = Tried(outcome, found, reading.again, champion, fresh=fitted, each=each)
    if not all(check.passed for check in checks):
        return tried
    return _challenged(tried, options, attempt, gates)


def _champion(path: str, column: str | None, models: tuple[str, ...]) -> LoadedCalibrator | None:
    """Read the champion; None on a first run.

    Args:
        path: where it is.
        column: what the challenger has a map for each value of, if anything.
        models: what it pools, if anything.

    Raises:
        InputError: it cannot be read, has maps by another column, or is gone although it has been
            replaced before.
    """
    if target_of(path).exists():
        champion = load_calibrator(path)
        check_pool(path, champion, models)
        if champion.group is not None and champion.group != column:
            one = "--per-class" if champion.group == CLASS else f"--per-group {champion.group}"
            raise InputError(
                f"{show(path)} has a map for each value of {champion.group!r}, which a challenger "
                "without them would lose",
                hint=f"add {one}",
            )
        return champion
    refuse_gone(path, "fit")
    return None


def _same_kind(champion: LoadedCalibrator, found: Gathered) -> None:
    """Raise InputError unless the dump holds what the champion was fitted on."""
    check_fits(champion, found.fitted_task, found.fitted_classes, logits=found.logits)
    was = champion.stored.input
    refuse_other_input("the champion was fitted", was.scores, was.positive, found)


def _challenged(
    tried: Tried, options: FitOptions, attempt: Attempt, gates: Sequence[Gate]
) -> Tried:
    """Fit, compare and decide."""
    outcome, found, champion = tried.result, tried.found, tried.champion
    reading, conventions = tried.reading, tried.reading.conventions
    fitted = tried.fresh or fit_gathered(found, reading, options)
    old = opponent(found, options) if champion is None else champion.calibrator
    rule = attempt.rule if champion is not None else replace(attempt.rule, steps=(1.0,))
    against = contest_models if options.models else contest
    against = contest_groups if options.per_group is not None else against
    met = against(Bout(found, reading, options, old, fitted, rule))
    result = result_of(found, conventions, options, met.fitted)
    outcome = structs.replace(outcome, comparison=comparison_of(met, options, rule))
    shared = None if champion is None else found_overlap(champion, found.watch)
    verdicts = []
    if gates:
        from calibcli.core.decisions.gates import evaluate_gates

        figures = held_out_figures(found, conventions, met, outcome, shared)
        verdicts = evaluate_gates(gates, figures)
    payload = artifact_of(found, met.fitted, result, conventions.confidence)
    if tried.each is not None:
        payload |= model_stats(tried.each)
    if met.kept and champion is not None:
        payload = with_kept(payload, met.kept, champion.stored)
    payload["promotion"] = {
        "over": None if champion is None else champion.stored.digest,
        "step": met.best.step,
        "comparison": plain(outcome.comparison),
    }
    text, digest = artifact_text("calibrator", payload)
    inputs = typed_as(result["inputs"], tuple[Input, ...])
    more = told(same_rows(shared, champion, inputs))
    outcome = structs.replace(
        outcome,
        challenger=Contender(
            method=met.fitted.calibrator.method,
            step=met.best.step,
            rows=payload["rows"],
            digest=digest,
        ),
        inputs=inputs,
        kept_groups=met.kept,
        **{key: (*result[key], *values) for key, values in more.items()},
    )
    decision: Decided = "kept", "not-better", not_better(met, options, champion)
    if met.best.better or (champion is None and met.best.low <= 0.0):
        decision = "would-promote", "promoted", better(met, options, champion)
    return replace(tried, met=met, text=text, result=judged(outcome, verdicts, decision))


def opponent(found: Gathered, options: FitOptions) -> Calibrator:
    """Return what a first calibrator is held against: the scores as they are.

    Raw scores say no probability by themselves: there it is the share of label 1 in all rows.
    """
    if options.models:
        return plain_average(found, options.models)
    if not options.raw:
        return Identity()
    stats = found.overall.population.pairs
    share = float(stats.positives) / float(stats.n)
    return Platt(0.0, -float(logit(share)))


def rolled_back(path: str, *, lock_timeout: float = 600.0) -> PromotionResult:
    """Put `path.previous` back in place: see `outcome.rollback`."""

    def read(path: str) -> tuple[str, Contender]:
        one = load_calibrator(path)
        return one.task, described(one)

    return rollback(path, "calibrator", read, lock_timeout)


def described(one: LoadedCalibrator) -> Contender:
    """Return what a promotion says of a calibrator."""
    stored = one.stored
    return Contender(method=one.calibrator.method, rows=stored.rows, digest=stored.digest)


def held_out_figures(
    found: Gathered,
    conventions: Conventions,
    met: Contest,
    outcome: PromotionResult,
    shared: Overlap | None,
) -> Findings:
    """Return what `measure --calibrator CHALLENGER` would show, held out."""
    from calibcli.core.decisions.gates import Findings
    from calibcli.core.results.figures import OVERALL
    from calibcli.core.results.stream import Numbered
    from calibcli.workflows.measure.measure import measured

    after = replace(found.overall, calibrated=met.fitted.after)
    of_group = {one.where: one.after for one in met.fitted.groups}
    groups = tuple(replace(one, calibrated=of_group.get(one.where)) for one in found.groups)
    shown = measured(replace(found, overall=after, groups=groups), conventions)
    if shared is not None:
        shown["overlap"] = shared
    figures = Findings.of(shown)
    compared = outcome.comparison
    assert compared is not None
    ends = compared.difference, compared.low, compared.high
    figures.add([Numbered("difference", OVERALL, "versus", "", compared.score, *ends)])
    shifts = [one for one in outcome.checks if one.name not in ("rows", "positives")]
    figures.add(Numbered("drift", OVERALL, "drift", "", one.name, one.value) for one in shifts)
    return figures
