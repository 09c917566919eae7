"""The door: score files in, batches of arrays out, whatever the files are.

A data set is a list of partitions that can be read again, apart and from different threads, in
bounded memory. The partitions and batches of the same files are always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.batch import Batch, Cutter, assemble, blaming, label_codes
from calibcli.io.decode import BadValueError, Categories
from calibcli.io.failures import listing, row_text, show
from calibcli.io.frames import ARRAY, Frame, Part, Reader, ReadPlan
from calibcli.io.labels import MISSING, UNKNOWN, Seen, unknown_hint
from calibcli.io.readers import open_reader
from calibcli.io.recipe import InputSpec, Recipe, choose, make_recipe, require_same
from calibcli.io.sources import expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calibcli.io.side import SideTable

__all__ = ["Batch", "Categories", "Dataset", "InputSpec", "Partition", "open_dataset"]


class _Shared:
    """What the partitions of a data set tell each other; left behind when one is pickled."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []
        self.rows: dict[int, int] = {}
        self.seen = Seen()

    def __reduce__(self) -> tuple[type[_Shared], tuple[()]]:
        return _Shared, ()


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of one file, read by itself, in any thread, as often as needed.

    Attributes:
        source: The file as it may be shown.
        source_index: Its place in the list of files.
        index: The place of this partition in the data set.
        first_row: 0-based row of the file at which it begins.
        rows: How many rows it has, or None where only reading tells.
    """

    source: str
    source_index: int
    index: int
    part: Part
    reader: Reader
    recipe: Recipe
    cutter: Cutter
    keep: bool
    schema: Any
    shared: _Shared

    @property
    def first_row(self) -> int:
        """0-based row of the file at which the partition begins."""
        return self.part.first_row

    @property
    def rows(self) -> int | None:
        """How many rows it has, or None where only reading tells."""
        return self.part.rows

    def batches(self) -> Iterator[Batch]:
        """Read the partition from its beginning.

        Raises:
            InputError: With file, column and row. Of bad labels it gives the number in the whole
                data set and the first row, whichever partition meets them first.
        """
        recipe = self.recipe
        seen = self.shared.seen
        rows = 0
        for frame in self.reader.read(self.part, recipe.plan(keep=self.keep)):
            labels = None
            if recipe.label:
                labels = label_codes(frame, recipe, self.cutter, seen)
                if seen.mixed or (labels.size and labels.min() < 0):
                    self._check_labels(labels)
            if frame.table is not None:
                frame = self._conformed(frame)
            yield assemble(frame, recipe, self.cutter, self.source_index, labels)
            rows += frame.rows
        self._finished(rows)

    def _check_labels(self, labels: Any) -> None:
        if self.shared.seen.mixed:
            raise InputError(
                f"{self._label_name()} of {show(self.source)}: both -1 and 0 occur",
                hint="name the label that means 1: --positive 1",
            )
        if self.recipe.drop_invalid and not (labels == UNKNOWN).any():
            return
        raise _bad_labels(self.shared.partitions or [self])

    def _label_name(self) -> str:
        names = [place.name for place in self.recipe.label if place.name != ARRAY]
        return f"column {listing(map(repr, names))}" if names else "the labels"

    def _conformed(self, frame: Frame) -> Frame:
        """Bring the kept columns into the order and types of the first file."""
        table = frame.table
        if table.schema.equals(self.schema):
            return frame
        import pyarrow as pa

        try:
            columns = [table.column(f.name).cast(f.type) for f in self.schema]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"{show(self.source)} has columns of other types than the first file",
                hint="files of one data set have the same columns and types",
            ) from error
        table = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        return Frame(frame.first_row, frame.rows, frame.columns, table)

    def _finished(self, rows: int) -> None:
        """Note the rows; what only a whole pass can tell is said when the last partition ends."""
        shared = self.shared
        shared.rows[self.index] = rows
        if not shared.partitions or len(shared.rows) < len(shared.partitions):
            return
        if sum(shared.rows.values()) == 0:
            raise InputError(
                f"{show(self.source)} holds no rows", hint="is it the file that was meant?"
            )
        positive = self.recipe.label and getattr(self.recipe.coder, "positive", None)
        if positive and not shared.seen.positive:
            found = sorted(shared.seen.unknown)
            few = len(found) <= 10 and all(len(text) <= 40 and text.isprintable() for text in found)
            raise InputError(
                f"{self._label_name()} of {show(self.source)}: no row has the label {positive!r}",
                hint=f"--positive is one of {', '.join(found)}" if few and found else None,
            )

    def bad_labels(self, seen: Seen) -> Iterator[tuple[int, int, int]]:
        """Yield (kind, number, first row) of missing and unknown labels, a frame at a time."""
        for frame in self.reader.read(self.part, self.recipe.label_plan()):
            codes = label_codes(frame, self.recipe, self.cutter, seen)
            for kind in (MISSING, UNKNOWN):
                bad = codes == kind
                rows = np.flatnonzero(bad.any(axis=1) if bad.ndim == 2 else bad)
                if rows.size:
                    yield kind, int(rows.size), frame.first_row + int(rows[0])


def _bad_labels(partitions: list[Partition]) -> InputError:
    """Count the bad labels of the whole data set, and describe them with the first row."""
    seen = Seen()
    counts = {MISSING: 0, UNKNOWN: 0}
    firsts: dict[int, tuple[Partition, int]] = {}
    for partition in partitions:
        for kind, number, row in partition.bad_labels(seen):
            counts[kind] += number
            firsts.setdefault(kind, (partition, row))
    recipe = partitions[0].recipe
    kind = UNKNOWN if counts[UNKNOWN] else MISSING
    partition, row = firsts[kind]
    # Labels of a file of their own are named by that file and its row.
    cutter = partition.cutter
    path, at = partition.source, row
    if cutter.side is not None and recipe.label[0].side:
        path, at = cutter.side.path, cutter.offset + row
    total = counts[kind]
    rows = "row" if total == 1 else "rows"
    what = (
        partition._label_name() + f" of {show(path)}"
        if recipe.label[0].name != ARRAY
        else show(path)
    )
    where = f"{total:,} {rows}, the first is {row_text(at)}"
    if kind == MISSING:
        return InputError(
            f"{what}: a missing label in {where}", hint="--drop-invalid leaves such rows out"
        )
    k = len(recipe.classes)
    known = f"none of the {k} classes" if recipe.task == "multiclass" else "neither 0 nor 1"
    return InputError(
        f"{what}: a label that is {known} in {where}", hint=unknown_hint(recipe.coder, seen)
    )


@dataclass(frozen=True, slots=True)
class Dataset:
    """Opened files: what they hold, and the partitions to read.

    Attributes:
        task: "binary", "multiclass" or "multilabel".
        classes: The K class names, in the order of the scores; () for binary.
        score_names: The score columns; () for an array without names.
        partitions: In row order.
        schema: The pyarrow.Schema of `Batch.table`, when all columns are kept.
    """

    task: str
    classes: tuple[str, ...]
    score_names: tuple[str, ...]
    partitions: list[Partition]
    schema: Any
    paths: tuple[str, ...]
    shared: _Shared = field(repr=False)

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """Return {"path", "rows"} of each file; rows is None before a pass where it is unknown."""
        rows: list[int | None] = [0] * len(self.paths)
        for partition in self.partitions:
            n = self.shared.rows.get(partition.index, partition.rows)
            before = rows[partition.source_index]
            rows[partition.source_index] = None if n is None or before is None else before + n
        return [{"path": path, "rows": n} for path, n in zip(self.paths, rows, strict=True)]

    def batches(self) -> Iterator[Batch]:
        """Read everything, in row order, in this thread."""
        for partition in self.partitions:
            yield from partition.batches()


def open_dataset(
    spec: InputSpec, *, need_labels: bool | None = True, keep_columns: bool = False
) -> Dataset:
    """Open score files: expand the paths, read the headers, choose the columns.

    Args:
        spec: The input options.
        need_labels: True: labels must be found. False: none are read. None: if there are any.
        keep_columns: Also hand over all columns, as `Batch.table`; those of a CSV file as text,
            exactly as they are.

    Raises:
        InputError: A file that is missing, empty or damaged, a column that is missing, ambiguous
            or of the wrong type, files that differ in their columns, labels of another length.
        UsageError: Options that do not fit together.
    """
    sources = expand(spec.paths, spec.input_format)
    readers = [open_reader(source) for source in sources]
    first = next((r for r in readers if any(part.rows != 0 for part in r.parts)), None)
    if first is None:
        raise InputError(
            f"{show(readers[0].source.name)} holds no rows",
            hint="it has a header and nothing else: is it the file that was meant?",
        )
    side_readers = tuple(map(open_reader, expand((spec.labels,)))) if spec.labels else ()
    side_first = side_readers[0] if side_readers else None
    recipe = make_recipe(
        spec, first, side_first, need_labels=need_labels, width=_list_width(spec, first)
    )
    for reader in readers:
        if reader is not first:
            require_same(recipe, first, reader, keep=keep_columns)
    side, offsets = _side(recipe, side_readers, readers)
    schema = first.schema() if keep_columns else None
    shared = _Shared()
    for number, reader in enumerate(readers):
        name = reader.source.name
        cutter = Cutter(side, offsets[number], name)
        for part in reader.parts:
            index = len(shared.partitions)
            shared.partitions.append(
                Partition(
                    name, number, index, part, reader, recipe, cutter, keep_columns, schema, shared
                )
            )
    return Dataset(
        task=recipe.task,
        classes=recipe.classes,
        score_names=() if recipe.scores == (ARRAY,) else recipe.scores,
        partitions=shared.partitions,
        schema=schema,
        paths=tuple(source.name for source in sources),
        shared=shared,
    )


def _list_width(spec: InputSpec, reader: Reader) -> int:
    """Return the length of the first row's list, where the score is a list column; else 0."""
    chosen = choose(spec, reader)
    column = reader.columns[chosen.names[0]]
    if not chosen.rows or column.width:
        return 0
    from calibcli.io.decode import matrix

    plan = ReadPlan(numbers=chosen.names, batch_rows=1)
    for part in reader.parts:
        for frame in reader.read(part, plan):
            with blaming(chosen.names[0], reader.source.name, frame.first_row):
                return int(matrix(frame.columns[chosen.names[0]], None).shape[1])
    return 0


def _side(
    recipe: Recipe, readers: tuple[Reader, ...], main: list[Reader]
) -> tuple[SideTable | None, list[int]]:
    """Read the labels file, and find where each file of scores begins in it."""
    plan = recipe.plan(side=True)
    if not readers or not plan.columns:
        return None, [0] * len(main)
    from calibcli.io.side import SideTable

    path = readers[0].source.name
    for other in readers[1:]:
        missing = [name for name in plan.columns if name not in other.columns]
        if missing:
            raise InputError(f"{show(other.source.name)} has no column {missing[0]!r}")
    try:
        side = SideTable.load(readers, plan)
    except BadValueError as error:
        with blaming(recipe.cluster.name if recipe.cluster else ARRAY, path, 0):
            raise error from None
    counts = [reader.count() for reader in main]
    if sum(counts) != side.rows:
        more = f" (and {len(main) - 1} more files)" if len(main) > 1 else ""
        raise InputError(
            f"{show(main[0].source.name)}{more} holds {sum(counts):,} rows of scores, "
            f"{show(path)} {side.rows:,} labels",
            hint="scores and labels belong together row by row: give files of the same length",
        )
    offsets = [sum(counts[:i]) for i in range(len(counts))]
    return side, offsets
