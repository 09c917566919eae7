"""What one more row adds to each smooth metric: its gradient by the counts of the cells.

A gradient is (by the positives of each cell (C,), by the negatives (C,)), for a weight of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient


def _of_mean(
    view: View, positive: NDArray[np.float64], negative: NDArray[np.float64], value: float
) -> Gradient:
    return (positive - value) / view.stats.n, (negative - value) / view.stats.n


def prevalence(view: View, value: float) -> Gradient:
    """Return that of the prevalence."""
    ones = np.ones(len(view.stats.score))
    return _of_mean(view, ones, 0.0 * ones, value)


def mean_score(view: View, value: float) -> Gradient:
    """Return that of the mean score."""
    return _of_mean(view, view.stats.score, view.stats.score, value)


def brier(view: View, value: float) -> Gradient:
    """Return that of the Brier score."""
    score = view.stats.score
    return _of_mean(view, (1.0 - score) ** 2, score**2, value)


def nll(view: View, value: float) -> Gradient:
    """Return that of the log loss."""
    positive, negative = view.stats.cell_losses()
    return _of_mean(view, positive, negative, value)


def auc(view: View, value: float) -> Gradient:
    """Return that of the area under the ROC curve."""
    stats = view.stats
    below = np.cumsum(stats.neg) - stats.neg / 2.0
    above = stats.positives - np.cumsum(stats.pos) + stats.pos / 2.0
    return (
        (below / stats.negatives - value) / stats.positives,
        (above / stats.positives - value) / stats.negatives,
    )


def average_precision(view: View, value: float) -> Gradient:
    """Return that of the average precision."""
    stats = view.stats
    pos = stats.pos[::-1].astype(np.float64)
    tp, alerts = np.cumsum(pos), np.cumsum(stats.total[::-1])
    shifted = np.cumsum((pos * tp / alerts**2)[::-1])  # what one more alert costs lower cells
    gained = np.cumsum((pos / alerts)[::-1])
    precision = (tp / alerts)[::-1]
    scale = 1.0 / stats.positives
    return scale * (precision - value + gained - shifted), -scale * shifted


def corp_gradient(view: View, name: str, value: float) -> Gradient:
    """Return the gradient of CORP's miscalibration or discrimination, the isotonic fit held."""
    stats = view.stats
    fit, _ = view.isotonic
    score = stats.score
    if name == "brier_discrimination":
        score = np.full(len(fit), stats.positives / stats.n)
    return _of_mean(view, (1.0 - score) ** 2 - (1.0 - fit) ** 2, score**2 - fit**2, value)
