"""One cut-off for all classes or labels: `--maximize macro-f1` and `micro-f1`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.decisions.common_cut import best_common, common_value
from calibcli.core.decisions.cross_fit import FOLDS, CellFamily, CrossFitted, cut_at
from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.decisions.objectives import parse_objective
from calibcli.core.decisions.thresholds import Choice
from calibcli.core.results.figures import undefined
from calibcli.core.results.threshold import CommonCut, CommonValue
from calibcli.errors import InputError
from calibcli.workflows.measure.decided.judged import macro_f1
from calibcli.workflows.threshold.choosing import Picked
from calibcli.workflows.threshold.classes.folds import counted, together
from calibcli.workflows.threshold.describing import describe
from calibcli.workflows.threshold.honest import ended, move_between, with_move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.common_cut import CommonCut as OfClasses
    from calibcli.core.decisions.cross_fit import Place
    from calibcli.core.decisions.promises.row_sets import RowChoice
    from calibcli.core.decisions.thresholds import Curve
    from calibcli.core.results.figures import Where
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.threshold.choosing import Chosen
    from calibcli.workflows.threshold.wish import Wish


@dataclass(frozen=True, slots=True)
class CommonChoice:
    """One cut-off for all classes.

    Attributes:
        chosen: it as the cut-off of each class, with the figures of the class.
        told: it, its figure on these rows and cross-fitted, for the result.
    """

    chosen: list[Chosen]
    told: CommonCut


def choose_common(
    wheres: Sequence[Where],
    families: Sequence[CellFamily],
    conventions: Conventions,
    wish: Wish,
    *,
    exclusive: bool,
    folded: bool,
) -> CommonChoice:
    """Choose one cut-off for all classes, and judge it on folds by units.

    Args:
        wheres: the slice of each class.
        families: its candidates.
        conventions: the level of the intervals.
        wish: the objective.
        exclusive: whether a row has one of the classes.
        folded: whether the families are parted into folds.

    Raises:
        InputError: no row has any of the classes.
    """
    pooled = wish.objective.common == "pooled"
    curves = [family.curves[0] for family in families]
    best = best_common(curves, pooled=pooled)
    if best is None:
        raise InputError(
            f"{wish.objective.name} is undefined at every cut-off: no class occurs",
            "give held-out rows of several classes",
        )
    places: list[Place] = [(0, curve.index(best.threshold)) for curve in curves]
    level = conventions.confidence
    crosses: list[CrossFitted] | None = None
    value: CommonValue | None = None
    if level is not None and folded:
        folds = [_without(families, fold, pooled=pooled) for fold in range(FOLDS)]
        by_class = [[places_of[k] for _, places_of in folds] for k in range(len(families))]
        crosses = [
            CrossFitted(counted(family, at), tuple(at))
            for family, at in zip(families, by_class, strict=True)
        ]
        whole = Judged(together([families], [by_class], exclusive=exclusive))
        parts = [table_counts(whole.of_class(k)) for k in range(len(families))]
        figure = macro_f1(whole, parts, level, pooled=pooled)
        there = np.array([common_value(curves, at, pooled=pooled) for at, _ in folds])
        move = move_between(there - best.value)
        value = CommonValue(FOLDS, with_move(figure, move, level))
    # Of each class F1 is shown, whose mean or whose pool was made as large as it can be.
    own = replace(wish, objective=parse_objective("f1"))
    chosen = []
    for k, (where, family, curve) in enumerate(zip(wheres, families, curves, strict=True)):
        stats, index = family.settings[0][0], places[k][1]
        cross = None if crosses is None else (family, crosses[k], places[k])
        picked = at_common(curve, stats, own, index, best, family.lowest)
        # Without folds nothing is cross-fitted: on its own a class would choose another cut-off.
        again = cross is not None
        chosen.append(describe_common(where, picked, conventions, own, cross=cross, again=again))
    cut = cut_at(families[0].settings[0][0], best.threshold)
    told = CommonCut(
        threshold=cut.threshold,
        logit=cut.logit,
        value=best.value,
        tied=best.tied,
        cross_fitted=value,
    )
    return CommonChoice(chosen, told)


def at_common(
    curve: Curve,
    stats: ScoreStats,
    own: Wish,
    index: int,
    best: OfClasses | RowChoice,
    lowest: float = -np.inf,
) -> Picked:
    """Return the cut-off of all classes as that of one, whose candidate `index` decides alike."""
    value = float(curve.figure(own.objective.function)[index])
    choice = Choice(best.threshold, value, curve.confusion(index), index, best.tied)
    return Picked(curve, choice, None, stats, lowest=lowest)


def describe_common(
    where: Where, picked: Picked, conventions: Conventions, own: Wish, **how: Any
) -> Chosen:
    """Return the cut-off of all classes with the figures of one of them."""
    made = describe(where, picked, conventions, own, alone=False, **how)
    if np.isnan(picked.choice.value):
        ends = ended(undefined("the class neither occurs nor is decided"), made.item.reached)
        made = replace(made, item=structs.replace(made.item, value=ends))
    return made


def _without(
    families: Sequence[CellFamily], fold: int, *, pooled: bool
) -> tuple[float, list[Place | None]]:
    """Return the cut-off that the rows of all other folds choose, and its place in each class."""
    rest = [family.curves[0].less(family.held(fold)[0]) for family in families]
    best = best_common(rest, pooled=pooled)
    if best is None:
        return float("inf"), [None] * len(families)
    return best.threshold, [(0, curve.index(best.threshold)) for curve in rest]
