"""Kernel-smoothed residuals: the smooth ECE and its bandwidth.

Source: Blasiok and Nakkiran, "Smooth ECE: principled reliability diagrams via kernel smoothing",
2023.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TOLERANCE = 2.0**-42
TINY = 1e-300
POINTS = 2048
"""Cells of [0, 1] on which the integral is taken."""


def smoothed(score: Array, residual: Array) -> tuple[float, float]:
    """Return (smECE, its bandwidth): the bandwidth s at which smECE_s = s, by false position.

    smECE_s, the integral over [0, 1] of |sum of residual * kernel of width s|, falls as s grows.
    The residuals are put on a fine grid by linear interpolation and mirrored, so that a periodic
    Gaussian filter is the kernel reflected at 0 and 1.

    Args:
        score: (C,) in [0, 1].
        residual: (C,) sum over the rows of a cell of (label - score), divided by all rows.
    """
    spectrum = np.fft.rfft(_mirrored(score, residual))
    squares = (np.pi * np.arange(POINTS + 1)) ** 2

    def error(bandwidth: float) -> float:
        smooth = np.fft.irfft(spectrum * np.exp(-squares * bandwidth**2 / 2.0))
        return float(np.abs(smooth).sum() / 2.0)

    low, high = 0.0, 1.0
    above, below = error(low), error(high) - high
    middle, smooth, side = high, above, 0
    for _ in range(80):
        middle = (low * below - high * above) / min(below - above, -TINY)
        smooth = error(middle)
        excess = smooth - middle
        if abs(excess) <= TOLERANCE:  # the root is no farther than that, as the error falls
            break
        # An end that stays twice counts half (Illinois), so that it moves next.
        if excess > 0.0:
            low, above, below = middle, excess, below / 2.0 if side > 0 else below
        else:
            high, below, above = middle, excess, above / 2.0 if side < 0 else above
        side = 1 if excess > 0.0 else -1
    return smooth, middle


def _mirrored(score: Array, mass: Array) -> Array:
    """Return mass by score on `POINTS` cells of [0, 1], then its mirror image (2 POINTS,)."""
    place = np.clip(score * POINTS - 0.5, 0.0, POINTS - 1.0)
    left = np.minimum(place.astype(np.int64), POINTS - 2)
    share = place - left
    line = np.bincount(left, weights=mass * (1.0 - share), minlength=POINTS)
    line += np.bincount(left + 1, weights=mass * share, minlength=POINTS)
    return np.concatenate([line, line[::-1]]).astype(np.float64, copy=False)
