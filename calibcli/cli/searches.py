"""Options of `threshold` that search more than a cut-off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calibcli.cli.choices import Task, option
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.cli.options import InputOptions
    from calibcli.workflows.threshold.search import RegionWish

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
