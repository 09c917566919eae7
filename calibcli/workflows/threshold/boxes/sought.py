"""One slice of boxes: its candidates under each NMS IoU, and the best of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.cross_fit import FOLDS, CellFamily, parted
from calibcli.core.decisions.guarantees import units
from calibcli.core.decisions.objectives import TOLERANCE
from calibcli.core.decisions.promises.by_unit import units_needed_for
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.core.detection.guarantee import FoundByUnit, most_alarms, promised
from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.figures import Detections
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.threshold.choosing import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.decisions.objectives import Objective
    from calibcli.core.detection.guarantee import Promised
    from calibcli.core.results.figures import Where
    from calibcli.tasks.population import Population
    from calibcli.workflows.threshold.wish import Wish


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """One slice: its candidates under each NMS IoU, and the best of each.

    Attributes:
        where: which.
        each: its boxes under each NMS IoU.
        family: a setting for each NMS IoU.
        choices: the best under each, or why there is none.
        promised: what is certified under each, where there is a guarantee.
        limits: the NMS IoUs; () without suppression.
        unit: what is independent: "image", or what images are clustered by.
    """

    where: Where
    each: tuple[Population, ...]
    family: CellFamily
    choices: tuple[Choice | Unreachable, ...]
    promised: tuple[Promised | None, ...]
    limits: tuple[float, ...] = ()
    unit: str = "image"

    def best(self, objective: Objective) -> tuple[int, Choice] | None:
        """Return the best of the NMS IoUs, of equal ones that with the fewest false alarms."""
        return best_of(self.choices, objective)


def boxes_of(population: Population) -> Detections:
    """Return the boxes of a population."""
    assert isinstance(population.extra, Detections)
    return population.extra


def seek(
    where: Where,
    each: tuple[Population, ...],
    limits: tuple[float, ...],
    wish: Wish,
    level: float | None,
    seed: int,
    limit: int,
    unit: str,
) -> Sought | None:
    """Return a slice's candidates and the best of each NMS IoU; None where there are none.

    Args:
        where: the slice, as it stands in the JSON.
        each: its boxes under each NMS IoU.
        limits: the NMS IoUs.
        wish: what is sought.
        level: error probability of each NMS IoU, where there is a guarantee.
        seed: of the folds.
        limit: how many boxes of the slice an image can have.
        unit: what is independent.
    """
    if reason(each[0]) is not None:
        return None
    home = np.random.default_rng(seed).permutation(BUCKETS) % FOLDS
    settings = []
    for one in each:
        stats = boxes_of(one).counted(one.pairs)
        assert stats.parts is not None
        settings.append((stats, parted(stats, stats.parts, home, FOLDS, clustered=True)))
    family = CellFamily(tuple(settings), LOWEST)
    choices, certain = [], []
    for one, curve in zip(each, family.curves, strict=True):
        sure = None
        if level is not None:
            alarms = most_alarms(wish.constraints, limit)
            sure = promised(_by_unit(boxes_of(one)), curve, wish.constraints, level, alarms)
        able = None if sure is None else sure.allowed
        choices.append(choose(curve, wish.objective, wish.constraints, allowed=able))
        certain.append(sure)
    return Sought(where, each, family, tuple(choices), tuple(certain), limits, unit)


def reason(one: Population) -> str | None:
    """Return why there is nothing to choose in a slice, None where there is something."""
    if not boxes_of(one).own_objects.sum():
        return "no object to find"
    return None if one.pairs.n else "no detections"


def _by_unit(boxes: Detections) -> FoundByUnit:
    """Return the boxes by what is independent: the units of the images."""
    own_units, place = np.unique(mixed(boxes.whole.unit), return_inverse=True)
    rows = boxes.rows(boxes.only)
    own = boxes.whole.object_label
    mine = np.ones(len(own), np.bool_) if boxes.only is None else own == boxes.only
    return FoundByUnit(
        boxes.whole.score[rows],
        boxes.right(rows),
        place[boxes.whole.image[rows]],
        np.bincount(place[boxes.whole.object_image[mine]], minlength=len(own_units)),
        np.bincount(place, minlength=len(own_units)),
    )


def best_of(
    choices: Sequence[Choice | Unreachable], objective: Objective
) -> tuple[int, Choice] | None:
    """Return the best of the choices of settings, of equal ones that with fewest false alarms."""
    best: tuple[int, Choice] | None = None
    for setting, one in enumerate(choices):
        if isinstance(one, Unreachable):
            continue
        if best is None:
            best = setting, one
            continue
        gain = one.value - best[1].value
        gain = gain if objective.larger_is_better else -gain
        slack = TOLERANCE * max(1.0, abs(best[1].value))
        fewer = one.confusion.fp < best[1].confusion.fp
        if gain > slack or (gain >= -slack and fewer):
            best = setting, one
    return best


def refused(one: Sought, wish: Wish) -> Refused:
    """Return why a slice has no cut-off."""
    nearest = next(choice for choice in one.choices if isinstance(choice, Unreachable))
    if wish.guarantee is None:
        hint = "no thresholds were written"
        return Refused(nearest.message(), hint, unreachable=True, best=nearest.nearest())
    size = len(np.unique(boxes_of(one.each[0]).whole.unit))
    here = units(size, one.unit)
    known = [sure for sure in one.promised if sure is not None]
    level = 1.0 - (1.0 - wish.guarantee) / max(len(known), 1)
    each = [units_needed_for(sure.table, wish.constraints, level) for sure in known]
    needed = min((number for number in each if number is not None), default=None)
    more = "no margin over the target shows"
    if needed is not None:
        more = f"about {needed:,} like these would be needed"
    return Refused(
        f"no cut-off can be certified for {wish.target} with confidence {wish.guarantee:g} on "
        f"{here}: {more}",
        "no thresholds were written; without --guarantee, or with a lower target or more images, "
        "there may be one",
        unreachable=True,
        best=f"not certified on {here}, {more}",
    )
