"""Passes over the rows of a data set of several classes, for fits that need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.classes.rows import RowBatch, RowSource, Summary
from calibcli.engines.remote import current
from calibcli.engines.threads import map_ordered
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.scan import mass_of, rows_of, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.calibrators.classes.rows import Filled
    from calibcli.io.dataset import Batch, Dataset
    from calibcli.tasks.population import Layout

    Scores = Callable[[Batch], NDArray[Any]]

CACHED_BYTES = 1 << 28
"""Rows up to this size are kept after the first pass; larger data is read again each time. Files
that are mapped into memory cost nothing to keep."""


def own_scores(batch: Batch) -> NDArray[Any]:
    """Return the scores of a batch as they are."""
    return batch.scores


class DataRows(RowSource):
    """The usable rows of a data set; small data is kept after the first pass.

    Args:
        dataset: what is read.
        layout: what a row is.
        place: which of the batches' group columns to keep; None for none.
        scores: what is fitted of a batch, and whether it is `logits`; by default its scores.
        threads: to read in.
    """

    def __init__(
        self,
        dataset: Dataset,
        layout: Layout,
        *,
        place: int | None = None,
        scores: Scores = own_scores,
        logits: bool | None = None,
        threads: int | None = None,
    ) -> None:
        self.dataset, self.layout, self.place = dataset, layout, place
        self.scores, self.threads = scores, threads
        self.n_classes = len(layout.classes)
        self.logits = layout.logits if logits is None else logits
        self.worth = 1.0
        self._kept: list[RowBatch] | None = None
        if layout.weighted:  # evidence is effective rows, whatever the unit of the weights
            raw = self.scan(Summary(self.n_classes))
            self.worth = raw.effective / max(float(raw.mass.sum()), 1e-300)
            self._kept = None

    def scan(self, accumulator: Filled) -> Filled:
        """Add every row to the accumulator, and return it."""
        if self._kept is not None:
            return self._again(accumulator, self._kept)
        reader = _Reader(accumulator, self, keep=current() is None)
        scan(self.dataset, self.layout, reader, threads=self.threads)
        self._kept = reader.kept
        found: Filled = reader.accumulator
        return found

    def _again(self, accumulator: Filled, kept: list[RowBatch]) -> Filled:
        def one(some: list[RowBatch]) -> Filled:
            found = accumulator.fresh()
            for rows in some:
                found.add(rows)
            return found

        # What is merged can be large, so that it is not begun for every batch.
        size = max(len(kept) // _PARTS, 1)
        parts = [kept[start : start + size] for start in range(0, len(kept), size)]
        small = sum(rows.scores.size for rows in kept) < _SMALL
        for found in map_ordered(one, parts, 1 if small else self.threads):
            accumulator.merge(found)
        return accumulator

    def head(self) -> RowBatch | None:
        """Return some of the first rows, or None where there are none."""
        if self._kept:
            return self._kept[0]
        first = next(iter(rows_of(self.dataset, self.layout)), None)
        return None if first is None else self.rows(first)

    def rows(self, batch: Batch) -> RowBatch:
        """Return the rows of a batch of usable ones."""
        mass, labels = mass_of(batch, self.layout), batch.labels
        assert labels is not None
        weighted = self.layout.weighted
        weight = None if mass is None else mass * np.float64(self.worth)
        square = weight * weight if weight is not None and weighted else weight
        group = None
        if self.place is not None:
            column = batch.groups[self.place]
            group = np.asarray(column.codes), tuple(column.values)
        return RowBatch(
            self.scores(batch),
            self.logits,
            labels.astype(np.int64, copy=False),
            weight,
            square,
            row_buckets(batch).astype(np.uint8),
            counts=mass is not None and not weighted,
            group=group,
        )


_SMALL = 1 << 18
_PARTS = 16
"""Parts at least that rows in memory are shared out in, whatever the number of threads."""


class _Reader:
    """Hands the rows of a scan to an accumulator, and keeps them while they are few."""

    def __init__(self, accumulator: Any, source: DataRows, *, keep: bool) -> None:
        self.accumulator, self.source = accumulator, source
        self.kept: list[RowBatch] | None = [] if keep else None
        self.size = 0

    def fresh(self) -> _Reader:
        return _Reader(self.accumulator.fresh(), self.source, keep=self.kept is not None)

    def add(self, batch: Batch) -> None:
        rows = self.source.rows(batch)
        self.accumulator.add(rows)
        self._keep([rows], 0 if _mapped(rows.scores) else rows.scores.nbytes)

    def finish(self) -> None:
        """Nothing waits."""

    def merge(self, other: _Reader) -> None:
        self.accumulator.merge(other.accumulator)
        if other.kept is None:
            self.kept = None
        else:
            self._keep(other.kept, other.size)

    def _keep(self, rows: list[RowBatch], size: int) -> None:
        self.size += size
        if self.kept is not None:
            self.kept = self.kept + rows if self.size <= CACHED_BYTES else None


def _mapped(values: NDArray[Any]) -> bool:
    """Return whether an array is a view of a file."""
    base: Any = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            return True
        base = base.base
    return False
