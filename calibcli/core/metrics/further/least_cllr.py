"""The least cost of likelihood ratios: what is left of `cllr` when scores are recalibrated.

The isotonic fit of the labels is the best monotone map for every loss that is proper, and so for
this one (Brümmer and du Preez 2006, *Application-independent evaluation of speaker detection*,
section 5: Cllr-min by pool adjacent violators). It measures how well scores tell labels apart, in
bits; `cllr` less this is what calibration costs.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics.corp import CORP_OPTIMISM, block_rows
from calibcli.core.metrics.spread import effective_n, spread_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient

    Array = NDArray[np.float64]


def _bits(view: View, level: Array) -> Gradient:
    """Return the bits of a positive and of a negative by the frequency of label 1 at its score.

    A certain frequency costs the label that is not there an infinity.
    """
    stats = view.stats
    one, zero = level / float(stats.positives), (1.0 - level) / float(stats.negatives)
    with np.errstate(divide="ignore"):
        return -np.log2(one / (one + zero)), -np.log2(zero / (one + zero))


def cllr_min(view: View) -> float:
    """Return `cllr` after isotonic recalibration on these rows."""
    view.require_both_labels()
    stats, total = view.stats, 0.0
    sides = (stats.pos, stats.positives), (stats.neg, stats.negatives)
    for (counts, rows), bits in zip(sides, _bits(view, view.isotonic[0]), strict=True):
        there = counts > 0
        total += float(counts[there] @ bits[there]) / float(rows)
    return min(total / 2.0, 1.0)


def cllr_min_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `cllr_min`, the isotonic fit held: it is at its best.

    Where every label of a block agrees, the other one is taken to have half a row.
    """
    stats, (fit, block) = view.stats, view.isotonic
    rows = block_rows(view)[block]
    doubt = np.minimum(0.5 / (rows + 1.0), 0.5)
    held, unsure = _bits(view, fit), _bits(view, np.clip(fit, doubt, 1.0 - doubt))
    found = []
    sides = (stats.pos, stats.positives), (stats.neg, stats.negatives)
    for (counts, total), own, other in zip(sides, held, unsure, strict=True):
        bits = np.where(np.isfinite(own), own, other)
        mean = float(counts @ bits) / float(total)
        found.append((bits - mean) / (2.0 * float(total)))
    return found[0], found[1]


def cllr_min_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of `cllr_min`, which the fit makes look too small; it holds the value.

    Each block has half a chi-squared (Wilks 1938) times the ratio of the variance of its score to
    its information, which labels of unequal weight make other than 1; and `CORP_OPTIMISM` times
    that for the choice of blocks.
    """
    stats, (fit, block) = view.stats, view.isotonic
    level = np.zeros(int(block[-1]) + 1)
    level[block] = fit
    n, rows = float(stats.n), effective_n(stats)
    one, zero = (
        n / (2.0 * math.log(2.0) * float(total)) for total in (stats.positives, stats.negatives)
    )
    ratio = one * zero / (one * level + zero * (1.0 - level))
    optimism = CORP_OPTIMISM * float(ratio.sum()) / 2.0 / rows
    noise = float((ratio**2).sum()) / 2.0 / rows**2
    spread = spread_of(stats, cllr_min_gradient(view, value))
    low, high = replace(spread, variance=spread.variance + noise).ends(value + optimism, confidence)
    return max(0.0, min(float(low), value)), min(1.0, max(float(high), value))
