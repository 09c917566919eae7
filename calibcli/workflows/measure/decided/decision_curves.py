"""Curves about decisions, for the report: net benefit, and risk against coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.costs import decision_curve
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.metrics.further.net_benefit import net_benefit, over_all, useful
from calibcli.workflows.measure.decided.cutoffs import cost_curve, cutoffs

if TYPE_CHECKING:
    from calibcli.core.decisions.costs import Costs
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population

Result = dict[str, Any]
POINTS = 100
DRAWN = 300


def decision_curves(population: Population, costs: Costs, confidence: float | None) -> Result:
    """Return what a task has of net benefit and cost (binary), and of risk-coverage (one label).

    `confidence` is the level of the intervals of the net benefit; None for none.
    """
    stats = population.pairs
    if population.labels or not stats.n:
        return {}
    if population.extra is not None and population.extra.lowest:
        return class_costs(population, costs)
    from calibcli.core.decisions.abstention import risk_coverage

    sure = population.confidence_pairs()
    found = risk_coverage(sure.floor, sure.pos, sure.neg)
    made: Result = {
        "risk_coverage": {**found.thinned(), "area": found.area, "excess_area": found.excess}
    }
    if population.single:
        made["net_benefit"] = _net_benefit(stats, confidence)
        made["cost_curve"] = cost_curve(stats, costs, cutoffs(stats, (), DRAWN)["threshold"])
    return made


def _net_benefit(stats: ScoreStats, confidence: float | None) -> Result:
    """Return net benefit by threshold probability, with intervals against acting on all and none.

    `over_all` is what it is above that of acting on every row.
    """
    at = np.arange(POINTS) / POINTS
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    made: Result = {name: values.tolist() for name, values in decision_curve(curve, at).items()}
    if confidence is not None:
        model, over = (one(stats, at, confidence) for one in (net_benefit, over_all))
        made |= {"low": model.low.tolist(), "high": model.high.tolist()}
        made["over_all"] = {
            "value": over.value.tolist(),
            "low": over.low.tolist(),
            "high": over.high.tolist(),
        }
        made["useful"] = [list(ends) for ends in useful(model, over, at)]
    return made


def class_costs(population: Population, costs: Costs) -> Result:
    """Return the expected cost a row of deciding for a class, or for all boxes, by the cut-off."""
    stats, extra = population.pairs, population.extra
    stats = stats if extra is None else extra.counted(stats)
    lowest = 0.0 if extra is None else extra.lowest
    if not stats.n:
        return {}
    at = [one for one in cutoffs(stats, (), DRAWN)["threshold"] if one >= lowest]
    return {"cost_curve": cost_curve(stats, costs, at, lowest)} if at else {}
