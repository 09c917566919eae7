"""The pairs of one class, or of all, to the result that is shown for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.detection.average_precision import (
    average_precision,
    jackknife_variance,
    without_each_bucket,
)
from calibcli.core.detection.box_calibration import BINS, box_calibration
from calibcli.core.detection.lrp import LrpCurve, bucket_residuals
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.further.registry import ALL
from calibcli.core.metrics.shares import of_variance
from calibcli.core.numeric.scales import expit
from calibcli.tasks.detection.pairs import COCO_IOUS, LOWEST
from calibcli.workflows.measure.slices import bin_rows, confusion, ece_by_bins, figure, read_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.tasks.detection.pairs import Counted, Matched, Scene
    from calibcli.workflows.input.conventions import Conventions

    Floats = NDArray[np.float64]

Result = dict[str, Any]
NO_NEGATIVES = "a detector has no true negatives"
NO_OBJECTS = "no object to find"
OF_ALL_ONLY = "no interval for a class: it takes too many draws"
DETECTION_METRICS = (
    "n",
    "images",
    "ground_truth",
    "prevalence",
    "mean_score",
    "ap",
    "ap_50_95",
    "lrp",
    "ece",
    "ece_debiased",
    "mce",
    "ace",
    *BINS,
    *(name for name in list(ALL)[7:] if name != "average_precision"),
)
"""Names of the metrics of detections, in display order."""
_DRAWN = ("ece_debiased", "mce", "ace", "smooth_ece", "ks", "kuiper")
"""Metrics whose interval is drawn, and takes long."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sized:
    """Centre and size of every box of a scene as shares of its image (n, 4), NaN where unknown."""

    place: Floats

    @classmethod
    def of(cls, view: Scene, size: Floats) -> Sized:
        """Divide boxes by the size of their images (images, 2)."""
        whole = size[view.image]
        centre = (view.box[:, :2] + view.box[:, 2:] / 2.0) / whole
        return cls(np.concatenate([centre, view.box[:, 2:] / whole], axis=1))


def detection_slices(
    found: Counted,
    conventions: Conventions,
    size: Floats,
    match_at: Callable[[float], Matched],
    cuts: dict[str, float] | None = None,
) -> tuple[Result, list[Result]]:
    """Return the results of all detections and of each class.

    Args:
        found: the pairs at --iou.
        conventions: how to bin, where to cut, how sure to be.
        size: (images, 2) width and height of the images.
        match_at: the same detections at another IoU.
        cuts: cut-offs of classes that have one of their own.
    """
    view = found.matched.view
    sized = Sized.of(view, size)
    names = view.classes
    tables = {"ap": [found.matched], "ap_50_95": [match_at(t) for t in COCO_IOUS]}
    sums = {name: _averages(some, len(names), conventions) for name, some in tables.items()}
    errors = [_Lrp.of(found.matched, k) for k in range(len(names))]
    overall = _shown({"kind": "overall"}, found, None, conventions, sized)
    aps = {name: _mean_figure(*one, view, conventions.confidence) for name, one in sums.items()}
    overall["metrics"] |= {**aps, "lrp": _mean_lrp(errors, view, conventions.confidence)}
    classes = []
    for k, name in enumerate(names):
        own = conventions
        if cuts and name in cuts:
            own = conventions.cutting(cuts[name])
        part = _shown({"kind": "class", "name": name}, found, k, own, sized)
        for metric, (value, left) in sums.items():
            part["metrics"][metric] = _mean_figure(
                value[k : k + 1], left[k : k + 1], view, conventions.confidence
            )
        part["metrics"]["lrp"] = _mean_lrp(errors[k : k + 1], view, conventions.confidence)
        if errors[k].objects:
            part["lrp"] = errors[k].parts()
        classes.append(_ordered(part))
    return _ordered(overall), classes


def _ordered(part: Result) -> Result:
    metrics = part["metrics"]
    return {**part, "metrics": {name: metrics[name] for name in DETECTION_METRICS}}


def _shown(
    where: Result, found: Counted, k: int | None, conventions: Conventions, sized: Sized
) -> Result:
    """Return everything but average precision and LRP, which are means over classes."""
    stats = found.pooled if k is None else found.classes[k]
    level, seed = conventions.confidence, conventions.seed
    view = View(stats, conventions.headline, seed=seed)
    drawn = intervals.measure(
        view,
        confidence=level,
        seed=seed,
        names=[name for name in ALL if k is None or name not in _DRAWN],
    )
    plain = {} if k is None else intervals.measure(view, confidence=None, names=_DRAWN)
    metrics = {name: figure(one) for name, one in (drawn | plain).items()}
    del metrics["average_precision"]
    if level is not None:
        for name in plain:
            if metrics[name]["value"] is not None:
                metrics[name]["reason"] = OF_ALL_ONLY
    objects = found.matched.view.objects
    total = objects.sum() if k is None else objects[k].sum()
    metrics["images"] = _count(len(found.matched.view.bucket))
    metrics["ground_truth"] = _count(int(total))
    metrics |= _by_box(found.matched, k, conventions, sized)
    result: Result = {
        "slice": where,
        "metrics": metrics,
        "confusion": _confusions(found, k, conventions),
        "bins": bin_rows(view, level),
        "ece_by_bins": ece_by_bins(stats, conventions, drawn["ece"]),
    }
    if stats.certain_errors and metrics["nll"]["value"] is not None:
        metrics["nll"]["certain_errors"] = stats.certain_errors
    if conventions.at:
        result["at"] = [read_at(view, at, conventions.tolerance) for at in conventions.at]
    if not stats.exact:
        result["grid_error"] = stats.grid_error
    return result


def _count(number: int) -> Result:
    return {"value": number, "low": None, "high": None}


def _none(reason: str) -> Result:
    return {"value": None, "low": None, "high": None, "reason": reason}


# -- cut-offs --------------------------------------------------------------------------------------


def _confusions(found: Counted, k: int | None, conventions: Conventions) -> list[Result]:
    view = View(found.with_missed(k), conventions.headline)
    curve = lrp_curve(found.matched, k)
    return [
        detection_confusion(view, threshold, conventions.confidence, curve)
        for threshold in conventions.thresholds
    ]


def detection_confusion(
    view: View, threshold: float, level: float | None, curve: LrpCurve | None = None
) -> Result:
    """Return the counts at a cut-off, of statistics that hold what was missed at score 0."""
    table = confusion(view, max(threshold, LOWEST), level)
    table["threshold"] = threshold
    table["tn"] = None
    for name in ("specificity", "fpr"):
        table[name] = _none(NO_NEGATIVES)
    if curve is not None:
        at = curve.at(curve.place(threshold))
        value = at.pop("value")
        reason = {} if curve.objects else {"reason": NO_OBJECTS}
        table["lrp"] = {
            "value": value if curve.objects else None,
            "low": None,
            "high": None,
            **at,
            **reason,
        }
    return table


def lrp_curve(matched: Matched, k: int | None) -> LrpCurve:
    """Return the LRP curve of a class, or of all detections together."""
    own = matched.of_class(k)
    objects = matched.view.objects
    return LrpCurve.of(
        probabilities(matched, own),
        matched.right[own],
        matched.iou[own],
        int(objects.sum() if k is None else objects[k].sum()),
        TAU_MOST if matched.tau >= 1.0 else matched.tau,
    )


def probabilities(matched: Matched, own: NDArray[np.int64]) -> Floats:
    """Return the scores of some detections as probabilities (m,)."""
    score: Floats = matched.view.score[matched.rows[own]]
    if not matched.view.logits:
        return score
    return expit(score)


TAU_MOST = 1.0 - 1e-9
"""Localisation error is a share of 1 - tau, which must not be 0."""


# -- means over classes ----------------------------------------------------------------------------


def _averages(
    tables: Sequence[Matched], size: int, conventions: Conventions
) -> tuple[Floats, Floats]:
    """Return AP of each class (K,) and without each bucket (K, buckets), averaged over IoUs."""
    value = np.zeros(size)
    left = np.zeros((size, tables[0].view.objects.shape[1]))
    for one in tables:
        for k in range(size):
            ranking = one.ranking(k)
            value[k] += average_precision(ranking)
            if conventions.confidence is not None and ranking.total:
                left[k] += without_each_bucket(ranking)
    return value / len(tables), left / len(tables)


def _mean_figure(value: Floats, left: Floats, view: Scene, level: float | None) -> Result:
    """Return the mean over the classes that have objects, with a jackknife interval."""
    there = ~np.isnan(value)
    if not there.any():
        return _none(NO_OBJECTS)
    mean = float(value[there].mean())
    if level is None:
        return {"value": mean, "low": None, "high": None}
    buckets = np.unique(view.bucket)
    each = left[there][:, buckets]
    known = ~np.isnan(each)
    count = known.sum(axis=0)
    sums = np.where(known, each, 0.0).sum(axis=0)
    # A class whose every object is in one bucket has no value without it: a mean of the others.
    out = np.divide(sums, count, out=np.full(len(buckets), np.nan), where=count > 0)
    return with_ends(mean, jackknife_variance(out), int((~np.isnan(out)).sum()), level)


def with_ends(value: float, spread: float, buckets: int, level: float) -> Result:
    """Return a figure in (0, 1) with its interval, from its variance between buckets of images."""
    if buckets < 2 or math.isnan(spread):
        reason = "no interval: all objects are in one image"
        return {"value": value, "low": None, "high": None, "reason": reason}
    low, high = of_variance(value, spread, level, units=buckets, most=math.inf, df=buckets - 1)
    return {"value": value, "low": low, "high": high}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Lrp:
    """Optimal LRP of one class: its curve, the best place, what each bucket adds."""

    curve: LrpCurve
    place: int | None
    residual: Floats

    @property
    def objects(self) -> int:
        return self.curve.objects

    @classmethod
    def of(cls, matched: Matched, k: int) -> _Lrp:
        curve = lrp_curve(matched, k)
        place = curve.best()
        own = matched.of_class(k)
        stop = 0 if place is None else int(curve.hits[place] + curve.alarms[place])
        kept = np.arange(len(own)) < stop
        value = float(curve.at(place)["value"] or 0.0)
        residual = bucket_residuals(
            kept,
            matched.right[own],
            matched.iou[own],
            matched.bucket[own],
            matched.view.objects[k],
            curve.tau,
            value,
        )
        return cls(curve, place, residual)

    @property
    def value(self) -> float:
        return float(self.curve.at(self.place)["value"] or 0.0)

    def parts(self) -> Result:
        """Return the optimal cut-off and the parts of the error there."""
        at = self.curve.at(self.place)
        threshold = None if self.place is None else float(self.curve.score[self.place])
        return {"threshold": threshold, **{k: v for k, v in at.items() if k != "value"}}


def _mean_lrp(errors: Sequence[_Lrp], view: Scene, level: float | None) -> Result:
    known = [one for one in errors if one.objects]
    if not known:
        return _none(NO_OBJECTS)
    value = float(np.mean([one.value for one in known]))
    if level is None:
        return {"value": value, "low": None, "high": None}
    buckets = np.unique(view.bucket)
    residual = np.mean([one.residual for one in known], axis=0)[buckets]
    size = len(buckets)
    spread = float((residual**2).sum()) * size / max(size - 1, 1)
    return with_ends(value, spread, size, level)


# -- position and size -----------------------------------------------------------------------------


def _by_box(
    matched: Matched, k: int | None, conventions: Conventions, sized: Sized
) -> dict[str, Result]:
    """Return D-ECE with position and size."""
    own = matched.of_class(k)
    rows = matched.rows[own]
    place = sized.place[rows]
    if np.isnan(place).any():
        reason = "the sizes of the images are not known"
        return {name: _none(reason) for name in BINS}
    score = probabilities(matched, own)
    found: dict[str, Result] = {}
    for name in BINS:
        made = box_calibration(
            name,
            score,
            matched.right[own],
            place,
            matched.bucket[own],
            confidence=conventions.confidence if k is None else None,
        )
        if made.value is None:
            found[name] = _none("no bin holds 8 detections")
            continue
        found[name] = {
            "value": made.value,
            "low": made.low,
            "high": made.high,
            "bins": made.bins,
            "share": made.share,
        }
        if conventions.confidence is not None and made.low is None:
            found[name]["reason"] = OF_ALL_ONLY
    return found


__all__ = ["DETECTION_METRICS", "detection_confusion", "detection_slices", "lrp_curve"]
