"""Log loss taken apart, and losses against those of a model that knows the prevalence only."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import gradients
from calibcli.core.metrics.binary import brier, brier_uncertainty, ece_debiased, nll
from calibcli.core.metrics.corp import CORP_OPTIMISM, block_noise, block_rows
from calibcli.core.metrics.gaps import norm_interval
from calibcli.core.metrics.shares import proportion
from calibcli.core.metrics.spread import spread_of
from calibcli.core.numeric.scales import expit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient

    Array = NDArray[np.float64]


def _entropy(share: float) -> float:
    return -sum(p * math.log(p) for p in (share, 1.0 - share) if p > 0.0)


def _cell_losses(view: View) -> Gradient:
    found: Gradient = view.kept("cell losses", view.stats.cell_losses)
    return found


def _share(view: View) -> float:
    return float(view.stats.positives) / float(view.stats.n)


def nll_uncertainty(view: View) -> float:
    """Return CORP's uncertainty: the log loss of always saying the prevalence."""
    return _entropy(_share(view))


def nll_uncertainty_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `nll_uncertainty` by the counts of each cell."""
    ones = np.ones(len(view.stats.score)) / view.stats.n
    positive, negative = _of_prevalence(view)
    return (positive - value) * ones, (negative - value) * ones


def _of_prevalence(view: View) -> tuple[float, float]:
    """Return the log loss of a positive and of a negative if the prevalence is said."""
    share = min(max(_share(view), 1e-300), 1.0 - 1e-16)
    return -math.log(share), -math.log1p(-share)


def nll_uncertainty_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of the entropy of the prevalence, from that of the prevalence."""
    share = _share(view)
    slope = gradients.prevalence(view, share)
    low, high = proportion(view.stats, share, slope, float(view.stats.n), confidence)
    ends = [_entropy(low), _entropy(high)]
    return min(*ends, value), math.log(2.0) if low <= 0.5 <= high else max(*ends, value)


# -- CORP ------------------------------------------------------------------------------------------


def _recalibrated_nll(view: View) -> float:
    fit, _ = view.isotonic
    loss = 0.0
    for counts, chance in ((view.stats.pos, fit), (view.stats.neg, 1.0 - fit)):
        there = counts > 0
        loss -= float(counts[there] @ np.log(chance[there]))
    return loss / view.stats.n


def nll_miscalibration(view: View) -> float:
    """Return the log loss less that after isotonic recalibration.

    Source: Dimitriadis, Gneiting and Jordan, "Stable reliability diagrams for probabilistic
    classifiers", 2021. Log loss = miscalibration - discrimination + uncertainty.
    """
    return max(nll(view) - _recalibrated_nll(view), 0.0)


def nll_discrimination(view: View) -> float:
    """Return the log loss of the prevalence less that after isotonic recalibration."""
    return max(nll_uncertainty(view) - _recalibrated_nll(view), 0.0)


def _fitted_losses(view: View) -> Gradient:
    """Return the log loss of a positive and of a negative in each cell after recalibration.

    Where every label of a block agrees, the other one is taken to have half a row.
    """
    fit, block = view.isotonic
    rows = block_rows(view)[block]
    doubt = np.minimum(0.5 / (rows + 1.0), 0.5)
    level = np.clip(fit, doubt, 1.0 - doubt)
    return (
        np.where(fit > 0.0, -np.log(np.where(fit > 0.0, fit, 1.0)), -np.log(level)),
        np.where(fit < 1.0, -np.log1p(-np.where(fit < 1.0, fit, 0.0)), -np.log1p(-level)),
    )


def nll_miscalibration_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `nll_miscalibration`, the isotonic fit held."""
    (p, q), (a, b) = _cell_losses(view), _fitted_losses(view)
    return (p - a - value) / view.stats.n, (q - b - value) / view.stats.n


def nll_discrimination_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `nll_discrimination`, the isotonic fit held."""
    (p, q), (a, b) = _of_prevalence(view), _fitted_losses(view)
    return (p - a - value) / view.stats.n, (q - b - value) / view.stats.n


def _optimism(view: View) -> tuple[float, float]:
    """Return by how much the fit's log loss looks too small on average, and the variance of it.

    Half a chi-squared for each block (Wilks, 1938), times what the choice of blocks adds.
    """
    count = len(block_noise(view))
    rows = view.stats.n
    if view.stats.table.pos_sq is not None and view.stats.table.neg_sq is not None:
        rows = rows**2 / float(view.stats.table.pos_sq.sum() + view.stats.table.neg_sq.sum())
    return CORP_OPTIMISM * count / 2.0 / float(rows), count / 2.0 / float(rows) ** 2


def _corp_ends(view: View, value: float, slope: Gradient, confidence: float) -> tuple[float, float]:
    spread, (optimism, noise) = spread_of(view.stats, slope), _optimism(view)
    low, high = replace(spread, variance=spread.variance + noise).ends(value - optimism, confidence)
    return max(0.0, min(float(low), value)), max(float(high), value)


def nll_miscalibration_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of `nll_miscalibration`: above 0 only where the bins' gaps are too.

    By Pinsker's inequality it is at least twice the squared gap of the bins.
    """
    slope = nll_miscalibration_gradient(view, value)
    low, high = _corp_ends(view, value, slope, confidence)
    root = ece_debiased(view)
    least, most = norm_interval(view, "ece_debiased", root, confidence, seed)
    return (low if least > 0.0 else 0.0), max(high, 2.0 * most**2)


def nll_discrimination_interval(
    view: View, value: float, confidence: float, seed: int
) -> tuple[float, float]:
    """Return the interval of `nll_discrimination`; it holds the value."""
    slope = nll_discrimination_gradient(view, value)
    low, high = _corp_ends(view, value, slope, confidence)
    return low, max(min(high, math.log(2.0)), value)


# -- skill -----------------------------------------------------------------------------------------


def brier_skill(view: View) -> float:
    """Return 1 - Brier / p (1 - p): 0 for always saying the prevalence p (Murphy, 1973)."""
    view.require_both_labels()
    return 1.0 - brier(view) / brier_uncertainty(view)


def brier_skill_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `brier_skill` by the counts of each cell."""
    of, share = brier_uncertainty(view), _share(view)
    lean = (1.0 - 2.0 * share) * np.ones(len(view.stats.score))
    base = lean * (1.0 - share) / view.stats.n, -lean * share / view.stats.n
    return _ratio_gradient(gradients.brier(view, brier(view)), base, value, of)


def nll_skill(view: View) -> float:
    """Return 1 - log loss / entropy of the prevalence: 0 for always saying the prevalence."""
    view.require_both_labels()
    return 1.0 - nll(view) / nll_uncertainty(view)


def nll_skill_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `nll_skill` by the counts of each cell."""
    of = nll_uncertainty(view)
    base = nll_uncertainty_gradient(view, of)
    loss, (positive, negative) = nll(view), _cell_losses(view)
    n = view.stats.n
    return _ratio_gradient(((positive - loss) / n, (negative - loss) / n), base, value, of)


def _ratio_gradient(loss: Gradient, base: Gradient, skill: float, of: float) -> Gradient:
    """Return the gradient of 1 - loss / base, where the base is `of`."""
    positive, negative = ((a + (skill - 1.0) * b) / -of for a, b in zip(loss, base, strict=True))
    return positive, negative


# -- likelihood ratios -----------------------------------------------------------------------------


def _ratios(view: View) -> Array:
    """Return the natural log of each cell's likelihood ratio: its odds over those of these rows.

    A certain score is as far as its log loss is counted.
    """
    view.require_both_labels()
    positive, negative = _cell_losses(view)
    return negative - positive - math.log(view.stats.positives / view.stats.negatives)


def _bits(view: View) -> Gradient:
    ratio = _ratios(view) / math.log(2.0)
    return np.logaddexp2(0.0, -ratio), np.logaddexp2(0.0, ratio)


def cllr(view: View) -> float:
    """Return the cost of the log likelihood ratios, in bits, each label with half the weight.

    The prior odds are those of these rows. Source: Brümmer and du Preez,
    "Application-independent evaluation of speaker detection", 2006.
    """
    positive, negative = _bits(view)
    stats = view.stats
    return (
        float(stats.pos @ positive / stats.positives + stats.neg @ negative / stats.negatives) / 2.0
    )


def cllr_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `cllr` by the counts of each cell, also through the prior odds."""
    stats, (positive, negative) = view.stats, _bits(view)
    a, b = stats.pos @ positive / stats.positives, stats.neg @ negative / stats.negatives
    chance = expit(_ratios(view))
    pull = (
        -(stats.pos @ (1.0 - chance)) / stats.positives + stats.neg @ chance / stats.negatives
    ) / math.log(2.0)
    return (
        (positive - a - pull) / (2.0 * stats.positives),
        (negative - b + pull) / (2.0 * stats.negatives),
    )
