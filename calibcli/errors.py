"""Exit codes and the exceptions that carry them.

Scripts read the exit code, people read the line, so every failure a user can cause is one of
these: a message that says what is wrong and where, and a hint that says what to type.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ExitCode(IntEnum):
    """What a process tells the shell; part of the contract of the command line."""

    OK = 0
    NO = 1
    USAGE = 2
    INPUT = 3
    BUG = 4
    INTERRUPTED = 130


class CalibcliError(Exception):
    """A failure with an exit code, a one-line message and a hint (what to type next).

    Attributes:
        topic: What the options leave open, where a look at the data may tell: "scores", "label",
            "values" (of labels), "kind" (of scores) or "key".
        note: What stands behind the hint, such as where an option was set.
    """

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str | None = None, *, topic: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.topic = topic
        self.note: str | None = None


class AnswerNoError(CalibcliError):
    """The work is done and the answer is no, for example a target that no cut-off reaches."""

    exit_code = ExitCode.NO


class UsageError(CalibcliError):
    """Options that do not fit together or that cannot be understood."""

    exit_code = ExitCode.USAGE


class InputError(CalibcliError):
    """An input, an output or an artifact that cannot be used."""

    exit_code = ExitCode.INPUT


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return "did you mean 'x'?" for the nearest of `known`, or None when nothing is near."""
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else None
