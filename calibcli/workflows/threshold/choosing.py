"""One slice's statistics to its cut-off: chosen or certified, with its interval and its cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nextafter
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.costs import cheapest_band, compare_cutoffs, odds_ratio
from calibcli.core.decisions.cross_fit import CellFamily, cross_fit, cut_at
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.metrics.binary import View
from calibcli.core.results.warning import Warning
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.honest import apply_ends, honest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.decisions.cross_fit import CrossFitted, Family, Place
    from calibcli.core.decisions.guarantees import Certified, Uncertified
    from calibcli.core.decisions.promises.by_unit import ByUnit
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]
Cross = tuple["Family", "CrossFitted", "Place"]
"""Candidates, the choices of the folds, and that of all rows."""
DRAWS = 200
NEVER = nextafter(1.0, 2.0)
"""A cut-off above every probability."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cut-off as it stands in the JSON, all candidates, and what is to be said of it."""

    item: Result
    curve: Curve
    warnings: tuple[Warning, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why there is no cut-off.

    `unreachable`: because of a target, rather than of the rows. `best`: how near it comes, in
    words; `short` by how much the targets are missed.
    """

    reason: str
    hint: str
    unreachable: bool
    best: str = ""
    short: float = 0.0


@dataclass(frozen=True, slots=True)
class Picked:
    """The best candidate of one slice.

    Attributes:
        curve: every candidate.
        choice: the best one; `certified` what is promised of it, if anything.
        stats: the pairs; `prior` the prevalence that they are judged at.
        lowest: the least candidate.
        shown: the pairs whose counts are shown, where `stats` stand for another prevalence, and
            `odds` the ratio of the prior odds there to those of `shown`.
        units: what a guarantee by unit rests on.
    """

    curve: Curve
    choice: Choice
    certified: Certified | None
    stats: ScoreStats
    prior: float | None = None
    lowest: float = -np.inf
    shown: ScoreStats | None = None
    odds: float | None = None
    units: ByUnit | None = None


def curve_of(stats: ScoreStats, lowest: float = -np.inf) -> Curve:
    """Return every candidate of a slice, from `lowest` on."""
    return Curve.from_cells(stats.cut, stats.pos, stats.neg).above(lowest)


def pick(
    stats: ScoreStats,
    wish: Wish,
    *,
    prior: float | None = None,
    clustered: bool = False,
    lowest: float = -np.inf,
    confidence: float | None = None,
    units: ByUnit | None = None,
) -> Picked | Refused:
    """Choose the cut-off of one slice.

    Args:
        stats: its pairs.
        wish: what to achieve.
        prior: prevalence where it will be used.
        clustered: whether rows come in clusters.
        lowest: the least candidate; rows below it are never positive.
        confidence: of the guarantee, where it is not that of the wish.
        units: what a guarantee by unit rests on.

    Raises:
        UsageError: a guarantee that no exact test is known for.
    """
    if prior is not None and not (stats.positives and stats.negatives):
        return Refused(
            "only one label occurs: there is no prevalence to change",
            "give rows of both labels, or leave out --prior",
            unreachable=False,
        )
    curve = curve_of(stats, lowest)
    certified = None
    if wish.guarantee is None:
        found: Choice | Unreachable = choose(curve, wish.objective, wish.constraints, prior=prior)
    else:
        level = wish.guarantee if confidence is None else confidence
        outcome = _certify(curve, stats, wish, level, prior, clustered, units)
        if isinstance(outcome, Refused):
            return outcome
        certified, found = outcome, outcome.choice
    if isinstance(found, Unreachable):
        found = replace(found, logits=stats.logits, scale=wish.scale)
        if wish.constraints:
            return Refused(
                found.message(),
                "no thresholds were written",
                unreachable=True,
                best=found.nearest(),
            )
        return Refused(
            f"{wish.objective.name} is undefined at every cut-off: "
            f"{labels(stats)} among {stats.n:,} rows",
            "give held-out rows of both labels",
            unreachable=False,
        )
    return Picked(curve, found, certified, stats, prior, lowest, units=units)


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


def labels(stats: ScoreStats) -> str:
    """Return which labels occur, in words."""
    if stats.positives and stats.negatives:
        return "both labels"
    return "only label 1 occurs" if stats.positives else "only label 0 occurs"


def _certify(
    curve: Curve,
    stats: ScoreStats,
    wish: Wish,
    confidence: float,
    prior: float | None,
    clustered: bool,
    units: ByUnit | None,
) -> Certified | Refused:
    from calibcli.core.decisions.guarantees import Uncertified, certify
    from calibcli.core.decisions.promises.by_unit import certify_by_unit

    claims, wanted = _claims(curve, stats), (wish.objective, wish.constraints, confidence)
    if units is None or units.single:
        apart = clustered and units is None
        found = certify(curve, *wanted, probability=claims, clustered=apart, prior=prior)
    else:
        found = certify_by_unit(curve, units, *wanted, probability=claims, prior=prior)
    if isinstance(found, Uncertified):
        if isinstance(found.empirical, Unreachable):
            found = replace(
                found, empirical=replace(found.empirical, logits=stats.logits, scale=wish.scale)
            )
        best = found.message().partition(": ")[2] or found.message()
        missed = found.empirical.short if isinstance(found.empirical, Unreachable) else 0.0
        hint = _best_without(found, stats)
        return Refused(found.message(), hint, unreachable=True, best=best, short=missed)
    return found


def _by_unit(picked: Picked) -> Result:
    """Return the units that a guarantee rests on, and the mean of each figure over them."""
    if picked.units is None:
        return {}
    assert picked.certified is not None
    size, means = picked.units.means(picked.certified.constraints, picked.choice.index)
    named = dict(zip((one.name for one in picked.certified.constraints), means, strict=True))
    return {"unit": picked.units.unit, "units": size, "means": named}


def _claims(curve: Curve, stats: ScoreStats) -> NDArray[np.float64] | None:
    """Return what the scores claim for the rows at each candidate, None where cells have merged."""
    below = int(np.searchsorted(stats.cut, curve.threshold[0])) if len(curve.threshold) else 0
    claims = np.append(stats.score, 1.0)[below:]
    return claims if len(claims) == len(curve.threshold) else None


def _best_without(found: Uncertified, stats: ScoreStats) -> str:
    """Return the hint: how near these rows come without a guarantee."""
    best = found.empirical
    if isinstance(best, Unreachable):
        return "no thresholds were written"
    shown, at = [], cut_at(stats, best.threshold).threshold
    for constraint in found.constraints:
        value = best.confusion.figure(constraint.function)
        shown.append(f"{constraint.name} {'undefined' if value is None else f'{value:.6g}'}")
    return (
        f"no thresholds were written; without --guarantee, {at:.6g} has "
        f"{' and '.join(shown)} on these rows"
    )


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
