"""Detections to pairs (score, found an object): sorted, matched, and counted by class and image.

An image is a cluster: its boxes are no independent rows, so every count is also kept by bucket of
images. An object that no detection has found is no pair, since it has no score; how many there are
is counted beside, because recall and average precision need them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.detection.average_precision import Ranking
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.stats import ScoreStats
from calibcli.tasks.detection.matching import Matches, Overlaps, by_rank, match, overlaps, ranks
from calibcli.tasks.detection.nms import Rivals, rivals
from calibcli.tasks.units import buckets_of_all

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
        classes: names of the K classes.
        order: int64 (n,) place of each detection in the input.
        image, label, group: int64 (n,) of each; a group is an image and a class.
        box: (n, 4); `score` (n,) as it is ranked, a logit or a probability.
        crowd, ignore: bool (g,) of the objects.
        pairs: overlaps of detections and objects.
        rivals: overlaps of detections among each other, where boxes are to be suppressed.
        bucket: int64 (images,) in which each image is counted.
        objects: int64 (K, buckets) objects that count.
        truth_image, truth_label: int64 (g,) image and class of each object.
        logits: whether the scores are logits.
    """

    classes: tuple[str, ...]
    order: Ints
    image: Ints
    label: Ints
    group: Ints
    box: Floats
    score: Floats
    crowd: Bools
    ignore: Bools
    pairs: Overlaps
    rivals: Rivals | None
    bucket: Ints
    objects: Ints
    truth_image: Ints
    truth_label: Ints
    logits: bool

    @cached_property
    def by_class(self) -> Ints:
        """All detections by class and score from the top (n,): sorted once for every IoU."""
        return np.lexsort((-self.score, self.label))

    def per_image(self, k: int | None) -> Ints:
        """Return how many objects that count each image has (images,), of a class or of all."""
        own = ~self.ignore if k is None else ~self.ignore & (self.truth_label == k)
        return np.bincount(self.truth_image[own], minlength=len(self.bucket))


def scene(
    boxes: BoxBatch, *, iou: float, score: Floats | None = None, nms: float | None = None
) -> Scene:
    """Sort the boxes and find their overlaps.

    Args:
        boxes: of some images, with their objects.
        iou: the smallest matching IoU that will be asked for.
        score: (n,) probabilities in place of the scores.
        nms: the smallest NMS IoU that will be asked for; None for none.
    """
    size, found, truth = len(boxes.classes), boxes.found, boxes.truth
    assert truth is not None
    ranked = boxes.scores if score is None else score
    group = found.image * size + found.label
    order = by_rank(group, ranked)
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
    bucket = buckets_of_all(boxes.units)
    counts = ~objects.ignore
    home = objects.label[counts] * BUCKETS + bucket[objects.image[counts]]
    return Scene(
        boxes.classes,
        order,
        found.image[order],
        found.label[order],
        group[order],
        found.box[order],
        ranked[order],
        objects.crowd,
        objects.ignore,
        pairs,
        None if nms is None else rivals(group[order], found.box[order], above=nms),
        bucket,
        np.bincount(home, minlength=size * BUCKETS).reshape(size, BUCKETS),
        objects.image,
        objects.label,
        boxes.logits and score is None,
    )


@dataclass(frozen=True, eq=False, repr=False)
class Matched:
    """The detections that count at one matching IoU.

    Attributes:
        view: the scene.
        rows: int64 (m,) places in the scene, in its order.
        right: bool (m,) found an object; `iou` (m,) with it, 0 where it found none.
        limited: how many were beyond the limit of an image and class.
        dropped: how many found an ignored object, and count as nothing.
        tau: the matching IoU.
    """

    view: Scene
    rows: Ints
    right: Bools
    iou: Floats
    limited: int
    dropped: int
    tau: float

    @cached_property
    def bucket(self) -> Ints:
        """The bucket of each one's image (m,)."""
        return self.view.bucket[self.view.image[self.rows]]

    @cached_property
    def _by_class(self) -> tuple[Ints, Ints]:
        """The detections by class and score from the top (m,), and where each class begins."""
        number = np.full(len(self.view.label), -1)
        number[self.rows] = np.arange(len(self.rows))
        order = number[self.view.by_class]
        order = order[order >= 0]
        label = self.view.label[self.rows[order]]
        return order, np.searchsorted(label, np.arange(len(self.view.classes) + 1))

    def of_class(self, k: int | None) -> Ints:
        """Return which detections are of class k, or all of them, best first."""
        if k is None:
            return np.argsort(-self.view.score[self.rows], kind="stable")
        order, bounds = self._by_class
        return order[bounds[k] : bounds[k + 1]]

    def ranking(self, k: int) -> Ranking:
        """Return what the average precision of class k is read from."""
        own = self.of_class(k)
        return Ranking(self.right[own], self.bucket[own], self.view.objects[k])


def matched(
    view: Scene, iou: float, *, kept: Bools | None = None, limit: int = MAX_DETECTIONS
) -> Matched:
    """Match the detections of a scene, or those that `kept` (n,) marks."""
    rows = np.arange(len(view.group)) if kept is None else np.flatnonzero(kept)
    rank = ranks(view.group[rows])
    within = rank < limit
    limited = int(len(rows) - within.sum())
    rows, rank = rows[within], rank[within]
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
        view,
        rows[counts],
        right,
        np.where(right, made.iou[counts], 0.0),
        limited,
        int(made.dropped.sum()),
        iou,
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
