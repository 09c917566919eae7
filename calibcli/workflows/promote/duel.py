"""The cut-offs in use and those that would be chosen now, on rows that neither has seen.

The choice is repeated without each fold of units, and that fold is decided by it; the rule in use
decides the same rows as it is. What is compared is what `apply` would write.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.comparison.decided import Duel, compare, compare_losses, estimates
from calibcli.core.decisions.rules import NONE, REFER
from calibcli.core.results.figures import OVERALL, Figure, Where
from calibcli.core.results.parts.decided import Decided
from calibcli.core.results.promotion import ConstraintKept
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.errors import AnswerNoError, InputError
from calibcli.tasks.rows.decided import natural
from calibcli.tasks.rows.rivals import Decider, Rivals
from calibcli.tasks.scan import scan
from calibcli.tasks.share import Share
from calibcli.workflows.input.asked import Asked
from calibcli.workflows.input.gather import layout_of, with_group_of
from calibcli.workflows.measure.decided.judged import decision_result
from calibcli.workflows.threshold.threshold import choose_cuts, with_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.comparison.decided import Compared, Estimate
    from calibcli.core.decisions.costs import Costs
    from calibcli.io.dataset import Dataset
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Reading
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.threshold.threshold import Cuts
    from calibcli.workflows.threshold.wish import Wish

FOLDS = 7
"""Prime to the usual folds of a fit, whose maps each have rows of every one of these."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A constraint in one slice, under both rules; None where its figure is undefined."""

    constraint: str
    slice: Where
    champion: Estimate | None
    challenger: Estimate | None
    at_least: bool
    target: float

    def broken(self, one: Estimate | None) -> bool:
        """Return whether a rule breaks it beyond the interval."""
        if one is None:
            return False
        return one.high < self.target if self.at_least else one.low > self.target

    def short(self, one: Estimate | None) -> float:
        """Return by how much a rule misses it; at most 0 where it meets it."""
        if one is None:
            return 0.0
        return self.target - one.value if self.at_least else one.value - self.target

    @property
    def sound(self) -> bool:
        """Whether the challenger gives away no more than there is to spare.

        It keeps to the constraint as well as the rule in use, or that one meets it beyond its
        interval and the challenger comes within half its own interval of it. Or the luck of one
        dump would lower the precision for a recall that is surely higher, night after night.
        """
        old, new = self.champion, self.challenger
        if new is None or self.short(new) <= self.short(old):
            return True
        spare = old is None or (old.low > self.target if self.at_least else old.high < self.target)
        end = new.high if self.at_least else new.low
        return spare and self.short(new) <= abs(end - new.value) / 2.0

    @property
    def result(self) -> ConstraintKept:
        """What a result says of it."""
        sides = (
            None if one is None else Figure(one.value, one.low, one.high)
            for one in (self.champion, self.challenger)
        )
        return ConstraintKept(self.constraint, self.slice, *sides)


@dataclass(frozen=True, slots=True)
class Met:
    """What came of it.

    Attributes:
        compared: the objective under both; None where it is undefined.
        constraints: what holds under each.
        decision: the challenger's decisions, held out, as `threshold` shows them.
        larger_is_better: of the objective.
        held_out: whether every fold was decided by a choice without it.
        clustered: whether whole units were compared.
    """

    compared: Compared | None
    constraints: tuple[Kept, ...]
    decision: Decided
    larger_is_better: bool
    held_out: bool
    clustered: bool

    @property
    def better(self) -> bool:
        """Whether the challenger is better beyond the interval."""
        gap = None if self.compared is None else self.compared.difference
        return gap is not None and (gap.low > 0.0 if self.larger_is_better else gap.high < 0.0)

    @property
    def worse(self) -> bool:
        """Whether the challenger is worse beyond the interval."""
        gap = None if self.compared is None else self.compared.difference
        return gap is not None and (gap.high < 0.0 if self.larger_is_better else gap.low > 0.0)

    @property
    def broken(self) -> list[Kept]:
        """Constraints that the rule in use breaks beyond their intervals."""
        return [one for one in self.constraints if one.broken(one.champion)]

    @property
    def mended(self) -> bool:
        """Whether the challenger breaks none of what the rule in use breaks, and comes nearer."""
        return self.held_out and all(
            not one.broken(one.challenger) and one.short(one.challenger) < one.short(one.champion)
            for one in self.broken
        )

    @property
    def sound(self) -> bool:
        """Whether the challenger meets every constraint as far as these rows can tell."""
        return self.held_out and all(one.sound for one in self.constraints)


def outside(fold: int) -> NDArray[np.bool_]:
    """Return the buckets of the rows that a fold leaves (64,)."""
    return np.asarray(np.arange(BUCKETS) % FOLDS != fold)


def duel(
    dataset: Dataset,
    reading: Reading,
    wish: Wish,
    incumbent: Decider,
    chosen: Decider,
    calibrated: Callable[[int], LoadedCalibrator | None],
    carried: Callable[[Cuts], Cuts],
) -> Met:
    """Compare the rule in use with the choices that the folds leave.

    Args:
        dataset: the rows, opened with the groups of the wish.
        reading: how they are read, and the level of the intervals.
        wish: what is chosen for.
        incumbent: the rule in use.
        chosen: the choice of all rows, which stands in where a fold leaves too little to choose.
        calibrated: the calibrator before the choice that leaves out a fold.
        carried: what of the rule in use stays in a choice.
    """
    whole, conventions = with_groups(reading.spec, wish), reading.conventions
    quick = replace(reading, conventions=replace(conventions, confidence=None))
    challengers, held_out = [], True
    for fold in range(FOLDS):
        loaded = calibrated(fold)
        try:
            part: Any = Share(dataset, outside(fold))
            asked = Asked.after(loaded, quick)
            own = carried(choose_cuts(asked, wish, opened=(part, ())))
        except (AnswerNoError, InputError):
            challengers, held_out = [chosen] * FOLDS, False
            break
        challengers.append(Decider(own.rule, None if loaded is None else loaded.calibrator))
    layout = layout_of(dataset, whole, conventions)
    columns = whole.groups
    for one in (incumbent, *challengers):
        columns = with_group_of(replace(whole, groups=columns), one.calibrator).groups
    rivals = Rivals(incumbent, challengers, layout, columns, wish.per_group)
    scan(dataset, layout, rivals, threads=reading.threads)
    return _met(rivals, dataset, wish, conventions, held_out)


def _met(
    rivals: Rivals, dataset: Dataset, wish: Wish, conventions: Conventions, held_out: bool
) -> Met:
    level = conventions.confidence or 0.95
    exclusive, names = dataset.exclusive, dataset.classes
    values = sorted(rivals.members.values, key=natural)
    members = [rivals.members.values[value] for value in values] or [0]
    every = Duel.of(rivals.joint, rivals.classes, members, exclusive=exclusive)
    slices = [(OVERALL, every)]
    if wish.per_group is not None:
        slices = [
            (
                Where("group", column=wish.per_group, value=value),
                Duel.of(rivals.joint, rivals.classes, [member], exclusive=exclusive),
            )
            for value, member in zip(values, members, strict=True)
        ]
    claims = len(slices) * len(wish.constraints) * every.targets
    each = 1.0 - (1.0 - level) / max(claims, 1)
    constraints = []
    for where, own in slices:
        for constraint in wish.constraints:
            sides = [
                estimates(own, constraint.function, each, challenger=side, prior=wish.prior)
                for side in (False, True)
            ]
            for k, (old, new) in enumerate(zip(*sides, strict=True)):
                named = _of_class(where, names, k)
                target, least = constraint.target, constraint.at_least
                constraints.append(Kept(str(constraint), named, old, new, least, target))
    if wish.costs is not None and not exclusive:
        loss = _losses(wish.costs)
        compared: Compared | None = compare_losses(every, loss, level, prior=wish.prior)
    else:
        goal = wish.objective
        summed = exclusive and goal.name == "accuracy"
        assert goal.common != "rows"
        over = goal.common or ("sum" if summed else "mean")
        compared = compare(every, goal.function, level, prior=wish.prior, over=over)
    decision = decision_result(rivals.counts, names, conventions.confidence)
    larger = wish.objective.larger_is_better
    return Met(compared, tuple(constraints), decision, larger, held_out, every.clustered)


def _of_class(where: Where, names: Sequence[str], k: int) -> Where:
    if not names:
        return where
    if where.kind == "group":
        return structs.replace(where, label=names[k])
    return Where("class", name=names[k])


def _losses(costs: Costs) -> NDArray[np.float64]:
    """Return the cost by truth and decision: REFER, NONE (as 0), 0 and 1."""
    refer = costs.refer or 0.0
    table = np.array([[refer, costs.tn, costs.tn, costs.fp], [refer, costs.fn, costs.fn, costs.tp]])
    assert (REFER, NONE) == (-2, -1)
    return table
