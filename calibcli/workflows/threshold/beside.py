"""Chosen cut-offs of classes beside the most probable class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.decisions.objectives import TOLERANCE
from calibcli.core.decisions.parity import broken
from calibcli.core.decisions.thresholds import Confusion
from calibcli.core.results.warning import Warning
from calibcli.workflows.threshold.classes.competing import joint

if TYPE_CHECKING:
    from calibcli.core.decisions.counts import RuleCounts
    from calibcli.workflows.measure.decided.counted import CountedRule
    from calibcli.workflows.threshold.wish import Wish


def worse_than_plain(
    counted: CountedRule, wish: Wish, crossed: RuleCounts | None = None
) -> list[Warning]:
    """Return a warning where the most probable class meets the constraints and does better.

    `crossed` are the decisions of the folds, which do not flatter.
    """
    if counted.plain is None:
        return []
    plain = _mean_objective(counted.plain, wish, bound=True)
    rule = _mean_objective(counted.counts if crossed is None else crossed, wish, bound=False)
    if plain is None or rule is None:
        return []
    gain = plain - rule if wish.objective.larger_is_better else rule - plain
    if gain <= TOLERANCE * max(1.0, abs(rule)):
        return []
    name = "cost" if wish.objective.name == "cost" else f"mean {wish.objective.name}"
    rows = "" if crossed is None else " on rows that the choice has not seen"
    text = f"the most probable class does better{rows}: {name} {plain:.4g} against {rule:.4g}"
    return [Warning("worse-than-plain", text)]


def _mean_objective(counts: RuleCounts, wish: Wish, *, bound: bool) -> float | None:
    """Return the mean of the objective over classes; None where a constraint does not hold."""
    judged = Judged(counts)
    values = []
    for k in range(counts.slots if counts.slots > 1 else counts.classes):
        stats = judged.of_class(k)
        if not (stats.positives and stats.negatives):
            continue
        table = Confusion(*table_counts(stats))
        if bound and broken(table, wish.constraints):
            return None
        values.append(table.figure(joint(wish.objective).function))
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
