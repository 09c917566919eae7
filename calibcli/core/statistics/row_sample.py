"""Some whole rows of several classes: how far the errors of the classes of one row go together.

Cells count each class by itself, so the variance of one class against the rest is known of all rows
and exactly. What they have lost is which pairs were of one row. Of few rows all are kept whole, of
many a sample: those whose units have the smallest hashes, which is the same sample whatever the
order of the rows and in whatever parts they were read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.keys import probability_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]
    Gradient = tuple[Array, Array]
    Hashes = NDArray[np.uint64]

MOST_VALUES = 1 << 21
"""Scores in all rows that are kept."""
LEAST_ROWS = 1024
LEAST_OF_GROUP = 100
"""Rows of a group from which on they alone tell how its classes go together."""
_LEAST_SHARE = 0.25
"""Of what the sample alone says, below which its correction may not bring a variance."""


class Limit:
    """The hash above which no row is kept, as parts of the rows have shown it to each other."""

    def __init__(self) -> None:
        self.value = np.uint64(2**64 - 1)


class RowSample:
    """Whole rows, as many as are kept of K classes. Mergeable.

    Attributes:
        rows: how many rows there were in all.
        borrowed: whether the rows that are kept are not those of which there were `rows`.
    """

    def __init__(self, classes: int, *, weighted: bool, limit: Limit | None = None) -> None:
        self.weighted = weighted
        self.limit = Limit() if limit is None else limit
        self.most = max(MOST_VALUES // max(classes, 1), LEAST_ROWS)
        self.rows = 0
        self.borrowed = False
        self._held = 0
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._cells: dict[int, NDArray[np.intp]] = {}

    def add(
        self,
        unit: Hashes,
        p: Array,
        label: NDArray[np.integer[Any]],
        mass: NDArray[Any] | None,
        groups: Sequence[tuple[NDArray[np.integer[Any]], list[str]]] = (),
    ) -> None:
        """Take in rows.

        Args:
            unit: (n,) identities of the rows.
            p: (n, K) probabilities.
            label: (n,) classes.
            mass: (n,) weights, or numbers of rows that each stands for; None for one each.
            groups: codes (n,) and the values they stand for, of each group column.
        """
        self.rows += len(unit)
        hashed = mixed(unit)
        some = np.flatnonzero(hashed <= self.limit.value)
        if len(some):
            worth = np.ones(len(some)) if mass is None else mass[some].astype(np.float64)
            values = [np.array(names, dtype=object)[codes[some]] for codes, names in groups]
            self._hold((hashed[some], p[some], label[some].astype(np.int64), worth, *values))

    def merge(self, other: RowSample) -> None:
        """Take in what other rows hold."""
        self.rows += other.rows
        for part in other._parts:
            some = np.flatnonzero(part[0] <= self.limit.value)
            self._hold(tuple(column[some] for column in part))

    def of_group(self, column: int, value: str) -> RowSample:
        """Return the rows of one value of a group column, or all where those are too few.

        All tell how the classes of a row go together, though not how many rows there are.
        """
        rows = self._settle()
        some, kept = np.flatnonzero(rows[4 + column] == value), len(rows[0])
        found = RowSample(rows[1].shape[1], weighted=self.weighted)
        found.rows = round(len(some) * max(self.rows / max(kept, 1), 1.0))
        found.borrowed = len(some) < LEAST_OF_GROUP and self.rows > kept
        found._hold(rows if found.borrowed else tuple(own[some] for own in rows))
        return found

    def _hold(self, part: tuple[NDArray[Any], ...]) -> None:
        self._parts.append(part)
        self._held += len(part[0])
        self._cells.clear()
        if self._held > 2 * self.most:
            self._settle()

    def _settle(self) -> tuple[NDArray[Any], ...]:
        """Return the rows of the smallest hashes, in their order, and keep no others."""
        if len(self._parts) == 1 and not self._parts[0][0].flags.writeable:
            return self._parts[0]
        columns = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        order = np.argsort(columns[0], kind="stable")[: self.most]
        if len(columns[0]) > self.most:
            self.limit.value = min(self.limit.value, columns[0][order[-1]])
        part = tuple(column[order] for column in columns)
        part[0].flags.writeable = False  # in order, until another part comes
        self._parts, self._held = [part], len(part[0])
        return self._parts[0]

    def together(
        self,
        numbers: Sequence[int],
        classes: Sequence[ScoreStats],
        gradients: Sequence[Gradient],
        apart: float,
    ) -> float:
        """Return the variance of a sum over classes.

        Where rows are a sample it is the regression estimator: the sum over the sample of the
        squares of a row's whole influence, corrected by how far that of the squares by class is
        from `apart`, where it is known (Cochran, "Sampling Techniques", 1977, section 7).

        Args:
            numbers: which class each is.
            classes: their pairs.
            gradients: by the positives and the negatives of each cell.
            apart: the sum over all rows and classes of the squared influences.
        """
        _, p, label, worth, *_ = self._settle()
        whole, squares = np.zeros(len(label)), np.zeros(len(label))
        for number, stats, (positive, negative) in zip(numbers, classes, gradients, strict=True):
            if number not in self._cells:
                key = probability_keys(p[:, number])
                own = np.searchsorted(stats.key, key, side="right") - 1
                self._cells[number] = np.maximum(own, 0)
            cell = self._cells[number]
            influence = negative[cell]
            mine = np.flatnonzero(label == number)
            influence[mine] = positive[cell[mine]]
            whole += influence
            squares += influence * influence
        whole *= whole
        rows = worth * worth if self.weighted else worth
        if self.rows <= len(label) and not self.borrowed:
            return float(rows @ whole)
        scale = self.rows / len(label)
        joint, alone = rows * whole, rows * squares
        if self.borrowed:
            return apart * float(joint.sum()) / max(float(alone.sum()), 1e-300)
        centred = alone - alone.mean()
        slope = float(centred @ joint) / max(float(centred @ alone), 1e-300)
        direct = scale * float(joint.sum())
        found = direct + slope * (apart - scale * float(alone.sum()))
        return max(found, _LEAST_SHARE * direct)
