"""CSV and TSV, plain or compressed, streamed in blocks.

Score columns are read as float64 and no other way, so that no file is numbers in one block and
text in the next; labels, groups and cluster ids are read as text, where "007" and 7 differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, row_text, show
from calibcli.io.formats import ranges
from calibcli.io.formats.arrow import frames
from calibcli.io.formats.buffers import BadValueError
from calibcli.io.formats.decode import numbers
from calibcli.io.formats.delimited.header import HEADER_LIMIT, read_head, split
from calibcli.io.formats.delimited.numerals import Style, plain_numbers, styles_of
from calibcli.io.formats.delimited.quotes import QuoteChecked
from calibcli.io.formats.frames import Frame, Part, ReadPlan
from calibcli.io.formats.source import STDIN, Source
from calibcli.io.rows.columns import Column, Columns, refuse_duplicates
from calibcli.io.rows.keys import MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 2**22
_OTHER_DELIMITERS = ";\t|"
MOST_COLUMNS = 100_000
# What Arrow takes for a missing number by itself, and what Python and other tools write.
_MISSING = ["-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "#N/A N/A", "#NA"]
_MISSING += [
    form for text in MISSING_TEXT for form in {text, text.upper(), text.title(), text.capitalize()}
]
_MISSING += ["NaN"]


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
    styles: dict[str, Style] = field(default_factory=dict)

    @classmethod
    def open(cls, source: Source) -> CsvReader:
        """Read the header."""
        head = read_head(source)
        line, more = head.line, head.more
        delimiter = "\t" if source.kind == "tsv" else ","
        if delimiter not in line:
            delimiter = next((mark for mark in _OTHER_DELIMITERS if mark in line), delimiter)
        if line.count(delimiter) >= MOST_COLUMNS:
            raise InputError(
                f"{show(source.name)} has more than {MOST_COLUMNS:,} columns",
                hint="so many scores in each row are an array (NPY) or a list column of Parquet",
            )
        names = split(line, delimiter)
        refuse_duplicates(names, source.name)
        columns = Columns((name, Column("any")) for name in names)
        for name, _ in source.partition:
            columns.setdefault(name, Column("text"))
        size = len(line.encode())
        parts: tuple[Part, ...] = (Part(0, None if more else 0),)
        spans: tuple[ranges.Span, ...] = ()
        cuts = _cuts(source, line) if more else ()
        if len(cuts) > 1:
            parts = tuple(Part(p.first_row, p.rows, (i,)) for i, (p, _) in enumerate(cuts))
            spans = tuple(span for _, span in cuts)
        styles = styles_of(head.rows, names, delimiter) if more else {}
        return cls(source, columns, parts, delimiter, tuple(names), size, spans, styles)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield the rows, front to back.

        Raises:
            InputError: A row with too few or too many values, text in a score column, text that is
                not UTF-8, or a damaged compressed file; with the row where it can be told.
        """
        if part.rows == 0:
            return
        styled = [name for name in plan.numbers if name in self.styles]
        for frame in frames(self._blocks(part, plan), part.first_row, plan, self.source):
            for name in styled:
                frame.columns[name] = self._plain(frame, name)
            yield frame

    def _plain(self, frame: Frame, name: str) -> Any:
        """Return a column of numbers that are written in a style of their own."""
        try:
            return plain_numbers(frame.columns[name], self.styles[name])
        except BadValueError as error:
            row = frame.first_row + error.row
            raise not_a_number(
                name, show(self.source.name), row, error.count, error.problem
            ) from error

    def _blocks(self, part: Part, plan: ReadPlan) -> Iterator[Any]:
        import pyarrow as pa

        types = {
            name: pa.string() if name in self.styles else pa.float64() for name in plan.numbers
        }
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
        missing = [""] if keep else _MISSING
        span = self.spans[part.units[0]] if part.units else None
        # In a file that was cut there is no quote.
        content = (
            QuoteChecked(self.source, self.delimiter)
            if span is None
            else ranges.SpanFile(self.source.local, span)
        )
        reader = arrow_csv.open_csv(
            pa.PythonFile(content, "r"),
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
                null_values=missing,
            ),
        )
        with reader:
            yield from reader

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
            first = file.readline(HEADER_LIMIT)
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


def not_a_number(
    column: str, path: str, row: int, count: int = 1, problem: str = "not a number"
) -> InputError:
    """Say that a column of numbers holds text: how often, and where first."""
    also = f" (and {count - 1:,} more)" if count > 1 else ""
    return InputError(
        f"column {column!r} of {path}, {row_text(row)}: {problem}{also}",
        hint="name the column of scores with --score or --scores, or correct the file",
    )
