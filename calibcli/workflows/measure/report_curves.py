"""What the report draws of all rows beside the figures: bands, the CORP curve, ECE by bins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.consistency import binomial_band, corp_band, corp_curve
from calibcli.core.metrics.shares import effective_rows
from calibcli.core.statistics.curves import Binning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from calibcli.core.metrics.consistency import CorpCurve
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
NUMBERS = (5, 10, 15, 20, 30, 50, 100)
"""Numbers of bins at which ECE is drawn, beside those that were asked for."""
POINTS = 200

EXACT = tuple(sorted({i / bins for bins in NUMBERS for i in range(1, bins)}))
"""Bin edges that a grid is told to keep exact for the curves below."""

KEYS = frozenset(
    (
        "roc",
        "pr",
        "consistency",
        "corp",
        "ece_curve",
        "risk_coverage",
        "net_benefit",
        "cutoffs",
        "cost_curve",
    )
)
"""Keys of a slice that only drawings need."""


def drop_curves(result: Result) -> None:
    """Take out of a measure result what only drawings need, in place."""
    parts = [result["overall"], *result["classes"], *result["groups"]]
    for part in [*parts, *(part["calibrated"] for part in parts if part.get("calibrated"))]:
        for key in KEYS & part.keys():
            del part[key]


def report_curves(view: View, conventions: Conventions) -> Result:
    """Return the bands, the CORP curve and ECE by bins of all rows; nothing of no rows."""
    if not view.stats.n:
        return {}
    level = conventions.confidence
    return {
        "consistency": None if level is None else _bins_band(view, level),
        "corp": _corp(view.stats, level, conventions.seed),
        "ece_curve": _ece_curve(view.stats, conventions),
    }


def _bins_band(view: View, level: float) -> Result:
    """Return where the frequencies of an honest model's bins lie, one pair a bin."""
    bins = view.bins
    low, high = binomial_band(bins.score, effective_rows(view), level)
    return {
        "low": _where(low, bins.used),
        "high": _where(high, bins.used),
    }


def _where(values: NDArray[np.float64], used: NDArray[np.bool_]) -> list[float | None]:
    return [v if u else None for v, u in zip(values.tolist(), used.tolist(), strict=True)]


def _corp(stats: ScoreStats, level: float | None, seed: int) -> Result:
    """Return the CORP curve as points, and its consistency band where rows are independent."""
    curve = corp_curve(stats)
    keep = _blocks(curve)
    score = np.stack([curve.low[keep], curve.high[keep]], axis=1).ravel()
    found: Result = {
        "score": score.tolist(),
        "fitted": np.repeat(curve.fitted[keep], 2).tolist(),
        "blocks": len(curve.fitted),
        "band": None,
    }
    if level is None:
        return found
    if stats.parts is not None or stats.weighted:
        found["reason"] = "no band: rows are not independent, or weighted"
        return found
    at = np.unique(np.quantile(stats.score, np.linspace(0, 1, 101), method="nearest"))
    low, high = corp_band(stats, at, level, seed=seed)
    found["band"] = {"score": at.tolist(), "low": low.tolist(), "high": high.tolist()}
    return found


def _blocks(curve: CorpCurve) -> NDArray[np.intp]:
    """Return which blocks to draw: all, or those evenly along the curve."""
    size = len(curve.fitted)
    if size <= POINTS:
        return np.arange(size)
    walk = curve.high + curve.fitted
    wanted = np.searchsorted(walk, np.linspace(walk[0], walk[-1], POINTS))
    return np.unique(np.clip(wanted, 0, size - 1))


def _ece_curve(stats: ScoreStats, conventions: Conventions) -> list[Result]:
    """Return ECE for numbers of bins of both kinds, with intervals."""
    rows = []
    for kind in ("width", "mass"):
        for number in _numbers(conventions.bins):
            view = View(stats, Binning(kind, number, conventions.closed))
            value, low, high, _ = intervals.measure(
                view, confidence=conventions.confidence, seed=conventions.seed, names=("ece",)
            )["ece"]
            rows.append({"binning": kind, "bins": number, "ece": value, "low": low, "high": high})
    return rows


def _numbers(asked: Iterable[int]) -> list[int]:
    return sorted({*NUMBERS, *(number for number in asked if number <= 200)})
