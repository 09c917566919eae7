"""Cut-offs whose precision or recall holds on new images with a stated confidence.

The image is the unit: boxes of one image are not independent, images are. So what is certified is a
mean over images, of which each has one bounded figure: the share of its boxes that are right
(images without a box have none), or the share of its objects that are found (images without an
object have none). Images with many boxes count no more than those with few.

"This cut-off breaks the target" is tested at each candidate along a sequence that is fixed without
looking at what is right (fixed-sequence testing), with the Hoeffding-Bentkus p-value for means of
[0, 1] variables; the first that cannot be rejected ends it. Several NMS IoUs, and precision beside
recall, share the error probability between them (Bonferroni).

Source: Angelopoulos, Bates, Candes, Jordan and Lei, 2021 (Learn then Test), sections 2 and 3;
Bates, Angelopoulos, Lei, Malik and Jordan, 2021, for the p-value. Given how many images have a box,
their figures are independent and identically distributed, so the test holds for that number too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.guarantees import first_step, smallest_selection
from calibcli.core.decisions.promises.means import hoeffding_bentkus
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.detection.average_precision import Bools, Floats, Ints

CERTIFIABLE = ("precision", "recall", "fnr")
"""Figures of which every image has one between 0 and 1."""


@dataclass(frozen=True, slots=True, eq=False)
class ByImage:
    """The detections of one class, best first, image by image.

    Attributes:
        score: float64 (n,) probabilities, decreasing.
        right: bool (n,) found an object.
        image: int64 (n,) of each, from 0.
        objects: int64 (images,) objects of the class in each image.
    """

    score: Floats
    right: Bools
    image: Ints
    objects: Ints

    def mean_precision(self) -> tuple[Ints, Floats]:
        """Return, after each detection (n + 1,), how many images have one and their mean.

        The first entry is no detection: no image, and a mean of 0.
        """
        order = np.argsort(self.image, kind="stable")
        own, right = self.image[order], self.right[order]
        start = np.append(True, own[1:] != own[:-1]) if len(own) else np.zeros(0, bool)
        rank = _within(np.ones(len(own)), start)
        share = _within(right, start) / np.maximum(rank, 1)
        before = np.where(start, 0.0, np.append(0.0, share[:-1])[: len(share)])
        return self._running(order, start.astype(np.float64), share - before)

    def mean_claim(self) -> Floats:
        """Return the same mean (n + 1,) as the scores claim it, without a look at what is right."""
        order = np.argsort(self.image, kind="stable")
        own, score = self.image[order], self.score[order]
        start = np.append(True, own[1:] != own[:-1]) if len(own) else np.zeros(0, bool)
        mean = _within(score, start) / np.maximum(_within(np.ones(len(own)), start), 1)
        before = np.where(start, 0.0, np.append(0.0, mean[:-1])[: len(mean)])
        return self._running(order, start.astype(np.float64), mean - before)[1]

    def _running(self, order: Ints, fresh: Floats, change: Floats) -> tuple[Ints, Floats]:
        """Return images so far and the mean over them, from changes in the order of images."""
        moved = np.empty((2, len(order)))
        moved[:, order] = fresh, change
        images, sums = np.concatenate([np.zeros((2, 1)), np.cumsum(moved, axis=1)], axis=1)
        count = np.rint(images).astype(np.int64)
        return count, sums / np.maximum(count, 1)

    def mean_recall(self) -> tuple[int, Floats]:
        """Return how many images have an object, and their mean recall so far (n + 1,)."""
        images = int((self.objects > 0).sum())
        each = self.right / np.maximum(self.objects[self.image], 1)
        return images, np.concatenate([[0.0], np.cumsum(each)]) / max(images, 1)


def _within(values: Floats | Bools, start: Bools) -> Floats:
    """Return running sums that begin anew wherever `start` is true."""
    each = values.astype(np.float64)
    total: Floats = np.cumsum(each)
    first = np.flatnonzero(start)
    return total - np.repeat((total - each)[first], np.diff(np.append(first, len(total))))


def check(constraints: tuple[Constraint, ...], confidence: float) -> None:
    """Refuse what no test by image is known for.

    Raises:
        UsageError: nothing to guarantee, another figure, an upper bound, a target of everything.
    """
    if not constraints:
        raise UsageError("nothing to guarantee", "add --subject-to 'precision>=0.95'")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence lies between 0 and 1, not {confidence!r}", "0.95")
    for one in constraints:
        if one.name not in CERTIFIABLE or one.at_least == (one.name == "fnr"):
            raise UsageError(
                f"'{one}' cannot be certified by image",
                "certifiable: precision>=, recall>=, fnr<=",
            )
        if _target(one) >= 1.0:
            raise UsageError(f"no number of images can certify '{one}'", "ask for less than all")


def _target(constraint: Constraint) -> float:
    return 1.0 - constraint.target if constraint.name == "fnr" else constraint.target


def certified(
    found: ByImage, constraints: tuple[Constraint, ...], level: float, at: Floats
) -> Bools:
    """Return which cut-offs keep all constraints but with probability `level` (c,).

    Args:
        found: the detections.
        constraints: checked ones.
        level: error probability, shared between precision and recall where there are both.
        at: (c,) cut-offs, increasing; those of the detections, whatever is right.
    """
    place = np.searchsorted(-found.score, -at, side="right")
    allowed = np.ones(len(at), np.bool_)
    names = {"recall" if one.name == "fnr" else one.name for one in constraints}
    for one in constraints:
        target = _target(one)
        if one.name == "precision":
            images, mean = found.mean_precision()
            rejected = hoeffding_bentkus(mean[place], images[place], target) <= level / len(names)
            claim = found.mean_claim()[place]
            start = _start(images[place][::-1], claim[::-1], target, level / len(names))
            allowed &= _run(rejected[::-1], start)[::-1]
        else:
            count, mean = found.mean_recall()
            p = hoeffding_bentkus(mean[place], np.full(len(at), count), target)
            allowed &= _run(p <= level / len(names), 0)
    return allowed


def _run(rejected: Bools, start: int) -> Bools:
    """Return what a sequence certifies: from `start` on, until the first that is not rejected."""
    sure = np.zeros(len(rejected), np.bool_)
    failed = np.flatnonzero(~rejected[start:])
    sure[start : start + int(failed[0]) if failed.size else None] = True
    return sure


def _start(images: Ints, claim: Floats, target: float, level: float) -> int:
    """Return where a sequence of growing selections begins, from scores alone."""
    if not len(images):
        return 0
    return first_step(images, claim, target, smallest_selection(level, target))
