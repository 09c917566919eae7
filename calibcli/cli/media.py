"""Options of images and of boxes: what detections are compared with, what is searched."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from calibcli.cli.choices import Task, flag, option
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.cli.options import InputOptions
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.threshold.search import RegionWish


@dataclass(frozen=True)
class DetectionInput:
    """What detections are compared with."""

    ground_truth: str | None = option(
        "FILE", "Detection: the objects, COCO annotations or a table of boxes."
    )
    iou: float = option(
        None, "Detection: from this IoU a box has found an object; not NMS.", default=0.5
    )
    nms_iou: float | None = option(
        None, "Detection: suppress boxes first that overlap a better one of their class by more."
    )
    masks: bool = flag("Detection: match COCO's masks rather than boxes.")
    max_detections: int = option(
        None, "Detection: boxes of a class that count in an image, the best.", default=100
    )

    def into(self, spec: InputSpec) -> InputSpec:
        """Return the input options with those of boxes.

        Raises:
            UsageError: ground truth of another task.
        """
        from calibcli.tasks.table import TASKS

        if TASKS.get(spec.task) != "boxes":
            for name in ("ground_truth", "nms_iou", "masks", "iou", "max_detections"):
                if getattr(self, name) != getattr(DetectionInput, name):
                    option = f"--{name.replace('_', '-')}"
                    raise UsageError(f"{option} is for detections", "add --task detection")
            return spec
        return replace(spec, **{one.name: getattr(self, one.name) for one in fields(self)})


def refuse(options: Mapping[str, object]) -> None:
    """Refuse options that detections do not have.

    Raises:
        UsageError: naming the first that was given.
    """
    from calibcli.tasks import features

    for name, value in options.items():
        if value:
            for feature in (name, f"threshold {name}", f"fit {name}"):
                features.refuse(feature, "boxes")
            raise UsageError(f"{name} is not for --task detection", "leave it out")


_OVERLAP = ("dice", "iou", "mean-dice", "mean_dice")


@dataclass(frozen=True)
class SearchOptions:
    """What is searched together with the cut-off."""

    search: list[str] | None = option(
        "NAME=V,V",
        "Try these values with every cut-off; segmentation: min-area=0,20,50 and "
        "fill-holes=yes,no; detection: nms-iou=0.3,0.5,0.7.",
    )
    connectivity: int | None = option(
        "4|8", "What a region hangs together by: edges, or corners too. [default: 8]"
    )
    background: str | None = option(
        "CLASS", "The structure that gets the pixels no other claims, uncut."
    )

    def regions(self, read: InputOptions, maximize: str | None) -> RegionWish | None:
        """Return what to search in images; None where a cut-off of pixels is all.

        Raises:
            UsageError: options of images without images.
        """
        if read.task is not Task.SEGMENTATION:
            from calibcli.tasks.features import refuse

            given: dict[str, object] = {
                "--connectivity": self.connectivity,
                "--background": self.background,
            }
            if read.task is not Task.DETECTION and self.search is not None:
                refuse("threshold --search", Task.BINARY)
            for name, value in given.items():
                if value is not None:
                    raise UsageError(f"{name} is not for these rows", "add --task segmentation")
            return None
        whole = maximize is not None and maximize.strip().lower() in _OVERLAP
        if not (whole or self.search or self.connectivity or self.background):
            return None
        from calibcli.workflows.threshold.search import RegionWish

        return RegionWish.parse(tuple(self.search or ()), self.connectivity, self.background)
