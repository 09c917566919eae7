"""One slice of boxes: its candidates under each NMS IoU, and the best of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.cross_fit import FOLDS, CellFamily, parted
from calibcli.core.decisions.objectives import TOLERANCE
from calibcli.core.decisions.thresholds import Choice, Unreachable, choose
from calibcli.core.detection.guarantee import ByImage, certified
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.detections import Detections
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.threshold.choosing import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Objective
    from calibcli.tasks.population import Population
    from calibcli.workflows.threshold.wish import Wish

Result = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Sought:
    """One slice: its candidates under each NMS IoU, and the best of each.

    Attributes:
        where: as it stands in the JSON.
        each: its boxes under each NMS IoU.
        family: a setting for each NMS IoU.
        choices: the best under each, or why there is none.
        allowed: which candidates are certified, where there is a guarantee.
        images: of each choice, images with a box and their mean precision.
        limits: the NMS IoUs; () without suppression.
    """

    where: Result
    each: tuple[Population, ...]
    family: CellFamily
    choices: tuple[Choice | Unreachable, ...]
    allowed: tuple[NDArray[np.bool_] | None, ...]
    images: tuple[tuple[int, float] | None, ...]
    limits: tuple[float, ...] = ()

    def best(self, objective: Objective) -> tuple[int, Choice] | None:
        """Return the best of the NMS IoUs, of equal ones that with the fewest false alarms."""
        return best_of(self.choices, objective)


def boxes_of(population: Population) -> Detections:
    """Return the boxes of a population."""
    assert isinstance(population.extra, Detections)
    return population.extra


def seek(
    where: Result,
    each: tuple[Population, ...],
    limits: tuple[float, ...],
    wish: Wish,
    level: float | None,
    seed: int,
) -> Sought | None:
    """Return a slice's candidates and the best of each NMS IoU; None where there are none."""
    if reason(each[0]) is not None:
        return None
    home = np.random.default_rng(seed).permutation(BUCKETS) % FOLDS
    settings = []
    for one in each:
        stats = boxes_of(one).counted(one.pairs)
        assert stats.parts is not None
        settings.append((stats, parted(stats, stats.parts, home, FOLDS, clustered=True)))
    family = CellFamily(tuple(settings), LOWEST)
    choices, allowed, images = [], [], []
    for one, curve in zip(each, family.curves, strict=True):
        by_image = None if level is None else _by_image(boxes_of(one))
        able = None
        if by_image is not None and level is not None:
            able = certified(by_image, wish.constraints, level, curve.threshold)
        choice = choose(curve, wish.objective, wish.constraints, allowed=able)
        choices.append(choice)
        allowed.append(able)
        images.append(_images(by_image, choice))
    return Sought(where, each, family, tuple(choices), tuple(allowed), tuple(images), limits)


def reason(one: Population) -> str | None:
    """Return why there is nothing to choose in a slice, None where there is something."""
    if not boxes_of(one).own_objects.sum():
        return "no object to find"
    return None if one.pairs.n else "no detections"


def _by_image(boxes: Detections) -> ByImage:
    """Return the boxes by what is independent: the units of the images."""
    units, place = np.unique(boxes.whole.unit, return_inverse=True)
    rows = boxes.rows(boxes.only)
    own = boxes.whole.object_label
    mine = np.ones(len(own), np.bool_) if boxes.only is None else own == boxes.only
    objects = np.bincount(place[boxes.whole.object_image[mine]], minlength=len(units))
    score = boxes.whole.score[rows]
    return ByImage(score, boxes.right(rows), place[boxes.whole.image[rows]], objects)


def _images(by_image: ByImage | None, choice: Choice | Unreachable) -> tuple[int, float] | None:
    """Return how many images have a box at a cut-off, and their mean precision."""
    if by_image is None or isinstance(choice, Unreachable):
        return None
    place = int(np.searchsorted(-by_image.score, -choice.threshold, side="right"))
    number, mean = by_image.mean_precision()
    return int(number[place]), float(mean[place])


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


def refused(one: Sought, wish: Wish, images: int) -> Refused:
    """Return why a slice has no cut-off."""
    nearest = next(choice for choice in one.choices if isinstance(choice, Unreachable))
    if wish.guarantee is None:
        hint = "no thresholds were written"
        return Refused(nearest.message(), hint, unreachable=True, best=nearest.nearest())
    return Refused(
        f"no cut-off can be certified for {wish.target} with confidence {wish.guarantee:g} on "
        f"{images:,} images",
        "no thresholds were written; without --guarantee, or with a lower target or more images, "
        "there may be one",
        unreachable=True,
        best=f"not certified on {images:,} images",
    )
