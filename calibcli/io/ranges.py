"""Cut a plain CSV file into parts at line ends, so that cores can share it.

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

from calibcli.io.frames import Part

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGE = 2**25
"""Files up to 32 MB are one part."""
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes of some rows: from `start` up to `stop`."""

    start: int
    stop: int


def cut(path: str, start: int, size: int) -> tuple[tuple[Part, Span], ...]:
    """Cut the rows of a CSV file, which begin at byte `start`, into parts of about LARGE bytes.

    Returns () where lines are not certain to be rows; the file is then one part.
    """
    found: list[tuple[Part, Span]] = []
    row = rows = 0
    begin = at = start
    ended = True  # whether the byte before `at` is a line end
    with Path(path).open("rb") as file:
        file.seek(start)
        while at < size:
            chunk = file.read(min(_CHUNK, size - at))
            if not chunk or b'"' in chunk or b"\r" in chunk:
                return ()
            line_ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))
            if line_ends.size:
                blank = (ended and line_ends[0] == 0) or bool((np.diff(line_ends) == 1).any())
                if blank:
                    return ()
                rows += line_ends.size
                last = at + int(line_ends[-1]) + 1
                if last - begin >= LARGE:
                    found.append((Part(row, rows), Span(begin, last)))
                    row, rows, begin = row + rows, 0, last
            ended = chunk.endswith(b"\n")
            at += len(chunk)
    rows += not ended
    if begin < size and rows:
        # A last line without an end follows the last line end of the chunk it lies in.
        found.append((Part(row, rows), Span(begin, size)))
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
