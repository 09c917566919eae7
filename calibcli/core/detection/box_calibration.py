"""Calibration of detections in bins of score, position and size together.

Source: Kuppers, Kronenberger, Shantia and Haselhoff, 2020 (Multivariate confidence calibration for
object detection): D-ECE is the mean over bins of |precision - mean score|, weighted by detections;
bins with fewer than 8 detections are left out. Position is the centre of the box and size its
width and height, both as shares of the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.absolute_sums import AbsoluteSum, Gaps
from calibcli.core.metrics.gaps import shared_noise
from calibcli.core.metrics.inversion import interval
from calibcli.core.metrics.spread import totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

FEWEST = 8
"""Detections that a bin must hold to count."""
BY_POSITION, BY_SIZE, BY_BOX = "ece_position", "ece_size", "ece_box"
BINS = {BY_POSITION: 8, BY_SIZE: 8, BY_BOX: 5}
"""Bins along each side: 8 x 8 x 8 with position or size, 5 to the fifth with both."""
COLUMNS = {BY_POSITION: (0, 1), BY_SIZE: (2, 3), BY_BOX: (0, 1, 2, 3)}


@dataclass(frozen=True, slots=True)
class BoxCalibration:
    """D-ECE, its interval, in how many bins, and the share of the detections that these hold."""

    value: float | None
    low: float | None
    high: float | None
    bins: int
    share: float


def box_calibration(
    name: str,
    score: Floats,
    right: Bools,
    place: Floats,
    bucket: Ints,
    *,
    confidence: float | None,
) -> BoxCalibration:
    """Return one of the D-ECEs of `BINS`.

    Args:
        name: which.
        score: (n,) probabilities.
        right: (n,) found an object.
        place: (n, 4) centre and size of each box as shares of its image.
        bucket: (n,) bucket of each image.
        confidence: level of the interval; None for none.
    """
    side = BINS[name]
    index = _bin(score, side)
    for column in COLUMNS[name]:
        index = index * side + _bin(place[:, column], side)
    _, where, count = np.unique(index, return_inverse=True, return_counts=True)
    enough = count >= FEWEST
    kept = enough[where]
    rows = int(count[enough].sum())
    if not rows:
        return BoxCalibration(None, None, None, 0, 0.0)
    home = (np.cumsum(enough) - 1)[where[kept]]
    size = int(enough.sum())
    error = right[kept] - score[kept]
    gaps = np.bincount(home, weights=error, minlength=size) / rows
    value = float(np.abs(gaps).sum())
    share = rows / len(score)
    buckets = np.unique(bucket)
    if confidence is None or len(buckets) < 2:
        return BoxCalibration(value, None, None, size, share)
    own = np.searchsorted(buckets, bucket[kept])
    joint = own * size + home
    shape = (len(buckets), size)
    sums = totals(joint, error, shape[0] * size).reshape(shape)
    mass = np.bincount(joint, minlength=shape[0] * size).reshape(shape).astype(np.float64)
    held = count[enough].astype(np.float64)
    mean = np.bincount(home, weights=score[kept], minlength=size) / held
    doubt = np.bincount(home, weights=score[kept] * (1.0 - score[kept]), minlength=size) / held
    gap = gaps * rows / held
    shared = shared_noise(sums, mass, gap, held, float(doubt @ held) / rows**2)
    noisy = Gaps(gap, mean, doubt, held, held / rows, float(rows), shared)
    low, high = interval(noisy, AbsoluteSum(noisy, noisy.share), confidence, 0.0)
    return BoxCalibration(value, min(low, value), max(high, value), size, share)


def _bin(values: Floats, side: int) -> Ints:
    """Return the bin (lo, hi] of each value, 0 in the first and 1 in the last (n,)."""
    edges = np.array([i / side for i in range(1, side)])
    return np.searchsorted(edges, values, side="left")
