"""Batches of rows to pairs (score, outcome): the only place that knows one task from another.

A binary row is one pair. A multi-class row is one pair (confidence, was the predicted class
right), kept apart by predicted class, and one pair for each class against the rest. A
multi-label row is one pair for each label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import softmax
from calibcli.core.statistics.counting.class_rows import ClassRows
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import buckets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.statistics.keys import Keys
    from calibcli.io.rows.dataset import Batch

PAIRS, TOP, CLASSES = "pairs", "top", "classes"
FAMILIES: dict[str, tuple[str, ...]] = {
    "binary": (PAIRS,),
    "multiclass": (TOP, CLASSES),
    "multilabel": (CLASSES,),
    "detection": (CLASSES,),
}
"""Which families of pairs a task has."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pairs:
    """Pairs of one family: keys and labels (m,), their slot within the family, pairs a row.

    `row` (m,) is the row of each pair, where rows have a different number of pairs.
    `score` are the probabilities that the keys were made of, where they are at hand.
    """

    family: str
    key: Keys
    label: NDArray[np.bool_]
    slot: NDArray[np.integer[Any]] | None
    repeat: int
    row: NDArray[np.int64] | None = None
    score: NDArray[Any] | None = None

    @property
    def flat(self) -> Pairs:
        """These pairs, which are one by one already."""
        return self

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return what rows have (n,), for each of their pairs (m,)."""
        return np.repeat(values, self.repeat) if self.row is None else values[self.row]

    def summed(self, values: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
        """Return what pairs have (m, c), summed over the pairs of each row (n, c)."""
        if self.row is None:
            total: NDArray[np.float64] = values.reshape(rows, self.repeat, values.shape[1]).sum(
                axis=1
            )
            return total
        sums = np.zeros((rows, values.shape[1]))
        np.add.at(sums, self.row, values)
        return sums


@dataclass(frozen=True, eq=False, repr=False)
class WholeRows:
    """Pairs of rows of classes that exclude each other: one of each row for each class."""

    rows: ClassRows
    family: str = CLASSES

    @cached_property
    def flat(self) -> Pairs:
        """The same, one by one."""
        key, label, column, _ = self.rows.pairs()
        return Pairs(CLASSES, key, label, column, self.rows.classes)


def width(task: str, family: str, classes: int) -> int:
    """Return how many slots a family has for one population of rows."""
    return 1 if family == PAIRS else classes


def pairs_of(
    task: str, scores: NDArray[Any], labels: NDArray[Any], *, logits: bool
) -> list[Pairs | WholeRows]:
    """Return the pairs of a batch.

    Args:
        task: "binary", "multiclass" or "multilabel".
        scores: (n,) or (n, K), usable ones only.
        labels: (n,) 0/1, (n,) class indices, or (n, K) 0/1 and below 0 for one that is missing,
            which makes no pair.
        logits: whether the scores are logits.
    """
    if task == "binary":
        p = None if logits else scores
        return [Pairs(PAIRS, _keys(scores, logits), labels.astype(bool), None, 1, score=p)]
    classes = scores.shape[1]
    if task == "multilabel":
        column = np.tile(np.arange(classes), len(scores))
        flat, right = scores.reshape(-1), labels.reshape(-1)
        if right.size and right.min() < 0:
            there = np.flatnonzero(right >= 0)
            key, slot = _keys(flat[there], logits), column[there]
            return [Pairs(CLASSES, key, right[there] == 1, slot, classes, there // classes)]
        return [Pairs(CLASSES, _keys(flat, logits), right.astype(bool), column, classes)]
    if logits:
        p = softmax(scores)
    else:
        p = np.clip(scores.astype(np.float64, copy=False), 0.0, 1.0) + 0.0  # -0.0 is 0.0
    predicted = scores.argmax(axis=1)
    confidence = np.take_along_axis(p, predicted[:, None], axis=1)[:, 0]
    right = predicted == labels
    return [
        Pairs(TOP, probability_keys(confidence), right, predicted, 1),
        WholeRows(ClassRows(p, labels.astype(np.int64, copy=False))),
    ]


def no_labels(task: str, scores: NDArray[Any]) -> NDArray[Any]:
    """Return labels that make every pair one of outcome 0, for scores whose labels are unknown."""
    if task == "multiclass":
        return np.full(len(scores), -1, np.int64)
    return np.zeros(scores.shape, np.int8)


def _keys(scores: NDArray[Any], logits: bool) -> Keys:
    return logit_keys(scores) if logits else probability_keys(scores)


def row_units(batch: Batch) -> NDArray[np.uint64]:
    """Return the identity of each row (n,): of its unit, or its own position."""
    if batch.unit is not None:
        return batch.unit
    offsets = np.arange(len(batch)) if batch.kept is None else batch.kept
    place = np.uint64(batch.source_index << 44) + np.uint64(batch.first_row)
    return offsets.astype(np.uint64) + place + np.uint64(1)


def row_buckets(batch: Batch) -> NDArray[np.int64]:
    """Return the bucket of each row (n,): of its unit, or of its own position."""
    return buckets_of(row_units(batch))
