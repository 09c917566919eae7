"""Options of `--task detection`, and what the commands do with them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from calibcli.cli.choices import flag, option
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from calibcli.io.rows.recipe import InputSpec


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
