"""One pass over a data set, whatever its files and whatever is counted.

What every pass has to do is done here, once: scores that are none are refused or left out and
counted, rows that weigh nothing are left out, the first bad row is remembered, partitions are read
in threads or on workers elsewhere, and merged in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError
from calibcli.tasks.validity import missing_rows, refuse_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from calibcli.io.dataset import Batch
    from calibcli.tasks.population import Layout

MOST_WEIGHT = 1e100
"""Total weight up to which its squares are numbers."""


class Part(Protocol):
    """What is read by itself."""

    def batches(self) -> Iterator[Batch]:
        """Read it from its beginning."""

    def noted(self) -> Any:
        """Return what reading it in this process has found, for `note` where it came from."""

    def note(self, found: Any) -> None:
        """Take in what reading it in another process has found."""


class Parts(Protocol):
    """What a scan reads: a data set, or parts of some."""

    @property
    def partitions(self) -> Sequence[Part]:
        """In row order."""


class Accumulator(Protocol):
    """What a scan fills. One for each partition, merged in order into the one that was given."""

    def fresh(self) -> Self:
        """Return one that holds nothing, for a partition."""

    def add(self, batch: Batch) -> None:
        """Take in a batch, whose rows are all usable."""

    def finish(self) -> None:
        """Take note that a partition has ended."""

    def merge(self, other: Self) -> None:
        """Take in what a later partition has found."""


@dataclass(slots=True)
class Scanned:
    """What a scan tells of the rows, whatever it counts. Mergeable.

    Attributes:
        rows: usable ones; `weight` the sum of their weights or counts.
        dropped: rows without a score or label.
        labelled: whether rows have labels.
        first_bad: source and 0-based row of the first row without a score.
    """

    rows: int = 0
    dropped: int = 0
    weight: float = 0.0
    labelled: bool = True
    first_bad: tuple[str, int] | None = None

    def merge(self, other: Scanned) -> None:
        """Add a later partition."""
        self.rows += other.rows
        self.dropped += other.dropped
        self.weight += other.weight
        self.labelled = self.labelled and other.labelled
        self.first_bad = self.first_bad or other.first_bad


def mass_of(batch: Batch, layout: Layout) -> NDArray[Any] | None:
    """Return the weight of each row (n,), or how many rows it stands for; None for one each."""
    return batch.weight if layout.weighted else batch.count


def usable(batch: Batch, layout: Layout) -> tuple[NDArray[np.bool_] | None, int]:
    """Return the rows with a usable score (None for all) and how many have none.

    Raises:
        InputError: scores that are not what they are said to be.
    """
    if batch.checked:
        return None, 0
    missing = missing_rows(batch, layout.task, layout.names, logits=layout.logits)
    if missing is None or not missing.any():
        return None, 0
    return ~missing, int(missing.sum())


def readable(partition: Part, layout: Layout, seen: Scanned) -> Iterator[Batch]:
    """Yield the batches of a partition, with the rows that count something, and note the others.

    Raises:
        InputError: scores that are not what they are said to be.
    """
    for batch in partition.batches():
        rows, bad = usable(batch, layout)
        if bad and rows is not None and seen.first_bad is None:
            seen.first_bad = (batch.source, batch.row(int((~rows).argmax())))
        seen.dropped += bad + batch.dropped - batch.ignored
        mass = mass_of(batch, layout)
        if mass is not None and (mass == 0).any():
            rows = mass > 0 if rows is None else rows & (mass > 0)
        if rows is not None:
            batch = batch.take(rows)
            mass = None if mass is None else mass[rows]
        seen.rows += len(batch)
        seen.weight += 0.0 if mass is None else float(mass.sum())
        seen.labelled = seen.labelled and batch.labelled
        if len(batch) or layout.medium == "boxes":  # objects of images without a box count too
            yield batch


def rows_of(dataset: Parts, layout: Layout) -> Iterator[Batch]:
    """Yield the usable rows of a data set in order, in this thread; unusable ones are left out.

    Raises:
        InputError: scores that are not what they are said to be.
    """
    for partition in dataset.partitions:
        yield from readable(partition, layout, Scanned())


def checked(seen: Scanned, layout: Layout) -> Scanned:
    """Return what a whole scan has seen.

    Raises:
        InputError: rows without a score that may not be dropped, no rows, too much weight.
    """
    if layout.medium != "boxes":  # a detector that finds nothing is judged by what it missed
        refuse_gaps(seen.dropped, seen.first_bad, seen.rows, drop=layout.drop_invalid)
    if not seen.weight <= MOST_WEIGHT:
        raise InputError("the weights sum to more than 1e100", "divide them all by the largest")
    return seen


def scan(
    dataset: Parts,
    layout: Layout,
    *accumulators: Accumulator,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scanned:
    """Read a data set once into accumulators.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """

    def one(partition: Part) -> tuple[Scanned, list[Accumulator]]:
        seen, own = Scanned(), [each.fresh() for each in accumulators]
        for batch in readable(partition, layout, seen):
            for each in own:
                each.add(batch)
        for each in own:
            each.finish()
        return seen, own

    total = Scanned()
    for seen, own in map_ordered(one, dataset.partitions, threads):
        total.merge(seen)
        for mine, theirs in zip(accumulators, own, strict=True):
            mine.merge(theirs)
        if progress is not None:
            progress(total.rows)
    return checked(total, layout)
