"""`fit --per-group --promote-over`: maps by group, the champion's and the challengers', held out.

A map that a group has in use is not lost silently: a group that the dump lacks, or of which it has
too few rows to be checked, keeps it, and so does one in which the champion is better beyond its
interval.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from calibcli.core.calibrators import OneVsRest
from calibcli.core.calibrators.classes.rows import deal as deal_rows
from calibcli.core.calibrators.composed.grouped import Grouped, GroupMap
from calibcli.core.calibrators.types import limits_of
from calibcli.core.fitting.held_out import HeldOut
from calibcli.core.results.figures import Where
from calibcli.core.results.promotion import GroupKept
from calibcli.errors import InputError
from calibcli.workflows.fit.group_rows import after_rows
from calibcli.workflows.fit.rows import rows_of
from calibcli.workflows.promote.challenge import Contest
from calibcli.workflows.promote.groups.losses import (
    GroupLosses,
    after_cells,
    cell_losses_by_group,
    member,
)
from calibcli.workflows.promote.groups.shift import enough

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.results.promotion import Why
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.promote.challenge import Bout
    from calibcli.workflows.promote.groups.losses import Losses


KEEPS: Final[Mapping[Why, str]] = {
    "missing": "not in this dump",
    "few": "too few rows to be checked",
    "worse": "the champion is better for sure",
}
"""Why a group keeps the map that it has."""


def _names(kept: Sequence[GroupKept]) -> frozenset[str]:
    return frozenset(str(one.slice.value) for one in kept)


def _held_back(champion: Calibrator, found: Gathered, column: str, least: int) -> list[GroupKept]:
    """Return the groups with a map of their own that this dump cannot judge."""
    if not isinstance(champion, Grouped):
        return []
    here = {one.value: one.population for one in found.groups if one.column == column}
    kept = []
    for value, own in sorted(champion.groups.items()):
        if own.own is None:
            continue
        if value not in here:
            kept.append(kept_group(column, value, "missing"))
        elif not enough(here[value], least):
            kept.append(kept_group(column, value, "few"))
    return kept


def kept_group(column: str, value: str, why: Why) -> GroupKept:
    """Return what a result says of a group that keeps what it has."""
    return GroupKept(Where("group", column=column, value=value), why, KEEPS[why])


def toward(champion: Calibrator, fresh: Grouped, step: float, kept: frozenset[str]) -> Grouped:
    """Return the maps a part of the way from the champion's; those of `kept` stay as they are.

    Raises:
        InputError: see `member`; there is nothing between.
    """
    groups = dict(fresh.groups)
    overall = fresh.overall
    if step != 1.0:
        before = champion.overall if isinstance(champion, Grouped) else champion
        between = before.toward(overall, step)
        assert between is not None
        overall = between
        for value in _values(champion, fresh):
            mixed = _flat(champion, value).toward(_flat(fresh, value), step)
            assert mixed is not None
            groups[value] = _whole(mixed, fresh.groups.get(value) or _known(champion, value))
    for value in sorted(kept):
        one = _whole(_in_use(champion, value), _known(champion, value) or fresh.groups.get(value))
        groups[value] = replace(one, note="kept")
    return replace(fresh, overall=overall, groups=dict(sorted(groups.items())))


def _values(champion: Calibrator, fresh: Grouped) -> list[str]:
    known = champion.groups if isinstance(champion, Grouped) else {}
    return sorted({*fresh.groups, *known})


def _known(champion: Calibrator, value: str) -> GroupMap | None:
    return champion.groups.get(value) if isinstance(champion, Grouped) else None


def _whole(one: Calibrator, of: GroupMap | None) -> GroupMap:
    """Return a map that borrows nothing, from as many rows as another was."""
    if of is None:
        return GroupMap(one, 0.0, (1.0,))
    return GroupMap(one, of.rows, tuple(1.0 for _ in of.weight), of.note)


def _in_use(champion: Calibrator, value: str) -> Calibrator:
    """Return a value's map exactly as it is in use; of one kind where that is the same."""
    found = _known(champion, value)
    if isinstance(champion, Grouped) and found is not None and found.own is not None:
        same = limits_of(found.own) == limits_of(champion.overall)
        return _flat(champion, value) if same else member(champion, value)
    return member(champion, value)


def _flat(one: Calibrator, value: str) -> Calibrator:
    """Return the map of a value's rows, of one kind where the pool is one."""
    if not isinstance(one, Grouped):
        return one
    found = one.groups.get(value)
    if found is None or found.own is None:
        return one.overall
    if len(set(found.weight)) == 1 and not isinstance(found.own, OneVsRest):
        flat = one.overall.toward(found.own, found.weight[0])
        if flat is not None:
            return flat
    return member(one, value)


def steps_between(champion: Calibrator, fresh: Grouped, steps: Sequence[float]) -> list[float]:
    """Return the steps that there are for every group; a step of 1 where there are no others."""
    first = champion.overall if isinstance(champion, Grouped) else champion
    pairs = [(first, fresh.overall)]
    try:
        every = _values(champion, fresh)
        pairs += [(_flat(champion, value), _flat(fresh, value)) for value in every]
    except InputError:
        return [1.0]
    there = [s for s in steps if all(old.toward(new, s) is not None for old, new in pairs)]
    return there or [1.0]


def contest_groups(bout: Bout) -> Contest:
    """Compare the champion with what lies on the way from it to a fresh fit by group.

    Raises:
        InputError: too few rows to fit a challenger without each fold; see `member`.
    """
    found, options, champion, rule = bout.found, bout.options, bout.champion, bout.rule
    column, fresh = options.per_group, bout.fitted.calibrator
    assert column is not None
    assert isinstance(fresh, Grouped)
    ends = [cast("Grouped", one) for one in bout.fitted.folds]
    if not ends:
        raise InputError(
            "the challenger cannot be fitted without each fold", "give more rows, or fewer --folds"
        )
    steps = steps_between(champion, fresh, rule.steps)

    def run(back: frozenset[str]) -> tuple[Losses, list[list[Grouped]]]:
        maps = [[toward(champion, end, step, back) for step in steps] for end in ends]
        if not found.exclusive:
            return cell_losses_by_group(bout, column, maps), maps
        rows = rows_of(found.dataset, bout.reading, place=0)
        held = HeldOut(1 + len(steps), clustered=found.clustered)
        each = GroupLosses(held, champion, maps, deal_rows(len(maps)), bout.select)
        rows.scan(each)
        return each.by_value, maps

    least = rule.least_of_a_label(exclusive=found.exclusive)
    back = _held_back(champion, found, column, least)
    by_value, maps = run(_names(back))
    tried, best, place = bout.compared(_total(by_value), steps)
    # Of very few rows no interval tells which map is better.
    large = {
        one.value: by_value[one.value]
        for one in found.groups
        if one.column == column and one.value in by_value and enough(one.population, least)
    }
    worse = _worse(large, 1 + place, rule.confidence)
    if worse:
        back += [kept_group(column, value, "worse") for value in worse]
        by_value, maps = run(_names(back))
        tried, best, place = bout.compared(_total(by_value), steps)
    chosen = tuple(own[place] for own in maps)
    calibrator = toward(champion, fresh, best.step, _names(back))
    if found.exclusive:
        after, outcomes = after_rows(found, bout.reading, column, chosen, calibrator)
    else:
        after, outcomes = after_cells(bout, column, chosen, calibrator)
    outcome = replace(
        bout.fitted, calibrator=calibrator, after=after, kind="cross-fitted", groups=outcomes
    )
    clustered = _total(by_value).units is not None

    def way(other: Calibrator) -> Calibrator:
        assert isinstance(other, Grouped)
        return toward(champion, other, best.step, _names(back))

    return Contest(tried, best, outcome, clustered, way, tuple(back))


def _total(by_value: Losses) -> HeldOut:
    first, *others = by_value.values()
    total = first.fresh()
    for one in (first, *others):
        total.merge(one)
    return total


def _worse(by_value: Losses, place: int, confidence: float) -> list[str]:
    """Return the groups in which the champion is better; the intervals hold together."""
    each = 1.0 - (1.0 - confidence) / max(len(by_value), 1)
    return [value for value, one in by_value.items() if one.interval(place, each)[0] > 0.0]
