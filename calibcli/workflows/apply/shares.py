"""What probabilities and decisions come to without a label, summed a batch at a time for gates."""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import REFER
from calibcli.core.numeric.proportions import wilson
from calibcli.core.numeric.special import norm_ppf
from calibcli.core.results.apply import Shares, SharesOfClass
from calibcli.core.results.figures import Figure, undefined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVEL = 0.95
"""Of the intervals, which take rows to be independent."""


@dataclass(frozen=True, slots=True)
class Part:
    """Sums over the rows of a batch.

    Attributes:
        n: rows.
        p: sums of the probabilities (K,), and of that of the most probable class; `squares` of
            their squares.
        alerts: rows decided 1, or to be each class (K,); None without decisions.
        undecided: rows without a class, the `referred` among them; `held` classes in sets.
    """

    n: int
    p: Floats
    squares: Floats
    alerts: NDArray[np.int64] | None = None
    undecided: int = 0
    referred: int = 0
    held: int = 0

    @classmethod
    def of(cls, p: Floats, decided: NDArray[Any] | None, *, exclusive: bool) -> Part:
        """Sum a batch.

        Args:
            p: probabilities (n,) or (n, K).
            decided: codes (n,) or (n, K), or booleans (n, K) of sets; None without thresholds.
            exclusive: whether a row has one of K classes.
        """
        columns = p[:, None] if p.ndim == 1 else p
        if exclusive:
            columns = np.column_stack([columns, columns.max(axis=1, initial=0.0)])
        sums, squares = columns.sum(axis=0), (columns * columns).sum(axis=0)
        if decided is None:
            return cls(len(p), sums, squares)
        if decided.ndim == 2:
            alerts = (decided == 1).sum(axis=0)
            referred = int((decided == REFER).any(axis=1).sum())
            return cls(len(p), sums, squares, alerts, referred, referred, int(alerts.sum()))
        referred = int((decided == REFER).sum())
        if not exclusive:
            alerts = np.array([(decided == 1).sum()])
            return cls(len(p), sums, squares, alerts, referred, referred)
        alerts = np.bincount(decided[decided >= 0], minlength=p.shape[1])
        return cls(len(p), sums, squares, alerts, int((decided < 0).sum()), referred)


def shares_of(parts: Sequence[Part], classes: Sequence[str], *, sets: bool, refers: bool) -> Shares:
    """Return what all batches come to.

    Args:
        parts: of the batches, in any order.
        classes: their names; () for a binary score.
        sets: whether sets of classes were decided.
        refers: whether rows may be referred.
    """
    n = sum(part.n for part in parts)
    width = len(parts[0].p) if parts else len(classes) or 1
    means = [_mean(parts, k, n) for k in range(width)]
    decided = [part.alerts for part in parts if part.alerts is not None]
    alerts = np.sum(decided, axis=0) if decided else None
    calibrated: dict[str, Figure] = {}
    if width != len(classes):  # of labels that do not exclude each other there is no one mean
        calibrated["mean_score"] = means[-1]
    metrics: dict[str, Figure] = {}
    if alerts is not None and not classes and not sets:
        metrics = _alerts(int(alerts[0]), n)
    if alerts is not None and (refers or (width > len(classes) > 0 and not sets)):
        metrics["undecided"] = share(sum(part.undecided for part in parts), n)
    if refers:
        metrics["referred"] = share(sum(part.referred for part in parts), n)
    if sets and n:
        metrics["set_size"] = Figure(sum(part.held for part in parts) / n)
    of_classes = tuple(
        SharesOfClass(
            name=name,
            calibrated={"mean_score": means[k]},
            metrics={} if alerts is None else _alerts(int(alerts[k]), n),
        )
        for k, name in enumerate(classes)
    )
    return Shares(calibrated=calibrated, metrics=metrics, classes=of_classes)


def share(some: int, n: int) -> Figure:
    """Return a share of rows with its score interval (Wilson, 1927)."""
    if not n:
        return undefined("there are no rows")
    low, high = wilson(some / n, n, norm_ppf((1 + LEVEL) / 2))
    return Figure(some / n, low, high)


def _alerts(some: int, n: int) -> dict[str, Figure]:
    return {"positive-rate": share(some, n), "alerts": Figure(some)}


def _mean(parts: Sequence[Part], k: int, n: int) -> Figure:
    """Return the mean of a column with its normal interval.

    Sums of sums are exactly rounded, so that the order of batches does not show.
    """
    if not n:
        return undefined("there are no rows")
    mean = fsum(part.p[k] for part in parts) / n
    spread = max(fsum(part.squares[k] for part in parts) / n - mean * mean, 0.0)
    reach = norm_ppf((1 + LEVEL) / 2) * sqrt(spread / n)
    return Figure(mean, max(mean - reach, 0.0), min(mean + reach, 1.0))
