"""The area under the risk-coverage curve: what referring the least confident rows would save."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.stats import ScoreStats

    Array = NDArray[np.float64]

_DIGITS = 9  # 0.3 and 0.7 are equally confident, though their logits differ in the last digit


def aurc(view: View) -> float:
    """Return the mean over rows of the share of errors among rows at least as confident.

    The decision is score >= 1/2 and its confidence the larger of score and 1 - score; rows of one
    confidence are kept or referred together. Source: Geifman and El-Yaniv, "Selective
    classification for deep neural networks", 2017.
    """
    return _Curve.of(view).value


def aurc_gradient(view: View, value: float) -> Gradient:
    """Return the gradient of `aurc` by the counts of each cell."""
    found = _Curve.of(view).gradient(value)
    view.let_go(_Curve.__name__)
    return found


class _Curve:
    """Rows by falling confidence, of one confidence together."""

    @classmethod
    def of(cls, view: View) -> Self:
        """Return the curve of a slice, worked out once for its area and the gradient of that."""
        found: Self = view.kept(cls.__name__, lambda: cls(view.stats, folded=not view.confidence))
        return found

    def __init__(self, stats: ScoreStats, *, folded: bool) -> None:
        """Read the cells; `folded` where the score is that of label 1, not of the decision."""
        self.n = float(stats.n)
        logit = stats.logit
        self.says_one = (logit >= 0.0) | (not folded)
        errors = np.where(self.says_one, stats.neg, stats.pos).astype(np.float64)
        sureness = -np.round(np.abs(logit) if folded else logit, _DIGITS)
        size, self.home = np.unique(sureness, return_inverse=True)
        self.rows = np.bincount(self.home, weights=stats.total, minlength=len(size))
        wrong = np.cumsum(np.bincount(self.home, weights=errors, minlength=len(size)))
        self.kept = np.maximum(np.cumsum(self.rows), 1e-300)
        self.risk = wrong / self.kept

    @property
    def value(self) -> float:
        """The mean of the risk over rows."""
        return float(self.rows @ self.risk) / self.n

    def gradient(self, value: float) -> Gradient:
        """Return (by the positives of each cell (C,), by the negatives (C,))."""
        each = self.rows / self.kept
        thinned = np.cumsum((each * self.risk)[::-1])[::-1]
        raised = np.cumsum(each[::-1])[::-1]
        right: Array = ((self.risk - value - thinned) / self.n)[self.home]
        wrong: Array = right + raised[self.home] / self.n
        return np.where(self.says_one, right, wrong), np.where(self.says_one, wrong, right)
