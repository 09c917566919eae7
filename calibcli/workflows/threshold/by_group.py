"""Groups and cut-offs: equal figures, and what the chosen decisions do in each group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.core.decisions.judged import Judged
from calibcli.core.decisions.parity import broken, equal_thresholds
from calibcli.core.decisions.thresholds import Confusion, Curve
from calibcli.core.metrics.binary import View
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.workflows.measure.decided.judged import table_of
from calibcli.workflows.measure.slices import confusion
from calibcli.workflows.threshold.choosing import Chosen
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

Result = dict[str, Any]
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
) -> tuple[list[Chosen], Result]:
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
        item: Result = {
            "slice": one.where,
            "threshold": found.thresholds[name],
            "n": stats[name].n,
            "value": {
                "value": found.confusions[name].figure(wish.objective.function),
                "low": None,
                "high": None,
            },
            "confusion": confusion(view, found.thresholds[name], conventions.confidence),
        }
        chosen.append(Chosen(item, curves[name]))
    return chosen, {"figure": wish.equal, "level": found.level, "value": found.value}


def in_groups(
    groups: Mapping[str, tuple[RuleCounts, Sequence[str]]],
    items: Sequence[Result],
    conventions: Conventions,
    wish: Wish,
) -> tuple[list[Result], list[Warning]]:
    """Return what the decisions are in each group, and a warning for broken constraints.

    Args:
        groups: of each column the counts of the rule, and its values, one a member.
        items: the cut-offs: those of all rows, and those of groups that have their own.
        conventions: the level of the intervals.
        wish: the constraints.
    """
    found: list[Result] = []
    for column, (counts, values) in groups.items():
        for member, value in enumerate(values):
            judged = Judged(counts, member)
            where = {"kind": "group", "column": column, "value": value}
            found += _of_group(where, judged, items, conventions, wish)
    return found, _warning(found)


def _of_group(
    where: Result, judged: Judged, items: Sequence[Result], conventions: Conventions, wish: Wish
) -> list[Result]:
    whole = [item for item in items if item["slice"]["kind"] != "group"]
    own = {_key(item["slice"]): item for item in items if item["slice"]["kind"] == "group"}
    found = []
    for k, item in enumerate(whole):
        if item["threshold"] is None:
            continue
        here = dict(where)
        if item["slice"]["kind"] == "class":
            here["class"] = item["slice"]["name"]
        k = 1 if item["slice"]["kind"] == "overall" else k
        table = table_of(judged.of_class(k), conventions.confidence)
        table["threshold"] = own.get(_key(here), item)["threshold"]
        found.append(
            {
                "slice": here,
                "threshold": table["threshold"],
                "n": judged.n,
                "confusion": table,
                **_verdicts(table, wish.constraints),
            }
        )
    return found


def _key(where: Result) -> tuple[Any, ...]:
    return where.get("column"), where.get("value"), where.get("class")


def _verdicts(table: Result, constraints: tuple[Constraint, ...]) -> Result:
    counts = Confusion(*(table[key] for key in ("tp", "fp", "fn", "tn")))
    breaks = broken(counts, constraints)
    sure = [c for c in breaks if _beyond_chance(table.get(c.name), c)]
    return {"breaks": [str(c) for c in breaks], "beyond_chance": [str(c) for c in sure]}


def _beyond_chance(figure: Result | None, constraint: Constraint) -> bool:
    """Return whether the whole interval lies on the wrong side of the target."""
    if figure is None or figure.get("low") is None or figure.get("high") is None:
        return False
    if constraint.at_least:
        return bool(figure["high"] < constraint.target)
    return bool(figure["low"] > constraint.target)


def _warning(found: list[Result]) -> list[Warning]:
    bad = [one for one in found if one["breaks"]]
    if not bad:
        return []
    named = [
        f"{one['slice']['column']}={one['slice']['value']}"
        + (f" (class {one['slice']['class']})" if "class" in one["slice"] else "")
        for one in bad[:MOST_NAMED]
    ]
    more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
    surely = sum(bool(one["beyond_chance"]) for one in bad)
    text = (
        f"a constraint does not hold in {len(bad)} of {len(found)} groups, in {surely} of them "
        f"beyond chance: {', '.join(named)}{more}"
    )
    return [Warning("breaks", text)]


def check_task(read: OfTask | Dataset, wish: Wish) -> None:
    """Raise UsageError for options that do not fit the task."""
    if wish.objective.common is not None:
        refuse_beside_common(wish, single=read.single)
    if read.single:
        return
    if wish.equal is not None:
        raise UsageError("--equal is for a binary score", "--per-group alone chooses in each group")
    if read.exclusive and wish.costs is not None and wish.costs.refer is not None:
        raise UsageError(
            "refer= is a decision about one binary score",
            "--cost-matrix FILE with one more column refers rows of several classes",
        )
