"""A choice as it stands in the JSON: with its interval, its cost, and what new rows would show."""

from __future__ import annotations

from math import nextafter
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from calibcli.core.decisions.costs import cheapest_band, compare_cutoffs, odds_ratio
from calibcli.core.decisions.cross_fit import CellFamily, cross_fit, cut_at
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.metrics.binary import View
from calibcli.core.results.figures import Figure, undefined
from calibcli.core.results.threshold import (
    CutCost,
    CutOff,
    Guarantee,
    ReferralBand,
    Resamples,
)
from calibcli.core.results.warning import Warning
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.choosing import Chosen, Picked, Refused, labels
from calibcli.workflows.threshold.honest import SAME, crossed, ended, honest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.decisions.cross_fit import CrossFitted as Folds
    from calibcli.core.decisions.cross_fit import Place
    from calibcli.core.results.figures import Where
    from calibcli.core.results.threshold import CrossFitted
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Cross = tuple[CellFamily, "Folds", "Place"]
"""Candidates, the choices of the folds, and that of all rows."""
DRAWS = 200
NEVER = nextafter(1.0, 2.0)
"""A cut-off above every probability."""


def describe(
    where: Where,
    picked: Picked,
    conventions: Conventions,
    wish: Wish,
    *,
    clustered: bool = False,
    draws: int = DRAWS,
    cross: Cross | None = None,
    alone: bool = True,
    again: bool = True,
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
        again: whether the choice is repeated on folds of the slice.
    """
    stats, found = picked.stats if picked.shown is None else picked.shown, picked.choice
    moved = picked.prior is not None or picked.shown is not None
    view, cut = View(stats, conventions.headline), cut_at(picked.stats, found.threshold)
    level = conventions.confidence if draws else None
    first = int(np.searchsorted(stats.cut, found.threshold))
    table = confusion(view, cut.threshold, level, first=first)
    item = CutOff(
        slice=where,
        threshold=cut.threshold,
        logit=cut.logit,
        threshold_low=None,
        threshold_high=None,
        n=stats.n,
        value=Figure(found.value),
        confusion=table,
    )
    warnings: list[Warning] = []
    if level is not None and alone:
        item = resample(item, picked, wish, conventions, draws)
    # A figure has one interval, wherever it is shown.
    same = table.rates.get(SAME.get(wish.objective.name, wish.objective.name))
    if not moved and same is not None:
        item = structs.replace(item, value=ended(item.reached, same))
    if picked.certified is not None:
        item = structs.replace(item, guarantee=_guarantee(picked, wish))
    elif again and level is not None:
        value, spread = item.reached, None
        if same is None and value is not None and value.low is not None and value.high is not None:
            spread = found.value - value.low, value.high - found.value
        entry = _cross_fitted(picked, wish, conventions, level, cross, spread)
        item = crossed(item, entry)
    if wish.costs is not None:
        cost, warnings = _cost(picked, wish.costs, conventions.seed, clustered)
        item = structs.replace(item, cost=cost)
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
) -> CrossFitted:
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


def never(where: Where, stats: ScoreStats, refused: Refused, conventions: Conventions) -> Chosen:
    """Return a cut-off above every score, for a slice in which the target cannot be met."""
    curve = Curve.from_cells(stats.floor, stats.pos, stats.neg)
    item = CutOff(
        slice=where,
        threshold=NEVER,
        threshold_low=None,
        threshold_high=None,
        n=stats.n,
        value=undefined("the target is not met"),
        confusion=confusion(View(stats, conventions.headline), NEVER, conventions.confidence),
        reason=refused.words,
    )
    return Chosen(item, curve)


def nothing(where: Where, stats: ScoreStats, reason: str | None, *, n: float) -> Chosen:
    """Return what stands for a slice of `n` rows that has nothing to choose from."""
    item = CutOff(slice=where, threshold=None, n=n, reason=reason)
    return Chosen(item, Curve.from_cells(stats.floor, stats.pos, stats.neg))


def resample(
    item: CutOff, picked: Picked, wish: Wish, conventions: Conventions, draws: int
) -> CutOff:
    """Return a cut-off with its interval and that of the objective: rows or clusters resampled."""
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
        prior=picked.prior,
        lowest=picked.lowest,
        confidence=conventions.confidence,
        draws=draws,
        seed=conventions.seed,
        squares=squares,
        buckets=buckets,
    )
    if spread is None:
        return item
    if spread.value is not None:
        value = item.reached
        assert value is not None
        ends = spread.value
        item = structs.replace(item, value=structs.replace(value, low=ends[0], high=ends[1]))
    if wish.guarantee is not None:  # it is not the optimum that resampling finds
        return item
    low, high = (cut_at(stats, end).threshold for end in spread.threshold)
    if wish.scale is not None:
        low, high = sorted(map(wish.scale.cut, spread.threshold))
    return structs.replace(
        item,
        threshold_low=low,
        threshold_high=high,
        optimism=spread.optimism,
        resamples=Resamples(spread.draws, spread.of),
    )


def _cost(
    picked: Picked, costs: Costs, seed: int, clustered: bool
) -> tuple[CutCost, list[Warning]]:
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
    cost = CutCost(found.value, compared.closed_form, compared.closed_form_cost, compared.p_value)
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
        counts = band.tp, band.fp, band.fn, band.tn
        own = ReferralBand(band.low, band.high, band.cost, band.referred, *counts)
        cost = structs.replace(cost, closed_form_band=closed, band=own)
    return cost, warnings


def _guarantee(picked: Picked, wish: Wish) -> Guarantee:
    """Return what is certified, by units with the mean of each figure over them."""
    found = picked.certified
    assert found is not None
    assert wish.guarantee is not None
    bounds = tuple(map(str, found.constraints))
    whole = Guarantee(wish.guarantee, bounds, found.low, found.high, within=wish.within)
    if picked.units is None:
        return whole
    size, means = picked.units.means(found.constraints, picked.choice.index)
    named = dict(zip((one.name for one in found.constraints), means, strict=True))
    return structs.replace(whole, unit=picked.units.unit, units=size, means=named)
