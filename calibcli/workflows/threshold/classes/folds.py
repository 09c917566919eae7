"""The joint choice of several classes repeated on folds: weights and cut-offs of all classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.counts import RuleCounts, units_of
from calibcli.core.decisions.cross_fit import (
    FOLDS,
    CellFamily,
    CrossFitted,
    parted,
)
from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.rules import Cut
from calibcli.core.decisions.thresholds import Choice, choose
from calibcli.core.results.parts.decided import DecidedAgain
from calibcli.workflows.measure.decided.judged import figures_of
from calibcli.workflows.threshold.choosing import Picked
from calibcli.workflows.threshold.classes.competing import LOWEST
from calibcli.workflows.threshold.honest import with_move

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.cross_fit import Place
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.workflows.threshold.classes.competing import Chosen, ClassPairs, Field
    from calibcli.workflows.threshold.wish import Wish


@dataclass(frozen=True, slots=True)
class ClassFolds:
    """The cross-fitted choice of several classes.

    Attributes:
        families: candidates of each class, a setting for each weighting; of all rows, then groups.
        found: the choices of the folds, in the same order.
        counts: the decisions of all classes together, of all rows; None where a fold finds none.
    """

    families: Sequence[Sequence[CellFamily]]
    found: Sequence[Sequence[CrossFitted]]
    counts: RuleCounts | None

    def decision(self, chosen: Sequence[Place | None], level: float) -> DecidedAgain | None:
        """Return the cross-fitted figures of all decisions; `chosen` is the choice of all rows."""
        if self.counts is None:
            return None
        metrics = figures_of(Judged(self.counts), len(self.families[0]), level)
        here = self._whole(chosen)
        gaps: dict[str, list[float]] = {name: [] for name in metrics}
        for fold in range(FOLDS):
            there = self._whole([one.places[fold] for one in self.found[0]])
            for name, value in there.items():
                gaps[name].append((value - here[name]) ** 2)
        return DecidedAgain(
            folds=FOLDS,
            metrics={
                name: with_move(figure, float(np.mean(gaps[name])) ** 0.5, level)
                for name, figure in metrics.items()
            },
        )

    def _whole(self, places: Sequence[Place | None]) -> dict[str, float]:
        """Return the figures of cut-offs on all rows, from the curves of the classes."""
        right = decided = rows = 0.0
        f1 = []
        for family, place in zip(self.families[0], places, strict=True):
            if place is None:
                continue
            table = family.curves[place[0]].confusion(place[1])
            right, decided = right + table.tp, decided + table.tp + table.fp
            rows = float(table.tp + table.fp + table.fn + table.tn)
            f1.append(2 * table.tp / max(2 * table.tp + table.fp + table.fn, 1e-300))
        return {
            "accuracy": right / rows,
            "undecided": 1.0 - decided / rows,
            "macro_f1": float(np.mean(f1)),
        }


def fold_classes(field: Field, wish: Wish, chosen: Chosen, *, clustered: bool) -> ClassFolds | None:
    """Repeat the choice on the rows of all folds but one, for each fold.

    None where rows are not parted, or where they are judged at another prevalence.
    """
    if field.home is None or wish.prior is not None:
        return None
    home = field.home
    families = [
        [
            CellFamily(
                tuple(_parted(c.classes[part][k], home, clustered) for c in field.competitions),
                LOWEST,
            )
            for k in range(len(field.names))
        ]
        for part in range(len(chosen.found))
    ]
    # A class that gets no cut-off of all rows gets none without a fold, and breaks nothing.
    needed = [[isinstance(one, Picked) for one in some] for some in chosen.found]
    places: list[list[list[Place | None]]] = [[[] for _ in some] for some in families]
    broken = [[False for _ in some] for some in families]
    for fold in range(FOLDS):
        options = [
            [
                _options(family, fold, wish) if need else None
                for family, need in zip(some, have, strict=True)
            ]
            for some, have in zip(families, needed, strict=True)
        ]
        setting = _best(options, wish)
        for part, picked in enumerate(options):
            for k, picks in enumerate(picked):
                choice = None if picks is None else picks[setting]
                places[part][k].append(None if choice is None else (setting, choice.index))
                broken[part][k] |= picks is not None and choice is None and not wish.never
    found = [
        [
            CrossFitted(None if bad else counted(family, at), tuple(at))
            for family, at, bad in zip(some, where, lost, strict=True)
        ]
        for some, where, lost in zip(families, places, broken, strict=True)
    ]
    counts = None
    if not any(any(some) for some in broken):
        counts = together(families[1:] or families, places[1:] or places)
    return ClassFolds(families, found, counts)


def _parted(
    pairs: ClassPairs, home: NDArray[np.int64], clustered: bool
) -> tuple[ScoreStats, list[ScoreStats]]:
    assert pairs.parts is not None
    return pairs.stats, parted(pairs.stats, pairs.parts, home, FOLDS, clustered=clustered)


def _options(family: CellFamily, fold: int, wish: Wish) -> list[Choice | None]:
    """Return the best cut-off under each setting on the rows of all other folds."""
    found: list[Choice | None] = []
    for whole, held in zip(family.curves, family.held(fold), strict=True):
        choice = choose(whole.less(held), wish.objective, wish.constraints)
        found.append(choice if isinstance(choice, Choice) else None)
    return found


def _best(options: Sequence[Sequence[list[Choice | None] | None]], wish: Wish) -> int:
    """Return the setting in which most classes meet their targets, of these the best on average."""
    ranks = []
    known = [len(picks) for some in options for picks in some if picks is not None]
    settings = max(known, default=1)  # no class at all may have a cut-off
    for setting in range(settings):
        picks = [[one[setting] for one in some if one is not None] for some in options]
        missed = sum(one is None for some in picks for one in some)
        values = [one.value for one in picks[0] if one is not None]
        mean = float(np.mean(values)) if values else -np.inf
        ranks.append((-missed, mean if wish.objective.larger_is_better else -mean, -setting))
    return -max(ranks)[2]


def counted(family: CellFamily, places: Sequence[Place | None]) -> RuleCounts:
    """Count the decisions of each fold of one class by its place; None is never."""
    counts = family.empty()
    for fold, place in enumerate(places):
        _add(counts, family, fold, place, 0)
    return counts


def together(
    families: Sequence[Sequence[CellFamily]],
    places: Sequence[Sequence[Sequence[Place | None]]],
    *,
    exclusive: bool = True,
) -> RuleCounts:
    """Count the decisions of all classes together; `exclusive` where a row has one of them."""
    first = families[0][0].settings[0][0]
    counts = RuleCounts(
        2,
        slots=len(families[0]),
        units=units_of(first.parts is not None),
        weighted=first.weighted,
        exclusive=exclusive,
    )
    for some, where in zip(families, places, strict=True):
        for k, (family, at) in enumerate(zip(some, where, strict=True)):
            for fold, place in enumerate(at):
                _add(counts, family, fold, place, k)
    return counts


def _add(counts: RuleCounts, family: CellFamily, fold: int, place: Place | None, slot: int) -> None:
    if place is None:
        counts.add_stats(family.settings[0][1][fold], Cut(np.inf), slot=slot)
    else:
        family.add_held(counts, fold, place, slot=slot)
