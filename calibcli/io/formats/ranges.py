"""Cut a plain CSV or JSON Lines file into parts at line ends, so that cores can share it.

One look over the bytes, many times faster than parsing them, makes sure that a line is a row:
no quote (a line end may hide between two), no blank line (which is no row), no carriage return.
It also counts the rows, so that each part knows at which row of the file it begins.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibcli.io.formats.frames import Part

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGE = 2**25
"""Files up to 32 MB are one part."""
_CHUNK = 2**18
_LINE_END = 10


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Span:
    """The bytes of some rows: from `start` up to `stop`."""

    start: int
    stop: int


def cut(path: str, start: int, size: int, *, lines: bool = False) -> tuple[tuple[Part, Span], ...]:
    """Cut the rows of a file, which begin at byte `start`, into parts of about LARGE bytes.

    `lines` tells that a line is a row whatever it holds, as in JSON Lines; in CSV it is not, where
    there are quotes. Returns () where lines are not certain to be rows; the file is then one part.
    """
    found: list[tuple[Part, Span]] = []
    first_row = rows = 0
    begin = at = start
    # Arrays that are used again: at a GB/s and more, asking for memory would cost the most.
    buffer = bytearray(_CHUNK)
    content = np.frombuffer(buffer, np.uint8)
    ends, blank = np.empty(_CHUNK, bool), np.empty(_CHUNK - 1, bool)
    last_ended = True
    with Path(path).open("rb", buffering=0) as file:
        file.seek(start)
        while at < size:
            read = file.readinto(memoryview(buffer)[: size - at]) or 0
            if not read or buffer.find(b"\r", 0, read) >= 0:
                return ()
            if not lines and buffer.find(b'"', 0, read) >= 0:
                return ()
            end = ends[:read]
            np.equal(content[:read], _LINE_END, out=end)
            np.logical_and(end[1:], end[:-1], out=blank[: read - 1])
            if (last_ended and end[0]) or blank[: read - 1].any():
                return ()
            rows += int(np.count_nonzero(end))
            last_ended = bool(end[-1])
            at += read
            if at - begin >= LARGE and rows:
                # The part ends with the last line end so far; what follows belongs to the next.
                stop = at - read + int(np.flatnonzero(end)[-1]) + 1 if end.any() else 0
                if stop:
                    found.append((Part(first_row, rows), Span(begin, stop)))
                    first_row, rows, begin = first_row + rows, 0, stop
    rows += not last_ended
    if rows:
        found.append((Part(first_row, rows), Span(begin, size)))
    return tuple(found)


class SpanFile(io.RawIOBase):
    """The bytes of a span, as a file of their own."""

    def __init__(self, path: str, span: Span) -> None:
        self._number = os.open(path, os.O_RDONLY)
        self._at, self._stop = span.start, span.stop

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")
        content = os.pread(self._number, min(len(view), self._stop - self._at), self._at)
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        """Let the file go."""
        if not self.closed:
            os.close(self._number)
        super().close()
