"""The head of a CSV file: the line that names its columns, and the rows that come with it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.formats.source import Source

HEADER_LIMIT = 2**23
_MARKS = re.compile(rb'["\r\n]')


@dataclass(frozen=True, slots=True)
class Head:
    """The first line, and what was read with it.

    Attributes:
        line: The header line, without its end.
        rows: Whole lines after it, at most some 64 kB; "" where they are not UTF-8.
        more: Whether anything but blanks comes after the header.
    """

    line: str
    rows: str
    more: bool


def split(line: str, delimiter: str) -> list[str]:
    """Return the values of a line."""
    if '"' not in line:
        return line.split(delimiter)
    import csv
    import io

    return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter))


def read_head(source: Source) -> Head:
    """Read the header line and the first rows.

    Raises:
        InputError: An empty file, text that is not UTF-8, a first line without an end.
    """
    name = show(source.name)
    found = bytearray()
    first = _LineEnd()
    with reading(source.name, "CSV file"):
        stream = source.stream()
        while chunk := stream.read(2**16):
            found += chunk
            end = first.found(found)
            if (end is not None and found[end:].strip()) or len(found) > HEADER_LIMIT:
                break
    head = bytes(found)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:HEADER_LIMIT]:
        raise InputError(
            f"{name} is not UTF-8 text",
            hint="write it as UTF-8, or name its type by its suffix or --input-format",
        )
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise InputError(f"{name} is empty", hint="write a header line and rows")
    line_end = _LineEnd()
    end = line_end.found(head)
    if end is None and line_end.quoted and len(head) <= HEADER_LIMIT:
        raise InputError(
            f"{name}: a quote in its first line is not closed",
            hint="close it, or double a quote that is part of a name",
        )
    if end is None and len(head) > HEADER_LIMIT:
        raise InputError(
            f"{name}: its first line is longer than {HEADER_LIMIT >> 20} MB",
            hint="is this a CSV file with a line for each row?",
        )
    line, rest = (head, b"") if end is None else (head[:end], head[end:])
    try:
        text = line.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text", hint="write it as UTF-8") from None
    whole = rest[: rest.rfind(b"\n") + 1] or rest
    try:
        rows = whole.decode()
    except UnicodeDecodeError:
        rows = ""  # the rows that are read will tell
    return Head(text, rows, bool(rest.strip()))


class _LineEnd:
    """Where the first line ends that is not blank; a line end inside quotes is none.

    It goes on where it was, so that a header of many pieces is looked at once.
    """

    def __init__(self) -> None:
        self.at = 0
        self.quoted = False
        self.blank = True
        self.end: int | None = None

    def found(self, head: bytes | bytearray) -> int | None:
        """Return the end in the bytes so far, which have grown since the last call."""
        if self.end is not None:
            return self.end
        if self.blank:
            self.at = len(head) - len(head[self.at :].lstrip(b"\r\n"))
            self.blank = self.at == len(head)
        while self.at < len(head):
            if self.quoted:
                quote = head.find(b'"', self.at)
                self.quoted = quote < 0
                self.at = len(head) if quote < 0 else quote + 1
                continue
            match = _MARKS.search(head, self.at)
            self.at = len(head) if match is None else match.end()
            if match is not None and match[0] != b'"':
                self.end = self.at
                return self.end
            self.quoted = match is not None
        return None
