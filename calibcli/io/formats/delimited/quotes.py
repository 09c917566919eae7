"""A quote that is never closed swallows rows: found while a CSV file is read, without parsing it.

Between two quotes a line end is part of a value, so one quote too many silently makes a value of
thousands of rows. In a file that is written by the rules (RFC 4180), quotes come in pairs: each
first one stands where a value begins, each second one where it ends. That is checked at a glance;
only a file that breaks the rules is read once more, as Arrow parses it: a quote opens at the
beginning of a value alone. A value of several lines must then end where its quotes end.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import row_text, show

if TYPE_CHECKING:
    from calibcli.io.formats.source import Source

_QUOTE, _LINE_FEED, _RETURN = 34, 10, 13
_BLANK = re.compile(rb"\n(?=\r?\n)")
_CHUNK = 2**20


class QuoteChecked(io.RawIOBase):
    """The decompressed content of a CSV file, whose quotes are checked as it is read."""

    def __init__(self, source: Source, delimiter: str) -> None:
        self._source, self._delimiter = source, delimiter
        self._stream: Any = source.stream()
        self._ends = np.zeros(256, bool)
        self._ends[[_QUOTE, _LINE_FEED, _RETURN, ord(delimiter)]] = True
        self._before = _LINE_FEED
        self._quoted = False
        self._regular = True

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            InputError: a quote that is opened and not closed, with its row.
        """
        content: bytes = self._stream.read(size)
        if self._regular and not self._follows(content):
            self._regular = False
            refuse_swallowed(self._source, self._delimiter)
        return content

    def _follows(self, content: bytes) -> bool:
        """Whether quotes come in pairs around whole values, up to the end of this content."""
        if not content:
            return not self._quoted
        before, self._before = self._before, content[-1]
        ended = before == _QUOTE and not self._quoted
        if b'"' not in content:
            return not ended or bool(self._ends[content[0]])
        values = np.frombuffer(content, np.uint8)
        quotes = np.flatnonzero(values == _QUOTE)
        opens = (np.arange(len(quotes)) % 2 == 0) != self._quoted
        self._quoted ^= len(quotes) % 2 == 1
        first = np.where(quotes > 0, values[np.maximum(quotes - 1, 0)], before)[opens]
        after = quotes[~opens] + 1
        last = values[after[after < len(values)]]
        return bool(
            self._ends[first].all()
            and self._ends[last].all()
            and (not ended or self._ends[content[0]])
        )

    def close(self) -> None:
        """Let the file go."""
        if not self.closed:
            self._stream.close()
        super().close()


def refuse_swallowed(source: Source, delimiter: str) -> None:
    """Read a CSV file by its quotes, and raise InputError for a value that swallows rows."""
    mark = delimiter.encode()
    opening = re.compile(rb"(?<=[\r\n" + re.escape(mark) + rb'])"')
    text, row = b"\n", -2  # the header is no row
    with source.stream() as stream:
        while chunk := stream.read(_CHUNK):
            text += chunk
            start = 0
            while found := opening.search(text, start):
                row += _lines(text[start : found.start()])
                while (end := _closing(text, found.end())) is None:
                    if not (chunk := stream.read(_CHUNK)):
                        if _closing(text + b"\n", found.end()) is not None:
                            return
                        raise _swallowed(source, row)
                    text += chunk
                value, rest = text[found.end() : end], text[end + 1 : end + 2]
                if b"\n" in value and rest not in (b"\r", b"\n", mark):
                    raise _swallowed(source, row)
                start = end + 1
            # The last byte stays: it tells whether a value begins after it.
            stop = max(start, len(text) - 1)
            row += _lines(text[start:stop])
            text = text[stop:]


def _closing(text: bytes, start: int) -> int | None:
    """Return where the quoted value that begins at `start` ends; None for not yet."""
    while (end := text.find(b'"', start)) >= 0:
        if end + 1 == len(text):
            return None  # the next byte may be a quote too
        if text[end + 1] != _QUOTE:
            return end
        start = end + 2
    return None


def _lines(text: bytes) -> int:
    """Count line ends; a blank line is no row."""
    return text.count(b"\n") - len(_BLANK.findall(text))


def _swallowed(source: Source, row: int) -> InputError:
    where = "its first line" if row < 0 else row_text(row)
    return InputError(
        f"{show(source.name)}: a quote that opens in {where} is not closed where its value ends",
        hint="the rows after it would be lost: close it, or double a quote that is part of a value",
    )
