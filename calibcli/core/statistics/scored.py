"""What the cells of one slice's pairs say: their scores, logits and floors, and sums over them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.cells import grid
from calibcli.core.statistics.keys import key_logits, key_probabilities, key_tails
from calibcli.core.statistics.losses import CLIPPED, log_loss_sum, table_losses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.cell_table import CellTable, Counts
    from calibcli.core.statistics.counting.ranks import RankCells
    from calibcli.core.statistics.keys import Keys

    Sums = tuple[float, float, float, float]

_TINIEST = 1e-300


@dataclass(frozen=True, eq=False, repr=False)
class ScoredCells:
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
    def squares(self) -> NDArray[np.float64]:
        """Sums of the squared weights of the rows in each cell: their number when unweighted."""
        if self.table.pos_sq is None or self.table.neg_sq is None:
            return self.total.astype(np.float64)
        return self.table.pos_sq + self.table.neg_sq

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
        return grid(self.table.bits, self.edges).mixed(self.key)

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
        return loss_tuple(table_losses(self.table, 1, clip=not self.logits)[0])

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


def loss_tuple(losses: NDArray[np.float64]) -> Sums:
    """Return sums of losses by name, see `losses.SUMS`."""
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
