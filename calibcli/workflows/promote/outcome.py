"""What every promotion begins and ends with: the attempt, its result, the code of the outcome."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from calibcli.core.results.promotion import PromotionResult
from calibcli.errors import InputError
from calibcli.io.failures import listing, show
from calibcli.io.output.lock import FileLock
from calibcli.io.output.pair import refuse_unfinished
from calibcli.io.output.succession import install, previous_of, recover, roll_back, target_of
from calibcli.io.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.promotion import Contender, Decision, Outcome
    from calibcli.workflows.input.gathered import Gathered

    Decided = tuple[Decision, Outcome, str]
    """A decision, its code, and the reason."""

_FEW = ("rows", "positives")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a promotion.

    Attributes:
        path: of the champion.
        rule: what a challenger has to pass.
        fail_if: gates; the challenger's figures are `calibrated.…`.
        dry_run: decide, and write nothing.
        lock_timeout: seconds to wait for another run on the same file.
    """

    path: str
    rule: Rule
    fail_if: tuple[str, ...] = ()
    dry_run: bool = False
    lock_timeout: float = 600.0


@contextmanager
def held(attempt: Attempt) -> Iterator[None]:
    """Hold the file of an attempt, finished where a killed run has left it in the middle.

    A dry run writes nothing, not even a lock.

    Raises:
        InputError: a change of this file and another is decided and not finished.
    """
    lock = nullcontext() if attempt.dry_run else FileLock(attempt.path, attempt.lock_timeout)
    with lock:
        if not attempt.dry_run:
            recover(attempt.path)
        refuse_unfinished(attempt.path)
        yield


def put_in_place(
    result: PromotionResult, path: str, text: str, *, dry_run: bool
) -> tuple[PromotionResult, str | None]:
    """Put a new file in the place of the old one, if that is decided; return where that is kept."""
    if result.decision != "would-promote" or dry_run:
        return result, None
    kept = install(path, text)
    told = None if kept is None else shown(path, kept)
    return replace(result, decision="promoted"), told


def refuse_gone(path: str, command: str) -> None:
    """Raise InputError for a file that is not there although it has been replaced before."""
    if previous_of(path).exists():
        raise InputError(
            f"{show(path)} is gone, and {show(previous_of(path).name)} is there",
            hint=f"put it back: calibcli {command} --rollback {show(path)}",
        )


def refuse_other_input(
    made: str, columns: Sequence[str] | None, positive: str | None, found: Gathered
) -> None:
    """Raise InputError unless a dump is read as those rows were that a file was made of.

    Args:
        made: the file and what was done, such as `the champion was fitted`.
        columns: the score columns then; none where they were not named.
        positive: the label that meant 1.
        found: the dump.
    """
    was, now = columns or [], found.params.get("score") or []
    if was and now and list(was) != list(now):
        raise InputError(
            f"{made} on the columns {listing(was)}, these are {listing(now)}",
            "name the same columns: --score or --scores",
        )
    if positive != found.params.get("positive"):
        given = "no --positive" if positive is None else f"--positive {positive}"
        raise InputError(f"{made} with {given}", "name the same label")


def judged(
    result: PromotionResult, verdicts: Sequence[GateResult], decision: Decided
) -> PromotionResult:
    """Return a result with its gates and its decision; where a gate has failed, nothing changes."""
    failed = [verdict.expr for verdict in verdicts if not verdict.passed]
    if failed:
        decision = "kept", "gate", f"a gate failed: {', '.join(failed)}"
    named = dict(zip(("decision", "code", "reason"), decision, strict=True))
    return replace(result, gates=tuple(verdicts), **named)


def blank(
    path: str, decision: Decision, code: Outcome, reason: str, **found: Any
) -> PromotionResult:
    """Return a result, with what is not known empty; `found` is what is."""
    unknown = dict.fromkeys(("task", "champion", "challenger", "comparison", "previous"))
    known = {**unknown, "dry_run": False, **found}
    return PromotionResult(path=path, decision=decision, code=code, reason=reason, **known)


def checked(checks: Sequence[Check]) -> tuple[Outcome | None, str]:
    """Return the code of the checks that have failed, and why; None where all have passed."""
    failed = [check for check in checks if not check.passed]
    few = any(check.name in _FEW for check in failed)
    code: Outcome | None = "few-rows" if few else "shift" if failed else None
    return code, "; ".join(check.said for check in failed)


def refused(path: str, error: InputError) -> PromotionResult:
    """Return the result of an attempt that ended with unusable input."""
    return blank(path, "refused", "input", error.message)


def rollback(
    path: str, kind: str, described: Callable[[str], tuple[str, Contender]], lock_timeout: float
) -> PromotionResult:
    """Put back what the last promotion has replaced; what is replaced now is kept in its place.

    Args:
        path: of the file.
        kind: "calibrator" or "thresholds".
        described: the task of a file, and what the result says of it.
        lock_timeout: seconds to wait for another run.

    Raises:
        InputError: there is nothing to put back, or it is no whole artifact.
    """
    target_of(path)
    with FileLock(path, lock_timeout):
        refuse_unfinished(path)
        previous = roll_back(path, kind)
        task, now = described(path)
        replaced = described(str(previous))[1] if previous.is_file() else None
    what = "the calibrator that was" if kind == "calibrator" else "the thresholds that were"
    return blank(
        path,
        "rolled-back",
        "rolled-back",
        f"{what} replaced last {'is' if kind == 'calibrator' else 'are'} in place again",
        task=task,
        champion=replaced,
        challenger=now,
        previous=None if replaced is None else shown(path, previous),
    )


def shown(path: str, previous: Path) -> str:
    """Return where the replaced file is, as the user has named its folder; links are resolved."""
    plain = Path(f"{path}.previous")
    return str(plain if plain.absolute() == previous else previous)


def limits(rule: Rule, task: str) -> dict[str, Any]:
    """Return what a dump has to pass, as it stands among the conventions."""
    return {
        "min_rows": rule.min_rows,
        "min_positives": rule.least_of_a_label(exclusive=Task(task).exclusive),
        "max_shift": {name: _finite(getattr(rule, name)) for name in ("psi", "odds", "auc")},
    }


def _finite(limit: float) -> float | None:
    return limit if limit < float("inf") else None
