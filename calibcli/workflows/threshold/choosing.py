"""One slice's statistics to its cut-off: chosen or certified, with its interval and its cost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.cross_fit import cut_at
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose
from calibcli.core.results.warning import Warning

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.guarantees import Certified, Uncertified
    from calibcli.core.decisions.promises.by_unit import ByUnit, Scope
    from calibcli.core.results.threshold import CutOff
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.threshold.wish import Wish


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cut-off, all candidates, and what is to be said of it."""

    item: CutOff
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

    @property
    def words(self) -> str:
        """What the cut-off above every score that stands in its place says."""
        return f"the target is not met: {self.best}"


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


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """The groups in each of which bounds are to hold.

    Attributes:
        curves: counts of each group at the candidates of all rows.
        scopes: the same with what its units have, where rows come in clusters.
    """

    curves: tuple[Curve, ...]
    scopes: tuple[Scope, ...] = ()


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
    within: Within | None = None,
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
        within: each group, where bounds are to hold in every one.

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
        outcome = _certify(curve, stats, wish, level, prior, clustered, units, within)
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
    within: Within | None,
) -> Certified | Refused:
    from calibcli.core.decisions.guarantees import Uncertified, certify
    from calibcli.core.decisions.promises.by_unit import certify_by_unit

    claims, wanted = claims_of(curve, stats), (wish.objective, wish.constraints, confidence)
    if units is None or units.single:
        apart = clustered and units is None
        found = certify(curve, *wanted, probability=claims, clustered=apart, prior=prior,
                        within=() if within is None else within.curves)  # fmt: skip
    else:
        scopes = () if within is None else within.scopes
        found = certify_by_unit(
            curve, units, *wanted, probability=claims, prior=prior, within=scopes
        )
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


def claims_of(curve: Curve, stats: ScoreStats) -> NDArray[np.float64] | None:
    """Return what the scores claim for the rows at each candidate, None where cells have merged."""
    below = int(np.searchsorted(stats.cut, curve.threshold[0])) if len(curve.threshold) else 0
    claims = np.append(stats.score, 1.0)[below:]
    return claims if len(claims) == len(curve.threshold) else None


def _best_without(found: Uncertified, stats: ScoreStats) -> str:
    """Return the hint: how near these rows come without a guarantee."""
    best = found.empirical
    if isinstance(best, Unreachable) or any(one.within for one in found.constraints):
        return "no thresholds were written"
    shown, at = [], cut_at(stats, best.threshold).threshold
    for constraint in found.constraints:
        value = best.confusion.figure(constraint.function)
        shown.append(f"{constraint.name} {'undefined' if value is None else f'{value:.6g}'}")
    return (
        f"no thresholds were written; without --guarantee, {at:.6g} has "
        f"{' and '.join(shown)} on these rows"
    )
