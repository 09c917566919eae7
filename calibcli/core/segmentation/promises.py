"""Mask rules whose figures hold in the mean over new images, with a stated confidence.

Each image has one figure of the masks that a rule makes of it, after holes were filled and small
regions left out: the share of the structure's pixels that are found (recall), of the decided pixels
that are right (precision), and so on. Thresholds along the scores, whatever the labels, are one
sequence for each least area and filling, and these share the error probability between them.

Source: see `core.decisions.promises.by_unit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.promises.by_unit import ByUnit, allowed_by_unit
from calibcli.core.decisions.promises.tables import Shares
from calibcli.core.decisions.thresholds import Curve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint
    from calibcli.core.segmentation.search import MaskFamily

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class MaskTable(Shares):
    """What images have under the masks of some candidates.

    Attributes:
        positives, rows: (images,) pixels of the structure, and all of them.
        right, wrong: (images, C) decided pixels that are of it, and that are not.
        share: 1.
    """

    positives: Ints
    rows: Ints
    right: NDArray[np.integer]
    wrong: NDArray[np.integer]
    share: float = 1.0

    def walk(self, downward: bool) -> Iterator[tuple[int, Ints, Ints]]:
        """Yield each candidate with the decided pixels of images, and the right ones."""
        steps = range(self.right.shape[1])
        for step in reversed(steps) if downward else steps:
            yield step, *self.at(step)

    def at(self, step: int) -> tuple[Ints, Ints]:
        """Return the decided pixels of images under a candidate, and the right ones."""
        right = self.right[:, step].astype(np.int64)
        return right + self.wrong[:, step], right


def certified_masks(
    family: MaskFamily, constraints: tuple[Constraint, ...], confidence: float
) -> NDArray[np.bool_]:
    """Return which candidates (C,) keep all constraints in the mean over images.

    `family` has thresholds that do not depend on labels, increasing for each area and filling.
    """
    allowed = np.zeros(len(family.threshold), np.bool_)
    kinds, kind = np.unique(
        np.stack([family.area, family.fill.astype(np.int64)]), axis=1, return_inverse=True
    )
    level = (1.0 - confidence) / kinds.shape[1]
    whole = family.whole
    for number in range(kinds.shape[1]):
        own = np.flatnonzero(kind.reshape(-1) == number)
        table = MaskTable(
            family.positives, family.pixels, family.right[:, own], family.wrong[:, own]
        )
        curve = Curve(
            whole.threshold[own], whole.tp[own], whole.fp[own], whole.fn[own], whole.tn[own]
        )
        units = ByUnit(table, np.arange(len(own)), "image")
        allowed[own] = allowed_by_unit(curve, units, constraints, 1.0 - level)
    return allowed


def mask_means(
    family: MaskFamily, constraints: tuple[Constraint, ...], index: int
) -> tuple[int, tuple[float | None, ...]]:
    """Return how many images have the figures of a candidate, and the mean of each."""
    table = MaskTable(family.positives, family.pixels, family.right, family.wrong)
    return ByUnit(table, np.arange(family.right.shape[1]), "image").means(constraints, index)
