"""From what was found in each slice to cut-offs: refusals, intervals, and what is to be said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibcli.core.results.warning import Warning
from calibcli.errors import AnswerNoError, InputError
from calibcli.workflows.threshold.describing import DRAWS
from calibcli.workflows.threshold.honest import not_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.results.figures import Where
    from calibcli.core.results.warning import Code
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.choosing import Chosen, Refused
    from calibcli.workflows.threshold.wish import Wish

MOST_RESAMPLED = 100
"""Slices up to which each cut-off gets an interval: resampling thousands takes minutes."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found in a slice.

    Attributes:
        where: the slice.
        described: its cut-off, with an interval by so many resamples; one above every score where
            it is refused, and none where there is nothing to choose from.
        refused: why the target cannot be met.
        empty: whether there is nothing to choose from.
    """

    where: Where
    described: Callable[[int], Chosen]
    refused: Refused | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """What is said of slices that have nothing to choose from.

    Attributes:
        everywhere: where all are so, and a hint.
        code: of the warning where some are; `what` it says of them.
    """

    everywhere: tuple[str, str]
    code: Code
    what: str


def settled(
    found: Sequence[Found], conventions: Conventions, wish: Wish, empty: Empty
) -> tuple[list[Chosen], list[Warning]]:
    """Return the cut-off of each slice, and what is to be said of them.

    Raises:
        AnswerNoError: a slice in which the constraints cannot be met.
        InputError: no slice has anything to choose from.
    """
    nothing = [repr(one.where.label or one.where.name) for one in found if one.empty]
    if len(nothing) == len(found):
        raise InputError(*empty.everywhere)
    refused = [(named(one.where), one.refused) for one in found if one.refused is not None]
    warnings = refuse_unreachable(refused, len(found), wish, len(nothing))
    draws = DRAWS if len(found) <= MOST_RESAMPLED else 0
    chosen = [one.described(draws) for one in found]
    warnings += said_of(chosen)
    warnings += not_shown([one.item for one in chosen], wish)
    if nothing:
        shown = ", ".join(nothing[:5]) + (" …" if len(nothing) > 5 else "")
        text = f"{len(nothing)} of {len(found)} classes {empty.what}: {shown}"
        warnings.append(Warning(empty.code, text))
    if not draws and conventions.confidence is not None:
        warnings.append(no_intervals())
    if wish.guarantee is not None and len(found) > 1:
        warnings.append(_each_apart(len(found), wish.guarantee))
    return chosen, warnings


def said_of(chosen: Sequence[Chosen]) -> list[Warning]:
    """Return what is to be said of cut-offs, each by the name of its slice."""
    titled = [(named(one.item.slice), one.warnings) for one in chosen]
    return [warning.about(f"{name}: " if name else "") for name, own in titled for warning in own]


def no_intervals() -> Warning:
    """Return the warning about cut-offs of too many slices."""
    text = f"no intervals of cut-offs: more than {MOST_RESAMPLED} slices"
    return Warning("no-intervals", text)


def _each_apart(number: int, confidence: float) -> Warning:
    """Return the warning that guarantees hold one by one."""
    text = (
        f"the guarantee holds for each of {number} cut-offs separately, with confidence "
        f"{confidence:g}, not for all of them at once"
    )
    return Warning("each-apart", text)


def named(where: Where, quote: Callable[[str], str] = repr) -> str:
    """Return a slice in words, "" for all rows."""
    if where.kind == "class":
        return f"class {quote(str(where.name))}"
    if where.kind == "group":
        of = "" if where.label is None else f" (class {quote(where.label)})"
        return f"{where.column}={where.value}{of}"
    return ""


def refuse_unreachable(
    refused: Sequence[tuple[str, Refused]], slices: int, wish: Wish, empty: int = 0
) -> list[Warning]:
    """Return the warning about slices that get a cut-off above every score.

    `empty` of the slices have nothing to choose from.

    Raises:
        AnswerNoError: slices that cannot meet the constraints, unless the others are to be written.
        InputError: slices in which nothing can be chosen whatever the constraints.
    """
    if not refused:
        return []
    lost = [one for _, one in refused if not one.unreachable]
    if lost or not wish.never or len(refused) + empty == slices:
        raise _refusal(refused, slices, wish)
    named = "; ".join(f"{name}: {one.best}" for name, one in refused)
    text = (
        f"{wish.target} cannot be met in {len(refused)} of {slices} slices, whose cut-off is above "
        f"every score: {named}"
    )
    return [Warning("unreachable", text)]


def _refusal(
    refused: Sequence[tuple[str, Refused]], slices: int, wish: Wish
) -> AnswerNoError | InputError:
    """Return the error for slices without a cut-off: every one of them, and how near it comes."""
    for name, one in refused:
        if not one.unreachable:
            more = f" (and {len(refused) - 1} of {slices} more)" if len(refused) > 1 else ""
            return InputError(f"{name}: {one.reason}{more}" if name else one.reason, one.hint)
    name, first = refused[0]
    others = f"; {_OTHERS}" if len(refused) < slices else ""
    if len(refused) == 1:
        return AnswerNoError(
            f"{name}: {first.reason}" if name else first.reason, f"{first.hint}{others}"
        )
    named = "; ".join(f"{name}: {one.best}" for name, one in refused)
    return AnswerNoError(
        f"{wish.target} cannot be met in {len(refused)} of {slices} slices: {named}",
        f"no thresholds were written{others}",
    )


_OTHERS = "--unreachable never writes the others, and for these a cut-off above every score"
