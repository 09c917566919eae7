"""What every promotion begins and ends with: the attempt, its result, the code of the outcome."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibcli._version import __version__
from calibcli.core.results.warning import warned
from calibcli.io.output.lock import FileLock
from calibcli.io.output.succession import roll_back, target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.comparison.promotion import Check, Rule
    from calibcli.errors import InputError

Result = dict[str, Any]

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


def blank(path: str, decision: str, code: str, reason: str, **found: Any) -> Result:
    """Return a result, with what is not known empty; `found` is what is."""
    result: Result = {
        "schema": "calibcli/promotion",
        "version": 1,
        "calibcli": __version__,
        "inputs": [],
        "params": {},
        "task": None,
        "path": path,
        "decision": decision,
        "code": code,
        "reason": reason,
        "dry_run": False,
        "champion": None,
        "challenger": None,
        "comparison": None,
        "checks": [],
        "gates": [],
        "previous": None,
        **warned(()),
    }
    unknown = found.keys() - result.keys()
    assert not unknown, unknown
    return {**result, **found}


def checked(checks: Sequence[Check]) -> tuple[str, str]:
    """Return the code of the checks that have failed, and why; "" where all have passed."""
    failed = [check for check in checks if not check.passed]
    few = any(check.name in _FEW for check in failed)
    code = "few-rows" if few else "shift" if failed else ""
    return code, "; ".join(check.said for check in failed)


def refused(path: str, error: InputError) -> Result:
    """Return the result of an attempt that ended with unusable input."""
    return blank(path, "refused", "input", error.message)


def rollback(
    path: str, kind: str, described: Callable[[str], tuple[str, Result]], lock_timeout: float
) -> Result:
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


def limits(rule: Rule, task: str) -> Result:
    """Return what a dump has to pass, as it stands among the conventions."""
    return {
        "min_rows": rule.min_rows,
        "min_positives": rule.least_of_a_label(task),
        "max_shift": {name: _finite(getattr(rule, name)) for name in ("psi", "odds", "auc")},
    }


def _finite(limit: float) -> float | None:
    return limit if limit < float("inf") else None
