"""What every reader offers: parts that can be read again and apart, as frames of raw columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.io.formats.buffers import Raw
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.columns import Columns

PART_ROWS = 2**20
"""About how many rows one part holds, where a file can be read in parts."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of one source that is read by itself.

    Attributes:
        first_row: 0-based row of the source at which it starts.
        rows: How many rows it holds, or None where only reading tells.
        units: The row groups or record batches it consists of, where the file has such.
    """

    first_row: int = 0
    rows: int | None = None
    units: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ReadPlan:
    """Which columns to read, by role, and in how many rows at a time."""

    numbers: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    batch_rows: int = 131_072
    keep: bool = False

    @property
    def columns(self) -> list[str]:
        """All columns to read, each once, in a fixed order."""
        return list(dict.fromkeys((*self.numbers, *self.keys, *self.ids)))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """Some consecutive rows: raw columns by name, and all columns as a record batch if kept."""

    first_row: int
    rows: int
    columns: dict[str, Raw]
    table: Any = None


class Reader(Protocol):
    """A source whose header has been read. Small, immutable and picklable."""

    @property
    def source(self) -> Source:
        """The file."""

    @property
    def columns(self) -> Columns:
        """Its columns, in order."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its parts, in row order."""

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Read one part, front to back; frames hold at most `plan.batch_rows` rows."""

    def count(self) -> int:
        """Return the number of rows, reading the file where nothing else tells."""

    def schema(self) -> Any:
        """Return the Arrow schema of all columns, or None for a source without a table."""
