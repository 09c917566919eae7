"""`--subject-to 'worst(group.site).recall>=0.9'`: one cut-off that is certified in every group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.decisions.cross_fit import aligned
from calibcli.core.decisions.promises.by_unit import Scope
from calibcli.errors import UsageError
from calibcli.tasks.rows.by_unit import as_read
from calibcli.workflows.threshold.by_group import members
from calibcli.workflows.threshold.choosing import Within, curve_of
from calibcli.workflows.threshold.promised import evenly_kept, units_of_curves
from calibcli.workflows.threshold.slices import chosen_of_slices, named_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.input.passes import RowPass
    from calibcli.workflows.threshold.promised import Units
    from calibcli.workflows.threshold.slices import Parts
    from calibcli.workflows.threshold.wish import Wish


def chosen_for_every_group(
    found: Gathered,
    whole: Sequence[Slice],
    conventions: Conventions,
    wish: Wish,
    rows: RowPass | None,
) -> Parts:
    """Choose one cut-off, or one of each label, whose bounds are certified in each group.

    Args:
        found: what was counted.
        whole: the slice of all rows, or of each label.
        conventions: the level of the intervals.
        wish: what to achieve.
        rows: what is read; None for saved statistics.

    Raises:
        AnswerNoError: none is certified.
        UsageError: more distinct scores than are kept apart.
    """
    assert wish.within is not None
    own = members(found, wish.within)
    parts = [named_slices(member, found.classes) for member in own]
    if not all(one.used.pairs.exact for part in (whole, *parts) for one in part):
        raise UsageError(
            f"a promise in each group of {wish.within} needs every score, and there are too many",
            "round the scores to four digits",
        )
    stats = [one.used.pairs for one in whole]
    curves = [curve_of(one) for one in stats]
    each = [
        [aligned(stats[k], part[k].used.pairs, -float("inf")) for k in range(len(whole))]
        for part in parts
    ]
    counted: Units = []
    scopes: list[tuple[Scope, ...]] = [()] * len(whole)
    if found.clustered and rows is not None:
        # All have the cut-offs of all rows, so that groups can be tested side by side.
        same, place = [curves] * (1 + len(own)), rows.columns.index(wish.within)
        values = [str(member.where.value) for member in own]
        counted = units_of_curves(rows, as_read, same, place, values)
        scopes = [
            tuple(Scope(mine[k], theirs[k]) for mine, theirs in zip(each, counted[1:], strict=True))
            for k in range(len(whole))
        ]
    within = [Within(tuple(part[k] for part in each), scopes[k]) for k in range(len(whole))]
    made = chosen_of_slices(
        whole,
        conventions,
        wish,
        found.classes,
        clustered=found.clustered,
        units=counted[0] if counted else None,
        within=within,
    )
    made.warnings.extend(evenly_kept(counted))
    return made
