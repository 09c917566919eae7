"""ScoreStats: one slice's pairs (score, outcome), collapsed by cell. Everything reads only this.

Metrics, intervals, binary calibrators, thresholds and the report are functions of a ScoreStats,
whatever the number of rows behind it. Small data is exact: its cells are the distinct scores.
Large data has the cells of a fixed grid, each with the mean score of its rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.buckets import BUCKETS, Places, buckets_of, sums_by_bucket
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.folds import deal_rows, deal_slots
from calibcli.core.statistics.keys import (
    ONE_KEY,
    key_logits,
    key_probabilities,
    key_tails,
    logit_keys,
    probability_keys,
)
from calibcli.core.statistics.losses import CLIPPED, SUMS, combine, log_loss_sum, table_losses
from calibcli.core.statistics.tally import Tally
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.core.statistics.keys import Keys
    from calibcli.core.statistics.ranks import RankCells

    Sums = tuple[float, float, float, float]

_TINIEST = 1e-300


@dataclass(frozen=True, eq=False, repr=False)
class ScoreStats:
    """Pairs (score, label) of one slice by cell, in increasing score order. C cells.

    Attributes:
        table: counts of each cell; `parts` the same by bucket of clusters, or None.
        edges: probabilities at which counts are exact even in a grid.
        logits: whether the scores were logits, or came from them: their log loss is not clipped.
        weighted: whether counts are float64 sums of importance weights.
        losses: in a grid, the sums of losses over rows (see `losses.SUMS`).
        ranks: in a grid, finer cells for ranking figures, where they are kept.
    """

    table: CellTable
    edges: tuple[float, ...] = ()
    logits: bool = False
    weighted: bool = False
    losses: Sums = (0.0, 0.0, 0.0, 0.0)
    parts: CellTable | None = None
    ranks: RankCells | None = None

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
        own = tally.table().slots(slot, slot + slots)
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
            _sums(losses),
            by_bucket,
            _parted(tally.ranks(slot, slots), own, tally.edges),
        )

    # -- cells ------------------------------------------------------------------------------

    @property
    def key(self) -> Keys:
        """int64[C]: the key of each distinct score, or the place where a cell of a grid starts."""
        return self.table.key

    @cached_property
    def place(self) -> Keys:
        """int64[C]: the place of each distinct score, or where the cell of a grid starts."""
        return self.table.places

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
            return self.place
        return grid(self.table.bits, self.edges).mean_keys(self.key, self.table.offset, self.total)

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Probability of each cell: the distinct score, or the mean score of its rows."""
        return key_probabilities(self._mean_key)

    @cached_property
    def floor(self) -> NDArray[np.float64]:
        """Lowest probability that falls into each cell; equals `score` when exact."""
        return key_probabilities(self.place)

    @cached_property
    def cut(self) -> NDArray[np.float64]:
        """Lowest score of each cell as it was given: a logit, or `floor`. Parts distinct scores."""
        if self.table.logits:
            return key_logits(self.key)
        return _logits(self.key, 0.0) if self.logits and not self.exact else self.floor

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
        """Logit of each cell, precise in both tails and finite; probabilities are clipped at 1e-15.

        An infinite logit is as large as the largest finite one, and no less than 690.
        """
        if not self.table.logits:
            return _logits(self._mean_key, _TINIEST if self.logits else EPS)
        logit = key_logits(self.key)
        finite = np.abs(logit[np.isfinite(logit)])
        most = max(float(finite.max(initial=0.0)), -math.log(_TINIEST))
        return np.clip(logit, -most, most)

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
        most = max(self.loss_sums[3], CLIPPED)
        if not self.logits:
            return -np.log(np.maximum(near, EPS)), -np.log(np.maximum(far, EPS))
        if self.table.logits:
            logit = key_logits(self.key)
            size = np.abs(np.where(np.isfinite(logit), logit, most))
            shared = -np.log1p(-tail)
            less = np.where(upper, 0.0, size), np.where(upper, size, 0.0)
            return shared + less[0], shared + less[1]
        with np.errstate(divide="ignore"):
            return np.minimum(-np.log(near), most), np.minimum(-np.log(far), most)

    @cached_property
    def loss_sums(self) -> Sums:
        """Sums of losses over rows, from the distinct scores or as they were summed by row."""
        if not self.exact:
            return self.losses
        return _sums(table_losses(self.table, 1, clip=not self.logits)[0])

    @property
    def log_loss_sum(self) -> float:
        """Sum of -log p_true, with infinite ones at their cost (see `losses`)."""
        return log_loss_sum(np.array(self.loss_sums))

    @property
    def squared_loss_sum(self) -> float:
        """Sum of (score - label)^2."""
        return self.loss_sums[0]

    @property
    def certain_errors(self) -> int | float:
        """Rows whose score was certain and wrong: their log loss is infinite."""
        infinite = self.loss_sums[2]
        return infinite if self.weighted else round(infinite)

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
        losses = np.array(self.loss_sums)
        combine(losses, np.array(other.loss_sums))
        ranks = None
        if table.bits is not None and self.ranks is not None and other.ranks is not None:
            ranks = _parted(self.ranks.merge(other.ranks), table, self.edges)
        return replace(self, table=table, losses=_sums(losses), parts=parts, ranks=ranks)

    def _summed(self, tables: list[CellTable], slots: int, *, exact: bool = True) -> CellTable:
        held = [table for table in tables if len(table)]
        if held and held[0].bits is not None and all(t.bits == held[0].bits for t in held):
            return type(held[0]).concatenate(held)  # cells of one grid, whose edges are the same
        tally = self._tally(slots, exact=exact, by_logit=tables[0].logits)
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
        table = self.table.moved(key)
        return replace(self, table=table, parts=parts, logits=False, edges=(), ranks=None)

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
        parts = None if self.parts is None else self._coarser(self.parts, bits, BUCKETS)
        table = self._coarser(self.table, bits, 1)
        return replace(self, table=table, parts=parts, losses=self.loss_sums)

    def _coarser(self, table: CellTable, bits: int, slots: int) -> CellTable:
        tally = self._tally(slots, exact=False, by_logit=table.logits)
        tally.coarsen_to(bits)
        tally.add_table(table)
        return tally.table()

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

    @cached_property
    def grid_error(self) -> dict[str, float]:
        """By metric, how far its value may be from that on distinct scores (see `grid_error`)."""
        from calibcli.core.metrics.grid_error import grid_error

        return grid_error(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers; `from_dict` restores them exactly."""
        from calibcli.io.artifacts.stats import stats_to_dict

        return stats_to_dict(self)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> ScoreStats:
        """Restore what `to_dict` returned."""
        from calibcli.io.artifacts.stats import stats_from_dict

        return stats_from_dict(payload)


def _parted(
    ranks: RankCells | None, table: CellTable, edges: tuple[float, ...]
) -> RankCells | None:
    if ranks is None or table.bits is None:
        return None
    return ranks.parted(table, probability_keys(np.array(edges)))


def _sums(losses: NDArray[np.float64]) -> Sums:
    squared, log_loss, infinite, worst = losses.tolist()
    return squared, log_loss, infinite, worst


def _logits(place: Keys, least: float) -> NDArray[np.float64]:
    """Return the logits of places, precise in both tails; tails below `least` are raised to it."""
    tail, upper = key_tails(place)
    with np.errstate(divide="ignore"):
        tail = np.maximum(tail, least)
        size = np.log1p(-tail) - np.log(tail)
    return np.where(upper, size, -size)


def _number(total: Any) -> int | float:
    """Return a NumPy scalar as a Python number."""
    number: int | float = total.item()
    return number


__all__ = ["BUCKETS", "ScoreStats", "buckets_of"]
