"""Passes over the rows of a multi-class data set, in bounded memory, for fits that need them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators.classes.rows import clipped_log
from calibcli.engines.remote import current
from calibcli.engines.threads import map_ordered
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.scan import Scanned, mass_of, readable, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.calibrators import RowBatch, RowSource
    from calibcli.io.rows.dataset import Batch, Dataset
    from calibcli.tasks.population import Layout

CACHED_BYTES = 1 << 28
"""Rows up to this size are kept after the first pass; larger data is read again each time."""


@dataclass
class RowPasses:
    """Passes over a data set, optionally with the group of each row.

    Attributes:
        dataset: what is read.
        layout: what a row is; `layout.logits` tells whether the scores are.
        place: which of the batches' group columns to keep; None for none.
        values: the group values found so far, in order of appearance.
        worth: rows that a unit of importance weight is worth, so that fits count in rows.
    """

    dataset: Dataset
    layout: Layout
    place: int | None = None
    values: dict[str, int] = field(default_factory=dict)
    worth: float = 1.0
    _kept: list[tuple[RowBatch, NDArray[np.int64] | None]] = field(default_factory=list)
    _complete: bool = False

    def source(self) -> RowSource:
        """Return passes over (logits or log-probabilities, label, weight, bucket).

        Logits keep the dtype of the file. Small data is kept in memory after the first pass.
        """

        def passes() -> Iterator[RowBatch]:
            for rows, _ in self._passes():
                yield rows

        return passes

    def of_group(self, member: int) -> RowSource:
        """Return passes over the rows of one group value alone."""

        def passes() -> Iterator[RowBatch]:
            for (z, label, weight, bucket), group in self._passes():
                assert group is not None
                mine = np.flatnonzero(group == member)
                if len(mine):
                    mass = None if weight is None else weight[mine]
                    yield z[mine], label[mine], mass, bucket[mine]

        return passes

    def with_groups(self) -> Iterator[tuple[RowBatch, NDArray[np.int64]]]:
        """Yield one pass over rows and their group members."""
        for rows, group in self._passes():
            assert group is not None
            yield rows, group

    def _passes(self) -> Iterator[tuple[RowBatch, NDArray[np.int64] | None]]:
        if self._complete:
            yield from self._kept
            return
        kept: list[tuple[RowBatch, NDArray[np.int64] | None]] = []
        size, keeping = 0, True
        for one in self._read():
            size += one[0][0].nbytes
            if keeping and size > CACHED_BYTES:
                keeping, kept = False, []
            if keeping:
                kept.append(one)
            yield one
        if keeping:
            self._kept, self._complete = kept, True

    def _read(self) -> Iterator[tuple[RowBatch, NDArray[np.int64] | None]]:
        layout, place = self.layout, self.place
        found: Iterator[tuple[RowBatch, tuple[NDArray[Any], list[str]] | None]]
        if current() is None:
            found = (
                _rows_of(batch, layout, place, self.worth)
                for batch in rows_of(self.dataset, layout)
            )
        else:
            found = chain.from_iterable(
                map_ordered(
                    lambda partition: [
                        _rows_of(batch, layout, place, self.worth)
                        for batch in readable(partition, layout, Scanned())
                    ],
                    self.dataset.partitions,
                )
            )
        for rows, group in found:
            yield rows, None if group is None else self._members(*group)

    def _members(self, codes: NDArray[Any], values: list[str]) -> NDArray[np.int64]:
        here = [self.values.setdefault(value, len(self.values)) for value in values]
        members: NDArray[np.int64] = np.array(here, np.int64)[codes]
        return members


def _rows_of(
    batch: Batch, layout: Layout, place: int | None, worth: float
) -> tuple[RowBatch, tuple[NDArray[Any], list[str]] | None]:
    """Return the rows of a batch, and the codes and values of their group."""
    weight, labels = mass_of(batch, layout), batch.labels
    assert labels is not None
    z = batch.scores if layout.logits else clipped_log(batch.scores)
    mass = None if weight is None else weight * np.float64(worth)
    bucket = row_buckets(batch).astype(np.uint8)
    group = None if place is None else (batch.groups[place].codes, batch.groups[place].values)
    return (z, labels.astype(np.int64, copy=False), mass, bucket), group
