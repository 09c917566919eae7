"""A partition of a data set: read by itself, in any thread, as often as needed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import listing, row_text, show
from calibcli.io.formats.frames import ARRAY, Frame, Part, Reader
from calibcli.io.rows.batch import Cutter, RowBatch, assemble, label_codes
from calibcli.io.rows.labels import MISSING, UNKNOWN, Seen, unknown_hint
from calibcli.io.rows.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator


class Watch(Protocol):
    """What looks on while a partition is read."""

    def begin(self, partition: int) -> Any:
        """Return what has `add(batch)` and `finish()`, or None not to look."""

    def fresh(self) -> Watch:
        """Return one that has seen nothing, for another process."""

    def take(self, other: Any) -> None:
        """Take in what a fresh one has seen in another process."""


class Shared:
    """What the partitions of a data set tell each other; left behind when one is pickled."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.partitions: list[RowPartition] = []
        self.rows: dict[int, int] = {}
        self.seen = Seen()
        self.watch = watch

    def __reduce__(self) -> tuple[type[Shared], tuple[Watch | None]]:
        return Shared, (None if self.watch is None else self.watch.fresh(),)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowPartition:
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
    shared: Shared

    @property
    def first_row(self) -> int:
        """0-based row of the file at which the partition begins."""
        return self.part.first_row

    @property
    def rows(self) -> int | None:
        """How many rows it has, or None where only reading tells."""
        return self.part.rows

    def batches(self) -> Iterator[RowBatch]:
        """Read the partition from its beginning.

        Raises:
            InputError: With file, column and row. Of bad labels it gives the number in the whole
                data set and the first row, whichever partition meets them first.
        """
        recipe = self.recipe
        seen = self.shared.seen
        rows = 0
        watch = None if self.shared.watch is None else self.shared.watch.begin(self.index)
        for frame in self.reader.read(self.part, recipe.plan(keep=self.keep)):
            labels = None
            if recipe.label:
                labels = label_codes(frame, recipe, self.cutter, seen)
                if seen.mixed or (labels.size and labels.min() < 0):
                    self._check_labels(labels)
            if frame.table is not None:
                frame = self._conformed(frame)
            batch = assemble(frame, recipe, self.cutter, self.source_index, labels)
            if watch is not None:
                watch.add(batch)
            yield batch
            rows += frame.rows
        if watch is not None:
            watch.finish()
        self._finished(rows)

    def noted(self) -> tuple[dict[int, int], Seen, Watch | None]:
        """Return what reading it in this process has found: for `note` where it came from."""
        return self.shared.rows, self.shared.seen, self.shared.watch

    def note(self, found: tuple[dict[int, int], Seen, Watch | None]) -> None:
        """Take in what reading it in another process has found.

        Raises:
            InputError: see `batches`.
        """
        rows, seen, watch = found
        if self.shared.watch is not None and watch is not None:
            self.shared.watch.take(watch)
        self.shared.seen.merge(seen)
        if self.shared.seen.mixed:
            raise self._mixed()
        if self.index in rows:
            self._finished(rows[self.index])

    def __reduce__(self) -> tuple[type[RowPartition], tuple[Any, ...]]:
        """Leave behind the rows of the labels file that are not its own."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.rows is not None:
            values["cutter"] = self.cutter.narrowed(self.first_row, self.rows)
        return RowPartition, tuple(values.values())

    def _mixed(self) -> InputError:
        return InputError(
            f"{self._label_name()} of {show(self.source)}: both -1 and 0 occur",
            hint="name the label that means 1: --positive 1",
        )

    def _check_labels(self, labels: Any) -> None:
        if self.shared.seen.mixed:
            raise self._mixed()
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

        from calibcli.io.formats.delimited.inference import cast

        try:
            columns = [cast(table.column(f.name), f.type) for f in self.schema]
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


def _bad_labels(partitions: list[RowPartition]) -> InputError:
    """Count the bad labels of the whole data set, and describe them with the first row."""
    seen = Seen()
    counts = {MISSING: 0, UNKNOWN: 0}
    firsts: dict[int, tuple[RowPartition, int]] = {}
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
