"""One slice's statistics to its cut-off: chosen or certified, with its interval and its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.costs import cheapest_band, compare_cutoffs, odds_ratio
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.metrics.binary import View
from calibcli.workflows.measure.slices import confusion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.decisions.guarantees import Certified, Uncertified
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
DRAWS = 200


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cut-off as it stands in the JSON, all candidates, and what is to be said of it."""

    item: Result
    curve: Curve
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no cut-off. `unreachable`: because of a target, rather than of the rows."""

    reason: str
    hint: str
    unreachable: bool


def choose_slice(
    where: Result,
    stats: ScoreStats,
    conventions: Conventions,
    wish: Wish,
    *,
    prior: float | None = None,
    clustered: bool = False,
    draws: int = DRAWS,
) -> Chosen | Refused:
    """Choose the cut-off of one slice.

    Args:
        where: the slice, as it stands in the JSON.
        stats: its pairs.
        conventions: the level of the intervals, the seed.
        wish: what to achieve.
        prior: prevalence where it will be used.
        clustered: whether rows come in clusters.
        draws: resamples behind the interval of the cut-off; 0 for none.

    Raises:
        UsageError: a guarantee that no exact test is known for.
    """
    if prior is not None and not (stats.positives and stats.negatives):
        return Refused(
            "only one label occurs: there is no prevalence to change",
            "give rows of both labels, or leave out --prior",
            unreachable=False,
        )
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    certified = None
    if wish.guarantee is None:
        found: Choice | Unreachable = choose(curve, wish.objective, wish.constraints, prior=prior)
    else:
        outcome = _certify(curve, stats, wish, prior, clustered)
        if isinstance(outcome, Refused):
            return outcome
        certified, found = outcome, outcome.choice
    if isinstance(found, Unreachable):
        if wish.constraints:
            return Refused(found.message(), "no thresholds were written", unreachable=True)
        return Refused(
            f"{wish.objective.name} is undefined at every cut-off: "
            f"{labels(stats)} among {stats.n:,} rows",
            "give held-out rows of both labels",
            unreachable=False,
        )
    view = View(stats, conventions.headline)
    item: Result = {
        "slice": where,
        "threshold": found.threshold,
        "threshold_low": None,
        "threshold_high": None,
        "n": stats.n,
        "value": {"value": found.value, "low": None, "high": None},
        "confusion": confusion(view, found.threshold, conventions.confidence),
    }
    warnings: list[str] = []
    if conventions.confidence is not None and draws:
        _resampled(item, stats, found, wish, prior, conventions, draws)
    # A figure has one interval, wherever it is shown; Dice is F1 by another name.
    same = item["confusion"].get({"dice": "f1"}.get(wish.objective.name, wish.objective.name))
    if prior is None and isinstance(same, dict):
        item["value"] |= {"low": same["low"], "high": same["high"]}
    if certified is not None:
        item["guarantee"] = {
            "confidence": certified.confidence,
            "constraints": [str(c) for c in certified.constraints],
            "low": certified.low,
            "high": certified.high,
        }
    if wish.costs is not None:
        item["cost"], warnings = _cost(stats, wish.costs, found, prior, conventions.seed, clustered)
    if not stats.positives or not stats.negatives:
        warnings.append(f"{labels(stats)}: the cut-off says nothing about the other label")
    return Chosen(item, curve, tuple(warnings))


def labels(stats: ScoreStats) -> str:
    """Return which labels occur, in words."""
    if stats.positives and stats.negatives:
        return "both labels"
    return "only label 1 occurs" if stats.positives else "only label 0 occurs"


def _certify(
    curve: Curve, stats: ScoreStats, wish: Wish, prior: float | None, clustered: bool
) -> Certified | Refused:
    from calibcli.core.decisions.guarantees import Uncertified, certify

    assert wish.guarantee is not None
    found = certify(
        curve,
        wish.objective,
        wish.constraints,
        wish.guarantee,
        probability=_claims(curve, stats),
        clustered=clustered,
        prior=prior,
    )
    if isinstance(found, Uncertified):
        return Refused(found.message(), _best_without(found), unreachable=True)
    return found


def _claims(curve: Curve, stats: ScoreStats) -> NDArray[np.float64] | None:
    """Return what the scores claim for the rows at each candidate, None where cells have merged."""
    claims = np.append(stats.score, 1.0)
    return claims if len(claims) == len(curve.threshold) else None


def _best_without(found: Uncertified) -> str:
    """Return the hint: how near these rows come without a guarantee."""
    best = found.empirical
    if isinstance(best, Unreachable):
        return "no thresholds were written"
    shown = []
    for constraint in found.constraints:
        value = best.confusion.figure(constraint.function)
        shown.append(f"{constraint.name} {'undefined' if value is None else f'{value:.6g}'}")
    return (
        f"no thresholds were written; without --guarantee, {best.threshold:.6g} has "
        f"{' and '.join(shown)} on these rows"
    )


def _resampled(
    item: Result,
    stats: ScoreStats,
    found: Choice,
    wish: Wish,
    prior: float | None,
    conventions: Conventions,
    draws: int,
) -> None:
    """Add the interval of the cut-off and of the objective, by resampling rows or clusters."""
    from calibcli.core.decisions.stability import stability

    assert conventions.confidence is not None
    table, buckets, squares = stats.table, None, None
    if stats.parts is not None:
        # A bucket's cell may be wider than the cell: its rows go to the first cell that it holds.
        cell = np.searchsorted(stats.key, stats.parts.key)
        cell = np.minimum(cell, len(stats.key) - 1)
        buckets = (stats.parts.slot, cell, stats.parts.pos, stats.parts.neg)
    if table.pos_sq is not None and table.neg_sq is not None:
        squares = (table.pos_sq, table.neg_sq)
    spread = stability(
        stats.floor,
        stats.pos,
        stats.neg,
        found,
        wish.objective,
        wish.constraints if wish.guarantee is None else (),
        figures=(),
        prior=prior,
        confidence=conventions.confidence,
        draws=draws,
        seed=conventions.seed,
        squares=squares,
        buckets=buckets,
    )
    if spread is None:
        return
    if spread.value is not None:
        item["value"] |= {"low": spread.value[0], "high": spread.value[1]}
    if wish.guarantee is None:  # a certified cut-off is not the optimum that resampling finds
        item["threshold_low"], item["threshold_high"] = spread.threshold
        item["optimism"] = spread.optimism
        item["resamples"] = {"met": spread.draws, "of": spread.of}


def _cost(
    stats: ScoreStats,
    costs: Costs,
    found: Choice,
    prior: float | None,
    seed: int,
    clustered: bool,
) -> tuple[Result, list[str]]:
    # The closed form is of probabilities, so cells count at their mean score.
    compared = compare_cutoffs(
        stats.score,
        stats.pos,
        stats.neg,
        costs,
        prior=prior,
        weighted=stats.weighted or clustered,  # chance is known for independent rows only
        seed=seed,
    )
    cost: Result = {
        "expected": found.value,
        "closed_form_threshold": compared.closed_form,
        "closed_form_cost": compared.closed_form_cost,
        "p_value": compared.p_value,
    }
    warnings = []
    if compared.miscalibrated:
        warnings.append(
            f"the closed-form cut-off {compared.closed_form:.4g} costs more than the empirical "
            f"{found.threshold:.4g} beyond chance: the scores are not calibrated, fit first"
        )
    if costs.refer is not None:
        shift = 1.0
        if prior is not None:
            shift = odds_ratio(float(stats.positives), float(stats.negatives), prior)
        closed = costs.band(shift)
        band = cheapest_band(stats.floor, stats.pos, stats.neg, costs, prior=prior)
        cost["closed_form_band"] = None if closed is None else list(closed)
        cost["band"] = {
            "low": band.low,
            "high": band.high,
            "cost": band.cost,
            "referred": band.referred,
            "tp": band.tp,
            "fp": band.fp,
            "fn": band.fn,
            "tn": band.tn,
        }
    return cost, warnings
