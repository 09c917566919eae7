"""Boxes with the figures that pairs alone do not give, of one class or as means over classes."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.detection.average_precision import (
    average_precision,
    jackknife_variance,
    without_each_bucket,
)
from calibcli.core.detection.box_calibration import BINS, box_calibration
from calibcli.core.detection.lrp import LrpCurve, bucket_residuals, held_out_lrp
from calibcli.core.metrics.shares import of_variance
from calibcli.core.results.figures import Figure, LrpFigure, undefined
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.found import FoundBoxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.results.figures import Confusion

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NO_OBJECTS = "no object to find"
OF_ALL_ONLY = "no interval for a class: it takes too many draws"
TAU_MOST = 1.0 - 1e-9
"""Localisation error is a share of 1 - tau, which must not be 0."""


def box_figures(found: FoundBoxes, *, confidence: float | None) -> dict[str, Figure]:
    """Return the figures of a population of boxes beside those of its pairs.

    Args:
        found: the boxes, of all classes or looking at one.
        confidence: level of the intervals, by units; None for none.
    """
    one = found.only
    classes = range(len(found.classes)) if one is None else (one,)
    whole: dict[str, Figure] = {
        "images": Figure(found.images),
        "ground_truth": Figure(int(found.own_objects.sum())),
        "ap": _mean_precision(found, classes, (0,), confidence),
        "ap_50_95": _mean_precision(found, classes, range(1, len(found.ious)), confidence),
        "lrp": _mean_lrp([Lrp.of(found, k) for k in classes], found, confidence),
    }
    return whole | _by_place(found, confidence)


def _mean_precision(
    found: FoundBoxes, classes: Sequence[int], places: Sequence[int], level: float | None
) -> Figure:
    """Return the mean over IoUs and over classes that have objects, with a jackknife interval."""
    mean, out = _precisions(found, classes, places, apart=level is not None)
    if mean is None:
        return undefined(NO_OBJECTS)
    if level is None:
        return Figure(mean)
    return with_ends(mean, jackknife_variance(out), int((~np.isnan(out)).sum()), level)


def _precisions(
    found: FoundBoxes, classes: Sequence[int], places: Sequence[int], *, apart: bool
) -> tuple[float | None, Floats]:
    """Return the mean average precision, and without each bucket of units (buckets,) if `apart`."""
    value = np.zeros(len(classes))
    buckets = np.unique(found.bucket)
    left = np.zeros((len(classes), len(buckets)))
    for i, k in enumerate(classes):
        for at in places:
            ranking = found.ranking(k, at)
            value[i] += average_precision(ranking) / len(places)
            if apart and ranking.total:
                left[i] += without_each_bucket(ranking)[buckets] / len(places)
    there = ~np.isnan(value)
    if not there.any():
        return None, np.full(len(buckets), np.nan)
    mean = float(value[there].mean())
    each = left[there]
    known = ~np.isnan(each)
    count = known.sum(axis=0)
    sums = np.where(known, each, 0.0).sum(axis=0)
    # A class whose every object is in one bucket has no value without it: a mean of the others.
    return mean, np.divide(sums, count, out=np.full(len(buckets), np.nan), where=count > 0)


def bucket_influences(found: FoundBoxes) -> dict[str, Floats]:
    """Return what each bucket of units adds to a figure (BUCKETS,), less what it would on average.

    The variance of a figure, or of the difference of two on the same units, is the sum of squares
    times g / (g - 1), of g buckets.
    """
    one, buckets = found.only, np.unique(found.bucket)
    classes = range(len(found.classes)) if one is None else (one,)
    share = (len(buckets) - 1) / len(buckets)
    made = {}
    for name, places in {"ap": (0,), "ap_50_95": range(1, len(found.ious))}.items():
        mean, out = _precisions(found, classes, places, apart=True)
        made[name] = np.zeros(BUCKETS)
        if mean is not None:
            made[name][buckets] = share * np.nan_to_num(mean - out)
    known = [lrp for lrp in (Lrp.of(found, k) for k in classes) if lrp.curve.objects]
    if known:
        made["lrp"] = np.mean([lrp.residual for lrp in known], axis=0)
    return made


def with_ends(value: float, spread: float, buckets: int, level: float) -> Figure:
    """Return a figure in [0, 1] with its interval, from its variance between buckets of units."""
    if buckets < 2 or math.isnan(spread):
        return Figure(value, reason="no interval: all objects are in one image")
    ends = of_variance(value, spread, level, units=buckets, most=math.inf, df=buckets - 1)
    return Figure(value, *ends)


class Lrp:
    """Optimal LRP of one class: its curve, the best place, what each bucket adds."""

    def __init__(self, found: FoundBoxes, k: int, curve: LrpCurve, residual: Floats) -> None:
        self.curve, self.residual, self.place = curve, residual, curve.best()
        self._found, self._k = found, k

    @classmethod
    def of(cls, found: FoundBoxes, k: int) -> Lrp:
        """Return that of class k."""
        curve = lrp_curve(found, k)
        place, own = curve.best(), found.rows(k)
        stop = 0 if place is None else int(curve.hits[place] + curve.alarms[place])
        residual = bucket_residuals(
            np.arange(len(own)) < stop,
            found.right(own),
            found.whole.iou[own],
            found.buckets(own),
            found.objects[k],
            curve.tau,
            float(curve.at(place)["value"] or 0.0),
        )
        return cls(found, k, curve, residual)

    @property
    def held_out(self) -> float:
        """The error of cut-offs that were chosen on other images."""
        found, own = self._found, self._found.rows(self._k)
        return held_out_lrp(
            found.whole.score[own],
            found.right(own),
            found.whole.iou[own],
            found.buckets(own),
            found.objects[self._k],
            self.curve.tau,
        )

    @property
    def value(self) -> float:
        """The least error of any cut-off."""
        return float(self.curve.at(self.place)["value"] or 0.0)

    def parts(self) -> dict[str, float | None]:
        """Return the optimal cut-off and the parts of the error there."""
        at = self.curve.at(self.place)
        threshold = None if self.place is None else float(self.curve.score[self.place])
        return {"threshold": threshold, **{k: v for k, v in at.items() if k != "value"}}


def lrp_curve(found: FoundBoxes, k: int | None) -> LrpCurve:
    """Return the LRP curve of a class, or of all boxes together."""
    own = found.rows(k)
    return LrpCurve.of(
        found.whole.score[own],
        found.right(own),
        found.whole.iou[own],
        int(found.objects.sum() if k is None else found.objects[k].sum()),
        min(found.ious[0], TAU_MOST),
    )


def lrp_at(curve: LrpCurve, threshold: float) -> LrpFigure:
    """Return the error at a cut-off and its parts."""
    at = curve.at(curve.place(threshold))
    value = at.pop("value") if curve.objects else None
    at.pop("value", None)
    return LrpFigure(value, **at, reason=None if curve.objects else NO_OBJECTS)


def _mean_lrp(errors: Sequence[Lrp], found: FoundBoxes, level: float | None) -> Figure:
    known = [one for one in errors if one.curve.objects]
    if not known:
        return undefined(NO_OBJECTS)
    value = float(np.mean([one.value for one in known]))
    if level is None:
        return Figure(value)
    buckets = np.unique(found.bucket)
    residual = np.mean([one.residual for one in known], axis=0)[buckets]
    size = len(buckets)
    spread = float((residual**2).sum()) * size / max(size - 1, 1)
    # What flatters the least error of every class is no chance that would even out in their mean.
    unseen = float(np.mean([one.held_out for one in known]))
    high = with_ends(max(value, unseen), spread, size, level).high
    return structs.replace(with_ends(value, spread, size, level), high=high)


def _by_place(found: FoundBoxes, confidence: float | None) -> dict[str, Figure]:
    """Return D-ECE with position and size, of the boxes in images whose size is known."""
    every = found.rows(found.only)
    own = every[~np.isnan(found.whole.place[every]).any(axis=1)]
    if len(every) and not len(own):
        return dict.fromkeys(BINS, undefined("the sizes of the images are not known"))
    figures = {}
    for name in BINS:
        made = box_calibration(
            name,
            found.whole.score[own],
            found.right(own),
            found.whole.place[own],
            found.buckets(own),
            confidence=confidence if found.only is None else None,
        )
        if made.value is None:
            figures[name] = undefined("no bin holds 8 detections")
            continue
        missing = confidence is not None and made.low is None
        figures[name] = Figure(
            made.value,
            made.low,
            made.high,
            bins=made.bins,
            share=made.share * len(own) / len(every),
            reason=OF_ALL_ONLY if missing else None,
        )
    return figures


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
