"""Cut-offs of classes that exclude each other, chosen on the decisions of all of them together.

A row is won by the class with the largest probability / weight and decided for it from its cut-off
up (`core.decisions.rules.ClassCuts`). Weights are a power of the mean probability of the class:
the power 0 is the most probable class, which is best for accuracy; the power 1 is the Bayes
decision for the mean recall of calibrated scores; in between lies what is best for the mean of F1.
They come from the scores alone, and the power is chosen with the cut-offs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.costs import odds_ratio
from calibcli.core.decisions.cross_fit import FOLDS
from calibcli.core.decisions.objectives import Objective, ratio
from calibcli.errors import InputError, UsageError
from calibcli.tasks.rows.scan import Both
from calibcli.tasks.rows.winners import Winners, of_top
from calibcli.workflows.threshold.by_group import members
from calibcli.workflows.threshold.choosing import Picked, Refused, pick
from calibcli.workflows.threshold.wish import class_ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Array
    from calibcli.core.decisions.promises.by_unit import ByUnit
    from calibcli.core.statistics.cell_table import CellTable
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.wish import Wish

    Floats = NDArray[np.float64]

POWERS = (0.0, 0.5, 1.0)
LOWEST = float(np.nextafter(0.0, 1.0))
"""The least cut-off: rows that a class does not win stand below it."""
_UPWARD = frozenset({"recall", "fnr", "npv"})


@dataclass(frozen=True, slots=True)
class ClassPairs:
    """The pairs of one class under one weighting.

    Attributes:
        stats: rows that the class does not win have score 0.
        parts: the same by bucket, where rows can be parted into folds.
        judged: the same at the prevalence that was asked for; the same where none was.
    """

    stats: ScoreStats
    parts: CellTable | None
    judged: ScoreStats


@dataclass(frozen=True, slots=True)
class Competition:
    """Who wins which rows, and the pairs of each class under it.

    Attributes:
        weights: (K,).
        classes: the pairs of each class, of all rows and then of each group's.
    """

    weights: Floats
    classes: tuple[tuple[ClassPairs, ...], ...]


@dataclass(frozen=True, slots=True)
class Field:
    """Everything that cut-offs of classes are chosen on.

    Attributes:
        names: of the classes.
        groups: values of the column of groups, in the order of the pairs after those of all rows.
        competitions: one for each power.
        odds: (K,) what the asked prevalence does to the odds of each class; None without one.
        home: the fold of each bucket of rows; None where they are not parted.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    competitions: tuple[Competition, ...]
    odds: Floats | None = None
    home: NDArray[np.int64] | None = None

    @classmethod
    def of_rows(
        cls, rows: RowPass, wish: Wish, names: tuple[str, ...], *, folded: bool, seed: int
    ) -> Field:
        """Read the rows, once for the most probable class and once for the other powers.

        `folded` keeps them apart by bucket, so that the choice can be repeated on folds.

        Raises:
            InputError: a prevalence of a class that does not occur.
            UsageError: prevalences that do not fit.
        """
        place = None if wish.per_group is None else rows.columns.index(wish.per_group)
        ones = [np.ones(len(names))]
        first = rows.scan(lambda: _both(rows, ones, place, None, folded))
        whole = first.parts[0]
        mean = whole.score / max(float(whole.score.sum()), 1e-300)
        powers = powers_of(wish)
        weights = [_weights(mean, power) for power in powers]
        mass = None
        if wish.prior is not None:
            if wish.guarantee is not None:
                raise UsageError(
                    "a guarantee at another prevalence is for a binary score",
                    "leave out --prior, or --guarantee",
                )
            mass = class_ratio(wish.prior, whole.label_mass(), names)
        counted = [first]
        if len(powers) > 1:
            counted.append(rows.scan(lambda: _both(rows, weights[1:], place, None, folded)))
        shifted = counted
        if mass is not None:
            shifted = [rows.scan(lambda: _both(rows, weights, place, mass, False))]
        groups = tuple(sorted(first.parts[-1].members.values)) if place is not None else ()
        plain = _pairs(counted, groups, len(names))
        judged = plain if mass is None else _pairs(shifted, groups, len(names))
        competitions = tuple(
            Competition(own, _joined(some, others))
            for own, some, others in zip(weights, plain, judged, strict=True)
        )
        odds = None
        if mass is not None and wish.prior is not None:
            count = whole.label_mass()
            share = count / count.sum()
            given = zip(wish.prior, share.tolist(), strict=True)
            odds = np.array([odds_ratio(q, 1.0 - q, one) for one, q in given])
        home = whole.home(FOLDS, seed) if folded else None
        return cls(names, groups, competitions, odds, home)

    @classmethod
    def of_statistics(cls, found: Gathered, wish: Wish) -> Field:
        """Read saved statistics, which know the most probable class of each row alone.

        Raises:
            UsageError: a prevalence, for which rows are needed.
        """
        if wish.prior is not None:
            raise UsageError("--prior of several classes needs whole rows", "give the score files")
        names = found.classes
        own = [] if wish.per_group is None else members(found, wish.per_group)
        stats = [
            [of_top(one.population, k) for k in range(len(names))] for one in (found.overall, *own)
        ]
        pairs = tuple(tuple(ClassPairs(one, one.parts, one) for one in some) for some in stats)
        groups = tuple(one.value for one in own)
        return cls(names, groups, (Competition(np.ones(len(names)), pairs),))


def powers_of(wish: Wish) -> tuple[float, ...]:
    """Return the powers that compete.

    A guarantee pays for each, and one of precision has nothing to gain from weights.
    """
    names = {constraint.name for constraint in wish.constraints}
    if wish.objective.common is not None or (wish.guarantee is not None and not names & _UPWARD):
        return POWERS[:1]
    return POWERS


def joint(objective: Objective) -> Objective:
    """Return what one class adds to an objective of all decisions together.

    The accuracy of one class against the rest rises with every row that is left undecided; that
    of the decisions is the share of rows that are decided right.
    """
    if objective.name != "accuracy":
        return objective

    def decided_right(tp: Array, fp: Array, fn: Array, tn: Array) -> Array:
        return ratio(tp, tp + fp + fn + tn)

    return Objective("accuracy", decided_right)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The competition that does best, its place, and what was picked or refused in its classes.

    A class without both labels has None.
    """

    competition: Competition
    setting: int
    found: tuple[tuple[Picked | Refused | None, ...], ...]


def choose_classes(
    field: Field,
    wish: Wish,
    *,
    clustered: bool,
    units: Sequence[Sequence[Sequence[ByUnit]]] | None = None,
) -> Chosen:
    """Choose the cut-offs of every class, and who wins: the best mean of the objective.

    `units` is what a guarantee by unit rests on, in each competition, part and class. A competition
    in which fewer classes miss their targets, or by less, goes before the others.

    Raises:
        InputError: no class has both labels.
        UsageError: a guarantee that no exact test is known for.
    """
    confidence = None
    if wish.guarantee is not None:
        confidence = 1.0 - (1.0 - wish.guarantee) / len(field.competitions)
    best: tuple[tuple[float, float, float], Chosen] | None = None
    for setting, competition in enumerate(field.competitions):
        found = tuple(
            tuple(
                _picked(
                    pairs,
                    wish,
                    field,
                    k,
                    confidence,
                    clustered=clustered,
                    units=None if units is None else units[setting][part][k],
                )
                for k, pairs in enumerate(some)
            )
            for part, some in enumerate(competition.classes)
        )
        flat = [one for some in found for one in some if one is not None]
        if not flat:
            raise InputError(
                "no class has both labels: there is nothing to choose",
                "give held-out rows of several classes",
            )
        missed = [one.short for one in flat if isinstance(one, Refused)]
        values = [one.choice.value for one in found[0] if isinstance(one, Picked)]
        mean = float(np.mean(values)) if values else -np.inf
        rank = (
            -float(len(missed)),
            -sum(missed),
            mean if wish.objective.larger_is_better else -mean,
        )
        if best is None or rank > (*best[0][:2], best[0][2] + 1e-12):
            best = rank, Chosen(competition, setting, found)
    assert best is not None
    return best[1]


def _picked(
    pairs: ClassPairs,
    wish: Wish,
    field: Field,
    k: int,
    confidence: float | None,
    *,
    clustered: bool,
    units: ByUnit | None,
) -> Picked | Refused | None:
    if not (pairs.stats.positives and pairs.stats.negatives):
        return None
    found = pick(
        pairs.judged,
        wish,
        clustered=clustered,
        lowest=LOWEST,
        confidence=confidence,
        units=units,
    )
    if isinstance(found, Refused) or field.odds is None:
        return found
    return replace(found, shown=pairs.stats, odds=float(field.odds[k]))


def _weights(mean: Floats, power: float) -> Floats:
    """Return a power of the mean probabilities, the largest 1."""
    own = np.maximum(mean, 1e-300) ** power
    return np.asarray(own / own.max(), np.float64)


def _both(
    rows: RowPass,
    weights: Sequence[Floats],
    place: int | None,
    mass: Floats | None,
    folded: bool,
) -> Both[Winners]:
    """Return what counts all rows, and beside it each group's where there are groups."""
    places = (None,) if place is None else (None, place)
    return Both(tuple(Winners(rows.layout, weights, at, mass, folded=folded) for at in places))


Counted = tuple["ScoreStats", "CellTable | None"]


def _pairs(
    counted: Sequence[Both[Winners]], groups: tuple[str, ...], classes: int
) -> list[list[list[Counted]]]:
    """Return the pairs of each class, of all rows and of each group, for each power."""
    found = []
    for whole, *by_group in (some.parts for some in counted):
        for number in range(len(whole.weights)):
            parts = [[whole.stats(number, k) for k in range(classes)]]
            for own in by_group:
                members = own.members.values
                parts += [
                    [own.stats(number, k, members[value]) for k in range(classes)]
                    for value in groups
                ]
            found.append(parts)
    return found


def _joined(
    plain: list[list[Counted]], judged: list[list[Counted]]
) -> tuple[tuple[ClassPairs, ...], ...]:
    return tuple(
        tuple(ClassPairs(*own, other) for own, (other, _) in zip(some, others, strict=True))
        for some, others in zip(plain, judged, strict=True)
    )
