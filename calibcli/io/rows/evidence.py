"""The first rows of a file: what is looked at where names and types alone do not tell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calibcli.io.failures import blaming
from calibcli.io.formats.frames import ReadPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.formats.frames import Frame, Reader

HEAD_ROWS = 1_000
_FRACTION = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evidence:
    """Reads the first rows of columns of one file, each once, when they are asked for."""

    reader: Reader
    _frames: dict[tuple[str, ...], Frame | None] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The file, for messages."""
        return self.reader.source.name

    def numbers(self, names: Sequence[str]) -> Frame | None:
        """Return the first rows of columns that are read as scores; None where there are none."""
        return self._first(ReadPlan(numbers=tuple(names), batch_rows=HEAD_ROWS))

    def keys(self, names: Sequence[str]) -> Frame | None:
        """Return the first rows of columns that are read as labels; None where there are none."""
        return self._first(ReadPlan(keys=tuple(names), batch_rows=HEAD_ROWS))

    def rows_of(self, name: str) -> tuple[int, tuple[str, ...] | None]:
        """Return how many values a row of a column holds, and their names; (0, None) for none."""
        from calibcli.io.formats.nested import described

        frame = self.numbers((name,))
        if frame is None:
            return 0, None
        with blaming(name, self.path, frame.first_row):
            return described(frame.columns[name])

    def _first(self, plan: ReadPlan) -> Frame | None:
        asked = (*plan.numbers, "", *plan.keys)
        if asked not in self._frames:
            parts = (part for part in self.reader.parts if part.rows != 0)
            frames = (frame for part in parts for frame in self.reader.read(part, plan))
            self._frames[asked] = next(frames, None)
        return self._frames[asked]

    def inside(self, name: str) -> Sequence[str]:
        """Return what a column holds: the names of fields, or the places of a list's values."""
        if name not in self.reader.columns:
            return []
        column = self.reader.columns[name]
        if column.children:
            return list(column.children)
        if column.named:
            return self.rows_of(name)[1] or []
        if column.element is None:
            return []
        length = column.length or column.width or self.rows_of(name)[0]
        return list(map(str, range(length)))

    def tells_apart(self, name: str) -> bool:
        """Whether a column holds whole numbers or texts, and not one value only, as an id does."""
        if self.reader.columns[name].kind == "other" or self.reader.columns[name].width is not None:
            return False
        from calibcli.io.rows.keys import keys

        frame = self.keys((name,))
        if frame is None:
            return False
        found = keys(frame.columns[name])
        values = {found.values[code] for code in set(found.codes.tolist()) if code >= 0}
        return len(values) > 1 and not any(map(_is_fraction, values))


def _is_fraction(value: object) -> bool:
    if isinstance(value, float):
        return not value.is_integer()
    return isinstance(value, str) and _FRACTION.fullmatch(value) is not None
