"""Losses of maps by group on rows that they have not seen, group by group, and the rows after them.

Of pairs they are read from counts, of several classes from a pass over the rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from calibcli.core.calibrators import OneVsRest
from calibcli.core.calibrators.composed.grouped import Grouped
from calibcli.core.fitting.families import deal, merged
from calibcli.core.fitting.held_out import HeldOut, apply_to_cells, map_losses, row_probabilities
from calibcli.errors import InputError
from calibcli.tasks.collect import count
from calibcli.tasks.population import of_pairs
from calibcli.workflows.fit.fitted import GroupOutcome
from calibcli.workflows.fit.groups import group_slices
from calibcli.workflows.fit.pairs import label_population
from calibcli.workflows.input.gather import from_counted, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.classes.rows import RowBatch
    from calibcli.core.fitting.held_out import Score
    from calibcli.core.results.figures import Where
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.tasks.collect import Population
    from calibcli.workflows.fit.fitted import FitOptions
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered

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


def _label(one: Calibrator, k: int) -> Calibrator:
    return one.calibrators[k] if isinstance(one, OneVsRest) else one


def cell_losses_by_group(
    found: Gathered,
    column: str,
    options: FitOptions,
    champion: Calibrator,
    maps: Sequence[Sequence[Grouped]],
    select: Score,
) -> Losses:
    """Return the held-out losses of each group's pairs: the champion's, then each challenger's."""
    by_value: Losses = {}
    dealt = _dealt(found, column, options)
    for place, (value, _) in enumerate(_problems(found, column)):
        held = by_value[value] = HeldOut(1 + len(maps[0]))
        old = member(champion, value)
        for fold, ways in enumerate(maps):
            own = [old, *(member(one, value) for one in ways)]
            for k, parts in enumerate(dealt):
                part = parts[place][fold]
                if part.n:
                    held.add_cells(part, [map_losses(_label(m, k), part, select) for m in own])
    return by_value


def after_cells(
    found: Gathered,
    spec: InputSpec,
    column: str,
    conventions: Conventions,
    options: FitOptions,
    folds: tuple[Grouped, ...],
    calibrator: Grouped,
    threads: int | None,
) -> tuple[Population, tuple[GroupOutcome, ...]]:
    """Return the pairs under the maps that have not seen them, in all and by group."""
    dealt = _dealt(found, column, options)
    apart = found.overall.population.rows_apart

    def population(parts: list[ScoreStats]) -> Population:
        return of_pairs(parts[0]) if found.single else label_population(parts, apart=apart)

    held: list[list[ScoreStats]] = []
    outcomes = []
    for place, one in enumerate(group_slices(found, column)):
        maps = [member(fold, one.value) for fold in folds]
        own = [
            merged([_mapped(parts[place][f], _label(maps[f], k)) for f in range(len(folds))])
            for k, parts in enumerate(dealt)
        ]
        held.append(own)
        outcomes.append(_outcome(calibrator, one.where, one.population, population(own)))
    every = [merged([own[k] for own in held]) for k in range(len(dealt))]
    return population(every), tuple(outcomes)


def _mapped(stats: ScoreStats, one: Calibrator) -> ScoreStats:
    return stats.map(apply_to_cells(one, stats))


def _outcome(
    calibrator: Grouped, where: Where, before: Population, after: Population
) -> GroupOutcome:
    own = calibrator.groups.get(str(where.value))
    if own is None:
        return GroupOutcome(where, float(before.pairs.n), (0.0,), "", before, after)
    return GroupOutcome(where, own.rows, own.weight, own.note, before, after)


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
        assert rows.group is not None
        codes, values = rows.group
        fold_of = self.dealt[rows.bucket]
        for fold, ways in enumerate(self.maps):
            here = fold_of == fold
            for code in sorted(set(codes[here].tolist())):
                mine = (here & (codes == code)).nonzero()[0]
                value = values[code]
                held = self.by_value.setdefault(value, self.held.fresh())
                for block in rows.take(mine).blocks():
                    p = [
                        _probabilities(one, value, block, logits=rows.logits)
                        for one in (self.champion, *ways)
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


def after_rows(
    found: Gathered,
    spec: InputSpec,
    column: str,
    conventions: Conventions,
    options: FitOptions,
    folds: tuple[Grouped, ...],
    calibrator: Grouped,
    threads: int | None,
) -> tuple[Population, tuple[GroupOutcome, ...]]:
    """Return the rows under the maps that have not seen them, in all and by group."""
    assert found.dataset is not None
    whole = replace(spec, groups=(column,))
    layout = layout_of(found.dataset, whole, conventions)
    counted = count(found.dataset, layout, calibrator=folds, columns=whole.groups, threads=threads)
    made = from_counted(found.dataset, whole, counted)
    outcomes = tuple(
        _outcome(calibrator, one.where, one.population, one.calibrated)
        for one in made.groups
        if one.calibrated is not None
    )
    after = made.overall.calibrated
    assert after is not None
    return after, outcomes
