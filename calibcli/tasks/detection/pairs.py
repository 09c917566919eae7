"""Detections to pairs (score, found an object): sorted, and matched by image and class.

An object that no detection has found is no pair, since it has no score; what is missed joins the
pairs below every score where a recall is read from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.stats import ScoreStats
from calibcli.tasks.detection.matching import Matches, Overlaps, by_rank, match, overlaps, ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.boxes.dataset import BoxBatch
    from calibcli.tasks.detection.matching import Bools, Floats, Ints

MAX_DETECTIONS = 100
"""Detections of one class in one image that count, the best ones: COCO's limit."""
COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""The matching IoUs over which COCO averages."""
LOWEST = float(np.nextafter(0.0, 1.0))
"""The least cut-off: what was missed stands below it."""


@dataclass(frozen=True, eq=False, repr=False)
class Scene:
    """Boxes sorted by image, class and score from the top, and how they overlap.

    Attributes:
        order: int64 (n,) place of each detection in the input.
        image, label, group: int64 (n,) of each; a group is an image and a class.
        box: (n, 4); `score` (n,) as it is ranked, a logit or a probability.
        crowd, ignore: bool (g,) of the objects.
        pairs: overlaps of detections and objects.
        truth_image, truth_label: int64 (g,) image and class of each object.
        logits: whether the scores are logits.
    """

    order: Ints
    image: Ints
    label: Ints
    group: Ints
    box: Floats
    score: Floats
    crowd: Bools
    ignore: Bools
    pairs: Overlaps
    truth_image: Ints
    truth_label: Ints
    logits: bool


def scene(boxes: BoxBatch, *, iou: float) -> Scene:
    """Sort the boxes and find their overlaps.

    Args:
        boxes: of some images, with their objects.
        iou: the smallest matching IoU that will be asked for.
    """
    size, found, truth = len(boxes.classes), boxes.found, boxes.truth
    assert truth is not None
    group = found.image * size + found.label
    order = by_rank(group, boxes.scores)
    own = truth.image * size + truth.label
    sort = np.argsort(own, kind="stable")
    objects = truth.take(sort)
    masks = None
    if found.mask is not None and objects.mask is not None:
        masks = found.mask.take(order), objects.mask
    pairs = overlaps(
        group[order],
        found.box[order],
        own[sort],
        objects.box,
        objects.crowd,
        least=iou,
        masks=masks,
    )
    return Scene(
        order,
        found.image[order],
        found.label[order],
        group[order],
        found.box[order],
        boxes.scores[order],
        objects.crowd,
        objects.ignore,
        pairs,
        objects.image,
        objects.label,
        boxes.logits,
    )


@dataclass(frozen=True, eq=False, repr=False)
class Matched:
    """The detections that count at one matching IoU.

    Attributes:
        rows: int64 (m,) places in the scene, in its order.
        right: bool (m,) found an object; `iou` (m,) with it, 0 where it found none.
        limited: how many were beyond the limit of an image and class.
        dropped: how many found an ignored object, and count as nothing.
    """

    rows: Ints
    right: Bools
    iou: Floats
    limited: int
    dropped: int


def matched(view: Scene, iou: float, *, limit: int = MAX_DETECTIONS) -> Matched:
    """Match the best detections of each image and class of a scene, `limit` of them."""
    rank = ranks(view.group)
    rows = np.flatnonzero(rank < limit)
    limited, rank = len(rank) - len(rows), rank[rows]
    number = np.full(len(view.group), -1, np.int64)
    number[rows] = np.arange(len(rows))
    pairs = view.pairs
    found = number[pairs.found]
    use = found >= 0
    own = Overlaps(found[use], pairs.truth[use], pairs.iou[use])
    made: Matches = match(own, rank, view.ignore, view.crowd, iou)
    counts = ~made.dropped
    right = made.right[counts]
    return Matched(
        rows[counts],
        right,
        np.where(right, made.iou[counts], 0.0),
        limited,
        int(made.dropped.sum()),
    )


def with_missed(
    stats: ScoreStats, missed: NDArray[Any], squares: Floats | None = None
) -> ScoreStats:
    """Return pairs with objects that were missed, by bucket (buckets,), as positives of score 0.

    `squares` (buckets,) are the sums of their squared weights, where images have weights.

    No cut-off from `LOWEST` on finds them; a detection of score 0 has `LOWEST` instead.
    """
    buckets = np.flatnonzero(missed)
    stats = stats.by_place()
    assert stats.parts is not None

    def joined(
        table: CellTable, slot: Ints, rows: NDArray[Any], square: Floats | None
    ) -> CellTable:
        none = np.zeros(len(rows), rows.dtype)
        below = CellTable(
            slot.astype(np.int32), np.zeros(len(rows), np.int64), rows, none,
            none.astype(table.offset.dtype), bits=table.bits,
        )  # fmt: skip
        if square is not None and table.pos_sq is not None:
            below = replace(below, pos_sq=square, neg_sq=np.zeros(len(rows)))
        risen = replace(table, key=np.maximum(table.key, 1))
        return CellTable.concatenate([below, risen])

    total = missed.sum(keepdims=True)[: len(buckets)]
    square = None if squares is None else squares.sum(keepdims=True)[: len(buckets)]
    own = None if squares is None else squares[buckets]
    return replace(
        stats,
        table=joined(stats.table, np.zeros(len(total), np.int64), total, square),
        parts=joined(stats.parts, buckets, missed[buckets], own),
    )
