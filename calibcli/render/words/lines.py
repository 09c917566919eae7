"""A line of a short screen: its text, how it looks, and when it gives way to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from calibcli.render.tables.layout import Style

KEPT: Final = 0
DETAIL: Final = 1
MORE: Final = 2
ASIDE: Final = 3


class Line(NamedTuple):
    """A line, which may still be folded.

    Attributes:
        rank: 0 is never left out; of the others those of the highest rank go first.
    """

    text: str
    style: Style = ""
    rank: int = KEPT


def ranked(texts: Iterable[str], first: int, rest: int, style: Style = "") -> Iterator[Line]:
    """Yield lines of which the first one counts more than those after it."""
    for place, text in enumerate(texts):
        yield Line(text, style, rest if place else first)
