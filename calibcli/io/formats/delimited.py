"""CSV and TSV, plain or compressed, streamed in blocks.

Score columns are read as float64 and no other way, so that no file is numbers in one block and
text in the next; labels, groups and cluster ids are read as text, where "007" and 7 differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, row_text, show
from calibcli.io.formats import ranges
from calibcli.io.formats.arrow import frames
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.formats.frames import Frame, Part, ReadPlan
from calibcli.io.formats.sources import STDIN, Source
from calibcli.io.rows.columns import Column, Columns, refuse_duplicates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 2**22
_HEADER_LIMIT = 2**23
_OTHER_DELIMITERS = ";\t|"
_MARKS = re.compile(rb'["\r\n]')
MOST_COLUMNS = 100_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CsvReader:
    """A CSV file whose first line, the names of its columns, has been read."""

    source: Source
    columns: Columns
    parts: tuple[Part, ...]
    delimiter: str
    header: tuple[str, ...]
    header_bytes: int
    spans: tuple[ranges.Span, ...] = ()

    @classmethod
    def open(cls, source: Source) -> CsvReader:
        """Read the header."""
        line, more = _first_line(source)
        delimiter = "\t" if source.kind == "tsv" else ","
        if delimiter not in line:
            delimiter = next((mark for mark in _OTHER_DELIMITERS if mark in line), delimiter)
        if line.count(delimiter) >= MOST_COLUMNS:
            raise InputError(
                f"{show(source.name)} has more than {MOST_COLUMNS:,} columns",
                hint="so many scores in each row are an array (NPY) or a list column of Parquet",
            )
        names = _split(line, delimiter)
        refuse_duplicates(names, source.name)
        columns = {name: Column("any") for name in names}
        for name, _ in source.partition:
            columns.setdefault(name, Column("text"))
        size = len(line.encode())
        parts: tuple[Part, ...] = (Part(0, None if more else 0),)
        spans: tuple[ranges.Span, ...] = ()
        cuts = _cuts(source, line) if more else ()
        if len(cuts) > 1:
            parts = tuple(Part(p.first_row, p.rows, (i,)) for i, (p, _) in enumerate(cuts))
            spans = tuple(span for _, span in cuts)
        return cls(source, columns, parts, delimiter, tuple(names), size, spans)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield the rows, front to back.

        Raises:
            InputError: A row with too few or too many values, text in a score column, text that is
                not UTF-8, or a damaged compressed file; with the row where it can be told.
        """
        if part.rows != 0:
            yield from frames(self._blocks(part, plan), part.first_row, plan, self.source)

    def _blocks(self, part: Part, plan: ReadPlan) -> Iterator[Any]:
        import pyarrow as pa

        types = dict.fromkeys(plan.numbers, pa.float64())
        types |= dict.fromkeys(plan.keys, pa.dictionary(pa.int32(), pa.string()))
        types |= dict.fromkeys(plan.ids, pa.string())
        if plan.keep:
            types = {}
        elsewhere = {name for name, _ in self.source.partition} - set(self.header)
        wanted = self.header if plan.keep else [c for c in plan.columns if c not in elsewhere]
        try:
            yield from self._stream(part, wanted, types, keep=plan.keep)
        except OSError as error:
            with reading(self.source.name, self._what):
                raise error from None
        except (ValueError, KeyError) as error:
            raise self._explained(str(error), part, plan) from error

    @property
    def _what(self) -> str:
        return "TSV file" if self.delimiter == "\t" else "CSV file"

    def _stream(
        self, part: Part, wanted: Sequence[str], types: dict[str, Any], *, keep: bool
    ) -> Iterator[Any]:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        include = list(wanted) or list(self.header[:1])
        # Text in `keep` is what the file has: an empty field is null, "" is the empty text.
        missing: dict[str, Any] = {"null_values": [""]} if keep else {}
        span = self.spans[part.units[0]] if part.units else None
        yield from arrow_csv.open_csv(
            self.source.stream()
            if span is None
            else pa.PythonFile(ranges.SpanFile(self.source.local, span), "r"),
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=max(_BLOCK, 64 * self.header_bytes),
                column_names=None if span is None else list(self.header),
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=include,
                column_types={name: types.get(name, pa.string()) for name in include},
                strings_can_be_null=keep,
                quoted_strings_can_be_null=not keep,
                **missing,
            ),
        )

    def _explained(self, text: str, part: Part, plan: ReadPlan) -> InputError:
        """Put a failure of the parser, which quotes what is in the row, into our own words."""
        name = show(self.source.name)
        found = re.search(r"Expected (\d+) columns, got (\d+)", text)
        if found:
            row = re.search(r"Row #(\d+)", text)
            # Arrow counts lines from 1, with the header where it has seen one.
            before = part.first_row - (1 if part.units else 2)
            where = f", {row_text(int(row[1]) + before)}" if row else ""
            return InputError(
                f"{name}{where}: {found[2]} values, the header names {found[1]} columns",
                hint="quote values that hold the delimiter, a quote or a line end",
            )
        if "UTF8" in text:
            file = "" if self.source.path == STDIN else f" {name} > utf8.csv"
            return InputError(f"{name} is not UTF-8 text", hint=f"iconv -f latin1 -t utf-8{file}")
        if "straddling" in text:
            return InputError(
                f"{name} has a row of more than {_BLOCK >> 20} MB",
                hint="look for a quote that is never closed",
            )
        if "conversion error" in text:
            return self._text_in_numbers(plan)
        return InputError(f"{name} cannot be parsed as a {self._what}", hint="check its quotes")

    def _text_in_numbers(self, plan: ReadPlan) -> InputError:
        """Read the score columns again, as text, to count what is no number and find the first."""
        name = show(self.source.name)
        found: list[tuple[int, str]] = []
        count = 0
        for part in self.parts:
            at = part.first_row
            try:
                for block in self._stream(part, plan.numbers, {}, keep=False):
                    for column, values in zip(block.schema.names, block.columns, strict=True):
                        bad = _bad_number(values)
                        if bad is not None:
                            count += bad.count
                            found.append((at + bad.row, column))
                    at += block.num_rows
            except ValueError as error:
                # As text the columns can fail only for another reason.
                return self._explained(str(error).replace("conversion error", ""), part, plan)
        if not found:
            return InputError(f"{name} cannot be parsed as a {self._what}", hint="check its quotes")
        row, column = min(found)
        return not_a_number(column, name, row, count)

    def count(self) -> int:
        """Return the number of rows, reading the file."""
        if self.parts[0].rows is not None:
            return sum(part.rows or 0 for part in self.parts)
        return sum(frame.rows for frame in self.read(self.parts[0], ReadPlan()))

    def schema(self) -> Any:
        """Return the Arrow schema of what is kept: every column as text, as the file has it."""
        import pyarrow as pa

        return pa.schema([(name, pa.string()) for name in self.columns])


def _cuts(source: Source, line: str) -> tuple[tuple[Part, ranges.Span], ...]:
    """Cut a large, plain, local file; a header that takes more than its line is left alone."""
    if source.compression or source.remote or source.data is not None:
        return ()
    with reading(source.name, "CSV file"):
        size = source.size()
        if size <= ranges.LARGE:
            return ()
        with source.open() as file:
            first = file.readline(_HEADER_LIMIT)
        plain = (
            first.endswith(b"\n") and first.removeprefix(b"\xef\xbb\xbf").strip() == line.encode()
        )
        return ranges.cut(source.local, len(first), size) if plain else ()


def _bad_number(values: Any) -> BadValueError | None:
    try:
        numbers(values)
    except BadValueError as error:
        return error
    return None


def not_a_number(column: str, path: str, row: int, count: int = 1) -> InputError:
    """Say that a column of numbers holds text: how often, and where first."""
    also = f" (and {count - 1:,} more)" if count > 1 else ""
    return InputError(
        f"column {column!r} of {path}, {row_text(row)}: not a number{also}",
        hint="name the column of scores with --score or --scores, or correct the file",
    )


def _split(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    import csv
    import io

    return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter))


def _first_line(source: Source) -> tuple[str, bool]:
    """Return the header line, and whether anything but blanks comes after it."""
    name = show(source.name)
    found = bytearray()
    first = _LineEnd()
    with reading(source.name, "CSV file"):
        stream = source.stream()
        while chunk := stream.read(2**16):
            found += chunk
            end = first.found(found)
            if (end is not None and found[end:].strip()) or len(found) > _HEADER_LIMIT:
                break
    head = bytes(found)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head[:_HEADER_LIMIT]:
        raise InputError(
            f"{name} is not UTF-8 text",
            hint="write it as UTF-8, or name its type by its suffix or --input-format",
        )
    head = head.removeprefix(b"\xef\xbb\xbf")
    if not head.strip():
        raise InputError(f"{name} is empty", hint="write a header line and rows")
    end = _line_end(head)
    if end is None and len(head) > _HEADER_LIMIT:
        raise InputError(
            f"{name}: its first line is longer than {_HEADER_LIMIT >> 20} MB",
            hint="is this a CSV file with a line for each row?",
        )
    line = head if end is None else head[:end]
    try:
        return line.decode().strip("\r\n"), end is not None and bool(head[end:].strip())
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text", hint="write it as UTF-8") from None


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


def _line_end(head: bytes) -> int | None:
    return _LineEnd().found(head)
