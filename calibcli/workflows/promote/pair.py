"""`fit --promote-over CAL --thresholds THR`: a calibrator and its cut-offs, both or neither.

Cut-offs belong to the calibrator that they were chosen after. So they are chosen again with every
challenger, by the objective and the constraints of those in use, on cross-fitted scores; and what
is compared beside the losses of the two calibrators is what `apply` would write with the two pairs.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs

from calibcli.core.calibrators import Identity
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.core.results.promotion import CutsPromoted
from calibcli.core.results.reading import typed_as
from calibcli.errors import AnswerNoError, InputError, UsageError
from calibcli.io.failures import show
from calibcli.io.output.pair import (
    install_pair,
    pair_lock,
    recover_pair,
    refuse_unfinished,
    roll_back_pair,
)
from calibcli.io.output.succession import previous_of
from calibcli.tasks.features import refuse
from calibcli.tasks.rows.rivals import Decider
from calibcli.tasks.share import Share
from calibcli.tasks.table import TASKS
from calibcli.workflows.fit.fit import fit_gathered
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.gated import parsed
from calibcli.workflows.input.gather import open_input
from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
from calibcli.workflows.input.loaded.loading import load_calibrator, load_thresholds
from calibcli.workflows.promote.cuts import (
    champion_of,
    cut_artifact,
    described,
    is_stale,
    same_kind,
    wish_of,
    with_decisions,
)
from calibcli.workflows.promote.duel import FOLDS, duel, outside
from calibcli.workflows.promote.groups.cuts import checks_of_cuts, cuts_of_groups
from calibcli.workflows.promote.outcome import blank, checked, judged, put_in_place, shown
from calibcli.workflows.promote.promote import challenge, check_options
from calibcli.workflows.promote.promote import described as described_calibrator
from calibcli.workflows.promote.words import cuts_compared, difference_words
from calibcli.workflows.threshold.threshold import choose_cuts, with_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.decisions.gates import Gate
    from calibcli.core.results.promotion import PromotionResult
    from calibcli.io.dataset import Dataset
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds
    from calibcli.workflows.promote.duel import Met
    from calibcli.workflows.promote.groups.cuts import CutsOfGroups
    from calibcli.workflows.promote.outcome import Attempt, Decided
    from calibcli.workflows.promote.promote import Tried
    from calibcli.workflows.threshold.threshold import Cuts
    from calibcli.workflows.threshold.wish import Wish


def promote_pair(
    spec: InputSpec,
    conventions: Conventions,
    options: FitOptions,
    attempt: Attempt,
    thresholds: str,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> PromotionResult:
    """Fit and choose again; replace calibrator and cut-offs together if they are better.

    They are where the calibrator or the decisions are better beyond their interval and neither is
    worse beyond it, or where the decisions in use break a constraint and the new ones do not.
    Cut-offs that were chosen after another calibrator than the one in use are chosen again for it
    where nothing else is promoted.

    Raises:
        InputError: see `promote`; there are no cut-offs yet.
        UsageError: options that do not go together, a gate that cannot be evaluated.
    """
    if TASKS.get(spec.task) == "boxes":
        refuse("fit --promote-over --thresholds", "boxes")
    if options.models:
        raise UsageError(
            "--thresholds goes with the calibrator of one model",
            "promote the pool, then: calibcli threshold --calibrator CAL --promote-over THR",
        )
    check_options(options, conventions)
    gates = parsed(attempt.fail_if)
    paths = (attempt.path, thresholds)
    with ExitStack() as stack:
        if attempt.dry_run:
            for path in paths:
                refuse_unfinished(path)
        else:
            stack.enter_context(pair_lock(paths, attempt.lock_timeout))
            recover_pair(paths)
        cuts_in_use = champion_of(thresholds)
        if cuts_in_use is None:
            raise InputError(
                f"{show(thresholds)} does not exist: there is nothing that says what to choose for",
                hint="choose first: calibcli threshold SCORES --calibrator FILE -o "
                f"{show(thresholds)}",
            )
        tried = challenge(spec, conventions, options, attempt, [], threads, progress)
        beside = CutsPromoted(thresholds, described(cuts_in_use.stored), None, None, None)
        tried = replace(tried, result=structs.replace(tried.result, thresholds=beside))
        if tried.met is None:
            return tried.result
        if not cuts_in_use.calibrated and tried.champion is not None:
            raise UsageError(
                f"{show(thresholds)} cuts plain scores, not those of a calibrator",
                "choose them after the calibrator: calibcli threshold --calibrator FILE",
            )
        same_kind(cuts_in_use, tried.found)
        options = replace(options, raw=tried.reading.spec.raw)
        return _Pair(options, attempt, tried, cuts_in_use).settled(gates, beside)


class _Pair:
    """A calibrator that has been tried, and the cut-offs that would go with it."""

    def __init__(
        self,
        options: FitOptions,
        attempt: Attempt,
        tried: Tried,
        cuts_in_use: LoadedThresholds,
    ) -> None:
        self.reading, self.options = tried.reading, options
        self.attempt, self.tried, self.cuts_in_use = attempt, tried, cuts_in_use
        plain = replace(self.reading.conventions, confidence=None)
        self.quick = replace(self.reading, conventions=plain)
        self.wish: Wish = wish_of(cuts_in_use)
        self.stale = is_stale(cuts_in_use, tried.champion)
        payload = json.loads(tried.text)
        stored = typed_as(payload, StoredCalibrator)
        assert tried.met is not None
        self.fresh = LoadedCalibrator(
            stored.task,
            stored.classes,
            stored.input.logits or stored.input.raw is not None,
            tried.met.fitted.calibrator,
            payload,
        )
        self.dataset, self.sources = self._opened()
        self.found = self._by_group()

    def _by_group(self) -> Gathered:
        """Return the rows, and those of each group that has a cut-off of its own."""
        column = self.wish.per_group
        if column in (None, self.options.per_group):
            return self.tried.found
        return self.quick.with_groups(str(column)).read()

    def _opened(self) -> tuple[Dataset, Any]:
        dataset, sources = open_input(
            with_groups(self.reading.spec, self.wish), self.fresh.calibrator
        )
        if dataset is None:
            raise UsageError(
                "--thresholds needs whole rows", "give the score files, not statistics"
            )
        return dataset, sources

    def settled(self, gates: Sequence[Gate], beside: CutsPromoted) -> PromotionResult:
        """Choose, compare, decide, and put in place what is decided."""
        result = self.tried.result
        column, rule = self.wish.per_group, self.attempt.rule
        if column != self.options.per_group:
            more = checks_of_cuts(self.found, column, self.cuts_in_use, rule)
            every = (*result.checks, *(one.result for one in more))
            result = structs.replace(result, checks=every)
            code, reason = checked(more)
            if code:
                return structs.replace(result, decision="kept", code=code, reason=reason)
        self.tried = replace(self.tried, result=result)
        maps = [self._without(fold) for fold in range(FOLDS)]
        crossed = self._unseen(self.fresh, cast("Calibrator", tuple(maps)))
        try:
            cuts = self._chosen(crossed)
        except AnswerNoError as error:
            result = structs.replace(result, code="unreachable", reason=error.message)
            return self._ended(result, beside, again=False)
        own = self._own(cuts, _same_maps(self.tried, stale=self.stale))
        if own.lost:
            return structs.replace(result, decision="kept", code="few-rows", reason=own.reason)
        cuts = own.carried(cuts)
        champion = self.tried.champion
        in_use = Identity() if champion is None else champion.calibrator
        met = duel(
            self.dataset,
            self.reading,
            self.wish,
            Decider(self.cuts_in_use.decider, in_use),
            Decider(cuts.rule, self.fresh.calibrator),
            lambda fold: self._unseen(self.fresh, maps[fold]),
            own.carried,
        )
        conventions = self.reading.conventions
        assert conventions.confidence is not None
        compared = cuts_compared(met, self.wish, conventions.confidence)
        beside = structs.replace(beside, comparison=compared)
        verdicts = with_decisions(gates, self.tried, conventions, met)
        result = structs.replace(judged(result, verdicts, self._decided(met)), thresholds=beside)
        if result.decision == "kept":
            return self._ended(result, beside, again=result.code != "gate")
        text, challenger = cut_artifact(
            cuts,
            self.fresh,
            self.found,
            self.cuts_in_use,
            result.inputs,
            result.comparison,
            own,
        )
        kept = None if column is None else own.kept
        beside = structs.replace(beside, challenger=challenger, kept_groups=kept)
        if not self.attempt.dry_run:
            paths = (self.attempt.path, beside.path)
            install_pair(paths, (self.tried.text, text))
            previous = None if champion is None else shown(paths[0], previous_of(paths[0]))
            result = structs.replace(result, decision="promoted", previous=previous)
            beside = structs.replace(beside, previous=shown(paths[1], previous_of(paths[1])))
        return structs.replace(result, thresholds=beside)

    def _own(self, cuts: Cuts, same_map: Callable[[str], bool]) -> CutsOfGroups:
        least = self.attempt.rule.least_of_a_label(exclusive=self.found.exclusive)
        column = self.wish.per_group
        return cuts_of_groups(self.cuts_in_use, column, cuts, least, same_map=same_map)

    def _ended(
        self, result: PromotionResult, beside: CutsPromoted, *, again: bool
    ) -> PromotionResult:
        """Choose stale cut-offs again after the calibrator that stays in use."""
        champion = self.tried.champion
        if not self.stale or champion is None:
            return result
        result = structs.replace(result, code="stale-thresholds")
        if not again:
            return result
        try:
            cuts = self._chosen(champion)
        except AnswerNoError as error:
            said = f"the cut-offs of another calibrator remain: {error.message}"
            return structs.replace(result, reason=f"{result.reason}; {said}")
        own = self._own(cuts, lambda _: False)
        if own.lost:
            return structs.replace(result, reason=f"{result.reason}; {own.reason}")
        text, challenger = cut_artifact(
            cuts,
            champion,
            self.found,
            self.cuts_in_use,
            result.inputs,
            result.comparison,
            own,
        )
        said = "the cut-offs were of another calibrator, and are chosen again after the one in use"
        result = structs.replace(
            result,
            challenger=None,
            decision="would-promote",
            reason=f"{result.reason}; {said}",
        )
        result, previous = put_in_place(result, beside.path, text, dry_run=self.attempt.dry_run)
        told = structs.replace(beside, challenger=challenger, previous=previous)
        return structs.replace(result, thresholds=told)

    def _decided(self, met: Met) -> Decided:
        """Return the decision about both, its code and the reason, gates apart."""
        tried = self.tried
        gap = difference_words(met, self.wish)
        promoted = tried.result.decision == "would-promote"
        told = f"{tried.result.reason}; decisions: {gap}"
        if met.broken:
            one = met.broken[0]
            assert one.champion is not None
            broken = f"the pair in use breaks {one.constraint}: {one.champion.value:.4g}"
            if met.mended and not tried.worse:
                return "would-promote", "promoted", f"{broken}; {told}"
            return "kept", "constraint", f"{broken}, and nothing better was found; {told}"
        if promoted and met.sound and not met.worse:
            return "would-promote", "promoted", told
        if met.better and met.sound and not tried.worse:
            return "would-promote", "promoted", f"the decisions are better: {gap}"
        if not met.held_out:
            told = "without a part of these rows no cut-off meets the target"
        return "kept", "not-better", told

    def _chosen(self, loaded: LoadedCalibrator) -> Cuts:
        asked = Asked.after(loaded, self.reading, self.attempt.path)
        return choose_cuts(asked, self.wish, opened=(self.dataset, self.sources))

    def _without(self, fold: int) -> Calibrator:
        """Return the challenger as it would be without the rows of a fold."""
        met = self.tried.met
        assert met is not None
        column = self.options.per_group
        method = met.fitted.method.removesuffix(" per class")
        folds = self.options.folds if self.options.folds % FOLDS else 5
        options = replace(self.options, folds=folds)
        if column is None:
            options = replace(options, method=method)
        if isinstance(met.fitted.calibrator, Identity):
            return Identity()
        part = cast("Any", Share(self.dataset, outside(fold)))
        reading = self.quick.with_groups(*(() if column is None else (column,)))
        return met.way(fit_gathered(reading.read((part, ())), reading, options).calibrator)

    @staticmethod
    def _unseen(loaded: LoadedCalibrator, maps: Calibrator) -> LoadedCalibrator:
        """Return a calibrator whose maps have not seen the rows that they are applied to."""
        payload = loaded.payload | {"sketch": None, "inputs": []}
        return replace(loaded, calibrator=maps, payload=payload)


def _same_maps(tried: Tried, *, stale: bool) -> Callable[[str], bool]:
    """Return what tells of which groups the calibrator stays as it is."""
    assert tried.met is not None
    kept = {str(one.slice.value) for one in tried.met.kept or ()}
    return lambda value: not stale and value in kept


def rolled_back_pair(path: str, thresholds: str, *, lock_timeout: float = 600.0) -> PromotionResult:
    """Put both `.previous` back in place.

    Raises:
        InputError: one is missing or not whole, or they were never in use together.
    """
    paths = (path, thresholds)
    with pair_lock(paths, lock_timeout):
        roll_back_pair(paths)
        now, before = (load_calibrator(name) for name in (path, str(previous_of(path))))
        cuts, replaced = (
            load_thresholds(name) for name in (thresholds, str(previous_of(thresholds)))
        )
    return blank(
        path,
        "rolled-back",
        "rolled-back",
        "the calibrator and the cut-offs that were replaced last are in place again",
        task=now.task,
        champion=described_calibrator(before),
        challenger=described_calibrator(now),
        previous=shown(path, previous_of(path)),
        thresholds=CutsPromoted(
            thresholds,
            described(replaced.stored),
            described(cuts.stored),
            None,
            shown(thresholds, previous_of(thresholds)),
        ),
    )
