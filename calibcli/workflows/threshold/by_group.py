"""Groups and cut-offs: equal figures, and what the chosen decisions do in each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.parity import broken, equal_thresholds
from calibcli.core.decisions.thresholds import Confusion as Counts
from calibcli.core.decisions.thresholds import Curve
from calibcli.core.metrics.binary import View
from calibcli.core.results.figures import Figure, Where
from calibcli.core.results.threshold import CutOff, Equal, GroupCut
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.workflows.measure.decided.judged import table_of
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.choosing import Chosen
from calibcli.workflows.threshold.settling import named
from calibcli.workflows.threshold.wish import refuse_beside_common

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.core.decisions.counts import RuleCounts
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.io.dataset import Dataset
    from calibcli.io.task import OfTask
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.threshold.wish import Wish

MOST_NAMED = 5


def members(found: Gathered, column: str) -> list[Slice]:
    """Return the slices of one group column.

    Raises:
        InputError: saved statistics without that column.
    """
    own = [one for one in found.groups if one.column == column]
    if not own:
        known = list(dict.fromkeys(one.column for one in found.groups))
        hint = did_you_mean(column, known) or (
            f"groups: {', '.join(known)}"
            if known
            else f"save them with it: calibcli measure SCORES --group {column} --save-stats FILE"
        )
        raise InputError(f"the statistics hold no group {column!r}", hint)
    return own


def equal_slices(
    slices: list[Slice], conventions: Conventions, wish: Wish
) -> tuple[list[Chosen], Equal]:
    """Return cut-offs with equal recall or equal fpr in each group, and their common level.

    Raises:
        UsageError: a group without rows of the label that the figure is about.
    """
    assert wish.equal is not None
    stats = {one.value: one.used.pairs for one in slices}
    curves = {name: Curve.from_cells(s.floor, s.pos, s.neg) for name, s in stats.items()}
    level = wish.constraints[0].target if wish.constraints else None
    found = equal_thresholds(curves, wish.equal, level=level, objective=wish.objective)
    chosen = []
    for one in slices:
        name = one.value
        view = View(stats[name], conventions.headline)
        item = CutOff(
            slice=one.where,
            threshold=found.thresholds[name],
            n=stats[name].n,
            value=Figure(found.confusions[name].figure(wish.objective.function)),
            confusion=confusion(view, found.thresholds[name], conventions.confidence),
        )
        chosen.append(Chosen(item, curves[name]))
    return chosen, Equal(wish.equal, found.level, found.value)


def in_groups(
    groups: Mapping[str, tuple[RuleCounts, Sequence[str]]],
    items: Sequence[CutOff],
    conventions: Conventions,
    wish: Wish,
) -> tuple[list[GroupCut], list[Warning]]:
    """Return what the decisions are in each group, and a warning for broken constraints.

    Args:
        groups: of each column the counts of the rule, and its values, one a member.
        items: the cut-offs: those of all rows, and those of groups that have their own.
        conventions: the level of the intervals.
        wish: the constraints.
    """
    found: list[GroupCut] = []
    for column, (counts, values) in groups.items():
        for member, value in enumerate(values):
            judged = Judged(counts, member)
            where = Where("group", column=column, value=value)
            found += _of_group(where, judged, items, conventions, wish)
    return found, _warning(found)


def _of_group(
    where: Where, judged: Judged, items: Sequence[CutOff], conventions: Conventions, wish: Wish
) -> list[GroupCut]:
    own = {item.slice: item.threshold for item in items if item.slice.kind == "group"}
    found = []
    for k, item in enumerate(one for one in items if one.slice.kind != "group"):
        if item.threshold is None:
            continue
        here = structs.replace(where, label=item.slice.name)
        slot = 1 if item.slice.kind == "overall" else k
        at = own.get(here, item.threshold)
        table = structs.replace(
            table_of(judged.of_class(slot), conventions.confidence), threshold=at
        )
        bad = broken(Counts(table.tp, table.fp, table.fn, table.tn or 0), wish.constraints)
        sure = [one for one in bad if _beyond_chance(table.rates.get(one.name), one)]
        breaks, beyond = (tuple(map(str, some)) for some in (bad, sure))
        found.append(GroupCut(here, at, judged.n, table, breaks, beyond))
    return found


def _beyond_chance(figure: Figure | None, constraint: Constraint) -> bool:
    """Return whether the whole interval lies on the wrong side of the target."""
    if figure is None or figure.low is None or figure.high is None:
        return False
    if constraint.at_least:
        return bool(figure.high < constraint.target)
    return bool(figure.low > constraint.target)


def _warning(found: list[GroupCut]) -> list[Warning]:
    bad = [one for one in found if one.breaks]
    if not bad:
        return []
    shown = ", ".join(named(one.slice, str) for one in bad[:MOST_NAMED])
    more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
    surely = sum(bool(one.beyond_chance) for one in bad)
    text = (
        f"a constraint does not hold in {len(bad)} of {len(found)} groups, in {surely} of them "
        f"beyond chance: {shown}{more}"
    )
    return [Warning("breaks", text)]


def check_task(read: OfTask | Dataset, wish: Wish) -> None:
    """Raise UsageError for options that do not fit the task."""
    if wish.objective.common is not None:
        refuse_beside_common(wish, single=read.single)
    if wish.within is not None and (read.exclusive or wish.objective.common is not None):
        raise UsageError(
            f"worst(group.{wish.within}) is of cut-offs of their own",
            "one class as a score of its own: --score COL --positive CLASS",
        )
    if wish.by_rows and read.exclusive:
        raise UsageError(
            f"{wish.by_rows} is of several labels a row, which these scores do not have",
            "--subject-to 'recall>=0.9' is of each class",
        )
    if read.single:
        return
    if wish.equal is not None:
        raise UsageError("--equal is for a binary score", "--per-group alone chooses in each group")
    if read.exclusive and wish.costs is not None and wish.costs.refer is not None:
        raise UsageError(
            "refer= is a decision about one binary score",
            "--cost-matrix FILE with one more column refers rows of several classes",
        )
