"""Options of `--task detection`, and what the commands do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calibcli.cli.choices import Task
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.cli.options import InputOptions


@dataclass(frozen=True)
class DetectionInput:
    """What detections are compared with."""

    ground_truth: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Detection: the objects, COCO annotations or a table of boxes."
        ),
    ] = None
    iou: Annotated[
        float, typer.Option(help="Detection: from this IoU a box has found an object; not NMS.")
    ] = 0.5
    nms_iou: Annotated[
        float | None,
        typer.Option(
            help="Detection: suppress boxes first that overlap a better one of their class by more."
        ),
    ] = None
    max_detections: Annotated[
        int, typer.Option(help="Detection: boxes of a class that count in an image, the best.")
    ] = 100

    def wanted(self, read: InputOptions) -> Any:
        """Return the DetectionOptions, or None for another task.

        Raises:
            UsageError: a detection without ground truth, ground truth of another task.
        """
        if read.task is not Task.DETECTION:
            given = {"--ground-truth": self.ground_truth, "--nms-iou": self.nms_iou}
            for name, value in given.items():
                if value is not None:
                    raise UsageError(f"{name} is for detections", "add --task detection")
            return None
        if self.ground_truth is None:
            raise UsageError(
                "--task detection needs the objects that there are to find",
                "--ground-truth FILE: COCO annotations, or a table of image_id, class, x, y, w, h",
            )
        from calibcli.workflows.detection.observed import DetectionOptions

        return DetectionOptions(self.ground_truth, self.iou, self.max_detections, self.nms_iou)


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
