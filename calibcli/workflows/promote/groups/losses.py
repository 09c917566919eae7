"""Losses of maps by group on rows that they have not seen, group by group, and the rows after them.

Of pairs they are read from counts, of several classes from a pass over the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.fitting.families import deal, merged
from calibcli.core.fitting.held_out import HeldOut, apply_to_cells, map_losses, row_probabilities
from calibcli.errors import InputError
from calibcli.workflows.fit.fitted import GroupOutcome
from calibcli.workflows.fit.group_rows import by_fold_and_group
from calibcli.workflows.fit.groups import group_slices
from calibcli.workflows.fit.pairs import of_each_label
from calibcli.workflows.promote.challenge import map_of_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.classes.rows import RowBatch
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.promote.challenge import Bout

Losses = dict[str, HeldOut]
"""By the value of the group column."""


def member(one: Calibrator, value: str) -> Calibrator:
    """Return the map of a value's rows.

    Raises:
        InputError: it is a pool of two kinds, which no single map is.
    """
    if not isinstance(one, Grouped):
        return one
    found = one.of(value)
    if found is None:
        raise InputError(
            f"the map of {one.column}={value} is a pool of two kinds, and cannot be kept",
            "give a dump with rows of every group, or fit again with calibcli fit -o",
        )
    return found


# -- pairs -----------------------------------------------------------------------------------------


def _problems(found: Gathered, column: str) -> list[tuple[str, Sequence[ScoreStats]]]:
    """Return the pairs of each group, one for each label."""
    slices = group_slices(found, column)
    return [
        (one.value, (one.population.pairs,) if found.single else one.population.classes)
        for one in slices
    ]


def _dealt(found: Gathered, column: str, options: FitOptions) -> list[list[list[ScoreStats]]]:
    """Return [label][slice][fold]: the parts that the maps of each fold have not seen."""
    problems = [stats for _, stats in _problems(found, column)]
    return [
        deal([stats[k] for stats in problems], options.folds, options.seed)
        for k in range(len(problems[0]))
    ]


def cell_losses_by_group(bout: Bout, column: str, maps: Sequence[Sequence[Grouped]]) -> Losses:
    """Return the held-out losses of each group's pairs: the champion's, then each challenger's."""
    by_value: Losses = {}
    dealt = _dealt(bout.found, column, bout.options)
    for place, (value, _) in enumerate(_problems(bout.found, column)):
        held = by_value[value] = HeldOut(1 + len(maps[0]))
        for fold, ways in enumerate(maps):
            own = [member(one, value) for one in (bout.champion, *ways)]
            for k, parts in enumerate(dealt):
                part = parts[place][fold]
                if part.n:
                    labels = [map_of_label(one, k) for one in own]
                    held.add_cells(part, [map_losses(one, part, bout.select) for one in labels])
    return by_value


def after_cells(
    bout: Bout, column: str, folds: tuple[Grouped, ...], calibrator: Grouped
) -> tuple[Population, tuple[GroupOutcome, ...]]:
    """Return the pairs under the maps that have not seen them, in all and by group."""
    found, dealt = bout.found, _dealt(bout.found, column, bout.options)
    held: list[list[ScoreStats]] = []
    outcomes = []
    for place, one in enumerate(group_slices(found, column)):
        maps = [member(fold, one.value) for fold in folds]
        own = [
            merged([_mapped(parts[place][f], map_of_label(maps[f], k)) for f in range(len(folds))])
            for k, parts in enumerate(dealt)
        ]
        held.append(own)
        after = of_each_label(found, own)
        outcomes.append(GroupOutcome.of(calibrator, one.where, one.population, after))
    every = [merged([own[k] for own in held]) for k in range(len(dealt))]
    return of_each_label(found, every), tuple(outcomes)


def _mapped(stats: ScoreStats, one: Calibrator) -> ScoreStats:
    return stats.map(apply_to_cells(one, stats))


# -- whole rows of several classes -----------------------------------------------------------------


class GroupLosses:
    """Held-out losses by group: each row is scored by the maps of its fold."""

    def __init__(
        self,
        held: HeldOut,
        champion: Calibrator,
        maps: Sequence[Sequence[Grouped]],
        dealt: NDArray[Any],
        select: Score,
    ) -> None:
        self.held, self.champion, self.maps = held, champion, maps
        self.dealt, self.select = dealt, select
        self.by_value: Losses = {}

    def fresh(self) -> GroupLosses:
        """Return one that holds nothing."""
        return GroupLosses(self.held, self.champion, self.maps, self.dealt, self.select)

    def add(self, rows: RowBatch) -> None:
        """Take in rows."""
        for fold, value, own in by_fold_and_group(rows, self.dealt, len(self.maps)):
            held = self.by_value.setdefault(value, self.held.fresh())
            for block in own.blocks():
                p = [
                    _probabilities(one, value, block, logits=rows.logits)
                    for one in (self.champion, *self.maps[fold])
                ]
                held.add_probabilities(block, p, self.select)

    def merge(self, other: GroupLosses) -> None:
        """Take in other rows."""
        for value, one in other.by_value.items():
            self.by_value.setdefault(value, self.held.fresh()).merge(one)


def _probabilities(one: Calibrator, value: str, block: Any, *, logits: bool) -> NDArray[Any]:
    if not isinstance(one, Grouped):
        return row_probabilities(one, block, logits=logits)
    overall = row_probabilities(one.overall, block, logits=logits)
    found = one.groups.get(value)
    if found is None or found.own is None:
        return overall
    return one.pooled(row_probabilities(found.own, block, logits=logits), overall, found.weight)
