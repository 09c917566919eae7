"""Cut-offs whose precision, recall or false alarms hold on new images with a stated confidence.

The image is the unit: boxes of one image are not independent, images are. So what is certified is a
mean over images: of the share of an image's boxes that are right (images without a box have none),
of the share of its objects that are found (images without an object have none), or of how many of
its boxes are wrong. Images with many boxes count no more than those with few. The tests, and the
order in which cut-offs are tried, are those of `core.decisions.promises.by_unit`.

No number of images bounds the mean of a count that may be anything: one image in a million could
have a billion false boxes. So an image counts at most `most_alarms` of them: as many as the limit
of boxes allows, where that is small; else ten, or ten times the target, and the promise says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.objectives import FP_PER_IMAGE
from calibcli.core.decisions.promises.by_unit import ByUnit, allowed_by_unit, steps
from calibcli.core.decisions.promises.tables import UnitTable
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.decisions.thresholds import Curve

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

AT_LEAST = ("precision", "recall")
AT_MOST = ("fnr", FP_PER_IMAGE)
_CLIP = 10.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoxTable(UnitTable):
    """What images have at each step: `positives` are objects, and `rows` boxes.

    Attributes:
        images: int64 (U,) of each unit, which is one image without clusters.
        alarms: as how many false boxes an image counts at most.
    """

    images: Ints | None = None
    alarms: float = _CLIP

    def most(self, name: str) -> float:
        """Return 1, or as how many false boxes an image counts at most."""
        return self.alarms if name == FP_PER_IMAGE else 1.0

    def figures(self, name: str, selected: Ints, true: Ints) -> tuple[Ints, Floats]:
        """Return which units have a figure, and the figure of each."""
        if name != FP_PER_IMAGE:
            return super(BoxTable, self).figures(name, selected, true)
        return np.arange(len(self.rows)), np.minimum(self.false(selected, true), self.alarms)

    def false(self, selected: Ints, true: Ints) -> Floats:
        """Return the false boxes of an image of each unit (U,), all of them."""
        wrong = (selected - true).astype(np.float64)
        return wrong if self.images is None else wrong / self.images


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FoundByUnit:
    """The boxes that count, of a class or of all, by what is independent.

    Attributes:
        score: float64 (n,) probabilities; `right` bool (n,) found an object.
        place: int64 (n,) the unit of each; `images` int64 (U,) of each unit.
        objects: int64 (U,) to be found in each unit.
    """

    score: Floats
    right: Bools
    place: Ints
    objects: Ints
    images: Ints

    def table(self, cuts: Floats, alarms: float) -> BoxTable:
        """Return what units have at cut-offs (S,), increasing."""
        step = np.searchsorted(cuts, self.score, side="right") - 1
        some = step >= 0
        return BoxTable(
            self.objects,
            np.bincount(self.place, minlength=len(self.objects)).astype(np.int64),
            step[some],
            self.place[some],
            self.right[some],
            np.ones(int(some.sum()), np.int64),
            len(cuts),
            images=None if (self.images == 1).all() else self.images,
            alarms=alarms,
        )


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Promised:
    """The cut-offs that are certified.

    Attributes:
        table: what units have at some of the candidates, and `candidates` which these are.
        allowed: bool (C,) which candidates are certified.
    """

    table: BoxTable
    candidates: Ints
    allowed: Bools

    def at(self, index: int, constraints: Sequence[Constraint]) -> PromisedMeans:
        """Return the means over units at a candidate that was tried."""
        selected, true = self.table.at(int(np.searchsorted(self.candidates, index)))
        having, shares = self.table.figures("precision", selected, true)
        images, means = ByUnit(self.table, self.candidates, "image").means(constraints, index)
        return PromisedMeans(
            len(having),
            float(shares.mean()) if len(shares) else 0.0,
            images,
            means,
            int((self.table.false(selected, true) > self.table.alarms).sum()),
        )


@dataclass(frozen=True, slots=True)
class PromisedMeans:
    """Means over units at a cut-off.

    Attributes:
        having: units with a box, and `precision` their mean.
        units: those that have every promised figure, and `means` of these.
        clipped: units with more false boxes an image than one counts as.
    """

    having: int
    precision: float
    units: int
    means: tuple[float | None, ...]
    clipped: int


def most_alarms(constraints: Sequence[Constraint], limit: int) -> float:
    """Return as how many false boxes an image counts at most.

    Args:
        constraints: checked ones.
        limit: how many boxes an image can have.
    """
    targets = (one.target for one in constraints if one.name == FP_PER_IMAGE)
    return min(float(limit), _CLIP * max(1.0, *targets, 1.0))


def check(constraints: tuple[Constraint, ...], confidence: float) -> None:
    """Refuse what no test by image is known for.

    Raises:
        UsageError: nothing to guarantee, another figure, the other side, a target of everything.
    """
    if not constraints:
        raise UsageError("nothing to guarantee", "add --subject-to 'precision>=0.95'")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence lies between 0 and 1, not {confidence!r}", "0.95")
    for one in constraints:
        if one.name not in (AT_LEAST if one.at_least else AT_MOST):
            raise UsageError(
                f"'{one}' cannot be certified by image",
                f"certifiable: precision>=, recall>=, fnr<=, {FP_PER_IMAGE}<=",
            )
        if one.target >= 1.0 if one.at_least else one.target <= 0.0:
            hint = "ask for less than all" if one.at_least else "allow a few"
            raise UsageError(f"no number of images can certify '{one}'", hint)


def promised(
    found: FoundByUnit,
    curve: Curve,
    constraints: tuple[Constraint, ...],
    level: float,
    alarms: float,
) -> Promised:
    """Return which cut-offs keep all constraints but with probability `level`.

    Args:
        found: the boxes.
        curve: all candidates, whose counts are of the same boxes.
        constraints: checked ones.
        level: the error probability.
        alarms: as how many false boxes an image counts at most.
    """
    at = steps(curve)
    table = found.table(curve.threshold[at], alarms)
    units = ByUnit(table, at, "image")
    return Promised(table, at, allowed_by_unit(curve, units, constraints, 1.0 - level))
