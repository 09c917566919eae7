"""Non-maximum suppression: of boxes that overlap too much, the one with the best score stays.

Greedy and class-wise: in the order of the scores, ties in the order of the input, a box is kept
unless its IoU with a kept box of the same image and class is above the limit. The overlaps are
found once for any number of limits; a box is decided as soon as all better boxes that overlap it
are, so the rounds are as many as the longest chain of overlaps, not as many as there are boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import UsageError
from calibcli.tasks.detection.matching import by_rank, iou, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from calibcli.io.boxes.dataset import BoxDataset
    from calibcli.tasks.detection.matching import Bools, Floats, Ints


NEVER = 2.0
"""A limit of the IoU that no two boxes reach: nothing is suppressed."""


@dataclass(frozen=True, slots=True, eq=False)
class Rivals:
    """Pairs of boxes of one image and class: the better one, the worse one, their IoU (m,)."""

    better: Ints
    worse: Ints
    iou: Floats


def rivals(group: Ints, box: Floats, *, above: float) -> Rivals:
    """Return the pairs whose IoU is above `above`.

    Args:
        group: (n,) image and class, sorted; within one the best score comes first.
        box: (n, 4) as x, y, w, h.
        above: the smallest limit that will be asked for.
    """
    stop = np.searchsorted(group, group, side="right")
    kept: list[tuple[Ints, Ints, Floats]] = []
    for row, other in joined(np.arange(1, len(group) + 1), stop):
        value = iou(box[row], box[other])
        near = value > above
        kept.append((row[near], other[near], value[near]))
    if not kept:
        none = np.zeros(0, np.int64)
        return Rivals(none, none, np.zeros(0))
    return Rivals(*(np.concatenate(part) for part in zip(*kept, strict=True)))


def keep(pairs: Rivals, limit: float | NDArray[np.float64], rows: int) -> Bools:
    """Return which boxes stay (rows,) where a kept better box may overlap by at most `limit`.

    `limit` is one number, or one for each box (rows,): that of its class. `pairs` must have been
    found above the smallest of them.
    """
    limits = limit if isinstance(limit, float) else limit[pairs.worse]
    near = pairs.iou > limits
    better, worse = pairs.better[near], pairs.worse[near]
    kept = np.zeros(rows, np.bool_)
    open_ = np.ones(rows, np.bool_)
    while len(worse):
        # What no open better box overlaps stays; what it overlaps goes, with all its pairs.
        blocked = np.zeros(rows, np.bool_)
        blocked[worse] = True
        settled = open_ & ~blocked
        kept |= settled
        open_ &= blocked
        open_[worse[settled[better]]] = False
        alive = open_[better] & open_[worse]
        better, worse = better[alive], worse[alive]
    return kept | open_


def suppressed(dataset: BoxDataset, limits: Mapping[str | None, float]) -> BoxDataset:
    """Return the boxes that suppression by the scores of the model leaves.

    Args:
        dataset: all boxes.
        limits: the IoU of each class, or under None of all.

    Raises:
        UsageError: an IoU outside [0, 1].
    """
    if not limits:
        return dataset
    if not all(0 <= limit <= 1 for limit in limits.values()):
        raise UsageError("--nms-iou must lie within 0 and 1", "for example --nms-iou 0.5")
    found = dataset.found
    group = found.image * len(dataset.classes) + found.label
    order = by_rank(group, found.score)
    common = limits.get(None, NEVER)
    of_class = np.array([limits.get(name, common) for name in dataset.classes])
    pairs = rivals(group[order], found.box[order], above=min(limits.values()))
    stays = np.zeros(len(order), np.bool_)
    stays[order] = keep(pairs, of_class[found.label[order]], len(order))
    return replace(dataset, found=found.take(np.flatnonzero(stays)), nms=limits)
