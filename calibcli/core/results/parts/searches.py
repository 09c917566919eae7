"""What a search has tried beside cut-offs: regions of masks, suppression of boxes."""

from __future__ import annotations

from calibcli.core.results.base import Record
from calibcli.core.results.figures import Figure, Where


class Together(Record, frozen=True):
    """A structure once each pixel has one structure."""

    name: str
    tp: int
    fp: int
    fn: int
    precision: Figure
    recall: Figure
    dice: Figure
    iou: Figure
    mean_dice: Figure


class SearchedRegions(Record, frozen=True):
    """The values that were tried."""

    min_area: tuple[int, ...]
    fill_holes: tuple[bool, ...]


class RegionCurve(Record, frozen=True):
    """What every threshold reaches under one filter."""

    slice: Where
    min_area: int
    fill_holes: bool
    threshold: list[float]
    dice: list[float | None]
    iou: list[float | None]
    mean_dice: list[float | None]

    @property
    def overlaps(self) -> dict[str, list[float | None]]:
        """The overlap with the truth at each threshold, by its name."""
        return {"dice": self.dice, "iou": self.iou, "mean_dice": self.mean_dice}


class Regions(Record, frozen=True):
    """How masks are filtered and conflicts settled, and what was searched."""

    connectivity: int
    order: str
    searched: SearchedRegions
    thresholds: str
    images: int
    images_searched: int
    background: str | None
    overlap: str | None
    nothing: int
    together: tuple[Together, ...]
    curves: tuple[RegionCurve, ...]


class TradeOffCurve(Record, frozen=True):
    """Precision against recall at one NMS IoU."""

    slice: Where
    nms_iou: float | None
    threshold: list[float | None]
    precision: list[float | None]
    recall: list[float | None]


class TradeOff(Record, frozen=True):
    """Curves of the slices that reach least; `slices` is how many there are in all."""

    slices: int
    curves: tuple[TradeOffCurve, ...]
