"""Intervals of CORP's terms of the Brier score: miscalibration, discrimination, uncertainty.

The isotonic fit looks better on the rows that it was made of than it is, so both terms are
centred at what is left after that optimism, the lower end at what would be left if all that rows
of a cluster have in common were noise of the fit. Miscalibration is a squared norm, and its lower
end is above 0 only where the squared gaps of the bins are beyond chance too: recalibration can
only find more than bins do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import gradients
from calibcli.core.metrics.binary import ece_debiased
from calibcli.core.metrics.gaps import norm_interval
from calibcli.core.metrics.gradients import corp_gradient
from calibcli.core.metrics.shares import proportion
from calibcli.core.metrics.spread import by_bucket, spread_of, squared_weights, unforeseen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View

CORP_OPTIMISM = 1.5


def corp_optimism(view: View) -> float:
    """Return by how much isotonic recalibration of the same rows looks too good on average.

    Between one and two times its degrees of freedom, one for each block (Meyer and Woodroofe,
    2000): 1.5 times the sum of f (1 - f) / n over blocks; checked by simulation.
    """
    return CORP_OPTIMISM * float(block_noise(view).sum())


def block_noise(view: View) -> NDArray[np.float64]:
    """Return what the noise of each block's level adds to its fit: f (1 - f) / n, unweighted.

    Half a row of each label more keeps a block where every label agrees from having none.
    """
    stats = view.stats
    fit, block = view.isotonic
    level = np.zeros(int(block[-1]) + 1)
    level[block] = fit
    rows = block_rows(view)
    share = np.bincount(block, weights=stats.total) / rows
    level = (level * rows + 0.5) / (rows + 1.0)
    noise: NDArray[np.float64] = level * (1.0 - level) * share / float(stats.n)
    return noise


def block_rows(view: View) -> NDArray[np.float64]:
    """Return the rows of each block of the isotonic fit, of weights Kish's effective ones."""
    block = view.isotonic[1]
    rows: NDArray[np.float64] = np.bincount(block, weights=view.stats.total).astype(np.float64)
    if view.stats.weighted:
        rows = rows**2 / np.bincount(block, weights=sum(squared_weights(view.stats)))
    return rows


def _effect_of_clusters(view: View) -> float:
    """Return how many times as noisy levels may be as those of independent rows, at least 1.

    Of all blocks together: what buckets of clusters differ from the levels, over what rows do.
    What clusters have in common over all scores is in it too, so it is a bound.
    """
    stats = view.stats
    if stats.parts is None:
        return 1.0
    fit, block = view.isotonic
    positive, rows = by_bucket(stats, block, int(block[-1]) + 1, residual=False)
    level = positive.sum(axis=0) / np.maximum(rows.sum(axis=0), 1e-300)
    apart = float(((positive - level * rows) ** 2).sum())
    squares = sum(squared_weights(stats))
    alone = float(squares @ (fit * (1.0 - fit)))
    return max(apart / alone, 1.0) if alone > 0.0 else 1.0


def miscalibration_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of CORP's miscalibration; it holds the value."""
    low, high = _centred(view, "brier_miscalibration", value, confidence)
    root = ece_debiased(view)
    least, most = norm_interval(view, "ece_debiased", root, confidence, seed)
    return (low if least > 0.0 else 0.0), max(min(high, 1.0), most**2)


def discrimination_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of CORP's discrimination; it holds the value."""
    low, high = _centred(view, "brier_discrimination", value, confidence)
    return low, max(min(high, 0.25), value)


def _centred(view: View, name: str, value: float, confidence: float) -> tuple[float, float]:
    stats = view.stats
    slope = corp_gradient(view, name, value)
    spread = spread_of(stats, slope)
    if name == "brier_discrimination":
        # Where no row has a label the fit tells nothing of it: then the scores' own view of it.
        share = float(stats.positives) / float(stats.n)
        score = stats.score
        claimed = (
            ((1.0 - share) ** 2 - (1.0 - score) ** 2) / float(stats.n),
            (share**2 - score**2) / float(stats.n),
        )
        claim = unforeseen(stats, claimed)[0]
        more = tuple(np.maximum(a, b) for a, b in zip(spread.more, claim, strict=True))
        spread = replace(spread, more=(more[0], more[1]))
    twice = 2.0 * float((block_noise(view) ** 2).sum())
    spread = replace(spread, variance=spread.variance + twice)
    optimism = corp_optimism(view)
    _, high = spread.ends(value - optimism, confidence)
    low, _ = spread.ends(value - optimism * _effect_of_clusters(view), confidence)
    return max(0.0, min(float(low), value)), max(float(high), value)


def uncertainty_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of p (1 - p), from that of the prevalence p."""
    stats = view.stats
    share = float(stats.positives) / float(stats.n)
    slope = gradients.prevalence(view, share)
    low, high = proportion(stats, share, slope, float(stats.n), confidence)
    ends = [low * (1.0 - low), high * (1.0 - high)]
    return min(ends), 0.25 if low <= 0.5 <= high else max(ends)
