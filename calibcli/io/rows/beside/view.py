"""The columns of a frame, wherever they are: in the scores, or in the labels file beside them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import bad_value, blaming, row_text, show
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.rows.beside.join import compound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.io.formats.buffers import Raw
    from calibcli.io.formats.frames import Frame
    from calibcli.io.rows.beside.side import SideTable
    from calibcli.io.rows.place import Place


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Beside:
    """Where the rows of one source are in the labels file.

    Attributes:
        side: The labels file, if there is one.
        offset: Rows of all earlier sources: where this source begins in the labels file.
        path: The source, for messages.
        key: The columns by which rows are found in the labels file; () for by their order.
        same: Columns that both files have, and that must agree where rows go by their order.
    """

    side: SideTable | None
    offset: int
    path: str
    key: tuple[str, ...] = ()
    same: tuple[str, ...] = ()

    def narrowed(self, first_row: int, rows: int) -> Beside:
        """Return what finds these rows of the source alone, without the others' labels."""
        if self.side is None or self.side.arrays or self.key:
            return self
        start = self.offset + first_row
        own = {name: self.side.cut(name, start, start + rows) for name in self.side.columns}
        # An offset below 0 puts the first of these rows where its labels now are.
        return replace(self, side=replace(self.side, columns=own), offset=-first_row)

    def view(self, frame: Frame) -> View:
        """Return the columns of a frame.

        Raises:
            InputError: a row without a key, or a column that differs in the two files.
        """
        start = self.offset + frame.first_row
        if self.side is None:
            return View(frame, self, slice(start, start + frame.rows))
        if self.key:
            hashes = compound([self._ids(frame, name) for name in self.key])
            return View(frame, self, self.side.rows_of(hashes, start))
        for name in self.same:
            here, there = self._ids(frame, name), self.side.cut(name, start, start + frame.rows)
            if not np.array_equal(here, there):
                raise self._differs(name, frame.first_row + int((here != there).argmax()))
        return View(frame, self, slice(start, start + frame.rows))

    def _ids(self, frame: Frame, name: str) -> NDArray[np.uint64]:
        from calibcli.io.rows.hashing import ids

        with blaming(name, self.path, frame.first_row):
            hashes, missing = ids(frame.columns[name])
            if missing.any() and self.key:
                raise BadValueError("no key", int(missing.argmax()), int(missing.sum()))
        return hashes

    def _differs(self, name: str, row: int) -> InputError:
        assert self.side is not None
        return InputError(
            f"column {name!r} differs between {show(self.path)}, {row_text(row)}, and "
            f"{show(self.side.path)}, {row_text(self.offset + row)}: other rows, or another order",
            hint=f"--key {name} joins the rows by it",
            topic="key",
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class View:
    """The columns of one frame. `rows` are its rows in the labels file, -1 for none."""

    frame: Frame
    beside: Beside
    rows: slice | NDArray[np.int64]

    @property
    def path(self) -> str:
        """The source, for messages."""
        return self.beside.path

    @property
    def found(self) -> NDArray[np.int64] | None:
        """Rows (n,) of the labels file that were found by their key, -1 for none; else None."""
        return None if isinstance(self.rows, slice) else self.rows

    @property
    def unmatched(self) -> NDArray[np.bool_] | None:
        """Which rows the labels file does not have (n,); None for none of them."""
        if isinstance(self.rows, slice) or not (self.rows < 0).any():
            return None
        return self.rows < 0

    def raw(self, place: Place) -> Raw:
        """Return a column; at rows that the labels file does not have it is that of another row."""
        side = self.beside.side
        if not place.side or side is None:
            return self.frame.columns[place.name]
        if isinstance(self.rows, slice):
            return side.cut(place.name, self.rows.start, self.rows.stop)
        return side.take(place.name, np.maximum(self.rows, 0))

    def place_of(self, place: Place, row: int) -> tuple[str, int]:
        """Return the file that a value is in, and its 0-based row there."""
        if not place.side or self.beside.side is None:
            return self.path, self.frame.first_row + row
        at = self.rows.start + row if isinstance(self.rows, slice) else int(self.rows[row])
        return self.beside.side.path, at

    @contextmanager
    def blame(self, place: Place) -> Iterator[None]:
        """Turn a bad value into an error that names its column, file and row."""
        try:
            yield
        except BadValueError as error:
            raise bad_value(error, place.name, *self.place_of(place, error.row)) from error
