"""Sketching the rows that a scan reads anyway, to know them again later.

A row is known by its scores alone, by their value: not by its label, which may come later or be
corrected, nor by its text, so that a CSV file and a Parquet file of the same numbers agree. An
image is known by the scores of its pixels, a box by where it lies and its score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.statistics.sketch import RowSketch

if TYPE_CHECKING:
    from calibcli.io.dataset import Batch


class Watch:
    """An accumulator that sketches rows by their content; see `RowSketch`.

    Args:
        capacity: of the sketches.
        digits: bits of the floating point type to which scores are rounded first; None for their
            own.
        limit: hashes above it are of no use.

    Attributes:
        seen: bits of the widest type of score.
        certain: whether no two rows are equal by chance.
    """

    def __init__(self, capacity: int, digits: int | None = None, limit: int = 2**64 - 1) -> None:
        self.digits = digits
        self.seen = 0
        self.certain = False
        self.sketch = RowSketch(capacity, limit)

    def fresh(self) -> Watch:
        """Return one that has seen nothing, for a partition."""
        return Watch(self.sketch.capacity, self.digits, self.sketch.limit)

    def add(self, batch: Batch) -> None:
        """Take in a batch."""
        found = batch.content(self.digits, self.sketch.limit)
        self.seen, self.certain = max(self.seen, found.digits), found.certain
        self.sketch.add(found.hashes, found.counts, found.rows)

    def finish(self) -> None:
        """Take note that a partition has ended."""
        self.sketch.sample()

    def merge(self, other: Watch) -> None:
        """Take in what a later partition has found."""
        self.seen = max(self.seen, other.seen)
        self.certain = self.certain or other.certain
        self.sketch.merge(other.sketch)
