"""Tables as data, and their plain-text form: the same characters with colour and without.

Colour is a handful of SGR codes around finished text, so a terminal and a pipe see one layout and
a small command does not pay for a console library (rich.table alone costs as much as Typer).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from calibcli.render.words import names

if TYPE_CHECKING:
    from collections.abc import Sequence

Style = Literal["", "bold", "dim", "good", "bad", "warn"]

_CODES: Final[dict[str, str]] = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "warn": "33"}
GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, what belongs to it (its interval, or why there is none), and how it is to look.

    The texts are raw: each medium makes them safe in its own way.
    """

    text: str
    detail: str = ""
    style: Style = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, the title of its details, its alignment and its rank.

    Rank 0 is always kept; on a narrow screen the highest rank goes first, and rank 1 only after
    the intervals.
    """

    title: str
    detail: str = ""
    left: bool = False
    rank: int = 0


Row = Iterable[tuple[Column, "Cell | str"]]
"""A row of a table: its cells in order, each with its column; a text is a cell of nothing else."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that text, Markdown and HTML draw alike.

    `groups` are headings over several columns, (title, how many), for media that can show them.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    groups: tuple[tuple[str, int], ...] = ()

    @classmethod
    def of(
        cls,
        caption: str,
        rows: Iterable[Row],
        note: str = "",
        groups: tuple[tuple[str, int], ...] = (),
    ) -> Table:
        """Return a table of rows that tell with each cell in which column it stands.

        Every row names the same columns; those of the first are the table's.
        """
        told = [tuple(row) for row in rows]
        columns = tuple(column for column, _ in told[0]) if told else ()
        cells = (tuple(cell for _, cell in row) for row in told)
        shown = tuple(tuple(c if isinstance(c, Cell) else Cell(c) for c in row) for row in cells)
        return cls(caption, columns, shown, note, groups)


def paint(text: str, style: Style, color: bool) -> str:
    """Return `text` in the style, when colour is on."""
    if not color or not style or not text:
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def text_table(table: Table, *, color: bool = False, width: int | None = None) -> list[str]:
    """Return the lines of a table: a header, the rows, aligned, nothing cut, then the note.

    With a `width`, details and then whole columns of rank above 0 are left out until it fits, and a
    last line names the columns; without one (a pipe) everything is there.
    """
    head = [Cell(names.visible(c.title), names.visible(c.detail), "dim") for c in table.columns]
    rows = [
        [Cell(names.visible(c.text), names.visible(c.detail), c.style) for c in row]
        for row in table.rows
    ]
    sizes = [
        (
            max(names.columns(row[i].text) for row in [head, *rows]),
            max(names.columns(row[i].detail) for row in [head, *rows]),
        )
        for i in range(len(head))
    ]
    sizes, kept = _fitted(table.columns, sizes, width)
    lines = [_line(table.columns, sizes, kept, row, color) for row in [head, *rows]]
    left_out = [head[i].text for i in range(len(head)) if i not in kept and head[i].text]
    if left_out:
        unique = ", ".join(dict.fromkeys(left_out))
        lines += [paint(x, "dim", color) for x in wrapped(f"(no room for {unique})", width)]
    if table.note:
        lines += [paint(line, "dim", color) for line in wrapped(names.visible(table.note), width)]
    return lines


def _fitted(
    columns: Sequence[Column], sizes: list[tuple[int, int]], width: int | None
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the sizes (text, detail) and the columns kept: details go first, by rank."""
    kept = list(range(len(columns)))
    if width is None:
        return sizes, kept
    sizes = list(sizes)
    ranked = sorted((i for i in kept if columns[i].rank), key=lambda i: -columns[i].rank)
    firm = [i for i in reversed(kept) if not columns[i].rank]
    steps = [(i, False) for i in ranked]
    steps += [(i, True) for i in ranked if columns[i].rank > 1]
    steps += [(i, False) for i in firm]
    steps += [(i, True) for i in ranked if columns[i].rank == 1]
    for i, whole in steps:
        if sum(_span(sizes[k]) for k in kept) + len(GAP) * (len(kept) - 1) <= width:
            break
        if whole:
            kept.remove(i)
        else:
            sizes[i] = (sizes[i][0], 0)
    return sizes, kept


def _span(size: tuple[int, int]) -> int:
    return size[0] + (1 + size[1] if size[1] else 0)


def _line(
    columns: Sequence[Column],
    sizes: Sequence[tuple[int, int]],
    kept: Sequence[int],
    row: Sequence[Cell],
    color: bool,
) -> str:
    line = ""
    owed = ""  # spaces are written only before text: no line ends in blanks
    for i in kept:
        cell, (main, detail) = row[i], sizes[i]
        pad = " " * (main - names.columns(cell.text))
        side = ("", pad) if columns[i].left else (pad, "")
        pieces = [(cell.text, cell.style, side)]
        if detail:
            # Details step back, unless the whole cell is meant to be seen.
            style: Style = "dim" if cell.style in {"", "bold"} else cell.style
            pieces.append((cell.detail, style, (" ", " " * (detail - names.columns(cell.detail)))))
        for text, style, (before, after) in pieces:
            if text:
                line += owed + before + paint(text, style, color)
                owed = after
            else:
                owed += before + after
        owed += GAP
    return line


def wrapped(text: str, width: int | None) -> list[str]:
    """Return `text` as lines of at most `width` columns, broken at spaces; a pipe gets one line.

    A single word longer than the width is left whole: a cut number is worse than a long line.
    """
    if width is None or names.columns(text) <= width:
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and names.columns(longer) > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]
