"""The decisions of a rule counted: over the rows, or over cells that tell the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calibcli.core.decisions.conformal import ConformalSets
from calibcli.core.decisions.counts import RuleCounts, units_of
from calibcli.core.decisions.rules import ByGroup, ClassCuts, Cut, LabelCuts
from calibcli.tasks.rows.decided import DecidedRows
from calibcli.tasks.rows.winners import of_top
from calibcli.tasks.segmentation.decided import count_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.segmentation.rules import ImageRule
    from calibcli.io.images.stacks import StackDataset
    from calibcli.tasks.collect import Population
    from calibcli.tasks.rows.row_sets import DecidedSets
    from calibcli.tasks.segmentation.regions import Calibrate
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.input.passes import RowPass

NEVER = Cut(float("inf"))


@dataclass(frozen=True, slots=True)
class CountedRule:
    """Decisions counted.

    Attributes:
        counts: of all rows.
        groups: of each column the counts of its values, and these in order.
        plain: of the most probable class, where there are several.
        row_sets: what the sets of labels of rows are worth; `group_sets` those of each column.
    """

    counts: RuleCounts
    groups: Mapping[str, tuple[RuleCounts, Sequence[str]]] = field(default_factory=dict)
    plain: RuleCounts | None = None
    row_sets: DecidedSets | None = None
    group_sets: Mapping[str, DecidedSets] = field(default_factory=dict)


def counted_rows(rows: RowPass, rule: Rule, shown: Sequence[str] = ()) -> CountedRule:
    """Decide every row and count."""
    plain = rows.dataset.exclusive and not isinstance(rule, ConformalSets)
    found = rows.scan(lambda: DecidedRows(rule, rows.layout, rows.columns, shown, plain=plain))
    groups = {column: found.ordered(column) for column in shown}
    sets = {column: found.ordered_sets(column) for column in found.group_sets}
    return CountedRule(found.counts, groups, found.plain, found.row_sets, sets)


def counted_images(
    dataset: StackDataset,
    rule: ImageRule,
    calibrate: Calibrate | None,
    columns: Sequence[str] = (),
    shown: Sequence[str] = (),
    threads: int | None = None,
) -> CountedRule:
    """Decide every image and count its pixels, by the units of the images."""
    plain = dataset.exclusive
    found = count_images(dataset, rule, calibrate, columns, plain=plain, threads=threads)
    counts, beside = found.by_unit()
    groups = {name: found.by_group(list(columns).index(name)) for name in shown}
    return CountedRule(counts, groups, beside)


def counted_cells(found: Gathered, rule: Rule, *, after: bool = True) -> CountedRule | None:
    """Count the decisions of cut-offs from populations: cells have one decision each.

    Of cut-offs by group all rows are the sum of these groups, and no other groups are known.
    `after` reads the populations after the calibrator, where there is one. None for a rule that
    weighs all classes of a row.
    """
    if not isinstance(
        rule.rest if isinstance(rule, ByGroup) else rule, Cut | LabelCuts | ClassCuts
    ):
        return None

    def _after(one: Slice) -> Population:
        return one.used if after else one.population

    def empty() -> RuleCounts:
        return RuleCounts(
            2,
            slots=max(len(found.classes), 1),
            units=units_of(found.clustered),
            weighted=_after(found.overall).pairs.weighted,
            exclusive=found.exclusive,
        )

    counts = empty()
    if isinstance(rule, ByGroup):
        for one in found.groups:
            if one.column == rule.column:
                own = rule.rules.get(one.value, rule.rest)
                _add(counts, _after(one), own, 0)
        return CountedRule(counts)
    _add(counts, _after(found.overall), rule, 0)
    groups: dict[str, tuple[RuleCounts, list[str]]] = {}
    for one in found.groups:
        here, values = groups.setdefault(one.column, (empty(), []))
        _add(here, _after(one), rule, len(values))
        values.append(one.value)
    return CountedRule(counts, groups)


def _add(counts: RuleCounts, population: Population, rule: Rule, member: int) -> None:
    if isinstance(rule, LabelCuts):
        for slot, (stats, cut) in enumerate(zip(population.classes, rule.cuts, strict=True)):
            counts.add_stats(stats, cut or NEVER, slot=slot, member=member)
    elif isinstance(rule, ClassCuts):
        for slot, at in enumerate(rule.thresholds.tolist()):
            own = NEVER if at != at else Cut(at)
            counts.add_stats(of_top(population, slot), own, slot=slot, member=member)
    else:
        counts.add_stats(population.pairs, rule, member=member)
