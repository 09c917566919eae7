"""`threshold --promote-over`: cut-offs take the place of others that they beat for sure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.decisions.stored import CUT, StoredThresholds
from calibcli.core.results.base import plain
from calibcli.core.results.envelope import Input
from calibcli.core.results.promotion import Contender
from calibcli.core.results.reading import typed_as
from calibcli.core.results.warning import Warning, told
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.artifacts.artifacts import artifact_text
from calibcli.io.failures import listing, show
from calibcli.io.output.succession import target_of
from calibcli.io.rows.hashing import with_digest
from calibcli.tasks.features import RAW
from calibcli.tasks.rows.rivals import Decider
from calibcli.tasks.table import TASKS
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.gated import parsed
from calibcli.workflows.input.gather import Reading, gather, open_input
from calibcli.workflows.input.loaded.loading import load_calibrator, load_thresholds
from calibcli.workflows.input.overlap import found_overlap
from calibcli.workflows.input.remembered import with_scale
from calibcli.workflows.promote.duel import duel
from calibcli.workflows.promote.groups.cuts import (
    checks_of_cuts,
    cuts_of_groups,
    stats_by_group,
)
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
from calibcli.workflows.promote.words import cuts_compared, difference_words
from calibcli.workflows.threshold.outcome import artifact_of, cut_stats
from calibcli.workflows.threshold.threshold import choose_cuts, with_groups
from calibcli.workflows.threshold.wish import Wish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.gates import Gate
    from calibcli.core.results.promotion import Comparison, Outcome, PromotionResult
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds
    from calibcli.workflows.promote.duel import Met
    from calibcli.workflows.promote.groups.cuts import CutsOfGroups
    from calibcli.workflows.promote.outcome import Attempt, Decided
    from calibcli.workflows.promote.promote import Tried
    from calibcli.workflows.threshold.threshold import Cuts


def promote_cuts(
    spec: InputSpec,
    conventions: Conventions,
    wish: Wish | None,
    attempt: Attempt,
    *,
    calibrator: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PromotionResult:
    """Choose cut-offs again, compare them with those in use, replace these if they are better.

    The new ones are better where the objective is, beyond its interval, on rows that they have not
    seen, while they miss no constraint by more than those in use; or where those in use break a
    constraint beyond its interval and the new ones do not.

    Args:
        spec: what to read.
        conventions: the level of the intervals.
        wish: what to achieve; None for what those in use were chosen for.
        attempt: what to replace, and under which conditions.
        calibrator: path of the calibrator that goes before.
        threads: how many threads read.
        progress: called with the number of rows read so far.

    Raises:
        InputError: input that cannot be used or is of another kind than that of the cut-offs in
            use: nothing has been replaced.
        UsageError: options that do not go together, a gate that cannot be evaluated.
    """
    if conventions.confidence is None:
        raise UsageError("--promote-over decides by an interval", "leave out --no-ci")
    gates = parsed(attempt.fail_if)
    target_of(attempt.path)
    with held(attempt):
        champion = champion_of(attempt.path)
        loaded = None if calibrator is None else load_calibrator(calibrator)
        if champion is not None and champion.calibrated and loaded is None:
            raise UsageError(
                f"{show(attempt.path)} cuts calibrated probabilities", "add --calibrator FILE"
            )
        wish = wish or wish_of(champion)
        if champion is not None and loaded is None:  # raw scores are read as they were
            spec = with_scale(spec, champion.raw_scale, f"{show(attempt.path)} was chosen")
        if spec.raw and loaded is None and (wish.costs is not None or wish.equal or wish.never):
            raise UsageError(f"such a choice {RAW[0]}", RAW[1])
        apart = wish.by_rows or ("worst(…)" if wish.within else "")
        if apart:
            raise UsageError(f"--promote-over does not compare {apart}", "use -o FILE")
        whole = with_groups(spec, wish)
        mapping = None if loaded is None else loaded.calibrator
        opened = open_input(whole, mapping)
        if opened[0] is None:
            raise UsageError(
                "--promote-over needs whole rows", "give the score files, not statistics"
            )
        column = wish.per_group
        plain_spec = replace(spec, groups=() if column is None else (column,))
        whole_pool = opened if mapping is not None and mapping.method == "pool" else None
        found = gather(
            plain_spec, conventions, threads=threads, progress=progress, opened=whole_pool
        )
        if champion is not None:
            same_kind(champion, found)
        reference = _reference(champion, loaded)
        checks = checks_of(found, reference, attempt.rule)
        checks += checks_of_cuts(found, column, champion, attempt.rule)
        code, reason = checked(checks)
        result = blank(
            attempt.path,
            "kept",
            code or "not-better",
            reason,
            inputs=typed_as([with_digest(one) for one in found.inputs], tuple[Input, ...]),
            params={
                **found.params,
                **conventions.to_dict(),
                "calibrator": calibrator,
                "objective": wish.objective.name,
                "constraints": [str(one) for one in wish.constraints],
                **limits(attempt.rule, found.task),
            },
            task=found.task,
            dry_run=attempt.dry_run,
            champion=None if champion is None else described(champion.stored),
            checks=tuple(check.result for check in checks),
            **told(found.warnings),
        )
        if code:
            return result
        try:
            reading = Reading(spec, conventions, threads=threads)
            asked = Asked.after(loaded, reading, calibrator)
            cuts = choose_cuts(asked, wish, opened=opened)
        except AnswerNoError as error:
            return structs.replace(result, code="unreachable", reason=error.message)
        stale = is_stale(champion, loaded)
        least = attempt.rule.least_of_a_label(exclusive=found.exclusive)
        own = cuts_of_groups(champion, column, cuts, least, same_map=lambda _: not stale)
        if own.lost:
            return structs.replace(result, code="few-rows", reason=own.reason)
        cuts = own.carried(cuts)
        new = Decider(cuts.rule, mapping)
        old = new if champion is None else Decider(champion.decider, mapping)
        met = duel(opened[0], reading, wish, old, new, lambda _: loaded, own.carried)
        if champion is not None:
            level = conventions.confidence
            result = structs.replace(result, comparison=cuts_compared(met, wish, level))
        said = verdicts(gates, found, conventions, met)
        result = judged(result, said, decided(met, wish, champion is None, stale))
        text, challenger = cut_artifact(
            cuts, loaded, found, champion, result.inputs, result.comparison, own
        )
        kept = None if column is None else own.kept
        every = told([*found.warnings, *_new_warnings(cuts, found)])
        result = structs.replace(result, challenger=challenger, kept_groups=kept, **every)
        result, previous = put_in_place(result, attempt.path, text, dry_run=attempt.dry_run)
        return structs.replace(result, previous=previous)


def rolled_back(path: str, *, lock_timeout: float = 600.0) -> PromotionResult:
    """Put `path.previous` back in place: see `outcome.rollback`."""

    def read(path: str) -> tuple[str, Contender]:
        one = load_thresholds(path)
        return one.task, described(one.stored)

    return rollback(path, "thresholds", read, lock_timeout)


def champion_of(path: str) -> LoadedThresholds | None:
    """Read the cut-offs in use; None on a first run.

    Raises:
        InputError: they cannot be read, are no cut-offs of rows, or are gone although they have
            been replaced before.
    """
    if target_of(path).exists():
        champion = load_thresholds(path)
        if champion.rule != CUT or TASKS.get(champion.task) != "rows":
            raise InputError(
                f"{show(path)} holds no cut-offs of rows: only these are promoted",
                hint="choose again with calibcli threshold -o FILE",
            )
        return champion
    refuse_gone(path, "threshold")
    return None


def wish_of(champion: LoadedThresholds | None) -> Wish:
    """Return what cut-offs were chosen for; F1 on a first run."""
    if champion is None:
        return Wish.parse()
    stored, params = champion.stored, champion.stored.params
    objective, prior, cost = stored.objective, params.prior, params.cost
    if objective == "cost" and cost is None:
        raise UsageError("the cut-offs in use do not say their costs", "add --cost fp=1,fn=4")
    return Wish.parse(
        None if objective == "cost" else objective,
        stored.constraints,
        cost if objective == "cost" else None,
        None if prior is None else tuple(prior) if isinstance(prior, list) else (prior,),
        guarantee=params.guarantee,
        per_group=params.per_group,
        equal=params.equal,
        never=params.unreachable == "never",
    )


def same_kind(champion: LoadedThresholds, found: Gathered) -> None:
    """Raise InputError unless the dump holds what the cut-offs in use were chosen on."""
    if champion.task != found.task or champion.classes != found.classes:
        told = [
            one.task + (f" of {listing(list(one.classes))}" if one.classes else "")
            for one in (champion, found)
        ]
        raise InputError(
            f"the cut-offs in use are of {told[0]}, these scores are {told[1]}",
            hint="give scores of the same kind",
        )
    params, made = champion.stored.params, "the cut-offs in use were chosen"
    refuse_other_input(made, params.score, params.positive, found)


def _reference(
    champion: LoadedThresholds | None, loaded: LoadedCalibrator | None
) -> dict[str, Any] | None:
    """Return the statistics that a dump is compared with: the cut-offs, or their calibrator."""
    if champion is None:
        return None
    own = champion.stored.stats
    return (own if own is not None or loaded is None else loaded.stored.stats) or {}


def is_stale(champion: LoadedThresholds | None, loaded: LoadedCalibrator | None) -> bool:
    """Return whether cut-offs were chosen after another calibrator than the one in use."""
    if champion is None:
        return False
    return champion.stored.calibrator != (None if loaded is None else loaded.stored.digest)


def described(stored: StoredThresholds) -> Contender:
    """Return what a promotion says of cut-offs."""
    return Contender(method=str(stored.objective), rows=stored.rows, digest=stored.digest)


def cut_artifact(
    cuts: Cuts,
    loaded: LoadedCalibrator | None,
    found: Gathered,
    champion: LoadedThresholds | None,
    inputs: Sequence[Input],
    compared: Comparison | None,
    own: CutsOfGroups,
) -> tuple[str, Contender]:
    """Return the artifact of cut-offs that may take the place of others, and what is said of it."""
    stats = cut_stats(found.overall.population)
    by_group = stats_by_group(found, own, champion)
    result = cuts.result | {"inputs": plain(list(inputs))}
    payload = artifact_of(result, cuts.classes, CUT, loaded, stats, by_group)
    payload["promotion"] = {
        "over": None if champion is None else champion.stored.digest,
        "comparison": plain(compared),
    }
    text, digest = artifact_text("thresholds", payload)
    said = described(typed_as(payload, StoredThresholds))
    return text, structs.replace(said, digest=digest)


def verdicts(
    gates: Sequence[Gate], found: Gathered, conventions: Conventions, met: Met
) -> list[Any]:
    """Evaluate the gates on what the challenger would decide, held out, and on the scores."""
    if not gates:
        return []
    from calibcli.core.decisions.gates import Findings, evaluate_gates
    from calibcli.core.results.figures import OVERALL
    from calibcli.core.results.stream import Numbered, of_decision
    from calibcli.workflows.measure.measure import measured

    shown = measured(found, conventions)
    # Of several cut-offs there is none to name: the decisions have no single one.
    shown["overall"] = structs.replace(shown["overall"], confusion=None)
    figures = Findings.of(shown)
    for one in of_decision(OVERALL, met.decision):
        figures.add([one, one._replace(stage="before")])
    if met.compared is not None:
        gap = met.compared.difference
        ends = gap.value, gap.low, gap.high
        figures.add([Numbered("difference", OVERALL, "versus", "", "objective", *ends)])
    return evaluate_gates(gates, figures)


def with_decisions(
    gates: Sequence[Gate], tried: Tried, conventions: Conventions, met: Met
) -> list[Any]:
    """Evaluate the gates on a calibrator that was tried, and on the decisions after it."""
    if not gates:
        return []
    from calibcli.core.decisions.gates import evaluate_gates
    from calibcli.core.results.figures import OVERALL
    from calibcli.core.results.stream import of_decision
    from calibcli.workflows.promote.promote import held_out_figures

    assert tried.met is not None
    shared = None if tried.champion is None else found_overlap(tried.champion, tried.found.watch)
    figures = held_out_figures(tried.found, conventions, tried.met, tried.result, shared)
    figures.add(of_decision(OVERALL, met.decision))
    return evaluate_gates(gates, figures)


def decided(met: Met, wish: Wish, first: bool, stale: bool) -> Decided:
    """Return the decision, its code and the reason, gates apart."""
    gap = difference_words(met, wish)
    if first:
        return "would-promote", "promoted", "the first cut-offs here"
    broken = met.broken
    if broken:
        one = broken[0]
        assert one.champion is not None
        said = (
            f"the cut-offs in use break {one.constraint}: {one.champion.value:.4g} "
            f"[{one.champion.low:.4g}, {one.champion.high:.4g}]"
        )
        if met.mended:
            return "would-promote", "promoted", said
        return "kept", "constraint", f"{said}, and so do those chosen on these rows"
    if stale and met.sound and not met.worse:
        said = "the cut-offs in use were chosen after another calibrator: chosen again"
        return "would-promote", "stale-thresholds", said
    if met.better and met.sound:
        return "would-promote", "promoted", f"the new cut-offs are better: {gap}"
    code: Outcome = "stale-thresholds" if stale else "not-better"
    if not met.held_out:
        return "kept", code, "without a part of these rows no cut-off meets the target"
    if met.better:
        return "kept", code, f"the new cut-offs miss a constraint on rows they have not seen: {gap}"
    if met.worse:
        return "kept", code, f"the cut-offs in use are better: {gap}"
    return "kept", code, f"the new cut-offs are not better for sure: {gap}"


def _new_warnings(cuts: Cuts, found: Gathered) -> list[Warning]:
    """Return the warnings of the choice that reading the rows has not given yet."""
    known = {warning.text for warning in found.warnings}
    said = zip(cuts.result["warnings"], cuts.result["warning_codes"], strict=True)
    return [Warning(code, text) for text, code in said if text not in known]
