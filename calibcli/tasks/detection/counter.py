"""Boxes counted: what `collect` does with rows, a run of images at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.io.boxes.dataset import BoxBatch
from calibcli.tasks.detection.detections import Detections
from calibcli.tasks.detection.found import NOTHING, RIGHT, WRONG, Piece
from calibcli.tasks.detection.pairs import COCO_IOUS, matched, scene
from calibcli.tasks.pairs import CLASSES, Pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.dataset import Batch
    from calibcli.tasks.detection.pairs import Matched, Scene
    from calibcli.tasks.side import Counting, Side

    Floats = NDArray[np.float64]


class BoxCounter:
    """Matches boxes with objects and counts the pairs (score, found an object) of each class."""

    def __init__(self, counts: Counting) -> None:
        self.units = counts.units

    def add(self, side: Side, batch: Batch, original: Batch) -> None:
        """Count the boxes of some images."""
        assert isinstance(batch, BoxBatch)
        if not batch.labelled:
            self._add_scores(side, batch)
            return
        ious = (batch.iou, *COCO_IOUS)
        view = scene(batch, iou=min(ious))
        found = [matched(view, iou, limit=batch.limit) for iou in ious]
        first = found[0]
        rows = first.rows
        self._count(side, batch, view.order[rows], view.score[rows], first.right)
        if side.extra is None:
            by_class = frozenset(i for i, place in enumerate(batch.places) if place < 0)
            side.extra = Detections(batch.classes, ious, by_class)
        assert isinstance(side.extra, Detections)
        side.extra.add(_piece(batch, view, found, len(side.groups)))

    def _add_scores(self, side: Side, batch: BoxBatch) -> None:
        """Count boxes whose objects are not known as wrong ones."""
        every = np.arange(len(batch))
        self._count(side, batch, every, batch.scores, np.zeros(len(batch), np.bool_))

    def _count(
        self,
        side: Side,
        batch: BoxBatch,
        rows: NDArray[np.int64],
        score: Floats,
        right: NDArray[np.bool_],
    ) -> None:
        key = logit_keys(score) if side.layout.logits else probability_keys(score)
        label, image = batch.found.label[rows], batch.found.image[rows]
        pairs = [Pairs(CLASSES, key, right, label, 1)]
        weight = None if batch.image_weight is None else batch.image_weight[image]
        bucket = None if self.units is None else self.units.buckets(batch.units[image])
        side.overall.add(pairs, weight, bucket)
        for scope, group in zip(side.groups, batch.groups, strict=False):
            scope.add(pairs, weight, bucket, scope.members(group.codes[rows], group.values))

    def flush(self) -> None:
        """Nothing waits."""


def _piece(batch: BoxBatch, view: Scene, found: list[Matched], columns: int) -> Piece:
    """Return what is kept of the boxes that count at some IoU."""
    size = len(view.label)
    state = np.full((size, len(found)), NOTHING, np.int8)
    for at, one in enumerate(found):
        state[one.rows, at] = np.where(one.right, RIGHT, WRONG)
    rows = np.flatnonzero((state != NOTHING).any(axis=1))
    iou = np.zeros(size)
    iou[found[0].rows] = found[0].iou
    image = view.image[rows]
    whole = batch.size[image]
    box = view.box[rows]
    place = np.concatenate([(box[:, :2] + box[:, 2:] / 2.0) / whole, box[:, 2:] / whole], axis=1)
    score = view.score[rows]
    counts = ~view.ignore
    groups = []
    for column in batch.places[:columns]:
        if column < 0:  # the class of a box is no group of its image
            groups.append(np.full(len(batch.units), "", object))
        else:
            group = batch.image_groups[column]
            groups.append(np.array(group.values, object)[group.codes])
    return Piece(
        view.label[rows],
        image,
        expit(score) if view.logits else score,
        score,
        state[rows],
        iou[rows],
        place,
        view.truth_label[counts],
        view.truth_image[counts],
        batch.units,
        batch.image_weight,
        tuple(groups),
        found[0].limited,
        found[0].dropped,
    )
