"""A partition of a data set: read by itself, in any thread, as often as needed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import row_text, show
from calibcli.io.formats.frames import Frame, Part, Reader
from calibcli.io.rows.batch import RowBatch, assemble
from calibcli.io.rows.beside.join import Joins
from calibcli.io.rows.beside.view import Beside
from calibcli.io.rows.labels.coders import MISSING, UNKNOWN, Seen
from calibcli.io.rows.labels.labelling import mixed_labels, unusable_labels
from calibcli.io.rows.recipe import Recipe
from calibcli.io.rows.scores import scores_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.io.rows.beside.view import View
    from calibcli.io.rows.identity import Copies


class Shared:
    """What the partitions of a data set tell each other; left behind when one is pickled."""

    def __init__(self) -> None:
        self.partitions: list[RowPartition] = []
        self.rows: dict[int, int] = {}
        self.ignored: dict[int, int] = {}
        self.seen = Seen()
        self.joins = Joins()

    def __reduce__(self) -> tuple[type[Shared], tuple[()]]:
        return Shared, ()

    def findings(self) -> Findings:
        """Return what has been found in this process, to be taken in where it began."""
        return Findings(self.rows, self.ignored, self.seen, self.joins.state())

    def take(self, found: Findings) -> bool:
        """Take in what has been found elsewhere, and return whether a key came twice."""
        self.seen.merge(found.seen)
        self.ignored |= found.ignored
        return self.joins.take(found.joins)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Findings:
    """What reading a partition in another process has found."""

    rows: dict[int, int]
    ignored: dict[int, int]
    seen: Seen
    joins: tuple[NDArray[np.bool_] | None, dict[int, int]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowPartition:
    """A part of one file, read by itself, in any thread, as often as needed.

    Attributes:
        source: The file as it may be shown.
        source_index: Its place in the list of files.
        index: The place of this partition in the data set.
        first_row: 0-based row of the file at which it begins.
        rows: How many rows it has, or None where only reading tells.
        copies: Of its rows, where these are known by what they hold.
        before: Rows of the files before this one, where chunks of rows are asked for.
    """

    source: str
    source_index: int
    index: int
    part: Part
    reader: Reader
    recipe: Recipe
    beside: Beside
    keep: bool
    schema: Any
    shared: Shared
    copies: Copies | None = None
    before: int = 0

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
        rows = usable = 0
        unmatched = ignored = 0
        for frame in self.reader.read(self.part, recipe.plan(keep=self.keep)):
            if frame.table is not None:
                frame = self._conformed(frame)
            view = self.beside.view(frame)
            unmatched += self._joined(view)
            labels = None
            if recipe.labelling is not None:
                labels = recipe.labelling.codes(view, seen)
                if seen.mixed:
                    raise mixed_labels(recipe.labelling, self.source)
                if not recipe.labelling.usable(labels, drop_invalid=recipe.drop_invalid):
                    scores_of(view, recipe)  # what is wrong with the scores is said first
                    raise self._bad_labels()
            batch = assemble(view, recipe, self.source_index, labels, self.before)
            ignored += batch.ignored - self._lost(view)
            yield batch if self.copies is None else self.copies.apart(batch, usable)
            usable += len(batch)
            rows += frame.rows
        if ignored:
            self.shared.ignored[self.index] = ignored
        if recipe.key:
            self.shared.joins.finish(self.index, unmatched)
        self._finished(rows)

    def _joined(self, view: View) -> int:
        """Note which rows were found by their key, and return how many were not."""
        if view.found is None:
            return 0
        joins, side = self.shared.joins, self.beside.side
        if side is not None and not joins.known(self.index):
            again = joins.add(view.found, side.rows)
            if again is not None:
                raise self._key_twice(row_text(view.frame.first_row + again))
        return int((view.found < 0).sum())

    def _lost(self, view: View) -> int:
        """Return how many rows have no label because the labels file does not have them."""
        beside = any(place.side for place in self.recipe.label)
        return int(view.unmatched.sum()) if beside and view.unmatched is not None else 0

    def _key_twice(self, where: str) -> InputError:
        return InputError(
            f"{show(self.source)}, {where}: its key comes a second time among the scores",
            hint="a key names one row: leave out the copies, or add a column, --key COL,COL",
        )

    def noted(self) -> Findings:
        """Return what reading it in this process has found: for `note` where it came from."""
        return self.shared.findings()

    def note(self, found: Findings) -> None:
        """Take in what reading it in another process has found.

        Raises:
            InputError: see `batches`.
        """
        if self.shared.take(found):
            raise self._key_twice("or a row of another part")
        if self.shared.seen.mixed and self.recipe.labelling is not None:
            raise mixed_labels(self.recipe.labelling, self.source)
        if self.index in found.rows:
            self._finished(found.rows[self.index])

    def __reduce__(self) -> tuple[type[RowPartition], tuple[Any, ...]]:
        """Leave behind the rows of the labels file that are not its own."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.rows is not None:
            values["beside"] = self.beside.narrowed(self.first_row, self.rows)
        return RowPartition, tuple(values.values())

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
        if self.recipe.labelling is not None:
            self.recipe.labelling.check_positive(shared.seen, self.source)
        if self.recipe.key and shared.joins.found is not None and not shared.joins.found.any():
            assert self.beside.side is not None
            raise InputError(
                f"no key of {show(self.source)} is in {show(self.beside.side.path)}",
                hint="name the column that tells the rows apart in both files with --key",
            )

    def bad_labels(self, seen: Seen) -> Iterator[tuple[int, int, str, int]]:
        """Yield (kind, number, file, first row) of missing and unknown labels, by frame."""
        labelling = self.recipe.labelling
        assert labelling is not None
        for frame in self.reader.read(self.part, self.recipe.label_plan()):
            view = self.beside.view(frame)
            codes = labelling.codes(view, seen)
            for kind in (MISSING, UNKNOWN):
                bad = codes == kind
                rows = np.flatnonzero(bad.any(axis=1) if bad.ndim == 2 else bad)
                if rows.size:
                    path, row = view.place_of(labelling.places[0], int(rows[0]))
                    yield kind, int(rows.size), path, row

    def _bad_labels(self) -> InputError:
        """Describe the bad labels of the whole data set."""
        labelling = self.recipe.labelling
        assert labelling is not None
        seen = Seen()
        bad = [one for part in self.shared.partitions or [self] for one in part.bad_labels(seen)]
        return unusable_labels(labelling, len(self.recipe.classes), bad, seen)
