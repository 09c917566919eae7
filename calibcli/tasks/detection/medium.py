"""Boxes as a medium."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import expit
from calibcli.core.results.warning import Warning
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.errors import InputError, UsageError
from calibcli.io.boxes.dataset import BoxBatch, BoxDataset
from calibcli.io.boxes.open import check_options, open_boxes
from calibcli.tasks.detection.figures import Detections
from calibcli.tasks.detection.found import NOTHING, RIGHT, WRONG, Piece
from calibcli.tasks.detection.nms import suppressed
from calibcli.tasks.detection.pairs import COCO_IOUS, matched, scene
from calibcli.tasks.features import refuse
from calibcli.tasks.pairs import CLASSES, Pairs
from calibcli.tasks.table import Medium

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from numpy.typing import NDArray

    from calibcli.core.results.parts.stored import FittedInput
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.dataset import Batch
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.tasks.detection.pairs import Matched, Scene
    from calibcli.tasks.population import Population
    from calibcli.tasks.side import Counting, Side
    from calibcli.tasks.table import Opening

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


FEW_BUCKETS = 20


class Detection(Medium):
    """What boxes do in their own way."""

    row = "detection"
    needs_all = ("average_precision",)
    counter = BoxCounter

    def open(
        self, spec: InputSpec, sources: Sequence[Source], **how: Unpack[Opening]
    ) -> BoxDataset:
        """Open detections and objects; what they come with is kept by whoever writes them."""
        if spec.count is not None:
            refuse("--count", "boxes")
        dataset = open_boxes(spec, sources, need_labels=how["need_labels"])
        return suppressed(dataset, limits_of(spec.nms_iou))

    def params(self, spec: InputSpec, dataset: BoxDataset) -> dict[str, Any]:
        """Return the input options as they stand in the JSON."""
        params: dict[str, Any] = {
            "score": list(dataset.score_names) or None,
            "logits": spec.logits,
            "classes": list(dataset.classes),
            "ground_truth": spec.ground_truth,
            "iou": dataset.iou,
            "max_detections": dataset.limit,
            "matching": "greedy by score within an image and class, as COCO",
            "groups": list(spec.groups),
            "cluster": dataset.unit.name,
            "drop_invalid": spec.drop_invalid,
            "nms_iou": dataset.nms.get(None),
        }
        if spec.masks:
            params["masks"] = True
        return params if spec.weight is None else {**params, "weight": spec.weight}

    def warnings(self, dataset: BoxDataset, population: Population) -> list[Warning]:
        """Return what is to be said of a matching."""
        found = population.extra
        if not isinstance(found, Detections):
            return []
        warnings = []
        if found.whole.limited:
            text = (
                f"{found.whole.limited:,} detections beyond the best {dataset.limit} of their "
                "image and class do not count"
            )
            warnings.append(Warning("cut-by-limit", text))
        objects = found.objects.sum(axis=1)
        absent = [repr(name) for name, n in zip(found.classes, objects, strict=True) if not n]
        if absent:
            more = ", …" if len(absent) > 5 else ""
            what = f"class {absent[0]} has" if len(absent) == 1 else f"{len(absent)} classes have"
            named = "" if len(absent) == 1 else f": {', '.join(absent[:5])}{more}"
            text = f"{what} no object to find, so no recall and no average precision{named}"
            warnings.append(Warning("no-objects", text))
        if len(np.unique(found.bucket)) < FEW_BUCKETS:
            warnings.append(Warning("few-images", "few images: the intervals are rough"))
        return warnings

    def artifact_input(self, dataset: BoxDataset) -> dict[str, Any]:
        """Return what a calibrator keeps beside scores: COCO's category ids, the suppression."""
        return {"categories": dataset.categories, "nms_iou": dataset.nms.get(None)}

    def check_fit(self, pairs: ScoreStats, spec: InputSpec) -> None:
        """Refuse boxes that are all right, or all wrong."""
        if not pairs.positives or not pairs.negatives:
            which = "right" if pairs.positives else "wrong"
            raise InputError(
                f"all {pairs.n:,} detections are {which} at IoU {spec.iou:g}: there is nothing to "
                "learn",
                "is the ground truth that of these images, and --iou what was meant?",
            )

    def calibrator_warnings(self, fitted: FittedInput, spec: InputSpec) -> list[Warning]:
        """Return a warning where boxes are suppressed at another IoU than before the fit."""
        return other_suppression(fitted.nms_iou, limits_of(spec.nms_iou) or {None: None})


def limits_of(nms: float | Mapping[str | None, float] | None) -> Mapping[str | None, float]:
    """Return the IoU of each class, or under None of all."""
    return nms if isinstance(nms, Mapping) else {} if nms is None else {None: nms}


def other_suppression(
    fitted: float | None, used: Mapping[str | None, float | None]
) -> list[Warning]:
    """Return a warning where boxes are suppressed at another IoU than before a fit.

    `used` holds the IoU of each class, or under None of all.
    """
    other = [nms for nms in used.values() if nms != fitted]
    if not other:
        return []
    was = "before suppression" if fitted is None else f"suppressed at IoU {fitted:g}"
    if len(set(used.values())) > 1:
        now, hint = "suppressed at other IoUs", "fit on boxes that are suppressed alike"
    elif other[0] is None:
        now, hint = "not suppressed", f"--nms-iou {fitted:g}"
    else:
        now = f"suppressed at IoU {other[0]:g}"
        hint = f"fit with --nms-iou {other[0]:g}"
    text = f"the calibrator was fitted on boxes {was}, and these are {now}: {hint}"
    return [Warning("other-matching", text)]


def check_boxes(spec: InputSpec) -> None:
    """Refuse options that boxes to be applied to do not have.

    Raises:
        UsageError: naming the option.
    """
    if spec.count is not None:
        refuse("--count", "boxes")
    if spec.scale is not None:
        raise UsageError("--scale is not for --task detection", "leave it out")
    check_options(spec, need_labels=False)


MEDIUM = Detection()
