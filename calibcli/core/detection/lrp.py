"""The localisation-recall-precision error: how far the boxes are off, how many are wrong, missed.

Source: Oksuz, Cam, Kalkan and Akbas, 2021 (One metric to measure them all): at a cut-off,
LRP = (sum over hits of (1 - IoU) / (1 - tau) + false alarms + missed) / (hits + false alarms +
missed), where tau is the matching IoU; optimal LRP is the least over all cut-offs. 0 is perfect, 1
useless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.detection.average_precision import Bools, Floats, Ints

_FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class LrpCurve:
    """Sums over the detections at or above each distinct score of one class.

    Attributes:
        score: float64 (c,) decreasing.
        hits, alarms: int64 (c,) right and wrong detections so far.
        off: float64 (c,) sum of 1 - IoU over the hits so far.
        objects: how many there are to find; `tau` the matching IoU.
    """

    score: Floats
    hits: Ints
    alarms: Ints
    off: Floats
    objects: int
    tau: float

    @classmethod
    def of(cls, score: Floats, right: Bools, iou: Floats, objects: int, tau: float) -> LrpCurve:
        """Sum detections (n,) in decreasing order of score; tied ones move together."""
        if not len(score):
            none = np.zeros(0, np.int64)
            return cls(score, none, none, np.zeros(0), objects, tau)
        last = np.append(score[1:] != score[:-1], True)
        off = np.where(right, 1.0 - iou, 0.0)
        return cls(
            score[last],
            np.cumsum(right)[last],
            np.cumsum(~right)[last],
            np.cumsum(off)[last],
            objects,
            tau,
        )

    @property
    def value(self) -> Floats:
        """LRP at each distinct score (c,)."""
        missed = self.objects - self.hits
        errors = self.off / (1.0 - self.tau) + self.alarms + missed
        value: Floats = errors / np.maximum(self.objects + self.alarms, 1)
        return value

    def best(self) -> int | None:
        """Return the place of the optimal cut-off; None where keeping no box is no worse."""
        if not len(self.score) or not self.objects:
            return None
        value = self.value
        place = int(value.argmin())
        return place if value[place] < 1.0 else None

    def place(self, threshold: float) -> int | None:
        """Return the last place with score >= threshold; None for none."""
        count = int(np.searchsorted(-self.score, -threshold, side="right"))
        return count - 1 if count else None

    def at(self, place: int | None) -> dict[str, float | None]:
        """Return LRP and its parts at a place; None keeps no box, which is LRP 1.

        `localisation` is the mean of 1 - IoU over the hits, `false` 1 - precision and `missed`
        1 - recall; a part that has no rows is None.
        """
        if place is None:
            return {"value": 1.0, "localisation": None, "false": None, "missed": 1.0}
        hits, alarms = int(self.hits[place]), int(self.alarms[place])
        return {
            "value": float(self.value[place]),
            "localisation": float(self.off[place]) / hits if hits else None,
            "false": alarms / (hits + alarms),
            "missed": (self.objects - hits) / self.objects if self.objects else None,
        }


def held_out_lrp(
    score: Floats, right: Bools, iou: Floats, bucket: Ints, objects: Ints, tau: float
) -> float:
    """Return LRP where the cut-off of each fifth of the buckets is the best of the others.

    The least error of any cut-off on the same boxes is flattered, most where they are few; this one
    is chosen on fewer boxes than there are, so the error of the best cut-off lies between.

    Args:
        score: (n,) of the detections of a class, decreasing.
        right: (n,) whether each is a hit.
        iou: (n,) with the object that it hits.
        bucket: (n,) of its image.
        objects: int64 (buckets,), how many there are to find.
        tau: the matching IoU.
    """
    errors, rows = 0.0, 0

    def curve(own: Bools, count: int) -> LrpCurve:
        return LrpCurve.of(score[own], right[own], iou[own], count, tau)

    for fold in range(_FOLDS):
        held = bucket % _FOLDS == fold
        found = int(objects[fold::_FOLDS].sum())
        others, own = curve(~held, int(objects.sum()) - found), curve(held, found)
        best = others.best()
        place = None if best is None else own.place(float(others.score[best]))
        alarms = 0 if place is None else int(own.alarms[place])
        errors += float(own.value[place]) * (found + alarms) if place is not None else found
        rows += found + alarms
    return errors / max(rows, 1)


def bucket_residuals(
    kept: Bools, right: Bools, iou: Floats, bucket: Ints, objects: Ints, tau: float, value: float
) -> NDArray[np.float64]:
    """Return what each bucket of images adds to LRP beyond its share (buckets,): sums to 0.

    LRP at a fixed cut-off is a ratio of two sums over images, so its variance is that of these
    residuals (linearisation); the optimum is flat, so this serves optimal LRP too.
    """
    size = len(objects)

    def summed(values: Floats) -> Floats:
        return np.bincount(bucket[kept], weights=values[kept], minlength=size).astype(np.float64)

    hits, alarms = summed(right.astype(np.float64)), summed((~right).astype(np.float64))
    off = summed(np.where(right, 1.0 - iou, 0.0)) / (1.0 - tau)
    errors, rows = off + alarms + objects - hits, objects + alarms
    return (errors - value * rows) / max(float(rows.sum()), 1.0)
