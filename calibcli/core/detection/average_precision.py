"""Average precision as COCO defines it, and its interval by leaving out images.

Precision at a recall level is the largest precision at that recall or a higher one, read at 101
levels 0, 0.01 … 1, and 0 where the recall is never reached (Lin et al., 2014; pycocotools'
COCOeval.accumulate). A detection's rank counts, so tied scores are in the order of images and rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

LEVELS = np.linspace(0.0, 1.0, 101)
"""Recall levels, the very doubles that COCO uses."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The detections of one class, best first, and the objects there are to find.

    Attributes:
        right: bool (n,): found an object; detections of ignored objects are left out.
        bucket: int64 (n,) bucket of the image of each.
        objects: int64 (buckets,) objects of the class in the images of each bucket.
    """

    right: Bools
    bucket: Ints
    objects: Ints

    @property
    def total(self) -> int:
        """Objects of the class."""
        return int(self.objects.sum())


def average_precision(ranking: Ranking) -> float:
    """Return the average precision; NaN where there is no object to find."""
    hits = np.flatnonzero(ranking.right)
    tp = np.arange(1, len(hits) + 1)
    return _mean_precision(tp, tp / (hits + 1.0), ranking.total)


def without_each_bucket(ranking: Ranking) -> Floats:
    """Return the average precision without the images of each bucket (buckets,)."""
    total = ranking.total
    touched = np.union1d(ranking.bucket, np.flatnonzero(ranking.objects))
    values = np.full(len(ranking.objects), average_precision(ranking))
    hits = np.flatnonzero(ranking.right)
    owner, tp = ranking.bucket[hits], np.arange(1, len(hits) + 1)
    wrong = np.flatnonzero(~ranking.right)
    before = np.searchsorted(wrong, hits)
    order = np.argsort(ranking.bucket[wrong], kind="stable")
    places, home = wrong[order], ranking.bucket[wrong][order]
    bounds = np.searchsorted(home, touched, side="left"), np.searchsorted(home, touched, "right")
    for bucket, start, stop in zip(touched, *bounds, strict=True):
        kept = owner != bucket
        rest = tp[: int(kept.sum())]
        fp = before[kept] - np.searchsorted(places[start:stop], hits[kept])
        objects = total - int(ranking.objects[bucket])
        values[bucket] = _mean_precision(rest, rest / (rest + fp), objects)
    return values


def _mean_precision(tp: Ints, precision: Floats, objects: int) -> float:
    """Return the mean over the recall levels: tp and precision at each hit, in rank order."""
    if objects <= 0:
        return float("nan")
    best = np.maximum.accumulate(precision[::-1])[::-1]
    place = np.searchsorted(tp / objects, LEVELS, side="left")
    reached = int(np.searchsorted(place, len(best)))  # a recall beyond counts 0
    return float(best[place[:reached]].sum()) / len(LEVELS)


def jackknife_variance(left_out: Floats) -> float:
    """Return the variance of a figure from its values without each bucket, NaN ones left out.

    Source: Tukey's jackknife, with buckets of images as units (Quenouille, 1956).
    """
    known = left_out[~np.isnan(left_out)]
    if len(known) < 2:
        return float("nan")
    spread = float(((known - known.mean()) ** 2).sum())
    return spread * (len(known) - 1) / len(known)
