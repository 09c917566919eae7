"""Which detection finds which object: greedy by score, as COCO does it.

Boxes are (x, y, w, h) with continuous coordinates, so the area of a box is w * h. Everything is
sorted once by (image, class, score); the pairs of boxes of one image and class that overlap are
found in bulk, and what is sequential about greedy matching goes rank by rank, over all images and
classes at once.

Source: pycocotools' COCOeval.evaluateImg, down to its ties: of objects with the same IoU the later
one is taken, objects that count come before ignored ones, a crowd takes any number of detections,
and IoU with a crowd is over the area of the detection alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.detection.masks import mask_iou

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.detection.masks import Masks

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

_MOST_PAIRS = 1 << 21
NEAR_ONE = 1.0 - 1e-10
"""The largest IoU that can be asked for: COCO takes two equal boxes for a match at 1."""


def iou(a: Floats, b: Floats, crowd: Bools | None = None) -> Floats:
    """Return the intersection over union of boxes (n, 4) and (n, 4), pair by pair.

    `crowd` (n,) marks pairs whose second box is a crowd: the union is the area of the first. Boxes
    that only touch have 0; so have boxes without an area.
    """
    right = np.minimum(a[:, 2] + a[:, 0], b[:, 2] + b[:, 0])
    low = np.minimum(a[:, 3] + a[:, 1], b[:, 3] + b[:, 1])
    wide = right - np.maximum(a[:, 0], b[:, 0])
    high = low - np.maximum(a[:, 1], b[:, 1])
    inside = np.where((wide > 0) & (high > 0), wide * high, 0.0)
    area = a[:, 2] * a[:, 3]
    union = area + b[:, 2] * b[:, 3] - inside
    if crowd is not None:
        union = np.where(crowd, area, union)
    return np.divide(inside, union, out=np.zeros(len(a)), where=union > 0)


def by_rank(group: Ints, score: Floats) -> Ints:
    """Return the order by (group, score from the top, input): ties keep the order of the input."""
    return np.lexsort((-score, group))


def ranks(group: Ints) -> Ints:
    """Return the place of each row within its group, from 0; `group` is sorted."""
    if not len(group):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    sizes = np.diff(np.append(starts, len(group)))
    return np.arange(len(group)) - np.repeat(starts, sizes)


def joined(first: Ints, stop: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield, in bounded pieces, each row i with every number from first[i] to stop[i]."""
    size = stop - first
    ends = np.cumsum(size)
    start = 0
    while start < len(size):
        done = int(ends[start - 1]) if start else 0
        after = max(int(np.searchsorted(ends, done + _MOST_PAIRS, side="right")), start + 1)
        own = size[start:after]
        row = np.repeat(np.arange(start, after), own)
        inner = np.arange(len(row)) - np.repeat(np.cumsum(own) - own, own)
        yield row, first[row] + inner
        start = after


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """Pairs of a detection and an object of one image and class that overlap.

    Attributes:
        found: int64 (m,) index of the detection, `truth` of the object; both sorted by rank.
        iou: float64 (m,).
    """

    found: Ints
    truth: Ints
    iou: Floats


def overlaps(
    group: Ints,
    box: Floats,
    truth_group: Ints,
    truth_box: Floats,
    crowd: Bools,
    *,
    least: float,
    masks: tuple[Masks, Masks] | None = None,
) -> Overlaps:
    """Return every pair of one group whose IoU is at least `least`.

    Args:
        group: (n,) image and class of each detection, sorted.
        box: (n, 4) the detections.
        truth_group: (g,) image and class of each object, sorted.
        truth_box: (g, 4) the objects.
        crowd: (g,) which of them are crowds.
        least: the smallest IoU that will be asked for.
        masks: of the detections and of the objects, which overlap in place of their boxes.
    """
    first = np.searchsorted(truth_group, group, side="left")
    stop = np.searchsorted(truth_group, group, side="right")
    kept: list[tuple[Ints, Ints, Floats]] = []
    for row, other in joined(first, stop):
        if masks is None:
            value = iou(box[row], truth_box[other], crowd[other])
        else:
            value = mask_iou(masks[0], row, masks[1], other, crowd[other])
        near = value >= min(least, NEAR_ONE)
        kept.append((row[near], other[near], value[near]))
    if not kept:
        none = np.zeros(0, np.int64)
        return Overlaps(none, none, np.zeros(0))
    return Overlaps(*(np.concatenate(part) for part in zip(*kept, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """What became of each detection.

    Attributes:
        truth: int64 (n,) index of the object it found, -1 for none.
        iou: float64 (n,) of the two, 0 for none.
        dropped: bool (n,): it found an ignored object, so it counts as neither right nor wrong.
    """

    truth: Ints
    iou: Floats
    dropped: Bools

    @property
    def right(self) -> Bools:
        """Detections that found an object that counts (n,)."""
        return (self.truth >= 0) & ~self.dropped


def match(pairs: Overlaps, rank: Ints, ignore: Bools, crowd: Bools, threshold: float) -> Matches:
    """Match greedily, best score first; each object once, a crowd any number of times.

    Args:
        pairs: overlaps at `threshold` or below.
        rank: (n,) place of each detection within its image and class.
        ignore: (g,) objects that count as nothing, crowds among them.
        crowd: (g,) which of them are crowds.
        threshold: the matching IoU.
    """
    near = np.flatnonzero(pairs.iou >= min(threshold, NEAR_ONE))
    found, truth, value = pairs.found[near], pairs.truth[near], pairs.iou[near]
    # The last pair of a detection is its best: an object that counts, the largest IoU, the last.
    order = np.lexsort((truth, value, ~ignore[truth], found, rank[found]))
    found, truth, value = found[order], truth[order], value[order]
    home = np.full(len(rank), -1, np.int64)
    best = np.zeros(len(rank))
    free = np.ones(len(ignore), np.bool_)
    turn = rank[found]
    bounds = np.flatnonzero(np.diff(turn, prepend=-1))
    for start, stop in zip(bounds, [*bounds[1:], len(turn)], strict=False):
        own = slice(int(start), int(stop))
        open_ = np.flatnonzero(free[truth[own]]) + int(start)
        if not len(open_):
            continue
        who = found[open_]
        last = open_[np.append(who[1:] != who[:-1], True)]
        home[found[last]], best[found[last]] = truth[last], value[last]
        free[truth[last]] = crowd[truth[last]]
    dropped = np.zeros(len(rank), np.bool_)
    hit = home >= 0
    dropped[hit] = ignore[home[hit]]
    return Matches(home, best, dropped)
