"""The decisions of a rule counted: over the rows, or over cells that tell the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from calibcli.core.decisions.counts import Judged, RuleCounts, table_counts, units_of
from calibcli.core.decisions.objectives import TOLERANCE
from calibcli.core.decisions.parity import broken
from calibcli.core.decisions.rules import ByGroup, ClassCuts, Cut, LabelCuts
from calibcli.core.decisions.thresholds import Confusion
from calibcli.core.results.warning import Warning
from calibcli.tasks.rows.decided import DecidedRows
from calibcli.tasks.rows.winners import of_top
from calibcli.workflows.threshold.competing import joint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.rules import Rule
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.gather import Gathered, Slice
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.wish import Wish

NEVER = Cut(float("inf"))


@dataclass(frozen=True, slots=True)
class CountedRule:
    """Decisions counted.

    Attributes:
        counts: of all rows.
        groups: of each column the counts of its values, and these in order.
        plain: of the most probable class, where there are several.
    """

    counts: RuleCounts
    groups: Mapping[str, tuple[RuleCounts, Sequence[str]]] = field(default_factory=dict)
    plain: RuleCounts | None = None


def counted_rows(rows: RowPass, rule: Rule, shown: Sequence[str] = ()) -> CountedRule:
    """Decide every row and count."""
    plain = rows.dataset.task == "multiclass"
    found = rows.scan(lambda: DecidedRows(rule, rows.layout, rows.columns, shown, plain=plain))
    groups = {column: found.ordered(column) for column in shown}
    return CountedRule(found.counts, groups, found.plain)


def counted_cells(found: Gathered, rule: Rule) -> CountedRule:
    """Count the decisions of cut-offs from populations: cells have one decision each.

    Of cut-offs by group all rows are the sum of these groups, and no other groups are known.
    """

    def empty() -> RuleCounts:
        return RuleCounts(
            2,
            slots=max(len(found.classes), 1),
            units=units_of(found.clustered),
            weighted=_after(found.overall).pairs.weighted,
            exclusive=found.task == "multiclass",
        )

    counts = empty()
    if isinstance(rule, ByGroup):
        for one in found.groups:
            if one.where["column"] == rule.column:
                own = rule.rules.get(str(one.where["value"]), rule.rest)
                _add(counts, _after(one), own, 0)
        return CountedRule(counts)
    _add(counts, _after(found.overall), rule, 0)
    groups: dict[str, tuple[RuleCounts, list[str]]] = {}
    for one in found.groups:
        here, values = groups.setdefault(str(one.where["column"]), (empty(), []))
        _add(here, _after(one), rule, len(values))
        values.append(str(one.where["value"]))
    return CountedRule(counts, groups)


def worse_than_plain(counted: CountedRule, wish: Wish) -> list[Warning]:
    """Return a warning where the most probable class meets the constraints and does better."""
    if counted.plain is None:
        return []
    plain, rule = (_mean_objective(counts, wish) for counts in (counted.plain, counted.counts))
    if plain is None or rule is None:
        return []
    gain = plain - rule if wish.objective.larger_is_better else rule - plain
    if gain <= TOLERANCE * max(1.0, abs(rule)):
        return []
    name = "cost" if wish.objective.name == "cost" else f"mean {wish.objective.name}"
    text = f"the most probable class does better: {name} {plain:.4g} against {rule:.4g}"
    return [Warning("worse-than-plain", text)]


def _mean_objective(counts: RuleCounts, wish: Wish) -> float | None:
    """Return the mean of the objective over classes; None where a constraint does not hold."""
    judged = Judged(counts)
    values = []
    for k in range(counts.classes):
        stats = judged.of_class(k)
        if not (stats.positives and stats.negatives):
            continue
        table = Confusion(*table_counts(stats))
        if broken(table, wish.constraints):
            return None
        values.append(table.figure(joint(wish.objective).function))
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _after(one: Slice) -> Population:
    return one.population if one.calibrated is None else one.calibrated


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
