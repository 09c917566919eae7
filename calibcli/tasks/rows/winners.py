"""Which class wins each row, and with which probability.

These are the pairs that cut-offs of classes that exclude each other are chosen on.

A class can be decided for the rows that it wins alone, so in the pairs of class k a row that
another class wins has score 0, below every cut-off. Figures read from these pairs are those of the
decisions, of all classes together.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import won
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import probability_keys
from calibcli.core.statistics.stats import BUCKETS, ScoreStats
from calibcli.tasks.rows.decided import Members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.tasks.collect import Layout, Population
    from calibcli.tasks.rows.scan import Rows

    Floats = NDArray[np.float64]


class Winners:
    """An accumulator of what each class wins, under each of several weightings.

    Args:
        layout: what a row is.
        weights: (K,) of each weighting; the largest probability / weight wins.
        place: which group column of the batches parts the rows; None for all as one.
        mass: what a row of each class counts (K,), at another prevalence; None for 1.
        folded: whether rows are to be parted into folds.
    """

    def __init__(
        self,
        layout: Layout,
        weights: Sequence[Floats],
        place: int | None = None,
        mass: Floats | None = None,
        *,
        folded: bool = False,
    ) -> None:
        self.layout, self.weights, self.place, self.mass = layout, weights, place, mass
        self.size = len(layout.classes)
        self.weighted = layout.weighted or mass is not None
        self.members = Members()
        options: dict[str, Any] = {"edges": layout.edges, "weighted": self.weighted}
        self.won = [Tally(0, **options) for _ in weights]
        parted = folded or layout.clustered
        self.parts = [Tally(0, **options) for _ in weights] if parted else None
        self.rest = _Labels(self.size, parted, self.weighted)
        self.score = np.zeros(self.size)

    def add(self, rows: Rows) -> None:
        """Take in a batch."""
        if not len(rows.p):
            return
        member = np.zeros(len(rows.p), np.int64)
        if self.place is not None:
            member = self.members.of(*rows.groups[self.place])
        weight = rows.weight
        self.score += rows.p.sum(axis=0) if weight is None else weight @ rows.p
        if self.mass is not None:
            shift = self.mass[rows.label]
            weight = shift if weight is None else shift * weight
        bucket = None if self.parts is None else rows.fold
        self.rest.add(member * self.size + rows.label, bucket, weight)
        for number, weights in enumerate(self.weights):
            winner, p = won(rows.p, weights)
            key, slot = probability_keys(p), member * self.size + winner
            right = winner == rows.label
            self.won[number].add(key, right, slot, weight)
            if self.parts is not None:
                self.parts[number].add(key, right, slot * BUCKETS + rows.fold, weight)

    def merge(self, other: Winners) -> None:
        """Add a later partition."""
        members = np.zeros(1, np.int64)
        if self.place is not None:
            members = self.members.joined(other.members)
        slots = (members[:, None] * self.size + np.arange(self.size)).reshape(-1)
        self.score += other.score
        self.rest.merge(other.rest, slots)
        for mine, theirs in zip(self.won, other.won, strict=True):
            mine.merge(theirs, slots)
        if self.parts is not None and other.parts is not None:
            spread = (slots[:, None] * BUCKETS + np.arange(BUCKETS)).reshape(-1)
            for mine, theirs in zip(self.parts, other.parts, strict=True):
                mine.merge(theirs, spread)

    def label_mass(self) -> Floats:
        """Return the mass of the rows of each class (K,), of all members."""
        mass: Floats = self.rest.mass().reshape(-1, self.size).sum(axis=0)
        return mass

    def stats(self, number: int, k: int, member: int = 0) -> tuple[ScoreStats, CellTable | None]:
        """Return the pairs of class k under a weighting: rows it does not win have score 0.

        Beside them the same by bucket, where rows are to be parted into folds.
        """
        slot = member * self.size + k
        tally = None if self.parts is None else self.parts[number]
        own = ScoreStats.from_tally(self.won[number], slot, tally)
        sums = self.rest.of_class(member * self.size, k, self.size)
        table = _with_rest(own.table, *(one.sum(axis=1, keepdims=True) for one in sums))
        by_bucket = None if own.parts is None else _with_rest(own.parts, *sums)
        parts = by_bucket if self.layout.clustered else None
        stats = ScoreStats(table, own.edges, weighted=self.weighted, parts=parts)
        return stats, by_bucket

    def home(self, folds: int, seed: int) -> NDArray[np.int64]:
        """Return the fold of each bucket: as many of those that hold rows in each as can be."""
        used = np.flatnonzero(self.rest.by_bucket())
        home = np.zeros(BUCKETS, np.int64)
        home[used] = np.random.default_rng(seed).permutation(len(used)) % folds
        return home


def of_top(population: Population, k: int) -> ScoreStats:
    """Return the pairs of class k, won by the most probable class, from counted populations."""
    own, every = population.top[k], population.classes[k]
    table = _with_rest(own.table, *_sums(every.table, 1))
    parts = None
    if own.parts is not None and every.parts is not None:
        parts = _with_rest(own.parts, *_sums(every.parts, BUCKETS))
    return replace(own, table=table, parts=parts)


def _sums(table: CellTable, slots: int) -> tuple[NDArray[Any], Floats]:
    """Return mass and squared mass of label 1 and of label 0 by slot (2, slots) each."""

    def by_slot(values: NDArray[Any] | None) -> NDArray[Any]:
        if values is None:
            return np.zeros(slots)
        return np.bincount(table.slot, values, slots).astype(values.dtype)

    mass = np.stack([by_slot(table.pos), by_slot(table.neg)])
    return mass, np.stack([by_slot(table.pos_sq), by_slot(table.neg_sq)])


class _Labels:
    """Mass and squared mass by (member and class, bucket)."""

    def __init__(self, size: int, clustered: bool, weighted: bool) -> None:
        self.buckets = BUCKETS if clustered else 1
        self.kind = np.float64 if weighted else np.int64
        self._sums = np.zeros((2, size, self.buckets))
        self._all: dict[int, Floats] = {}

    def add(self, slot: NDArray[np.int64], bucket: NDArray[np.int64] | None, weight: Any) -> None:
        index = slot * self.buckets + (0 if bucket is None else bucket)
        size = int(slot.max()) + 1
        self._room(size)
        mass = np.ones(len(slot)) if weight is None else weight
        for place, values in enumerate((mass, mass**2)):
            found = np.bincount(index, values, size * self.buckets)
            self._sums[place, :size] += found.reshape(size, self.buckets)

    def merge(self, other: _Labels, slots: NDArray[np.int64]) -> None:
        used = min(len(slots), other._sums.shape[1])
        self._room(int(slots[:used].max(initial=-1)) + 1)
        self._sums[:, slots[:used]] += other._sums[:, :used]

    def _room(self, size: int) -> None:
        more = size - self._sums.shape[1]
        if more > 0:
            self._sums = np.pad(self._sums, ((0, 0), (0, more), (0, 0)))

    def mass(self) -> Floats:
        """Return the mass of the rows of each slot."""
        found: Floats = self._sums[0].sum(axis=1)
        return found

    def by_bucket(self) -> Floats:
        """Return the mass of the rows of each bucket."""
        found: Floats = self._sums[0].sum(axis=0)
        return found

    def of_class(self, first: int, k: int, size: int) -> tuple[NDArray[Any], Floats]:
        """Return mass and squared mass of a class and of the others (2, buckets) each.

        The slots of a member are `size` from `first` on.
        """
        self._room(first + size)
        if first not in self._all:
            self._all[first] = self._sums[:, first : first + size].sum(axis=1)
        own = self._sums[:, first + k]
        mass, square = np.stack([own, self._all[first] - own], axis=1)
        return mass.astype(self.kind), square


def _with_rest(table: CellTable, mass: NDArray[Any], square: Floats) -> CellTable:
    """Return what a class wins with the rows that it does not, at score 0.

    Args:
        table: what the class wins, by slot.
        mass: (2, slots) all rows of the class, and of the others.
        square: their squared weights.
    """
    slots = mass.shape[1]

    def rest(whole: NDArray[Any], own: NDArray[Any]) -> NDArray[Any]:
        held = np.bincount(table.slot, own, slots).astype(whole.dtype)
        left: NDArray[Any] = np.maximum(whole - held, 0)
        return left

    pos, neg = rest(mass[0], table.pos), rest(mass[1], table.neg)
    squares: tuple[Any, Any] = (None, None)
    if table.pos_sq is not None and table.neg_sq is not None:
        squares = rest(square[0], table.pos_sq), rest(square[1], table.neg_sq)
    used = (pos > 0) | (neg > 0)
    none = np.zeros(slots, pos.dtype)
    slot, key = np.arange(slots, dtype=np.int32), np.zeros(slots, np.int64)
    lowest = CellTable(slot, key, pos, neg, none, *squares, bits=table.bits).rows(used)
    return CellTable.concatenate([lowest, table])
