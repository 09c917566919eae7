"""A short screen: what gives way, and in which order, until all of it fits beside the prompt.

The answer and failed gates stay, and the gates stand last. Warnings are cut to their first clause
before one is left out, and those that are, are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from calibcli.render.tables.layout import paint, text_table, wrapped
from calibcli.render.words import names, short
from calibcli.render.words.lines import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from calibcli.core.results.envelope import GateResult
    from calibcli.core.results.warning import Code
    from calibcli.render.tables.layout import Table

LINES: Final = 15
"""Lines of a short screen of a terminal."""
_WARNINGS = 3
_GATES = 3
_TABLE_ROWS = 3
_LEAST: Final[tuple[Code, ...]] = (
    "fit", "prior", "closed-form", "coarse", "periods", "one-hot", "ignored", "no-intervals",
    "free-form", "hidden-structure", "few-clusters", "few-images", "undefined", "absent-class",
    "reference", "dropped", "unmatched", "constant-scores",
)  # fmt: skip
"""Warnings that give way to others, the first of them first."""


@dataclass(frozen=True)
class Asked:
    """A table that was asked for, and its rows by how much they count, the most first."""

    table: Table
    order: tuple[int, ...]

    @classmethod
    def of(cls, table: Table | None, names: Sequence[str] = ()) -> Asked | None:
        """Return a table of which the rows with these titles count most."""
        if table is None:
            return None
        titles = [row[0].text for row in table.rows]
        most = [titles.index(name) for name in names if name in titles]
        return cls(table, (*most, *(i for i in range(len(titles)) if i not in most)))

    def first(self, rows: int | None) -> tuple[Table, int]:
        """Return the table with so many of its rows, and how many it has beyond them."""
        if rows is None or len(self.order) <= rows:
            return self.table, 0
        kept = tuple(self.table.rows[i] for i in sorted(self.order[:rows]))
        return replace(self.table, rows=kept), len(self.order) - rows


@dataclass
class Screen:
    """What a short screen shows.

    Attributes:
        lines: above the warnings, in order.
        warnings: in order, with their `codes`.
        tables: below them, those first that count most.
        gates: last.
        hint: what to type next, if anything; `more` what `--all` would add.
        columns: where lines are folded; None for a pipe, which gets a sentence a line and all.
        color: whether to add SGR codes.
    """

    lines: list[Line]
    warnings: Sequence[str]
    codes: Sequence[Code]
    gates: Sequence[GateResult]
    hint: str
    more: str
    columns: int | None
    color: bool
    tables: list[Asked] = field(default_factory=list)
    _told: list[int] = field(init=False)
    _clauses: bool = field(init=False, default=False)
    _passed: bool = field(init=False, default=True)
    _failed: int | None = field(init=False, default=None)
    _rows: int | None = field(init=False, default=None)
    _left: int = field(init=False, default=0)
    _close: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        order = sorted(range(len(self.warnings)), key=lambda place: -self._weight(place))
        self._told = sorted(order[:_WARNINGS])

    def _weight(self, place: int) -> int:
        """Return how much a warning counts; those that no code names as lesser count most."""
        code = self.codes[place] if place < len(self.codes) else None
        return _LEAST.index(code) if code in _LEAST else len(_LEAST)

    def text(self) -> str:
        """Return the screen, on a terminal of at most `LINES` lines."""
        if self.columns is not None:
            for step in self._steps():
                while self._size() > LINES and step():
                    pass
        return "\n".join(self._shown()) + "\n"

    def _size(self) -> int:
        return sum(1 + line.count("\n") for line in self._shown())

    def _steps(self) -> Iterator[Callable[[], bool]]:
        """Yield what gives way, in order; each is repeated while it returns True."""
        yield self._clause
        yield lambda: self._drop(3)
        yield lambda: self._fewer_rows(8)
        yield self._count_passed
        yield self._close_up
        yield lambda: self._fewer_warnings(2)
        yield lambda: self._drop(2)
        yield lambda: self._fewer_rows(_TABLE_ROWS)
        yield lambda: self._fewer_failed(_GATES)
        yield lambda: self._drop(1)
        yield lambda: self._fewer_tables(1)
        yield lambda: self._fewer_warnings(1)
        yield self._unhinted
        yield lambda: self._fewer_failed(1)
        yield lambda: self._fewer_tables(0)

    def _clause(self) -> bool:
        changed, self._clauses = not self._clauses, True
        return changed

    def _drop(self, rank: int) -> bool:
        highest = max((line.rank for line in self.lines), default=0)
        if highest < rank:
            return False
        place = max(i for i, line in enumerate(self.lines) if line.rank == highest)
        del self.lines[place]
        return True

    def _fewer_rows(self, least: int) -> bool:
        now = max((len(one.order) for one in self.tables), default=0)
        now = now if self._rows is None else min(now, self._rows)
        if now <= least:
            return False
        self._rows = now - 1
        return True

    def _fewer_tables(self, least: int) -> bool:
        if len(self.tables) <= least:
            return False
        self._left += len(self.tables.pop().order)
        return True

    def _close_up(self) -> bool:
        changed, self._close = not self._close, True
        return changed

    def _count_passed(self) -> bool:
        changed, self._passed = self._passed, False
        return changed

    def _fewer_warnings(self, least: int) -> bool:
        if len(self._told) <= least:
            return False
        self._told.remove(min(self._told, key=lambda place: (self._weight(place), -place)))
        return True

    def _fewer_failed(self, least: int) -> bool:
        failed = sum(not gate.passed for gate in self.gates)
        now = failed if self._failed is None else self._failed
        if now <= least:
            return False
        self._failed = now - 1
        return True

    def _unhinted(self) -> bool:
        changed, self.hint = bool(self.hint), ""
        return changed

    # -- what is shown -----------------------------------------------------------------------------

    def _shown(self) -> list[str]:
        blocks = [[*self._painted(self.lines), *self._warned()]]
        cut = self._left
        for one in self.tables:
            shown, out = one.first(self._rows)
            if self._close:
                shown = replace(shown, note=_first_sentence(shown.note))
            cut += out
            blocks.append(text_table(shown, color=self.color, width=self.columns))
        last = self._gates()
        if self.hint:
            # What is to be typed is not folded at spaces: a shell would run each line.
            last.append(f"next: {self.hint}")
        last += self._painted([Line(f"({self._more(cut)})", "dim")])
        if len(blocks) == 1:
            return [*blocks[0], *last]
        found: list[str] = []
        for block in [*blocks, last]:
            found += ["", *block] if found and not self._close else block
        return found

    def _more(self, cut: int) -> str:
        told = [self.more]
        left = len(self.warnings) - len(self._told)
        if self.columns is not None:
            told += [f"{cut} more rows"] if cut else []
            told += [f"{left} more warning{'' if left == 1 else 's'}"] if left else []
        return ", ".join(told)

    def _warned(self) -> list[str]:
        found: list[str] = []
        for place in self._told:
            text = f"warning: {names.visible(self.warnings[place])}"
            if self._clauses and self.columns is not None:
                text = clause(text, self.columns)
            found += self._painted([Line(text, "warn")])
        left = len(self.warnings) - len(self._told)
        if left and self.columns is None:
            found += self._painted([Line(f"and {left} more warnings", "warn")])
        return found

    def _gates(self) -> list[str]:
        told = short.gate_lines(self.gates)
        passed = [one for one in told if one[1] == "good"]
        failed = [one for one in told if one[1] != "good"]
        if not self._passed and len(passed) > 1:
            told = [(f"pass  {len(passed)} gates", "good"), *failed]
        if self._failed is not None and self._failed < len(failed):
            out = failed[self._failed :]
            told = [one for one in told if one not in out]
            told.append((f"FAIL  {len(out)} more gates", "bad"))
        return self._painted([Line(*one) for one in told])

    def _painted(self, lines: Sequence[Line]) -> list[str]:
        found = []
        for text, style, _ in lines:
            for place, line in enumerate(_folded(text, self.columns)):
                indent = "  " if place and not line.startswith(" ") else ""
                found += [paint(indent + line, style, self.color)] if line else []
        return found


def clause(text: str, columns: int) -> str:
    """Return as many clauses of a sentence as fit in a line; words, where not even one does.

    >>> clause("warning: 3 rows are left out, as they have no score: see --drop-invalid", 40)
    'warning: 3 rows are left out'
    """
    if names.columns(text) <= columns:
        return text
    ends = [i for i in range(len(text) - 1) if text[i] in ",:;." and text[i + 1] == " "]
    fits = [i for i in ends if text[:i] != "warning" and names.columns(text[:i]) <= columns]
    if fits:
        return text[: fits[-1]]
    return f"{wrapped(text, columns - 2)[0]} …"


def _first_sentence(text: str) -> str:
    """Return a text up to the end of its first sentence."""
    first, ends, _ = text.partition(". ")
    return f"{first}." if ends else text


def _folded(text: str, columns: int | None) -> list[str]:
    """Return a line, or where it is too long its parts, which leave room for an indent."""
    whole = wrapped(text, columns)
    return whole if columns is None or len(whole) == 1 else wrapped(text, columns - 2)
