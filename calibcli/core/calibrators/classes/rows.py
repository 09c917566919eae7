"""Rows of K scores: where they come from, and passes over them.

A pass is an accumulator that every row is added to. Whoever makes the passes may read in threads or
on other machines, so an accumulator can be begun afresh for a part of the rows and merged; memory
does not grow with the rows, and blocks that fit a core's cache are all that is ever widened to
float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np

from calibcli.core.calibrators.classes.row_scores import LOG_FLOOR, clipped_log, finite_rows
from calibcli.core.calibrators.evidence import require_two_classes
from calibcli.core.statistics.buckets import BUCKETS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators.evidence import FloatArray, IntArray

    Deal = NDArray[np.int64]
    """(64,) the fold of each bucket."""

BLOCK = 1 << 16
"""Numbers in a block: half a megabyte of float64, which stays in a core's cache."""


# -- batches and blocks ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Block:
    """Some rows, small enough for a core's cache.

    Attributes:
        scores: (n, K) as they were read.
        z: (n, K) float64 logits, or log-probabilities; finite.
        label: (n,) classes.
        weight: (n,) rows that each is worth; `square` what it adds to a sum of squared weights.
        bucket: (n,) bucket of its unit.
    """

    scores: NDArray[np.floating[Any]]
    z: FloatArray
    label: IntArray
    weight: FloatArray
    square: FloatArray
    bucket: NDArray[np.integer[Any]]

    @property
    def truth(self) -> tuple[NDArray[np.intp], IntArray]:
        """The place of each row's label."""
        return np.arange(len(self.label)), self.label


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RowBatch:
    """Rows as they were read, or some of them.

    Attributes:
        scores: (N, K) in the dtype of the file.
        logits: whether they are; else probabilities.
        label: (n,) int64.
        weight: (n,) float64, or None for 1 each: rows that each is worth. Importance weights are
            rescaled to the effective rows of all, see `evidence`.
        square: (n,) float64 likewise: the count of identical rows, or the squared weight.
        counts: whether weights are counts of identical rows.
        bucket: (n,) bucket of the row's unit, from 0 to 63.
        group: codes (n,) and values of a group column, or None.
        chosen: (n,) rows of `scores`, or None for all.
    """

    scores: NDArray[np.floating[Any]]
    logits: bool
    label: IntArray
    weight: FloatArray | None
    square: FloatArray | None
    bucket: NDArray[np.integer[Any]]
    counts: bool = False
    group: tuple[NDArray[np.integer[Any]], tuple[str, ...]] | None = None
    chosen: NDArray[np.intp] | None = None

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: NDArray[np.intp]) -> RowBatch:
        """Return some rows; their scores are not copied."""

        def of(values: Any) -> Any:
            return None if values is None else values[rows]

        return replace(
            self,
            label=self.label[rows],
            weight=of(self.weight),
            square=of(self.square),
            bucket=self.bucket[rows],
            group=None if self.group is None else (self.group[0][rows], self.group[1]),
            chosen=rows if self.chosen is None else self.chosen[rows],
        )

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks of at most `BLOCK` numbers."""
        height = max(BLOCK // max(self.scores.shape[1], 1), 1)
        for start in range(0, len(self), height):
            rows = slice(start, start + height)
            label = self.label[rows]
            ones = np.ones(len(label)) if self.weight is None or self.square is None else None
            scores = self.scores[rows if self.chosen is None else self.chosen[rows]]
            yield Block(
                scores,
                finite_rows(scores) if self.logits else clipped_log(scores),
                label,
                ones if self.weight is None else self.weight[rows],  # type: ignore[arg-type]
                ones if self.square is None else self.square[rows],  # type: ignore[arg-type]
                self.bucket[rows],
            )


def fold_blocks(rows: RowBatch, folds: Deal | None) -> Iterator[tuple[int | None, Block]]:
    """Yield blocks of rows of one fold each, and the fold; None where there are none."""
    if folds is None:
        yield from ((None, block) for block in rows.blocks())
        return
    home = folds[np.asarray(rows.bucket)]
    for fold in range(int(folds.max()) + 1):
        own = np.flatnonzero(home == fold)
        if len(own):
            yield from ((fold, block) for block in rows.take(own).blocks())


class Accumulator(Protocol):
    """What a pass fills."""

    def fresh(self) -> Self:
        """Return one of the same kind that holds nothing."""

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""

    def merge(self, other: Self) -> None:
        """Take in what others have found."""


Filled = TypeVar("Filled", bound=Accumulator)


def deal(folds: int, again: int = 0) -> Deal:
    """Return the fold of each bucket (64,): the bucket modulo the folds, or a seeded draw."""
    home = np.arange(BUCKETS)
    if again:
        home = np.random.default_rng(again).permutation(BUCKETS)
    return home % folds


# -- sources ---------------------------------------------------------------------------------------


class RowSource:
    """Rows that can be passed over as often as is needed."""

    n_classes: int
    logits: bool

    def scan(self, accumulator: Filled) -> Filled:
        """Add every row to the accumulator, and return it."""
        raise NotImplementedError

    def head(self) -> RowBatch | None:
        """Return some of the first rows, or None where there are none."""
        raise NotImplementedError

    @cached_property
    def summary(self) -> Summary:
        """Weights and labels. One pass, which reads no scores, the first time."""
        return self.scan(Summary(self.n_classes))

    @cached_property
    def floor(self) -> float | None:
        """The log-probability to put exact zeros at, or None where there are none.

        Probabilities of exactly 0 are rounded ones. Where a fit has a weight for each class, their
        clipped logarithm would decide it, so they are put at half the least probability that is
        not zero (the substitution of half the detection limit, as `certain_limits` does for one
        score), and no lower than one row in n, shared by the classes, can tell: 1 / ((n + 1) K).
        One pass, the first time.
        """
        lowest = self.scan(_Lowest())
        if not lowest.zeros or not np.isfinite(lowest.least):
            return None
        told = -float(np.log((self.summary.effective + 1.0) * self.n_classes))
        return max(lowest.least - float(np.log(2.0)), told)

    def outside_summary(self, folds: Deal, fold: int | None) -> Summary:
        """Return the weights and labels of the rows whose bucket is dealt to another fold."""
        found = Summary(self.n_classes)
        others = folds != fold
        found.mass = self.summary.mass * others[:, None]
        found.squares = self.summary.squares * others
        return found

    def outside(self, folds: Deal, fold: int) -> RowSource:
        """Return the rows whose bucket is dealt to another fold."""
        return Changed(self, partial(_of_fold, folds=folds, fold=fold, inside=False))

    def inside(self, folds: Deal, fold: int) -> RowSource:
        """Return the rows whose bucket is dealt to a fold."""
        return Changed(self, partial(_of_fold, folds=folds, fold=fold, inside=True))

    def of_group(self, value: str) -> RowSource:
        """Return the rows of one value of their group column."""
        return Changed(self, partial(_of_group, value=value))


class Changed(RowSource):
    """Another source's rows, batch by batch changed or chosen from."""

    def __init__(self, source: RowSource, change: Callable[[RowBatch], RowBatch]) -> None:
        self.n_classes, self.logits = source.n_classes, source.logits
        self.source, self.change = source, change

    def scan(self, accumulator: Filled) -> Filled:
        """Add every row to the accumulator, and return it."""
        found: Filled = self.source.scan(_Through(accumulator, self.change)).accumulator
        return found

    def head(self) -> RowBatch | None:
        """Return some of the first rows, or None where there are none."""
        rows = self.source.head()
        return None if rows is None else self.change(rows)


class Batches(RowSource):
    """Rows in memory."""

    def __init__(self, batches: Iterable[RowBatch], n_classes: int, *, logits: bool) -> None:
        self.batches, self.n_classes, self.logits = list(batches), n_classes, logits

    def scan(self, accumulator: Filled) -> Filled:
        """Add every row to the accumulator, and return it."""
        for batch in self.batches:
            accumulator.add(batch)
        return accumulator

    def head(self) -> RowBatch | None:
        """Return the first batch."""
        return next(iter(self.batches), None)


class _Through:
    """An accumulator that is given the batches after a change."""

    def __init__(self, accumulator: Any, change: Callable[[RowBatch], RowBatch]) -> None:
        self.accumulator, self.change = accumulator, change

    def fresh(self) -> _Through:
        return _Through(self.accumulator.fresh(), self.change)

    def add(self, rows: RowBatch) -> None:
        changed = self.change(rows)
        if len(changed):
            self.accumulator.add(changed)

    def merge(self, other: _Through) -> None:
        self.accumulator.merge(other.accumulator)


def _of_fold(rows: RowBatch, *, folds: Deal, fold: int, inside: bool) -> RowBatch:
    return rows.take(np.flatnonzero((folds[np.asarray(rows.bucket)] == fold) == inside))


def _of_group(rows: RowBatch, *, value: str) -> RowBatch:
    assert rows.group is not None
    codes, values = rows.group
    code = values.index(value) if value in values else -1
    return rows.take(np.flatnonzero(codes == code) if code >= 0 else np.zeros(0, np.intp))


# -- what is to be known before a fit --------------------------------------------------------------


class Summary:
    """Weights of the labels by bucket and class (64, K), and their squares by bucket (64,)."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.mass = np.zeros((BUCKETS, n_classes))
        self.squares = np.zeros(BUCKETS)

    def fresh(self) -> Summary:
        """Return one that holds nothing."""
        return Summary(self.n_classes)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        cell = np.asarray(rows.bucket).astype(np.int64) * self.n_classes + rows.label
        mass = np.bincount(cell, rows.weight, minlength=self.mass.size)
        self.mass += mass.reshape(self.mass.shape)
        self.squares += np.bincount(np.asarray(rows.bucket), rows.square, BUCKETS)

    def merge(self, other: Summary) -> None:
        """Take in what other rows hold."""
        self.mass += other.mass
        self.squares += other.squares

    @property
    def effective(self) -> float:
        """Effective rows (Kish)."""
        return float(self.mass.sum()) ** 2 / max(float(self.squares.sum()), 1e-300)

    def share(self, prior: float) -> float:
        """Return the weight of so many rows more for a weight of 1 of these."""
        return prior / max(self.effective, 1e-300)

    @property
    def classes(self) -> FloatArray:
        """Weight of the rows of each class (K,)."""
        return np.asarray(self.mass.sum(axis=0))

    def by_fold(self, folds: Deal) -> FloatArray:
        """Return the weight by fold and class (F, K)."""
        found = np.zeros((int(folds.max()) + 1, self.n_classes))
        np.add.at(found, folds, self.mass)
        return found

    def require_two_classes(self) -> None:
        """Raise `InputError` unless at least two classes carry weight in the labels."""
        require_two_classes(self.classes)


class _Lowest:
    """Whether some probabilities are zero, and the least logarithm of one that is not."""

    def __init__(self) -> None:
        self.least, self.zeros = np.inf, False

    def fresh(self) -> _Lowest:
        return _Lowest()

    def add(self, rows: RowBatch) -> None:
        if rows.logits and np.isfinite(rows.scores).all():
            return
        zero = float(np.log(LOG_FLOOR))
        for block in rows.blocks():
            self.zeros = self.zeros or bool((block.z == zero).any())
            self.least = min(self.least, float(block.z[block.z > zero].min(initial=np.inf)))

    def merge(self, other: _Lowest) -> None:
        self.least, self.zeros = min(self.least, other.least), self.zeros or other.zeros
