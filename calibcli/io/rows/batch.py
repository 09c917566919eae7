"""A batch: the arrays that a task reads, made of one frame by the recipe."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.failures import row_text, show
from calibcli.io.formats.buffers import BadValueError, Raw
from calibcli.io.formats.decode import matrix, numbers
from calibcli.io.formats.frames import ARRAY
from calibcli.io.rows.keys import Categories, Keys, categories
from calibcli.io.rows.labels import MISSING, Seen, one_hot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.io.dataset import Rows
    from calibcli.io.formats.frames import Frame
    from calibcli.io.rows.recipe import Place, Recipe
    from calibcli.io.rows.side import SideTable


_ARRAY_HINT = "correct the file, or give the right one"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowBatch:
    """Consecutive rows of one source, as arrays.

    Attributes:
        scores: float16, float32 or float64, as the file has them; (n,) or (n, K). NaN where a
            score is missing: whether that is an error is not decided here.
        labels: int8 (n,) of 0 and 1 for binary, int64 (n,) class indices for multi-class, int8
            (n, K) for multi-label; None if they were not asked for.
        weight: float64 (n,), or None.
        count: int64 (n,), or None.
        groups: One column of categories for each `--group`.
        unit: uint64 (n,) hash of the cluster id, the same for the same id in every file.
        first_row: 0-based row of the source at which the batch begins.
        source: The file as it may be shown.
        source_index: Its place in the list of files.
        dropped: How many rows were left out because their label was missing (`--drop-invalid`).
        kept: int64 (n,) offsets from `first_row` of the rows, when some were left out; else None.
        table: All columns as a pyarrow.RecordBatch, when they are kept.
        rounding: By how much each score of a row may have been rounded (quantised pixels).
        models: (n, M) or (n, M, K) scores of several models, whose average the scores are.
        checked: Whether every score is known to be one.
        ignored: How many of the rows left out were to be ignored.
    """

    scores: NDArray[Any]
    labels: NDArray[Any] | None
    weight: NDArray[np.float64] | None
    count: NDArray[np.int64] | None
    groups: tuple[Categories, ...]
    unit: NDArray[np.uint64] | None
    first_row: int
    source: str
    source_index: int
    dropped: int = 0
    kept: NDArray[np.int64] | None = None
    table: Any = None
    rounding: float = 0.0
    models: NDArray[Any] | None = None
    checked: bool = False
    ignored: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    def row(self, i: int) -> int:
        """Return the 0-based row in the source of row `i` of this batch."""
        return self.first_row + (i if self.kept is None else int(self.kept[i]))

    def take(self, rows: Rows) -> RowBatch:
        """Return some rows, a mask (n,) or their places, which keep their places in the source."""

        def some(values: Any) -> Any:
            return None if values is None else values[rows]

        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        return replace(
            self,
            scores=self.scores[rows],
            labels=some(self.labels),
            weight=some(self.weight),
            count=some(self.count),
            groups=tuple(Categories(group.codes[rows], group.values) for group in self.groups),
            unit=some(self.unit),
            kept=places if self.kept is None else self.kept[rows],
            table=None if self.table is None else self.table.take(places),
            models=some(self.models),
        )

    def rescored(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any] | None = None,
        source: str | None = None,
    ) -> RowBatch:
        """Return the same rows under other scores, and other labels or another file if given."""
        return replace(
            self,
            scores=scores,
            labels=self.labels if labels is None else labels,
            source=source or self.source,
            models=None,
            checked=False,
        )


@contextmanager
def blaming(column: str, path: str, first_row: int) -> Iterator[None]:
    """Turn a bad value into an error that names column, file and row."""
    try:
        yield
    except BadValueError as error:
        also = f" (and {error.count - 1:,} more)" if error.count > 1 else ""
        what = f"column {column!r} of {show(path)}" if column != ARRAY else show(path)
        raise InputError(
            f"{what}, {row_text(first_row + error.row)}: {error.problem}{also}",
            hint="correct the file, or name another column" if column != ARRAY else _ARRAY_HINT,
        ) from error


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cutter:
    """Finds the rows of a frame in the scores or in the labels file.

    Attributes:
        side: The labels file, if there is one.
        offset: Rows of all earlier sources: where this source begins in the labels file.
        path: The source, for messages.
    """

    side: SideTable | None
    offset: int
    path: str

    def narrowed(self, first_row: int, rows: int) -> Cutter:
        """Return what finds these rows of the source alone, without the others' labels."""
        if self.side is None or self.side.arrays:
            return self
        start = self.offset + first_row
        own = {name: self.side.cut(name, start, start + rows) for name in self.side.columns}
        # An offset below 0 puts the first of these rows where its labels now are.
        return Cutter(replace(self.side, columns=own), -first_row, self.path)

    def raw(self, frame: Frame, place: Place) -> Raw:
        """Return a column of the frame's rows."""
        if not place.side or self.side is None:
            return frame.columns[place.name]
        start = self.offset + frame.first_row
        return self.side.cut(place.name, start, start + frame.rows)

    def blame(self, frame: Frame, place: Place) -> Any:
        """Return a context in which a bad value names this column, file and row."""
        if not place.side or self.side is None:
            return blaming(place.name, self.path, frame.first_row)
        return blaming(place.name, self.side.path, self.offset + frame.first_row)


def label_codes(frame: Frame, recipe: Recipe, cutter: Cutter, seen: Seen) -> NDArray[Any]:
    """Return the labels of a frame; MISSING and UNKNOWN mark what is no label."""
    columns = []
    for place in recipe.label:
        with cutter.blame(frame, place):
            raw = cutter.raw(frame, place)
            if recipe.one_hot:
                return one_hot(matrix(raw, recipe.width))
            if _holds_rows(raw):
                raw = matrix(raw, recipe.width)
            columns.append(recipe.coder.encode(raw, seen))
    if len(columns) == 1:
        codes: NDArray[Any] = columns[0]
        if recipe.task == "multilabel" and codes.ndim == 1:
            codes = codes.reshape(-1, 1)
        return codes.astype(np.int8) if recipe.task == "binary" else codes
    return np.stack(columns, axis=1)


def _holds_rows(raw: Raw) -> bool:
    return not isinstance(raw, (np.ndarray, Keys)) and str(raw.type).startswith(
        ("list", "large_list", "fixed_size_list")
    )


def scores_of(frame: Frame, recipe: Recipe, path: str) -> NDArray[Any]:
    """Return the scores of a frame, (n,) or (n, K), in the file's own precision."""
    columns = []
    for name in recipe.scores:
        with blaming(name, path, frame.first_row):
            raw = frame.columns[name]
            columns.append(matrix(raw, recipe.width) if recipe.rows else numbers(raw))
    if recipe.rows or len(columns) == 1:
        values = columns[0]
    else:
        values = np.empty((frame.rows, len(columns)), dtype=np.result_type(*columns))
        for j, column in enumerate(columns):
            values[:, j] = column
    if not recipe.reduce:
        return values.reshape(-1, 1) if recipe.task == "multilabel" and values.ndim == 1 else values
    if recipe.logits:
        with np.errstate(invalid="ignore"):  # inf - inf is NaN, which the task reports
            difference: NDArray[Any] = values[:, 1].astype(np.float64) - values[:, 0]
        return difference
    return np.ascontiguousarray(values[:, 1])


def assemble(
    frame: Frame, recipe: Recipe, cutter: Cutter, source_index: int, labels: NDArray[Any] | None
) -> RowBatch:
    """Make the batch of a frame whose labels have been coded.

    Raises:
        InputError: A weight, a count or a cluster id that cannot be used.
    """
    kept = None
    if labels is not None and recipe.drop_invalid:
        gone = labels == MISSING
        gone = gone.any(axis=1) if gone.ndim == 2 else gone
        kept = np.flatnonzero(~gone) if gone.any() else None
    weight = _weight(frame, recipe, cutter)
    count = _count(frame, recipe, cutter)
    groups = []
    for place in recipe.groups:
        with cutter.blame(frame, place):
            found = categories(cutter.raw(frame, place))
            if place.unit is not None:
                from calibcli.io.rows.periods import cut

                found = cut(found, place.unit)
            groups.append(found)
    batch = RowBatch(
        scores=scores_of(frame, recipe, cutter.path),
        labels=labels,
        weight=weight,
        count=count,
        groups=tuple(groups),
        unit=_cluster(frame, recipe, cutter),
        first_row=frame.first_row,
        source=cutter.path,
        source_index=source_index,
        table=frame.table,
    )
    if kept is None:
        return batch
    return replace(batch.take(kept), dropped=len(batch) - len(kept))


def _weight(frame: Frame, recipe: Recipe, cutter: Cutter) -> NDArray[np.float64] | None:
    if recipe.weight is None:
        return None
    with cutter.blame(frame, recipe.weight):
        values = numbers(cutter.raw(frame, recipe.weight)).astype(np.float64)
        _require(np.isfinite(values) & (values >= 0), "not a weight (a number of 0 or more)")
    return values


def _count(frame: Frame, recipe: Recipe, cutter: Cutter) -> NDArray[np.int64] | None:
    if recipe.count is None:
        return None
    with cutter.blame(frame, recipe.count):
        values = numbers(cutter.raw(frame, recipe.count))
        with np.errstate(invalid="ignore"):
            whole = (values >= 0) & (values < 2**53) & (values == np.floor(values))
        _require(whole, "not a count (a whole number of 0 or more)")
        counts: NDArray[np.int64] = values.astype(np.int64)
    return counts


def _cluster(frame: Frame, recipe: Recipe, cutter: Cutter) -> NDArray[np.uint64] | None:
    place = recipe.cluster
    if place is None:
        return None
    raw = cutter.raw(frame, place)
    if place.side and isinstance(raw, np.ndarray) and raw.dtype == np.uint64:
        return raw  # hashed when the labels file was read
    from calibcli.io.rows.hashing import ids

    with cutter.blame(frame, place):
        hashes, missing = ids(raw)
        _require(~missing, "no cluster id")
    return hashes


def _require(good: NDArray[np.bool_], problem: str) -> None:
    bad = np.flatnonzero(~good)
    if bad.size:
        raise BadValueError(problem, int(bad[0]), int(bad.size))
