"""Exact counts at the cut-offs that can be best, for labels whose distinct scores are too many.

Lowering a cut-off from one positive's score to just above the next lower one only adds false
positives. So for any figure that more false positives alone never improve, some best cut-off is
the score of a positive, or above all scores. There are few of those: some a row, whatever the
number of labels. A first pass collects them, a second counts the
negatives between them, and the choice is the one that all distinct scores would give.

The highest and lowest score of a class stay candidates too: above its best positive only the
highest has the fewest false positives, and the lowest is "everything is positive".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable, exact_cells
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.keys import (
    key_logits,
    key_probabilities,
    logit_keys,
    probability_keys,
)
from calibcli.core.statistics.stats import ScoreStats
from calibcli.engines.threads import map_ordered
from calibcli.tasks.mapping import mapping_of
from calibcli.tasks.scan import Scanned, checked, mass_of, readable, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.rows.dataset import Batch, Dataset, Partition
    from calibcli.tasks.mapping import Mapping, Unseen
    from calibcli.tasks.population import Layout

    Array = NDArray[np.float64]

BLOCK = 1 << 17
"""Numbers in a block: a megabyte of float64, which stays in a core's cache."""
PROBED = 1 << 22
"""Scores to look at before giving up on telling in advance that a tally cannot stay exact."""


@dataclass(frozen=True, slots=True)
class Breakpoints:
    """What two passes found.

    Attributes:
        classes: each class against the rest. Counts are exact at every cell's `floor`; a cell
            holds the negatives from there up to the next cell.
        dropped: rows without a usable score; `unseen` of no group that a calibrator knows.
    """

    classes: tuple[ScoreStats, ...]
    dropped: int
    unseen: int


@dataclass(frozen=True, slots=True)
class _Block:
    """Scores (h, K), labels (h, K) and weights (h,) of a few usable rows.

    Scores are logits where the input is of logits and nothing calibrates it. A label below 0 is
    missing, and its pair counts nothing.
    """

    p: Array
    label: NDArray[Any]
    weight: NDArray[Any] | None

    def positives(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and labels of the positive pairs."""
        row, column = np.nonzero(self.label > 0)
        return row, column

    def missing(self) -> NDArray[np.bool_] | None:
        """Return which labels are missing (h, K); None for none."""
        gone = self.label < 0
        return gone if gone.any() else None

    def mass(self) -> NDArray[Any]:
        """Return the weight of all pairs of each label (K,)."""
        weight = np.ones(len(self.p), np.int64) if self.weight is None else self.weight
        total: NDArray[Any] = weight @ (self.label >= 0)
        return total


@dataclass
class _Positives:
    """First pass: the scores of positives, and the range of each class's scores."""

    low: Array
    high: Array
    logits: bool
    slot: list[NDArray[np.int32]] = field(default_factory=list)
    score: list[Array] = field(default_factory=list)
    weight: list[NDArray[Any]] = field(default_factory=list)
    mass: NDArray[Any] | int = 0
    seen: Scanned = field(default_factory=Scanned)
    unseen: int = 0

    def add(self, block: _Block) -> None:
        row, column = block.positives()
        missing = block.missing()
        high = block.p if missing is None else np.where(missing, -np.inf, block.p)
        low = block.p if missing is None else np.where(missing, np.inf, block.p)
        np.maximum(self.high, high.max(axis=0), out=self.high)
        np.minimum(self.low, low.min(axis=0), out=self.low)
        self.slot.append(column.astype(np.int32))
        self.score.append(block.p[row, column])
        if block.weight is not None:
            self.weight.append(block.weight[row])
        self.mass = self.mass + block.mass()

    def pack(self) -> None:
        """Hold one array of each kind rather than one a block."""
        for name in ("slot", "score", "weight"):
            parts = getattr(self, name)
            setattr(self, name, [np.concatenate(parts)] if parts else [])

    def merge(self, other: _Positives) -> None:
        np.maximum(self.high, other.high, out=self.high)
        np.minimum(self.low, other.low, out=self.low)
        self.slot += other.slot
        self.score += other.score
        self.weight += other.weight
        self.mass = self.mass + other.mass
        self.seen.merge(other.seen)
        self.unseen += other.unseen

    def table(self, *, weighted: bool) -> CellTable:
        """Return the candidates of each class with their positives; negatives are still 0."""
        self.pack()
        every = np.arange(len(self.low), dtype=np.int32)
        slot = np.concatenate([*self.slot, every, every])
        make = logit_keys if self.logits else probability_keys
        ends = [np.where(self.low <= self.high, end, 0.0) for end in (self.low, self.high)]
        key = make(np.concatenate([*self.score, *ends]))
        kind = np.float64 if weighted else np.int64
        pos = np.zeros(len(slot), kind)
        pos[: len(slot) - 2 * len(every)] = self.weight[0] if self.weight else 1
        none = np.zeros_like(pos)
        one: Array | None = None
        zero: Array | None = None
        if weighted:
            one, zero = pos.astype(np.float64) ** 2, np.zeros(len(pos))
        cells = CellTable(slot, key, pos, none, none, one, zero, logits=self.logits)
        return CellTable.concatenate([cells])


class _Negatives:
    """Second pass: the negatives from each candidate up to the next."""

    def __init__(self, table: CellTable, classes: int, *, weighted: bool) -> None:
        self.cut = (key_logits if table.logits else key_probabilities)(table.key)
        self.start = np.searchsorted(table.slot, np.arange(classes + 1))
        self.weighted = weighted
        # Most negatives lie below their class's lowest positive. They need no search: what is not
        # counted is in the lowest cell. Sums of weights would not subtract to exactly 0.
        several = np.diff(self.start) > 1
        second = np.minimum(self.start[:-1] + 1, len(self.cut) - 1)
        self.searched = np.where(several, self.cut[second], np.inf)
        if weighted:
            self.searched[:] = -np.inf

    def new(self) -> list[NDArray[Any]]:
        """Return empty counts of each candidate, and sums of squares where weighted."""
        kind = np.float64 if self.weighted else np.int64
        return [np.zeros(len(self.cut), kind) for _ in range(1 + self.weighted)]

    def count(self, block: _Block, into: list[NDArray[Any]]) -> None:
        """Add the negatives of a block."""
        wanted = block.p >= self.searched
        wanted[block.positives()] = False
        missing = block.missing()
        if missing is not None:
            wanted &= ~missing
        flat = np.flatnonzero(wanted)
        if not flat.size:
            return
        row, column = np.divmod(flat, block.p.shape[1])
        place = self._places(block.p.reshape(-1)[flat], column)
        if block.weight is None:
            np.add.at(into[0], place, 1)
            return
        for power, counts in enumerate(into, start=1):
            np.add.at(counts, place, block.weight[row] ** power)

    def _places(self, score: Array, column: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the last candidate of each score's class that is not above it, by bisection."""
        low, high = self.start[column], self.start[column + 1]
        for _ in range(int((high - low).max() - 1).bit_length()):
            middle = (low + high) >> 1
            reached = self.cut[middle] <= score
            low, high = np.where(reached, middle, low), np.where(reached, high, middle)
        return low


def count_at_positives(
    dataset: Dataset,
    layout: Layout,
    *,
    calibrator: Calibrator | None = None,
    columns: tuple[str, ...] = (),
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Breakpoints:
    """Read a multi-label data set twice, and count each label at its candidates.

    Memory grows with the number of positive labels, not with rows times classes. `columns` names
    the batches' group columns, where a calibrator reads one.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """
    size, by_logit = len(layout.classes), layout.logits and calibrator is None

    def mapped(unseen: Unseen) -> Mapping | None:
        if calibrator is None:
            return None
        return mapping_of(calibrator, columns, logits=layout.logits, unseen=unseen)

    def collect(partition: Partition) -> _Positives:
        found = _Positives(np.full(size, np.inf), np.full(size, -np.inf), by_logit)
        unseen: Unseen = {}
        mapping = mapped(unseen)
        for batch in readable(partition, layout, found.seen):
            for block in _blocks(batch, layout, mapping):
                found.add(block)
        found.unseen = sum(unseen.values())
        found.pack()
        return found

    total = _Positives(np.full(size, np.inf), np.full(size, -np.inf), by_logit)
    for found in map_ordered(collect, dataset.partitions, threads):
        total.merge(found)
        if progress is not None:
            progress(total.seen.rows)
    checked(total.seen, layout)
    table = total.table(weighted=layout.weighted)
    negatives = _Negatives(table, size, weighted=layout.weighted)

    def count(partition: Partition) -> list[NDArray[Any]]:
        into, mapping = negatives.new(), mapped({})
        for batch in readable(partition, layout, Scanned()):
            for block in _blocks(batch, layout, mapping):
                negatives.count(block, into)
        return into

    sums = negatives.new()
    for counted in map_ordered(count, dataset.partitions, threads):
        for mine, theirs in zip(sums, counted, strict=True):
            mine += theirs
    neg = sums[0]
    if not layout.weighted:
        first = negatives.start[:-1]
        above = np.add.reduceat(neg, first)
        neg[first] += total.mass - np.add.reduceat(table.pos, first) - above
    return Breakpoints(_classes(table, sums, size), total.seen.dropped, total.unseen)


def _classes(table: CellTable, sums: list[NDArray[Any]], classes: int) -> tuple[ScoreStats, ...]:
    squares = sums[1] if len(sums) > 1 else None
    counted = replace(table, neg=sums[0], neg_sq=squares)
    counted = counted.rows(counted.pos + counted.neg > 0)
    weighted = squares is not None
    return tuple(
        ScoreStats(counted.slots(k, k + 1), logits=table.logits, weighted=weighted)
        for k in range(classes)
    )


def _blocks(batch: Batch, layout: Layout, mapping: Mapping | None) -> Iterator[_Block]:
    """Yield the rows of a batch, with the probabilities that a tally counts them by."""
    weight = mass_of(batch, layout)
    if weight is not None:
        weight = weight.astype(np.float64 if layout.weighted else np.int64, copy=False)
    elif layout.weighted:
        weight = np.ones(len(batch))
    label = batch.labels
    assert label is not None
    scores = batch.scores if mapping is None else mapping(batch)
    height = max(BLOCK // scores.shape[1], 1)
    for first in range(0, len(scores), height):
        rows = slice(first, first + height)
        p = scores[rows].astype(np.float64, copy=False)
        yield _Block(p, label[rows], None if weight is None else weight[rows])


def outgrows_tally(
    dataset: Dataset,
    layout: Layout,
    *,
    calibrator: Calibrator | None = None,
    columns: tuple[str, ...] = (),
) -> bool:
    """Return whether the first rows already hold more distinct scores than a tally keeps apart.

    True is certain: more rows never make fewer cells. False leaves it open.
    """
    size = len(layout.classes)
    rows = [partition.rows for partition in dataset.partitions]
    known = sum(one for one in rows if one is not None) if None not in rows else None
    if known is not None and known <= tally.EXACT_CELLS and known * size <= 4 * tally.EXACT_CELLS:
        return False
    mapping = None
    if calibrator is not None:
        mapping = mapping_of(calibrator, columns, logits=layout.logits, unseen={})
    cells, read = CellTable.empty(weighted=False), 0
    for batch in rows_of(dataset, layout):
        for block in _blocks(batch, layout, mapping):
            if read >= PROBED:
                return False
            read += block.p.size
            slot = np.tile(np.arange(size), len(block.p))
            label = np.zeros(len(slot), np.bool_)
            make = logit_keys if layout.logits and mapping is None else probability_keys
            fresh = exact_cells(make(block.p.reshape(-1)), label, slot)
            cells = CellTable.concatenate([cells, fresh])
            if len(cells) > 4 * tally.EXACT_CELLS:
                return True
            if np.bincount(cells.slot).max() > tally.EXACT_CELLS:
                return True
    return False
