"""JSON Lines, plain or compressed, in blocks of whole lines.

Arrow parses the fields that are asked for, and no others, into the types that the first lines
have; a block that does not fit them is parsed line by line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.formats import ranges
from calibcli.io.formats.arrow import frames
from calibcli.io.formats.frames import Frame, Part, ReadPlan
from calibcli.io.formats.jsonl.head import LINE_LIMIT, parsed, read_head
from calibcli.io.formats.source import Source
from calibcli.io.rows.columns import Column, Columns, columns_of, split_path
from calibcli.io.rows.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 2**22
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class JsonlReader:
    """A JSON Lines file whose first lines have been read.

    Attributes:
        types: The Arrow type of each field in the first lines; None for mixed types.
    """

    source: Source
    columns: Columns
    parts: tuple[Part, ...]
    types: dict[str, Any]
    spans: tuple[ranges.Span, ...] = ()

    @classmethod
    def open(cls, source: Source) -> JsonlReader:
        """Read the first lines."""
        head = read_head(source)
        columns = head.columns
        for name, _ in source.partition:
            columns.setdefault(name, Column("text"))
        cuts: tuple[tuple[Part, ranges.Span], ...] = ()
        if not (source.compression or source.remote or source.data is not None):
            with reading(source.name, "JSON Lines file"):
                size = source.size()
                if size > ranges.LARGE:
                    cuts = ranges.cut(source.local, 0, size, lines=True)
        if len(cuts) > 1:
            parts = tuple(Part(p.first_row, p.rows, (i,)) for i, (p, _) in enumerate(cuts))
            return cls(source, columns, parts, head.types, tuple(span for _, span in cuts))
        return cls(source, columns, (Part(0, None),), head.types)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield the rows, front to back.

        Raises:
            InputError: A line that is no object, with its row; a damaged compressed file.
        """
        wanted = columns_of(plan.columns, self.types)
        schema = self._schema(wanted, plan)
        row = part.first_row
        for block in self._blocks(part):
            table = self._parsed(block, schema, wanted)
            if table is None:
                found = self._line_by_line(block, row, plan)
            else:
                found = frames(table, row, plan, self.source)
            for frame in found:
                yield frame
                row = frame.first_row + frame.rows

    def _schema(self, wanted: Sequence[str], plan: ReadPlan) -> Any:
        """Return the types to parse the fields to; None where their values are of mixed types."""
        import pyarrow as pa

        if plan.keep:
            return self.schema()
        types = {name: self.types[name] for name in wanted}
        if None in types.values():
            return None
        for name in plan.numbers:
            if name in types and pa.types.is_integer(types[name]):
                types[name] = pa.float64()
        return pa.schema(list(types.items()))

    def _parsed(self, block: bytes, schema: Any, wanted: Sequence[str]) -> list[Any] | None:
        """Return a block as record batches; None where its values are of other types."""
        if schema is None:
            return None
        import pyarrow as pa
        from pyarrow import json as arrow_json

        try:
            table = arrow_json.read_json(
                pa.BufferReader(block),
                read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                parse_options=arrow_json.ParseOptions(
                    explicit_schema=schema, unexpected_field_behavior="ignore"
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        batches = table.to_batches()
        if len(schema):
            return list(batches)
        return [pa.RecordBatch.from_arrays([pa.nulls(table.num_rows)], names=[""])]

    def _blocks(self, part: Part) -> Iterator[bytes]:
        """Yield whole lines, some megabytes at a time."""
        name = show(self.source.name)
        rest = b""
        with reading(self.source.name, "JSON Lines file"):
            stream = (
                ranges.SpanFile(self.source.local, self.spans[part.units[0]])
                if part.units
                else self.source.stream()
            )
            with stream:
                if part.first_row == 0:
                    rest = stream.read(len(_BOM))
                    rest = b"" if rest == _BOM else rest
                while chunk := stream.read(_BLOCK):
                    end = chunk.rfind(b"\n") + 1
                    if not end:
                        rest += chunk
                        if len(rest) > LINE_LIMIT:
                            raise InputError(
                                f"{name} has a line of more than {LINE_LIMIT >> 20} MB",
                                hint="is this a file with an object on each line?",
                            )
                        continue
                    block, rest = rest + chunk[:end], chunk[end:]
                    if block.strip():
                        yield block
            if rest.strip():
                yield rest

    def _line_by_line(self, block: bytes, first_row: int, plan: ReadPlan) -> Iterator[Frame]:
        lines = list(filter(bytes.strip, block.splitlines()))
        name = show(self.source.name)
        if plan.keep:
            for row, line in enumerate(lines):
                parsed(line, name, first_row + row)
            raise self._mixed(self.types)
        for start in range(0, len(lines), plan.batch_rows):
            piece = lines[start : start + plan.batch_rows]
            rows = [parsed(line, name, first_row + start + i) for i, line in enumerate(piece)]
            columns = {column: _column(rows, self._path(column)) for column in plan.columns}
            for key, value in self.source.partition:
                if key in plan.columns and key not in self.types:
                    columns[key] = Keys(np.full(len(rows), 0 if value else -1), [value])
            yield Frame(first_row + start, len(rows), columns)

    def _path(self, column: str) -> tuple[str, ...]:
        return (column,) if column in self.types else split_path(column, self.types)

    def _mixed(self, names: Any) -> InputError:
        mixed = [name for name in names if self.types[name] is None]
        what = f"field {mixed[0]!r} of " if mixed else ""
        return InputError(
            f"{what}{show(self.source.name)} holds values of different types, which no table can",
            hint="write it again without this field, or with one type",
        )

    def count(self) -> int:
        """Return the number of rows, reading the file where it was not cut."""
        if self.parts[0].rows is not None:
            return sum(part.rows or 0 for part in self.parts)
        blocks = self._blocks(self.parts[0])
        return sum(len(list(filter(bytes.strip, block.splitlines()))) for block in blocks)

    def schema(self) -> Any:
        """Return the Arrow schema of all fields, by the first lines.

        Raises:
            InputError: A field with values of different types.
        """
        import pyarrow as pa

        if None in self.types.values():
            raise self._mixed(self.types)
        fields = [(name, self.types[name]) for name in self.types]
        fields += [
            (name, pa.string()) for name, _ in self.source.partition if name not in self.types
        ]
        return pa.schema(fields)


def _column(rows: list[dict[str, Any]], path: tuple[str, ...]) -> Any:
    """Return what a path leads to in each row, as codes of its values or, of lists, as Arrow's."""
    values = [_inside(row, path) for row in rows]
    if not any(isinstance(value, list | dict) for value in values):
        return _keys(values)
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        # Beside values of another kind a list is no value: its text is, which is no number.
        return _keys([str(v) if isinstance(v, list | dict) else v for v in values])


def _inside(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list):
            place = int(step) if step.isdecimal() else len(value)
            value = value[place] if place < len(value) else None
        else:
            return None
    return value


def _keys(values: list[Any]) -> Keys:
    places: dict[tuple[type, Any], int] = {}
    codes = np.full(len(values), -1, np.int64)
    for row, value in enumerate(values):
        if value is not None and value == value:
            codes[row] = places.setdefault((type(value), value), len(places))
    return Keys(codes, [value for _, value in places])
