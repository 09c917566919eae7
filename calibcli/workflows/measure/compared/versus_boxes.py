"""`measure --versus FILE` of boxes: two detectors on the same images, paired image by image.

The boxes of two detectors are not the same boxes, so no pair of rows can be compared. The images
are the same: what each unit of them adds to a figure of either detector is, and the variance of the
difference of two figures is that of the differences of what units add.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from calibcli.core.comparison.paired import CORP, SMOOTH, bounds, influences
from calibcli.core.metrics.binary import View
from calibcli.core.numeric.special import t_ppf
from calibcli.core.results.comparisons import Contrast, Difference, Versus
from calibcli.core.results.figures import OVERALL
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import UsageError
from calibcli.tasks.detection.figures import Detections, bucket_influences
from calibcli.tasks.units import Units
from calibcli.workflows.measure.compared.verdicts import verdict
from calibcli.workflows.measure.slices import slice_result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.tasks.population import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered

    Floats = NDArray[np.float64]

_SAME: Final = ("n", "images", "ground_truth", "brier_uncertainty")
_OF_PAIRS: Final = ("prevalence", "ece", *(n for n in SMOOTH if n != "average_precision"), *CORP)
_NO_INTERVAL = "no paired interval: not a smooth function of the boxes"


def versus_boxes(
    first: Gathered,
    second: Gathered,
    conventions: Conventions,
    other: str,
    *,
    calibrated: bool,
) -> Versus:
    """Return the differences of every figure, second detector less first, by class and group.

    Args:
        first: its boxes, matched and counted.
        second: those of the other detector on the same images.
        conventions: how to bin and how sure to be.
        other: the name of the second.
        calibrated: compare the first after its calibrator too.

    Raises:
        UsageError: other images.
    """
    here, there = first.overall.population, second.overall.population
    if not np.array_equal(_images(here), _images(there)):
        raise UsageError(
            "--versus compares two detectors on the same images, and these are others",
            "give detections of the same images: those that the ground truth lists",
        )

    def compared(one: Population, another: Population) -> Contrast:
        metrics = _compared(one, another, conventions)
        return Contrast(metrics, verdict(metrics, other))

    found, after = compared(here, there), first.overall.calibrated
    others = {one.where: one.population for one in second.groups}
    return Versus(
        score=other,
        source="file",
        metrics=found.metrics,
        verdict=found.verdict,
        calibrated=compared(after, there) if calibrated and after is not None else None,
        classes=tuple(
            compared(one.population, another.population).of(one.where)
            for one, another in zip(first.class_slices, second.class_slices, strict=True)
        ),
        groups=tuple(
            compared(own.population, others[own.where]).of(own.where)
            for own in first.groups
            if own.where in others
        ),
    )


def _images(population: Population) -> NDArray[np.uint64]:
    assert isinstance(population.extra, Detections)
    return population.extra.whole.unit


def _compared(
    first: Population, second: Population, conventions: Conventions
) -> dict[str, Difference]:
    level = conventions.confidence
    bare = replace(conventions, confidence=None)
    sides = [slice_result(OVERALL, one, bare).metrics for one in (first, second)]
    errors: dict[str, float] = {}
    quantile = 0.0
    if level is not None:
        errors, quantile = _errors(first, second, conventions, level)
    metrics: dict[str, Difference] = {}
    for name, own in sides[0].items():
        if name in _SAME:
            continue
        values = own.value, sides[1][name].value
        one = Difference.of(*values, reason=own.reason or sides[1][name].reason)
        if one.value is not None and level is not None:
            ends = bounds(one.value, errors.get(name, math.nan), quantile)
            one = Difference.of(*values, ends, _NO_INTERVAL if ends is None else None)
        metrics[name] = one
    return metrics


def _errors(
    first: Population, second: Population, conventions: Conventions, level: float
) -> tuple[dict[str, float], float]:
    """Return the standard error of each difference, and the quantile that goes with it."""
    moved = Units(first.units).merge(Units(second.units))
    added = [
        {name: _moved(each, to) for name, each in _added(one, conventions).items()}
        for one, to in zip((first, second), moved, strict=True)
    ]
    assert isinstance(first.extra, Detections)
    assert isinstance(second.extra, Detections)
    used = np.union1d(first.extra.bucket, second.extra.bucket)
    size = max(len(used), 2)
    scale = size / (size - 1)
    errors = {
        name: float((scale * ((added[1][name] - own) ** 2).sum()) ** 0.5)
        for name, own in added[0].items()
        if name in added[1]
    }
    return errors, t_ppf((1.0 + level) / 2.0, size - 1)


def _added(one: Population, conventions: Conventions) -> dict[str, Floats]:
    """Return what each bucket of units adds to each figure (BUCKETS,)."""
    view, stats = View(one.pairs, conventions.headline), one.pairs
    assert isinstance(one.extra, Detections)
    found = bucket_influences(one.extra)
    if not stats.n or stats.parts is None:
        return found
    slopes = influences(view, _OF_PAIRS)
    sums = stats.bucket_sums(slopes.positive, slopes.negative)
    for place, name in enumerate(_OF_PAIRS):
        found[name] = np.zeros(BUCKETS)
        found[name][stats.places.buckets] = sums[:, place]
    return found


def _moved(values: Floats, to: NDArray[np.int64] | None) -> Floats:
    if to is None:
        return values
    found = np.zeros(BUCKETS)
    np.add.at(found, to, values)
    return found
