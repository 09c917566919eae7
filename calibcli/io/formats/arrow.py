"""Parquet and Arrow IPC: parts of a million rows, only the columns needed, bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, show
from calibcli.io.formats.arrow_arrays import text_scalar
from calibcli.io.formats.buffers import TEXT_TYPES
from calibcli.io.formats.frames import PART_ROWS, Frame, Part, ReadPlan
from calibcli.io.formats.nested import column_of, inside
from calibcli.io.formats.source import Source
from calibcli.io.rows.columns import Column, Columns, columns_of, refuse_duplicates, split_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def _described(schema: Any, source: Source) -> Columns:
    refuse_duplicates(schema.names, source.name)
    columns = Columns((field.name, column_of(field.type)) for field in schema)
    for name, _ in source.partition:
        columns.setdefault(name, Column("text"))
    return columns


def _full_schema(schema: Any, source: Source) -> Any:
    import pyarrow as pa

    for name, _ in source.partition:
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.string()))
    return schema


def constant(value: str | None, rows: int) -> Any:
    """Return a text column with one value in every row."""
    import pyarrow as pa

    return pa.nulls(rows, pa.string()) if value is None else pa.repeat(text_scalar(value), rows)


def grouped(rows: Iterable[int]) -> tuple[Part, ...]:
    """Join row groups (or record batches) of these lengths to parts of about PART_ROWS rows."""
    parts: list[Part] = []
    units: list[int] = []
    first = size = 0
    for unit, n in enumerate(rows):
        if units and size + n > PART_ROWS:
            parts.append(Part(first, size, tuple(units)))
            first, size, units = first + size, 0, []
        units.append(unit)
        size += n
    if units:
        parts.append(Part(first, size, tuple(units)))
    return tuple(parts)


def frames(
    batches: Iterable[Any], first_row: int, plan: ReadPlan, source: Source
) -> Iterator[Frame]:
    """Cut record batches to frames, and add the columns that the folders name."""
    at = first_row
    for batch in batches:
        for start in range(0, batch.num_rows, plan.batch_rows):
            piece = batch.slice(start, plan.batch_rows)
            yield _frame(piece, at + start, plan, source)
        at += batch.num_rows


def _frame(piece: Any, first_row: int, plan: ReadPlan, source: Source) -> Frame:
    rows = piece.num_rows
    names = {name: i for i, name in enumerate(piece.schema.names)}
    added = dict(source.partition)
    columns = {}
    for name in plan.columns:
        if name in names:
            columns[name] = piece.column(names[name])
            if name in added:
                _check_folder(columns[name], name, added[name], source)
        elif name in added:
            columns[name] = constant(added[name], rows)
        elif path := split_path(name, names):
            columns[name] = inside(piece.column(names[path[0]]), path[1:])
    if plan.keep:
        for name, value in source.partition:
            if name not in names:
                piece = piece.append_column(name, constant(value, rows))
    return Frame(first_row, rows, columns, piece if plan.keep else None)


def _check_folder(column: Any, name: str, value: str | None, source: Source) -> None:
    """Raise InputError where a column holds other values than the folder says of all its rows."""
    from calibcli.io.rows.keys import MISSING_GROUP, categories
    from calibcli.io.rows.labels.coders import as_number

    found = categories(column)
    here = {found.values[code] for code in set(found.codes.tolist())}
    wanted = MISSING_GROUP if value is None else value
    # Folders pad numbers: month=01 holds rows of month 1.
    number = as_number(wanted)
    if any(text != wanted and (number is None or as_number(text) != number) for text in here):
        raise InputError(
            f"column {name!r} of {show(source.name)}: other values than its folder {name}={value}",
            hint="correct the folder or the column: both say what these rows are",
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParquetReader:
    """A Parquet file, read row group by row group."""

    source: Source
    columns: Columns
    parts: tuple[Part, ...]
    metadata: Any
    arrow_schema: Any

    def __reduce__(self) -> tuple[type[ParquetReader], tuple[Any, ...]]:
        """Leave the footer behind: of a file of many row groups it is larger than their counts."""
        return ParquetReader, (self.source, self.columns, self.parts, None, self.arrow_schema)

    @classmethod
    def open(cls, source: Source) -> ParquetReader:
        """Read the footer."""
        with reading(source.name, "Parquet file"):
            from pyarrow import parquet

            if source.size() == 0:
                raise InputError(f"{show(source.name)} is empty", hint="write or copy it again")
            with parquet.ParquetFile(source.arrow_file()) as file:
                metadata, schema = file.metadata, file.schema_arrow
                lengths = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        columns = _described(schema, source)
        return cls(source, columns, grouped(lengths) or (Part(0, 0),), metadata, schema)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield the rows of some row groups."""
        from pyarrow import parquet

        if not part.units:
            return
        own = {field.name: str(field.type) for field in self.arrow_schema}
        wanted = None if plan.keep else columns_of(plan.columns, own)
        # A dictionary in place of strings: only where codes are wanted, and not in what is kept.
        coded = [] if plan.keep else [c for c in plan.keys if own.get(c) in TEXT_TYPES]
        with reading(self.source.name, "Parquet file"):
            file = parquet.ParquetFile(
                self.source.arrow_file(),
                metadata=self.metadata,
                read_dictionary=coded,
                buffer_size=2**20,
            )
            with file:
                batches = file.iter_batches(
                    plan.batch_rows, row_groups=list(part.units), columns=wanted, use_threads=False
                )
                if wanted == []:
                    batches = self._empty(part, plan)
                batches = (_valid(batch, coded) for batch in batches)
                yield from frames(batches, part.first_row, plan, self.source)

    def _empty(self, part: Part, plan: ReadPlan) -> Iterator[Any]:
        import pyarrow as pa

        left = part.rows or 0
        while left > 0:
            n = min(left, plan.batch_rows)
            yield pa.RecordBatch.from_arrays([pa.nulls(n)], names=[""])
            left -= n

    def count(self) -> int:
        """Return the number of rows."""
        return sum(part.rows or 0 for part in self.parts)

    def schema(self) -> Any:
        """Return the Arrow schema, with the columns that the folders name."""
        return _full_schema(self.arrow_schema, self.source)


def _valid(batch: Any, coded: Sequence[str]) -> Any:
    """Raise where a dictionary lacks a code: Arrow does not look as it reads them."""
    for name in coded:
        batch.column(name).validate(full=True)
    return batch


def _mapped(source: Source) -> Any:
    import pyarrow as pa

    if source.data is not None or source.remote or not source.nameable:
        return source.arrow_file()
    return pa.memory_map(source.local, "r")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ArrowReader:
    """An Arrow IPC file (or Feather 2), or an IPC stream."""

    source: Source
    columns: Columns
    parts: tuple[Part, ...]
    stream: bool
    arrow_schema: Any

    @classmethod
    def open(cls, source: Source) -> ArrowReader:
        """Read the schema, and the lengths of the record batches where there is a footer."""
        with reading(source.name, "Arrow file"):
            import pyarrow as pa

            with source.open() as file:
                stream = file.read(6) != b"ARROW1"
            if source.size() == 0:
                raise InputError(f"{show(source.name)} is empty", hint="write or copy it again")
            if stream:
                with pa.ipc.open_stream(_mapped(source)) as reader:
                    columns = _described(reader.schema, source)
                    return cls(source, columns, (Part(0, None),), True, reader.schema)
            # The lengths alone: one column is read, of a map, where the footer does not tell them.
            first = pa.ipc.IpcReadOptions(included_fields=[0])
            with pa.ipc.open_file(_mapped(source), options=first) as reader:
                lengths = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
            with pa.ipc.open_file(_mapped(source)) as reader:
                schema = reader.schema
        columns = _described(schema, source)
        return cls(source, columns, grouped(lengths) or (Part(0, 0),), False, schema)

    def read(self, part: Part, plan: ReadPlan) -> Iterator[Frame]:
        """Yield the rows of some record batches."""
        with reading(self.source.name, "Arrow file"):
            yield from frames(self._batches(part, plan), part.first_row, plan, self.source)

    def _batches(self, part: Part, plan: ReadPlan) -> Iterator[Any]:
        import pyarrow as pa

        included = None
        if not plan.keep:
            with self._open() as reader:
                names = reader.schema.names
            included = [names.index(c) for c in columns_of(plan.columns, names)] or [0]
        options = pa.ipc.IpcReadOptions(included_fields=included, use_threads=False)
        with self._open(options) as reader:
            batches = reader if self.stream else map(reader.get_batch, part.units)
            for batch in batches:
                # Offsets that point outside would crash the process: IPC files are not checked
                # by Arrow as it reads them.
                batch.validate(full=True)
                yield batch

    def _open(self, options: Any = None) -> Any:
        import pyarrow as pa

        file = _mapped(self.source)
        if self.stream:
            return pa.ipc.open_stream(file, options=options)
        return pa.ipc.open_file(file, options=options)

    def count(self) -> int:
        """Return the number of rows, reading a stream to its end."""
        if not self.stream:
            return sum(part.rows or 0 for part in self.parts)
        with reading(self.source.name, "Arrow file"), self._open() as reader:
            return sum(batch.num_rows for batch in reader)

    def schema(self) -> Any:
        """Return the Arrow schema, with the columns that the folders name."""
        return _full_schema(self.arrow_schema, self.source)
