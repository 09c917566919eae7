"""A choice as it stands in the JSON: with its interval, its cost, and what new rows would show."""

from __future__ import annotations

from math import nextafter
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.costs import cheapest_band, compare_cutoffs, odds_ratio
from calibcli.core.decisions.cross_fit import CellFamily, cross_fit, cut_at
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.metrics.binary import View
from calibcli.core.results.warning import Warning
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.choosing import Chosen, Picked, Refused, labels
from calibcli.workflows.threshold.honest import apply_ends, honest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.decisions.cross_fit import CrossFitted, Family, Place
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
Cross = tuple["Family", "CrossFitted", "Place"]
"""Candidates, the choices of the folds, and that of all rows."""
DRAWS = 200
NEVER = nextafter(1.0, 2.0)
"""A cut-off above every probability."""


def describe(
    where: Result,
    picked: Picked,
    conventions: Conventions,
    wish: Wish,
    *,
    clustered: bool = False,
    draws: int = DRAWS,
    cross: Cross | None = None,
    alone: bool = True,
) -> Chosen:
    """Return a choice as it stands in the JSON.

    Args:
        where: the slice.
        picked: the choice.
        conventions: the level of the intervals, the seed.
        wish: what was to be achieved.
        clustered: whether rows come in clusters.
        draws: resamples behind the interval of the cut-off; 0 for none.
        cross: candidates and choices of the folds, where they are not those of one score.
        alone: whether the cut-off was chosen for this slice alone, and moves with its rows.
    """
    stats, found = picked.stats if picked.shown is None else picked.shown, picked.choice
    moved = picked.prior is not None or picked.shown is not None
    view, cut = View(stats, conventions.headline), cut_at(picked.stats, found.threshold)
    level = conventions.confidence if draws else None
    first = int(np.searchsorted(stats.cut, found.threshold))
    item: Result = {
        "slice": where,
        "threshold": cut.threshold,
        **({} if cut.logit is None else {"logit": cut.logit}),
        "threshold_low": None,
        "threshold_high": None,
        "n": stats.n,
        "value": {"value": found.value, "low": None, "high": None},
        "confusion": confusion(view, cut.threshold, level, first=first),
    }
    warnings: list[Warning] = []
    if level is not None and alone:
        resample(item, picked, wish, conventions, draws)
    # A figure has one interval, wherever it is shown; Dice is F1 by another name.
    same = item["confusion"].get({"dice": "f1"}.get(wish.objective.name, wish.objective.name))
    if not moved and isinstance(same, dict):
        item["value"] |= {"low": same["low"], "high": same["high"]}
    if picked.certified is None and level is not None:
        value, spread = item["value"], None
        if value["low"] is not None and not isinstance(same, dict):
            spread = value["value"] - value["low"], value["high"] - value["value"]
        item["cross_fitted"] = _cross_fitted(picked, wish, conventions, level, cross, spread)
        apply_ends(item, item["cross_fitted"])
    if picked.certified is not None:
        item["guarantee"] = {
            "confidence": wish.guarantee,
            "constraints": [str(c) for c in picked.certified.constraints],
            "low": picked.certified.low,
            "high": picked.certified.high,
            **_by_unit(picked),
        }
    if wish.costs is not None:
        item["cost"], warnings = _cost(picked, wish.costs, conventions.seed, clustered)
    if not stats.positives or not stats.negatives:
        text = f"{labels(stats)}: the cut-off says nothing about the other label"
        warnings.append(Warning("one-label", text))
    return Chosen(item, picked.curve, tuple(warnings))


def _cross_fitted(
    picked: Picked,
    wish: Wish,
    conventions: Conventions,
    level: float,
    cross: Cross | None,
    spread: tuple[float, float] | None,
) -> Result:
    """Return the figures of the choice on rows that it has not seen."""
    if cross is None:
        family = CellFamily.of(picked.stats, conventions.seed, picked.lowest)

        def again(curves: Sequence[Curve]) -> tuple[int, Choice] | None:
            rest, prior = curves[0], picked.prior
            if prior is not None and not (rest.positives and rest.negatives):
                return None
            found = choose(rest, wish.objective, wish.constraints, prior=prior)
            return None if isinstance(found, Unreachable) else (0, found)

        cross = family, cross_fit(family, again), (0, picked.choice.index)
    return honest(*cross, wish, level, float(picked.stats.n), spread)


def never(where: Result, stats: ScoreStats, refused: Refused, conventions: Conventions) -> Chosen:
    """Return a cut-off above every score, for a slice in which the target cannot be met."""
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    item: Result = {
        "slice": where,
        "threshold": NEVER,
        "threshold_low": None,
        "threshold_high": None,
        "n": stats.n,
        "value": {"value": None, "low": None, "high": None, "reason": "the target is not met"},
        "confusion": confusion(View(stats, conventions.headline), NEVER, conventions.confidence),
        "reason": f"the target is not met: {refused.best}",
    }
    return Chosen(item, curve)


def nothing(where: Result, stats: ScoreStats, reason: str | None, *, n: float) -> Chosen:
    """Return what stands for a slice of `n` rows that has nothing to choose from."""
    item: Result = {"slice": where, "threshold": None, "n": n, "reason": reason}
    return Chosen(item, Curve.from_cells(stats.floor, stats.pos, stats.neg))


def resample(
    item: Result, picked: Picked, wish: Wish, conventions: Conventions, draws: int
) -> None:
    """Add the interval of the cut-off and of the objective, by resampling rows or clusters."""
    from calibcli.core.decisions.stability import stability

    stats = picked.stats
    assert conventions.confidence is not None
    table, buckets, squares = stats.table, None, None
    if stats.parts is not None:
        # A bucket's cell may be wider than the cell: its rows go to the first cell that it holds.
        cell = np.searchsorted(stats.place, stats.parts.places)
        cell = np.minimum(cell, len(stats.key) - 1)
        buckets = (stats.parts.slot, cell, stats.parts.pos, stats.parts.neg)
    if table.pos_sq is not None and table.neg_sq is not None:
        squares = (table.pos_sq, table.neg_sq)
    spread = stability(
        stats.cut,
        stats.pos,
        stats.neg,
        picked.choice,
        wish.objective,
        wish.constraints if wish.guarantee is None else (),
        figures=(),
        prior=picked.prior,
        lowest=picked.lowest,
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
        low, high = (cut_at(stats, end).threshold for end in spread.threshold)
        if wish.scale is not None:
            low, high = sorted(map(wish.scale.cut, spread.threshold))
        item["threshold_low"], item["threshold_high"] = low, high
        item["optimism"] = spread.optimism
        item["resamples"] = {"met": spread.draws, "of": spread.of}


def _cost(picked: Picked, costs: Costs, seed: int, clustered: bool) -> tuple[Result, list[Warning]]:
    stats, found, prior = picked.stats, picked.choice, picked.prior
    # The closed form is of probabilities, so cells count at their mean score.
    compared = compare_cutoffs(
        stats.score,
        stats.pos,
        stats.neg,
        costs,
        prior=prior,
        weighted=stats.weighted or clustered,  # chance is known for independent rows only
        seed=seed,
        lowest=picked.lowest,
        odds=picked.odds,
    )
    cost: Result = {
        "expected": found.value,
        "closed_form_threshold": compared.closed_form,
        "closed_form_cost": compared.closed_form_cost,
        "p_value": compared.p_value,
    }
    warnings = []
    if compared.miscalibrated:
        text = (
            f"the closed-form cut-off {compared.closed_form:.4g} costs more than the empirical "
            f"{found.threshold:.4g} beyond chance: the scores are not calibrated, fit first"
        )
        warnings.append(Warning("closed-form", text))
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


def _by_unit(picked: Picked) -> Result:
    """Return the units that a guarantee rests on, and the mean of each figure over them."""
    if picked.units is None:
        return {}
    assert picked.certified is not None
    size, means = picked.units.means(picked.certified.constraints, picked.choice.index)
    named = dict(zip((one.name for one in picked.certified.constraints), means, strict=True))
    return {"unit": picked.units.unit, "units": size, "means": named}
