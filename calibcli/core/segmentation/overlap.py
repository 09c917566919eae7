"""Overlap of decided and true pixels: pooled over all images, and as a mean over images.

Both are of images, not of pixels: an interval treats each image as one draw. A pooled figure is a
ratio of sums, whose variance is that of its linearisation (Woodruff 1971; for images the unit is
the image), and whose interval is Clopper and Pearson's at the number of trials it is worth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.shares import f1_of, of_variance, pooled_interval
from calibcli.core.metrics.spread import Spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.intervals import Found

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

POOLED: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "precision": ((1, 0, 0), (1, 1, 0)),
    "recall": ((1, 0, 0), (1, 0, 1)),
    "dice": ((2, 0, 0), (2, 1, 1)),
    "iou": ((1, 0, 0), (1, 1, 1)),
}
"""Each figure as (numerator, denominator) weights of pixels rightly, wrongly decided and missed."""
_EMPTY = {
    "precision": "no pixel is decided for it",
    "recall": "no pixel is of it",
    "dice": "no pixel is of it or decided for it",
    "iou": "no pixel is of it or decided for it",
}


def overlap(
    counts: Counts, confidence: float | None, weight: Floats | None = None
) -> dict[str, Found]:
    """Return precision, recall, Dice and IoU pooled over images, and Dice as a mean over images.

    Args:
        counts: (images, 3) pixels rightly decided, wrongly decided, missed.
        confidence: level of the intervals; None for none.
        weight: (images,) of the images, in any unit; None where each counts once.

    Returns:
        (value, low, high, reason) by name; "mean_dice" is over the images where the structure
        occurs or is decided.
    """
    found: dict[str, Found] = {}
    share = None if weight is None or not len(weight) else weight / weight.mean()
    pooled = counts if share is None else counts * share[:, None]
    for name, (up, down) in POOLED.items():
        part, whole = pooled @ np.array(up), pooled @ np.array(down)
        total = whole.sum()
        if not total:
            found[name] = (None, None, None, _EMPTY[name])
            continue
        value = float(part.sum() / total)
        found[name] = (value, *_ratio(name, pooled, confidence), None)
    found["mean_dice"] = mean_dice(counts, confidence, share)
    return found


def mean_dice(counts: Counts, confidence: float | None, weight: Floats | None = None) -> Found:
    """Return the mean over images of each image's Dice, with Student's interval over images."""
    dice = image_dice(counts)
    if not len(dice):
        return None, None, None, _EMPTY["dice"]
    own = np.ones(len(counts)) if weight is None else weight
    mass = own[counts @ np.array([2, 1, 1]) > 0]
    if not mass.sum():
        return None, None, None, _EMPTY["dice"]
    value = float(dice.mean() if weight is None else (mass @ dice) / mass.sum())
    # Images of different weight are worth as many as Kish's (sum w)^2 / sum w^2.
    size = float(mass.sum() ** 2 / (mass @ mass))
    if confidence is None or len(dice) < 2 or size < 1.5:
        return value, None, None, None
    away = mass * (dice - value) / mass.sum()
    variance, third = float(away @ away) * size / (size - 1), float((away**3).sum())
    if variance <= 0.0:
        ends = of_variance(value, 0.0, confidence, units=size, most=size)
        return value, *ends, None
    none = 0.0, 0.0
    low, high = Spread(variance, third, none, none, size - 1).ends(value, confidence)
    return value, max(float(low), 0.0), min(float(high), 1.0), None


def image_dice(counts: Counts) -> Floats:
    """Return Dice of each image (images, 3) that has the structure, or was decided to."""
    whole = counts @ np.array([2, 1, 1])
    used = whole > 0
    dice: Floats = 2.0 * counts[used, 0] / whole[used]
    return dice


def _ratio(
    name: str, counts: Counts | Floats, confidence: float | None
) -> tuple[float | None, float | None]:
    up, down = POOLED["iou" if name == "dice" else name]
    part, whole = counts @ np.array(up), counts @ np.array(down)
    if confidence is None or (whole > 0).sum() < 2:
        return None, None
    low, high = pooled_interval(part.astype(np.float64), whole.astype(np.float64), confidence)
    return (f1_of(low), f1_of(high)) if name == "dice" else (low, high)
