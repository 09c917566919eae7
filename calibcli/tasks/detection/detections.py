"""The boxes of a population with their figures: what a medium knows beside pairs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from msgspec import structs

from calibcli.core.detection.box_calibration import BINS
from calibcli.core.results.figures import LrpFigure, undefined
from calibcli.tasks.detection.figures import Lrp, box_figures, lrp_at, lrp_curve
from calibcli.tasks.detection.found import FoundBoxes

if TYPE_CHECKING:
    from calibcli.core.detection.lrp import LrpCurve
    from calibcli.core.results.figures import Confusion, Figure

_ONCE = "rankings, LRP and D-ECE count every image once: leave out --weight"
_COUNTED = ("ap", "ap_50_95", "lrp", *BINS)


class Detections(FoundBoxes):
    """The boxes and objects of a population, for figures that pairs cannot give. Mergeable."""

    def own(self, confidence: float | None) -> dict[str, Figure]:
        """Return the figures that pairs alone do not give."""
        found = box_figures(self, confidence=confidence)
        if self.whole.weight is not None:
            found |= dict.fromkeys(_COUNTED, undefined(_ONCE))
        return found

    def table(self, counts: Confusion, threshold: float) -> Confusion:
        """Return a confusion table with the localisation error, and without true negatives."""
        whole: Confusion = super().table(counts, threshold)
        if self.whole.weight is not None:
            return structs.replace(whole, lrp=LrpFigure(None, reason=_ONCE))
        return structs.replace(whole, lrp=lrp_at(self.curve, threshold))

    @cached_property
    def curve(self) -> LrpCurve:
        """The localisation error at every cut-off, of a class or of all boxes together."""
        return lrp_curve(self, self.only)

    def parts(self) -> dict[str, Any]:
        """Return the optimal cut-off by the localisation error, of a class with objects."""
        if self.only is None or self.whole.weight is not None or not self.own_objects.sum():
            return {}
        return {"lrp": Lrp.of(self, self.only).parts()}
