"""A pass over whole rows of class probabilities, for what pairs cannot tell.

Conformal scores rank the classes of a row, and a cost matrix weighs them all, so both need the
row. Accumulators are small and merge, so memory does not grow with the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.core.statistics.buckets import buckets_of
from calibcli.tasks.mapping import mapping_of
from calibcli.tasks.pairs import row_units
from calibcli.tasks.scan import mass_of
from calibcli.tasks.scan import scan as scan_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.dataset import Batch, Dataset
    from calibcli.tasks.mapping import Mapping, Unseen
    from calibcli.tasks.population import Layout
    from calibcli.tasks.scan import Accumulator as Whole


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a batch.

    Attributes:
        p: float64 (n, K); a binary score gives the two columns 1 - p and p.
        logits: (n,) or (n, K) of scores that are decided one by one; None where p is what is read.
        label: int64 (n,) class indices.
        weight: int64 counts or float64 weights (n,), or None.
        bucket: (n,) the bucket of each row's cluster; None where rows are independent.
        fold: (n,) the bucket that folds are made of: of its cluster, or of the row itself.
        groups: codes (n,) and the values they stand for, of each group column.
        own: uint64 (n,) hash of each row's cluster, or of its own position.
        unit: the same; None where rows are independent.
    """

    p: NDArray[np.float64]
    logits: NDArray[np.float64] | None
    label: NDArray[np.int64]
    weight: NDArray[Any] | None
    bucket: NDArray[np.int64] | None
    fold: NDArray[np.int64]
    groups: tuple[tuple[NDArray[np.integer[Any]], list[str]], ...]
    own: NDArray[np.uint64]
    unit: NDArray[np.uint64] | None = None


class Accumulator(Protocol):
    """What a scan fills: one for each partition, merged in order."""

    def add(self, rows: Rows) -> None:
        """Take in a batch."""

    def merge(self, other: Self) -> None:
        """Take in what a later partition has found."""


A = TypeVar("A", bound=Accumulator)


class Both(Generic[A]):
    """Accumulators that are filled in one scan."""

    def __init__(self, parts: tuple[A, ...]) -> None:
        self.parts = parts

    def add(self, rows: Rows) -> None:
        """Take in a batch."""
        for part in self.parts:
            part.add(rows)

    def merge(self, other: Both[A]) -> None:
        """Take in a later partition."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.merge(theirs)


@dataclass(frozen=True, slots=True)
class Scanned:
    """How many rows a scan has used, left out, and found in no group of its calibrator."""

    rows: int
    dropped: int
    unseen: int


class RowReader:
    """Makes whole rows of batches, which may be calibrated first.

    Args:
        layout: what a row is.
        calibrator: what is applied, or one for each fold of the rows' buckets.
        columns: the batches' group columns.
    """

    def __init__(
        self,
        layout: Layout,
        calibrator: Calibrator | tuple[Calibrator, ...] | None,
        columns: tuple[str, ...],
    ) -> None:
        self.layout = layout
        self.unseen: Unseen = {}
        self._mapping: Mapping | None = None
        if calibrator is not None:
            self._mapping = mapping_of(
                calibrator, columns, logits=layout.logits, unseen=self.unseen
            )

    def __call__(self, batch: Batch) -> Rows:
        """Return the rows of a batch."""
        assert batch.labels is not None
        if self._mapping is None:
            exclusive = not self.layout.labels
            p = probabilities(batch.scores, logits=self.layout.logits, exclusive=exclusive)
        else:
            p = probabilities(self._mapping(batch), logits=False)
        groups = tuple((group.codes, group.values) for group in batch.groups)
        weight = mass_of(batch, self.layout)
        label, own = batch.labels.astype(np.int64), row_units(batch)
        fold = buckets_of(own)
        unit = fold if self.layout.clustered else None
        logits = None
        if self._mapping is None and self.layout.logits and not self.layout.exclusive:
            logits = batch.scores.astype(np.float64)
        return Rows(p, logits, label, weight, unit, fold, groups, own, batch.unit)


class _Whole(Generic[A]):
    """Fills an accumulator of whole rows from batches, which may be calibrated first."""

    def __init__(
        self,
        new: Callable[[], A],
        layout: Layout,
        calibrator: Calibrator | tuple[Calibrator, ...] | None,
        columns: tuple[str, ...],
    ) -> None:
        self.new, self.layout, self.calibrator, self.columns = new, layout, calibrator, columns
        self.held = new()
        self.unseen = 0
        self._read = RowReader(layout, calibrator, columns)

    def fresh(self) -> Self:
        """Return one that holds nothing, for a partition."""
        return type(self)(self.new, self.layout, self.calibrator, self.columns)

    def add(self, batch: Batch) -> None:
        """Take in a batch."""
        self.held.add(self._read(batch))

    def finish(self) -> None:
        """Take note that a partition has ended."""
        self.unseen = sum(self._read.unseen.values())

    def merge(self, other: Self) -> None:
        """Take in what a later partition has found."""
        self.held.merge(other.held)
        self.unseen += other.unseen


def probabilities(
    scores: NDArray[Any], *, logits: bool, exclusive: bool = True
) -> NDArray[np.float64]:
    """Return probabilities (n, K) of scores (n, K), or of binary scores (n,) with K = 2.

    `exclusive` tells whether the K probabilities of a row sum to 1.
    """
    if logits and scores.ndim == 2 and not exclusive:
        return expit(scores)
    if scores.ndim == 1:
        p = expit(scores) if logits else scores.astype(np.float64)
        return np.stack([1.0 - p, p], axis=1)
    if logits:
        from calibcli.core.calibrators.classes.row_scores import finite_rows

        return softmax(finite_rows(scores))
    return np.clip(scores.astype(np.float64), 0.0, 1.0)


def scan(
    dataset: Dataset,
    layout: Layout,
    new: Callable[[], A],
    *,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    columns: tuple[str, ...] = (),
    beside: Sequence[Whole] = (),
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[A, Scanned]:
    """Read the data set once, each partition into an accumulator of its own.

    `columns` names the batches' group columns, where a calibrator reads one. What is `beside` is
    filled with whole batches in the same scan.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """
    whole = _Whole(new, layout, calibrator, columns)
    seen = scan_batches(dataset, layout, whole, *beside, threads=threads, progress=progress)
    return whole.held, Scanned(seen.rows, seen.dropped, whole.unseen)
