"""ScoreStats: one slice's pairs (score, outcome), collapsed by cell. Everything reads only this.

Metrics, intervals, binary calibrators, thresholds and the report are functions of a ScoreStats,
whatever the number of rows behind it. Small data is exact: its cells are the distinct scores.
Large data has the cells of a fixed grid, each with the mean score of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.statistics.buckets import BUCKETS, Places, buckets_of, sums_by_bucket
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.folds import deal_rows, deal_slots
from calibcli.core.statistics.keys import (
    ONE_KEY,
    key_probabilities,
    logit_keys,
    probability_keys,
)
from calibcli.core.statistics.losses import CLIPPED, SUMS, combine
from calibcli.core.statistics.scored import ScoredCells, loss_tuple
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.core.statistics.counting.ranks import RankCells


@dataclass(frozen=True, eq=False, repr=False)
class ScoreStats(ScoredCells):
    """Pairs (score, label) of one slice by cell, in increasing score order. C cells."""

    @classmethod
    def from_arrays(
        cls,
        scores: ArrayLike,
        labels: ArrayLike,
        weight: ArrayLike | None = None,
        *,
        logits: bool = False,
        cluster: ArrayLike | None = None,
        edges: tuple[float, ...] = (),
    ) -> Self:
        """Collapse scores (n,) in [0, 1], or logits, with labels (n,) of 0/1.

        Integer weights are counts of identical rows; float weights are importance weights.
        `cluster` (n,) integers: rows of one value stay together in intervals and folds.
        """
        values = np.asarray(scores)
        key = logit_keys(values) if logits else probability_keys(values)
        label = np.asarray(labels).astype(bool)
        mass = None if weight is None else np.asarray(weight)
        weighted = mass is not None and not np.issubdtype(mass.dtype, np.integer)
        tally = Tally(edges=edges, weighted=weighted, logits=logits, ranked=True)
        tally.add(key, label, None, mass)
        parts = None
        if cluster is not None:
            parts = Tally(BUCKETS, edges=edges, weighted=weighted, logits=logits)
            parts.add(key, label, buckets_of(np.asarray(cluster)), mass)
        return cls.from_tally(tally, 0, parts)

    @classmethod
    def from_tally(
        cls, tally: Tally, slot: int, parts: Tally | None = None, *, slots: int = 1
    ) -> Self:
        """Return `slots` slots of a tally from `slot` on as one; `parts` holds them by bucket.

        Bucket b of slot s is slot BUCKETS * s + b of `parts`.
        """
        own = tally.of_slots(slot, slot + slots)
        by_bucket = None
        if parts is not None:
            if own.bits is not None:  # cells of buckets are never finer than the cells
                parts.enter_grid()
            by_bucket = parts.table().slots(slot * BUCKETS, (slot + slots) * BUCKETS, BUCKETS)
        losses = np.zeros(SUMS)
        for one in tally.losses[slot : slot + slots]:
            combine(losses, one)
        return cls(
            own,
            tally.edges,
            tally.logits,
            tally.weighted,
            loss_tuple(losses),
            by_bucket,
            parted_ranks(tally.ranks(slot, slots), own, tally.edges),
        )

    def merge(self, other: ScoreStats) -> ScoreStats:
        """Return the statistics of both sets of rows.

        Raises:
            InputError: when the two count differently (logits, weights, edges, clusters).
        """
        for name in ("logits", "weighted", "edges"):
            if getattr(self, name) != getattr(other, name):
                raise InputError(
                    f"statistics that differ in {name} cannot be merged",
                    "make both from the same options",
                )
        if (self.parts is None) != (other.parts is None) and self.n and other.n:
            raise InputError(
                "statistics with and without clusters cannot be merged",
                "make both with --cluster, or both without it",
            )
        table = self._summed([self.table, other.table], 1)
        buckets = [part for part in (self.parts, other.parts) if part is not None]
        parts = self._summed(buckets, BUCKETS, exact=table.bits is None) if buckets else None
        losses = np.array(self.loss_sums)
        combine(losses, np.array(other.loss_sums))
        ranks = None
        if table.bits is not None and self.ranks is not None and other.ranks is not None:
            ranks = parted_ranks(self.ranks.merge(other.ranks), table, self.edges)
        return replace(self, table=table, losses=loss_tuple(losses), parts=parts, ranks=ranks)

    def _summed(self, tables: list[CellTable], slots: int, *, exact: bool = True) -> CellTable:
        held = [table for table in tables if len(table)]
        if held and held[0].bits is not None and all(t.bits == held[0].bits for t in held):
            return type(held[0]).concatenate(held)  # cells of one grid, whose edges are the same
        tally = self._tally(slots, exact=exact, by_logit=tables[0].logits)
        for table in tables:
            tally.add_table(table)
        return tally.table()

    def digest(self) -> str:
        """Return a SHA-256 over the cells: equal for equal rows, whatever their order.

        Sums of weights are read as float32, for their last digits depend on the order.
        """
        import hashlib

        state = hashlib.sha256(f"{self.table.bits} {self.logits}".encode())
        for column in (self.table.key, self.table.pos, self.table.neg, self.table.offset):
            same = column.astype(np.float32) if column.dtype == np.float64 else column
            state.update(np.ascontiguousarray(same).tobytes())
        return state.hexdigest()

    def map(self, calibrated: NDArray[np.float64], *, logits: bool = False) -> ScoreStats:
        """Return the same pairs under new probabilities or logits (C,), one for each cell.

        Where buckets are kept in wider cells than these, a wide cell moves to the lowest new
        score in it.
        """
        key = logit_keys(calibrated) if logits else probability_keys(np.clip(calibrated, 0.0, 1.0))
        parts = None
        if self.parts is not None:
            places = self.places
            lowest = np.full(len(places.cells), np.iinfo(np.int64).max)
            np.minimum.at(lowest, places.home, key)
            parts = self.parts.moved(lowest[places.index], logits=logits)
        table = self.table.moved(key, logits=logits)
        return replace(self, table=table, parts=parts, logits=logits, edges=(), ranks=None)

    def rebucketed(self, moved: NDArray[np.int64]) -> ScoreStats:
        """Return statistics whose bucket b is counted as bucket moved[b]."""
        if self.parts is None or not len(self.parts):
            return self
        return replace(self, parts=self.parts.in_slots(moved))

    def by_place(self) -> ScoreStats:
        """Return the same pairs kept by probability, as logits in a grid are already."""
        parts = None if self.parts is None else self.parts.by_place()
        return replace(self, table=self.table.by_place(), parts=parts)

    def coarsened(self, bits: int) -> ScoreStats:
        """Return the same rows in the cells of a grid of `bits` mantissa bits, or as they are.

        Counts at the edges stay exact, and so do the summed losses. Statistics in a grid that is
        as coarse already come back unchanged.
        """
        if self.table.bits is not None and self.table.bits <= bits:
            return self
        cells = grid(bits, self.edges)
        parts = None if self.parts is None else self.parts.coarser(cells)
        table = self.table.coarser(cells)
        return replace(self, table=table, parts=parts, losses=self.loss_sums)

    def _tally(self, slots: int, *, exact: bool, by_logit: bool) -> Tally:
        options: dict[str, Any] = {"weighted": self.weighted, "logits": self.logits}
        return Tally(slots, edges=self.edges, by_logit=by_logit, start_exact=exact, **options)

    def part_cells(self) -> NDArray[np.intp]:
        """Return which distinct cell of `parts`, in key order, each own cell lies in (C,)."""
        return self.places.home

    @cached_property
    def places(self) -> Places:
        """Where the cells of `parts` belong among the distinct ones and the buckets."""
        if self.parts is None:
            raise ValueError("these statistics have no clusters")
        alike = self.table.logits is self.parts.logits
        return Places.of(self.parts, self.key if alike else self.place)

    def bucket_sums(
        self, positive: NDArray[np.float64], negative: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return, for each bucket that holds rows, the sum over its rows of a value by cell.

        Args:
            positive: value of a positive row in each cell, (C,) or (C, m).
            negative: value of a negative row in each cell, of the same shape.

        Returns:
            (buckets,) or (buckets, m). Where buckets are kept in wider cells than these, a
            value is the average over the wide cell.
        """
        if self.parts is None:
            raise ValueError("these statistics have no clusters")
        own = self.pos.astype(np.float64), self.neg.astype(np.float64)
        return sums_by_bucket(self.parts, self.places, own, (positive, negative))

    def split(self, folds: int, seed: int, *, balanced: bool = True) -> list[ScoreStats]:
        """Return disjoint parts that sum to the whole, for cross-fitting (see `folds`).

        With clusters, whole buckets go to a fold, and its cells are those of the buckets.
        """
        if self.parts is None:
            tables = deal_rows(self.table, folds, seed, balanced=balanced)
            return [replace(self, table=table, ranks=None)._exact_losses() for table in tables]
        parts = deal_slots(self.parts, folds, seed)
        return [
            replace(self, table=part.slots(0, BUCKETS), parts=part, ranks=None)._exact_losses()
            for part in parts
        ]

    def rest(self, parts: list[ScoreStats], held: int) -> ScoreStats:
        """Return the rows of disjoint parts of these but one (see `split`); of two or more."""
        others, own = parts[:held] + parts[held + 1 :], parts[held].table
        alike = own.bits == self.table.bits and own.logits is self.table.logits
        if self.parts is not None or self.weighted or not alike:
            return reduce(lambda a, b: a.merge(b), others)
        table = self.table.without(own)
        if self.exact:
            return replace(self, table=table)
        losses = np.array(others[0].losses)
        for one in others[1:]:
            combine(losses, np.array(one.losses))
        return replace(self, table=table, losses=loss_tuple(losses), ranks=None)

    def _exact_losses(self) -> ScoreStats:
        """Return these statistics with losses summed from the cells."""
        if self.exact:
            return self
        positive, negative = self.cell_losses()
        infinite = 0.0
        if not self.logits:
            infinite = float(self.pos[self.key == 0].sum() + self.neg[self.key == ONE_KEY].sum())
        log_loss = float(self.pos @ positive + self.neg @ negative) - infinite * CLIPPED
        squared = float(self.pos @ (1 - self.score) ** 2 + self.neg @ self.score**2)
        return replace(self, losses=(squared, log_loss, infinite, self.losses[3]))


def parted_ranks(
    ranks: RankCells | None, table: CellTable, edges: tuple[float, ...]
) -> RankCells | None:
    """Return finer cells split at the edges, where `table` is in a grid that is exact there."""
    if ranks is None or table.bits is None:
        return None
    return ranks.parted(table, probability_keys(np.array(edges)))


def confidence_pairs(stats: ScoreStats) -> ScoreStats:
    """Return pairs (confidence, was the decision right) of a binary score, clusters kept.

    A row is decided positive from 0.5 up, with confidence max(p, 1 - p).
    """
    parts = None if stats.parts is None else _turned(stats.parts, stats.edges)
    table = _turned(stats.table, stats.edges)
    return ScoreStats(table, weighted=stats.weighted, parts=parts)


def _turned(table: CellTable, edges: tuple[float, ...]) -> CellTable:
    """Return cells of probabilities as cells of confidence and of right and wrong.

    A cell of a grid turns over below one half: its highest probability is its lowest confidence,
    and belongs to the nearest cell border from 0.5 up, so that one cut-off parts both sides alike.
    """
    p = key_probabilities(table.places)
    positive = p >= 0.5
    confidence = np.where(positive, p, 1.0 - p)
    if table.bits is not None:
        borders = key_probabilities(grid(table.bits, edges).starts)
        upper = borders[borders >= 0.5]
        above = np.append(borders, 1.0)[np.searchsorted(borders, p, side="right")]
        lowest = 1.0 - np.nextafter(above, 0.0)
        border = np.searchsorted(upper, lowest, side="right") - 1
        confidence = np.where(positive, p, upper[np.maximum(border, 0)])

    def swapped(yes: Counts | None, no: Counts | None) -> Any:
        return None if yes is None or no is None else np.where(positive, yes, no)

    return replace(
        table,
        pos=swapped(table.pos, table.neg),
        neg=swapped(table.neg, table.pos),
        pos_sq=swapped(table.pos_sq, table.neg_sq),
        neg_sq=swapped(table.neg_sq, table.pos_sq),
    ).moved(probability_keys(confidence))


__all__ = ["BUCKETS", "ScoreStats", "buckets_of", "confidence_pairs"]
