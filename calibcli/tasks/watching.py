"""Sketching the rows that a pass reads anyway, to know them again later.

A row is known by its scores alone, by their value: not by its label, which may come later or be
corrected, nor by its text, so that a CSV file and a Parquet file of the same numbers agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.mixing import FACTOR, mixed
from calibcli.core.statistics.sketch import RowSketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.rows.dataset import Batch, Dataset

_FOLD = np.uint64(32)


def row_hashes(scores: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each row of scores, (n,) or (n, K), of any float type."""
    values = scores.astype(np.float64) + 0.0  # -0.0 is 0.0
    bits = values.view(np.uint64)
    if bits.ndim == 1:
        return mixed(bits)
    factors = mixed(np.arange(bits.shape[1])) | np.uint64(1)
    # The low bits of a short float are zeros, and a multiplication would keep them so.
    folded = bits ^ (bits >> _FOLD)
    with np.errstate(over="ignore"):
        folded *= factors
        return mixed(folded.sum(axis=1, dtype=np.uint64) ^ FACTOR)


class Watch:
    """Sketches each partition of a data set once, whichever pass reads it to its end first.

    Args:
        capacity: of the sketches.
        digits: bits of the floating point type to which scores are rounded first; None for their
            own.
        limit: hashes above it are of no use.
    """

    def __init__(self, capacity: int, digits: int | None = None, limit: int = 2**64 - 1) -> None:
        self.capacity = capacity
        self.limit = limit
        self.digits = digits
        self.seen = 0
        self._found: dict[int, RowSketch] = {}

    def begin(self, partition: int) -> PartitionWatch | None:
        """Return what is told of a partition's batches; None when it is known already."""
        return None if partition in self._found else PartitionWatch(self, partition)

    def finish(self, partition: int, sketch: RowSketch) -> None:
        """Keep the sketch of a partition that was read to its end."""
        sketch.sample()
        # The sketch of all rows reaches no further than that of any part.
        self.limit = min(self.limit, sketch.limit)
        self._found[partition] = sketch

    def fresh(self) -> Watch:
        """Return one that has seen nothing, for another process."""
        return Watch(self.capacity, self.digits, self.limit)

    def take(self, other: Watch) -> None:
        """Take in what a fresh one has seen in another process."""
        self.seen = max(self.seen, other.seen)
        for partition, sketch in other._found.items():
            self.finish(partition, sketch)

    def sketch(self) -> RowSketch:
        """Return the sketch of all rows."""
        total = RowSketch(self.capacity, self.limit)
        for partition in sorted(self._found):
            total.merge(self._found[partition])
        return total

    def attach(self, dataset: Dataset) -> None:
        """Watch a data set; of several models the first one. Images and boxes are not watched."""
        first = getattr(dataset, "datasets", (dataset,))[0]
        shared = getattr(first, "shared", None)
        if shared is not None and hasattr(shared, "watch"):
            shared.watch = self


class PartitionWatch:
    """Sketches one partition."""

    def __init__(self, watch: Watch, partition: int) -> None:
        self.watch = watch
        self.partition = partition
        self.sketch = RowSketch(watch.capacity, watch.limit)

    def add(self, batch: Batch) -> None:
        """Take in a batch; rows without a score, or that count nothing, are left out."""
        scores = batch.scores
        digits = 8 * scores.dtype.itemsize if scores.dtype.kind == "f" else 64
        self.watch.seen = max(self.watch.seen, digits)
        wanted = self.watch.digits
        if wanted is not None and wanted < digits:
            scores = scores.astype(f"f{wanted // 8}")
        hashes = row_hashes(scores)
        missing = np.isnan(scores)
        gone = missing.any(axis=1) if missing.ndim == 2 else missing
        if batch.weight is not None:
            gone = gone | (batch.weight == 0)
        counts = batch.count
        if counts is not None:
            gone = gone | (counts == 0)
        if gone.any():
            hashes = hashes[~gone]
            counts = None if counts is None else counts[~gone]
        self.sketch.add(hashes, counts)

    def finish(self) -> None:
        """Tell that the partition was read to its end."""
        self.watch.finish(self.partition, self.sketch)
