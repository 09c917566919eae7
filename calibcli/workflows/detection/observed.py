"""Detections, as every command reads them: options, files, matching, warnings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.io.boxes.dataset import open_boxes
from calibcli.tasks.detection.nms import keep
from calibcli.tasks.detection.pairs import (
    COCO_IOUS,
    MAX_DETECTIONS,
    Counted,
    Matched,
    Scene,
    counted,
    matched,
    scene,
)
from calibcli.tasks.features import refuse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.boxes.dataset import BoxBatch, BoxDataset
    from calibcli.io.rows.recipe import InputSpec

Result = dict[str, Any]
TASK = "detection"
CLASS = "class"
"""The column of a calibrator by class."""
FEW_BUCKETS = 20


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What detections are compared with, and how.

    Attributes:
        ground_truth: path of the objects.
        iou: the IoU from which a detection has found an object; never that of NMS.
        limit: detections of one class in one image that count, the best ones.
        nms: the IoU from which boxes are suppressed before anything else; None for no suppression.
    """

    ground_truth: str
    iou: float = 0.5
    limit: int = MAX_DETECTIONS
    nms: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1:
            raise UsageError("--iou must lie above 0 and up to 1", "for example --iou 0.5")
        if self.limit < 1:
            raise UsageError("--max-detections must be at least 1", "for example 100")
        if self.nms is not None and not 0 <= self.nms <= 1:
            raise UsageError("--nms-iou must lie within 0 and 1", "for example --nms-iou 0.5")


def check_spec(spec: InputSpec) -> None:
    """Refuse options of other tasks.

    Raises:
        UsageError: naming the option.
    """
    if spec.count is not None:
        refuse("--count", "boxes")
    given = {
        "--scores": spec.scores,
        "--label": spec.label,
        "--labels": spec.labels,
        "--positive": spec.positive,
        "--weight": spec.weight,
    }
    hints = {
        "--scores": "one score a box: --score COL",
        "--label": "what is true comes with --ground-truth FILE",
        "--labels": "what is true comes with --ground-truth FILE",
    }
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} is not for --task detection", hints.get(option, "leave it out")
            )
    if spec.groups:
        raise UsageError(
            "--group is not for --task detection", "the classes are the slices; leave it out"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Observed:
    """Detections that were read.

    Attributes:
        data: the files.
        spec, options: how they were read and are compared.
        warnings: what is to be said of them.
    """

    data: BoxDataset
    spec: InputSpec
    options: DetectionOptions
    warnings: list[Warning]

    @property
    def least_iou(self) -> float:
        """The smallest matching IoU that is asked for."""
        return min(self.options.iou, float(COCO_IOUS[0]))

    @property
    def whole(self) -> BoxBatch:
        """All boxes."""
        return self.data.batch(0, len(self.data.images))

    def scene(self, score: NDArray[np.float64] | None = None, *, nms: float | None = None) -> Scene:
        """Return the boxes sorted, with calibrated scores in place of their own if given."""
        return scene(self.whole, iou=self.least_iou, score=score, nms=nms)

    def suppressed(self, view: Scene) -> NDArray[np.bool_] | None:
        """Return which boxes of a scene --nms-iou leaves (n,); None without it."""
        if self.options.nms is None or view.rivals is None:
            return None
        return keep(view.rivals, self.options.nms, len(view.label))

    def matched(
        self, view: Scene, *, iou: float | None = None, kept: NDArray[np.bool_] | None = None
    ) -> Matched:
        """Match a scene at --iou, or at another one."""
        at = self.options.iou if iou is None else iou
        return matched(view, at, kept=kept, limit=self.options.limit)

    def counted(
        self,
        view: Scene,
        edges: tuple[float, ...],
        *,
        kept: NDArray[np.bool_] | None = None,
    ) -> Counted:
        """Match and count a scene."""
        return counted(self.matched(view, kept=kept), edges=edges)

    def params(self, **more: Any) -> Result:
        """Return the conventions of a result."""
        return {
            "score": [self.spec.score] if self.spec.score else None,
            "logits": self.spec.logits,
            "classes": list(self.data.classes),
            "ground_truth": self.options.ground_truth,
            "iou": self.options.iou,
            "max_detections": self.options.limit,
            "matching": "greedy by score within an image and class, as COCO",
            "groups": [],
            "cluster": self.data.unit.name,
            "drop_invalid": self.spec.drop_invalid,
            "nms_iou": self.options.nms,
            **more,
        }


def observe(spec: InputSpec, options: DetectionOptions) -> Observed:
    """Read detections and the objects that there are to find.

    Raises:
        InputError: unusable files.
        UsageError: options of other tasks.
    """
    check_spec(spec)
    wanted = replace(
        spec,
        ground_truth=options.ground_truth,
        iou=options.iou,
        max_detections=options.limit,
    )
    data = open_boxes(wanted)
    return Observed(data, wanted, options, list(data.remarks))


def dropped_boxes(number: int) -> Warning:
    """Return the warning about boxes that cannot be used."""
    return Warning("dropped", f"{number:,} boxes without a score or coordinate were left out")


def matching_warnings(found: Counted, options: DetectionOptions) -> list[Warning]:
    """Return what is to be said of a matching."""
    warnings = []
    if found.matched.limited:
        text = (
            f"{found.matched.limited:,} detections beyond the best {options.limit} of their image "
            "and class do not count"
        )
        warnings.append(Warning("cut-by-limit", text))
    objects = found.matched.view.objects
    absent = [
        repr(name)
        for name, count in zip(found.matched.view.classes, objects.sum(axis=1), strict=True)
        if not count
    ]
    if absent:
        more = ", …" if len(absent) > 5 else ""
        what = f"class {absent[0]} has" if len(absent) == 1 else f"{len(absent)} classes have"
        named = "" if len(absent) == 1 else f": {', '.join(absent[:5])}{more}"
        text = f"{what} no object to find, so no recall and no average precision{named}"
        warnings.append(Warning("no-objects", text))
    if len(np.unique(found.matched.view.bucket)) < FEW_BUCKETS:
        warnings.append(Warning("few-images", "few images: the intervals are rough"))
    return warnings


def calibrated_scores(
    calibrator: Calibrator, data: BoxDataset, *, logits: bool
) -> NDArray[np.float64]:
    """Return the probability of each detection (n,), by a map for all or one for each class."""
    return calibrated(
        calibrator, data.found.score, data.found.label, list(data.classes), logits=logits
    )


def calibrated(
    calibrator: Calibrator,
    score: NDArray[np.float64],
    label: NDArray[np.int64],
    classes: list[str],
    *,
    logits: bool,
) -> NDArray[np.float64]:
    """Return probabilities of scores (n,); `label` (n,) are places in `classes`."""
    from calibcli.core.calibrators import calibrate

    if calibrator.method != "grouped":
        return np.asarray(calibrate(calibrator, score, logits=logits))
    from calibcli.core.calibrators.composed.grouped import Grouped

    assert isinstance(calibrator, Grouped)
    return np.asarray(calibrator.calibrate(score, label, classes, logits=logits))
