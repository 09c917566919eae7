"""A pass over whole rows of class probabilities, for what pairs cannot tell.

Conformal scores rank the classes of a row, and a cost matrix weighs them all, so both need the
row. Accumulators are small and merge, so memory does not grow with the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.engines.threads import map_ordered
from calibcli.tasks.collect import mapping_of, usable
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.validity import refuse_gaps

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.rows.dataset import Batch, Dataset, Partition
    from calibcli.tasks.collect import Layout, Mapping, Unseen


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
    """

    p: NDArray[np.float64]
    logits: NDArray[np.float64] | None
    label: NDArray[np.int64]
    weight: NDArray[Any] | None
    bucket: NDArray[np.int64] | None
    fold: NDArray[np.int64]
    groups: tuple[tuple[NDArray[np.integer[Any]], list[str]], ...]


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
        from calibcli.core.calibrators.classes.rows import finite_rows

        return softmax(finite_rows(scores))
    return np.clip(scores.astype(np.float64), 0.0, 1.0)


def scan(
    dataset: Dataset,
    layout: Layout,
    new: Callable[[], A],
    *,
    calibrator: Calibrator | None = None,
    columns: tuple[str, ...] = (),
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[A, Scanned]:
    """Read the data set once, each partition into an accumulator of its own.

    `columns` names the batches' group columns, where a calibrator reads one.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """

    def one(partition: Partition) -> tuple[A, Scanned, tuple[str, int] | None]:
        found, rows, dropped, first = new(), 0, 0, None
        unseen: Unseen = {}
        mapping = None
        if calibrator is not None:
            mapping = mapping_of(calibrator, columns, logits=layout.logits, unseen=unseen)
        for batch in partition.batches():
            good, bad = usable(batch, layout)
            if bad and good is not None and first is None:
                first = (batch.source, batch.row(int((~good).argmax())))
            dropped += bad + batch.dropped - batch.ignored
            made = _rows(batch, good, layout, mapping)
            rows += len(made.p)
            found.add(made)
        return found, Scanned(rows, dropped, sum(unseen.values())), first

    total: A | None = None
    rows = dropped = unseen = 0
    first: tuple[str, int] | None = None
    for found, part, bad in map_ordered(one, dataset.partitions, threads):
        rows, dropped, first = rows + part.rows, dropped + part.dropped, first or bad
        unseen += part.unseen
        if total is None:
            total = found
        else:
            total.merge(found)
        if progress is not None:
            progress(rows)
    refuse_gaps(dropped, first, rows, drop=layout.drop_invalid)
    assert total is not None
    return total, Scanned(rows, dropped, unseen)


def _rows(
    batch: Batch, good: NDArray[np.bool_] | None, layout: Layout, mapping: Mapping | None
) -> Rows:
    weight = batch.weight if layout.weighted else batch.count
    if weight is not None and (weight == 0).any():
        good = weight > 0 if good is None else good & (weight > 0)

    def only(values: Any) -> Any:
        return values if values is None or good is None else values[good]

    scores = only(batch.scores)
    bucket = row_buckets(batch, good)
    if mapping is None:
        exclusive = layout.task != "multilabel"
        p = probabilities(scores, logits=layout.logits, exclusive=exclusive)
    else:
        p = probabilities(mapping(batch, scores, good, bucket), logits=False)
    groups = tuple((only(group.codes), group.values) for group in batch.groups)
    unit = bucket if layout.clustered else None
    logits = None
    if mapping is None and layout.logits and layout.task != "multiclass":
        logits = scores.astype(np.float64)
    return Rows(p, logits, only(batch.labels).astype(np.int64), only(weight), unit, bucket, groups)
