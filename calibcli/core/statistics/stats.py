"""ScoreStats: one slice's pairs (score, outcome), collapsed by cell. Everything reads only this.

Metrics, intervals, binary calibrators, thresholds and the report are functions of a ScoreStats,
whatever the number of rows behind it. Small data is exact: its cells are the distinct scores.
Large data has the cells of a fixed grid, each with the mean score of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.buckets import BUCKETS, Places, buckets_of, sums_by_bucket
from calibcli.core.statistics.cells import (
    ONE_KEY,
    grid,
    key_probabilities,
    key_tails,
    logit_keys,
    probability_keys,
)
from calibcli.core.statistics.folds import deal_rows, deal_slots
from calibcli.core.statistics.tally import Tally
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.core.statistics.cells import Keys

_TINIEST = 1e-300


@dataclass(frozen=True, eq=False, repr=False)
class ScoreStats:
    """Pairs (score, label) of one slice by cell, in increasing score order. C cells.

    Attributes:
        table: counts of each cell; `parts` the same by bucket of clusters, or None.
        edges: probabilities at which counts are exact even in a grid.
        logits: whether the scores were logits (their tails are not clipped in the log loss).
        weighted: whether counts are float64 sums of importance weights.
        losses: sums over rows of (1 - p_true)^2, of -log p_true and of p_true = 0.
    """

    table: CellTable
    edges: tuple[float, ...] = ()
    logits: bool = False
    weighted: bool = False
    losses: tuple[float, float, float] = (0.0, 0.0, 0.0)
    parts: CellTable | None = None

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
        tally = Tally(edges=edges, weighted=weighted, logits=logits)
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
        own = tally.table().slots(slot, slot + slots)
        by_bucket = None
        if parts is not None:
            if own.bits is not None:  # cells of buckets are never finer than the cells
                parts.enter_grid()
            by_bucket = parts.table().slots(slot * BUCKETS, (slot + slots) * BUCKETS, BUCKETS)
        squared, log_loss, certain = tally.losses[slot : slot + slots].sum(axis=0).tolist()
        return cls(
            own,
            tally.edges,
            tally.logits,
            tally.weighted,
            (squared, log_loss, certain),
            by_bucket,
        )

    # -- cells ------------------------------------------------------------------------------

    @property
    def key(self) -> Keys:
        """int64[C]: the order-preserving key at which each cell starts."""
        return self.table.key

    @property
    def pos(self) -> Counts:
        """Rows with label 1 in each cell: int64[C], or float64[C] when weighted."""
        return self.table.pos

    @property
    def neg(self) -> Counts:
        """Rows with label 0 in each cell: int64[C], or float64[C] when weighted."""
        return self.table.neg

    @cached_property
    def total(self) -> Counts:
        """Rows in each cell."""
        return self.table.pos + self.table.neg

    @property
    def exact(self) -> bool:
        """Whether the cells are the distinct scores."""
        return self.table.bits is None

    @cached_property
    def _mean_key(self) -> Keys:
        if self.table.bits is None:
            return self.table.key
        return grid(self.table.bits, self.edges).mean_keys(self.key, self.table.offset, self.total)

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Probability of each cell: the distinct score, or the mean score of its rows."""
        return key_probabilities(self._mean_key)

    @cached_property
    def floor(self) -> NDArray[np.float64]:
        """Lowest probability that falls into each cell; equals `score` when exact."""
        return key_probabilities(self.key)

    @cached_property
    def mixed(self) -> NDArray[np.bool_]:
        """Whether each cell may hold several distinct scores; edges of a grid never do."""
        if self.table.bits is None:
            return np.zeros(len(self.key), dtype=bool)
        starts = grid(self.table.bits, self.edges).starts
        following = np.append(starts, ONE_KEY + 1)[np.searchsorted(starts, self.key, "right")]
        mixed: NDArray[np.bool_] = following > self.key + 1
        return mixed

    @cached_property
    def logit(self) -> NDArray[np.float64]:
        """Logit of each cell, precise in both tails; probabilities are clipped at 1e-15."""
        tail, upper = key_tails(self._mean_key)
        tail = np.maximum(tail, _TINIEST if self.logits else EPS)
        size = np.log1p(-tail) - np.log(tail)
        return np.where(upper, size, -size)

    # -- totals -----------------------------------------------------------------------------

    @cached_property
    def n(self) -> int | float:
        """Rows, or their total weight."""
        return _number(self.total.sum())

    @cached_property
    def positives(self) -> int | float:
        """Rows with label 1, or their total weight."""
        return _number(self.pos.sum())

    @cached_property
    def negatives(self) -> int | float:
        """Rows with label 0, or their total weight."""
        return _number(self.neg.sum())

    def cell_losses(self) -> tuple[Counts, Counts]:
        """Return the log loss of a positive and of a negative row in each cell (C,), (C,)."""
        tail, upper = key_tails(self._mean_key)
        near = np.where(upper, 1.0 - tail, tail)
        far = np.where(upper, tail, 1.0 - tail)
        least = 0.0 if self.logits else EPS
        near, far = (np.where(v == 0, EPS, np.maximum(v, least)) for v in (near, far))
        return -np.log(near), -np.log(far)

    @cached_property
    def log_loss_sum(self) -> float:
        """Sum of -log p_true, certain errors clipped at 1e-15."""
        if not self.exact:
            return self.losses[1]
        positive, negative = self.cell_losses()
        return float(self.pos @ positive + self.neg @ negative)

    @cached_property
    def squared_loss_sum(self) -> float:
        """Sum of (score - label)^2."""
        if not self.exact:
            return self.losses[0]
        tail, upper = key_tails(self.key)
        near, far = tail**2, (1.0 - tail) ** 2
        return float(self.pos @ np.where(upper, near, far) + self.neg @ np.where(upper, far, near))

    @property
    def certain_errors(self) -> int | float:
        """Rows whose score was exactly 0 or 1 and wrong: their log loss is infinite."""
        return _number(self.pos[self.key == 0].sum() + self.neg[self.key == ONE_KEY].sum())

    # -- verbs ------------------------------------------------------------------------------

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
        squared, log_loss, certain = (a + b for a, b in zip(self.losses, other.losses, strict=True))
        return replace(self, table=table, losses=(squared, log_loss, certain), parts=parts)

    def _summed(self, tables: list[CellTable], slots: int, *, exact: bool = True) -> CellTable:
        held = [table for table in tables if len(table)]
        if held and held[0].bits is not None and all(t.bits == held[0].bits for t in held):
            return type(held[0]).concatenate(held)  # cells of one grid, whose edges are the same
        tally = Tally(slots, edges=self.edges, weighted=self.weighted, start_exact=exact)
        for table in tables:
            tally.add_table(table)
        return tally.table()

    def digest(self) -> str:
        """Return a SHA-256 over the cells: equal for equal rows, whatever their order."""
        import hashlib

        state = hashlib.sha256(f"{self.table.bits} {self.logits}".encode())
        for column in (self.table.key, self.table.pos, self.table.neg, self.table.offset):
            state.update(np.ascontiguousarray(column).tobytes())
        return state.hexdigest()

    def map(self, calibrated: NDArray[np.float64]) -> ScoreStats:
        """Return the same pairs under new probabilities (C,), one for each cell.

        Where buckets are kept in wider cells than these, a wide cell moves to the lowest new
        probability in it.
        """
        key = probability_keys(np.clip(calibrated, 0.0, 1.0))
        parts = None
        if self.parts is not None:
            places = self.places
            lowest = np.full(len(places.cells), ONE_KEY)
            np.minimum.at(lowest, places.home, key)
            parts = self.parts.moved(lowest[places.index])
        moved = replace(self, table=self.table.moved(key), parts=parts, logits=False, edges=())
        return moved._exact_losses()

    def coarsened(self, bits: int) -> ScoreStats:
        """Return the same rows in the cells of a grid of `bits` mantissa bits, or as they are.

        Counts at the edges stay exact, and so do the summed losses. Statistics in a grid that is
        as coarse already come back unchanged.
        """
        if self.table.bits is not None and self.table.bits <= bits:
            return self
        parts = None if self.parts is None else self._coarser(self.parts, bits, BUCKETS)
        losses = (self.squared_loss_sum, self.log_loss_sum, float(self.certain_errors))
        return replace(self, table=self._coarser(self.table, bits, 1), parts=parts, losses=losses)

    def _coarser(self, table: CellTable, bits: int, slots: int) -> CellTable:
        tally = Tally(slots, edges=self.edges, weighted=self.weighted, start_exact=False)
        tally.coarsen_to(bits)
        tally.add_table(table)
        return tally.table()

    def part_cells(self) -> NDArray[np.intp]:
        """Return which distinct cell of `parts`, in key order, each own cell lies in (C,)."""
        return self.places.home

    @cached_property
    def places(self) -> Places:
        """Where the cells of `parts` belong among the distinct ones and the buckets."""
        if self.parts is None:
            raise ValueError("these statistics have no clusters")
        return Places.of(self.parts, self.key)

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
            return [replace(self, table=table)._exact_losses() for table in tables]
        parts = deal_slots(self.parts, folds, seed)
        return [
            replace(self, table=part.slots(0, BUCKETS), parts=part)._exact_losses()
            for part in parts
        ]

    def _exact_losses(self) -> ScoreStats:
        """Return these statistics with losses summed from the cells."""
        positive, negative = self.cell_losses()
        log_loss = float(self.pos @ positive + self.neg @ negative)
        squared = float(self.pos @ (1 - self.score) ** 2 + self.neg @ self.score**2)
        return replace(self, losses=(squared, log_loss, float(self.certain_errors)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers; `from_dict` restores them exactly."""
        from calibcli.core.statistics.stats_json import stats_to_dict

        return stats_to_dict(self)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> ScoreStats:
        """Restore what `to_dict` returned."""
        from calibcli.core.statistics.stats_json import stats_from_dict

        return stats_from_dict(payload)


def _number(total: Any) -> int | float:
    """Return a NumPy scalar as a Python number."""
    number: int | float = total.item()
    return number


__all__ = ["BUCKETS", "ScoreStats", "buckets_of"]
