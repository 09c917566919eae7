"""Scores without labels: what can be shown of them, and why the rest is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.further.registry import ALL
from calibcli.core.metrics.multiclass import MULTICLASS_METRICS

if TYPE_CHECKING:
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions

Result = dict[str, Any]
REASON = "no labels"
_KNOWN = ("n", "mean_score")


def unlabelled_result(where: Result, population: Population, conventions: Conventions) -> Result:
    """Return the result of a slice without labels: rows and mean score, and empty places."""
    view = View(population.pairs, conventions.headline)
    known = intervals.measure(
        view, confidence=conventions.confidence, seed=conventions.seed, names=_KNOWN
    )
    metrics: Result = {}
    for name in MULTICLASS_METRICS if population.exclusive else ALL:
        value, low, high, reason = known.get(name, (None, None, None, REASON))
        metrics[name] = {"value": value, "low": low, "high": high}
        if reason is not None:
            metrics[name]["reason"] = reason
    bins = view.bins
    rows = [
        {
            "low": float(bins.low[b]),
            "high": float(bins.high[b]),
            "count": bins.count[b].item(),
            "score": float(bins.score[b]) if bins.used[b] else None,
            "frequency": None,
            "frequency_low": None,
            "frequency_high": None,
            "gap": None,
        }
        for b in range(len(bins.count))
    ]
    result: Result = {"slice": where, "metrics": metrics}
    if not population.exclusive:
        result["confusion"] = []
    return result | {"bins": rows, "ece_by_bins": []}
