"""The candidates of a mask rule, counted image by image.

A candidate is a threshold, a least area and whether holes are filled. Pooled figures are of all
pixels together; `mean-dice` is the mean of each image's Dice over the images that have the
structure or are decided to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.objectives import MEAN_DICE, Objective, f1, iou
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint

    Array = NDArray[np.float64]
    Counts = NDArray[Any]

QUANTILES, REFINED, ALL_SCORES = 100, 20, 128
"""Thresholds tried first, then around the best; all, where there are no more distinct scores."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MaskCurve(Curve):
    """Pooled counts of candidates, and Dice summed over images with the number of these (C,)."""

    dice: Array
    images: Array

    def value(self, objective: Objective) -> Array:
        """Return the objective at every candidate, NaN where undefined."""
        if objective.name != MEAN_DICE:
            return self.figure(objective.function)
        some = self.images > 0
        return np.where(some, self.dice / np.where(some, self.images, 1.0), np.nan)


@dataclass(frozen=True, eq=False, repr=False)
class MaskFamily:
    """Candidates in the order in which ties are settled: the last, plainest one wins.

    `threshold`, `area` and `fill` are (C,), `right` and `wrong` (images, C).
    """

    threshold: Array
    area: NDArray[np.int64]
    fill: NDArray[np.bool_]
    right: Counts
    wrong: Counts
    positives: NDArray[np.int64]
    pixels: NDArray[np.int64]

    @cached_property
    def _dice(self) -> tuple[Array, Array]:
        """Dice of each image (images, C), 0 where it is undefined, and where it is defined."""
        whole = self.right + self.wrong + self.positives[:, None]
        used = whole > 0
        dice = np.where(used, 2.0 * self.right / np.maximum(whole, 1), 0.0)
        return dice, used.astype(np.float64)

    def curve(self, weight: Array | None = None) -> MaskCurve:
        """Return the candidates on all images, or on images counted `weight` (images,) times."""
        share = np.ones(len(self.positives)) if weight is None else weight
        tp, fp = share @ self.right.astype(np.float64), share @ self.wrong.astype(np.float64)
        positives, pixels = float(share @ self.positives), float(share @ self.pixels)
        dice, used = self._dice
        rest = positives - tp, pixels - positives - fp
        return MaskCurve(self.threshold, tp, fp, *rest, share @ dice, share @ used)

    @cached_property
    def whole(self) -> MaskCurve:
        """The candidates on all images."""
        return self.curve()

    def without(self, fold: NDArray[np.bool_]) -> MaskCurve:
        """Return the candidates on the images that are not of a fold (images,)."""
        return self.curve((~fold).astype(np.float64))


def flattened(
    thresholds: tuple[float, ...],
    areas: tuple[int, ...],
    fills: tuple[bool, ...],
    right: Counts,
    wrong: Counts,
    positives: NDArray[np.int64],
    pixels: NDArray[np.int64],
) -> MaskFamily:
    """Return the candidates of counts (images, areas, fills, thresholds) as one list.

    Less cleaning comes later, and so wins a tie: no filling before filling, small areas before
    large ones.
    """
    area_order = np.argsort(-np.array(areas), kind="stable")
    fill_order = np.argsort([not fill for fill in fills], kind="stable")

    def flat(counts: Counts) -> Counts:
        return counts[:, area_order][:, :, fill_order].reshape(len(counts), -1)

    grid = np.meshgrid(
        np.array(areas)[area_order], np.array(fills)[fill_order], thresholds, indexing="ij"
    )
    area, fill, threshold = (axis.reshape(-1) for axis in grid)
    return MaskFamily(threshold, area, fill, flat(right), flat(wrong), positives, pixels)


def first_thresholds(floor: Array, positives: Counts) -> tuple[tuple[float, ...], str]:
    """Return the thresholds to begin with, and what they are, in words.

    Args:
        floor: (C,) increasing distinct scores (or lowest scores of cells).
        positives: (C,) pixels of the structure at each.
    """
    scores = np.unique(floor)
    if len(scores) <= ALL_SCORES:
        return tuple(scores.tolist()), "every distinct score"
    cumulated = np.cumsum(positives)
    wanted = (np.arange(QUANTILES) + 0.5) / QUANTILES * cumulated[-1]
    index = np.minimum(np.searchsorted(cumulated, wanted), len(floor) - 1)
    return tuple(np.unique(floor[index]).tolist()), (
        f"{QUANTILES} quantiles of the scores of the structure's pixels, then up to {REFINED} "
        "scores around the best"
    )


def finer_thresholds(tried: tuple[float, ...], best: float, floor: Array) -> tuple[float, ...]:
    """Return up to `REFINED` scores between the neighbours of the best, and these three."""
    at = int(np.searchsorted(np.array(tried), best))
    low, high = tried[max(at - 1, 0)], tried[min(at + 1, len(tried) - 1)]
    if at == 0:
        low = float(floor[0])
    if at == len(tried) - 1:
        high = float(floor[-1])
    between = np.unique(floor[(floor > low) & (floor < high)])
    if len(between) > REFINED:
        pick = np.linspace(0, len(between) - 1, REFINED).round().astype(np.int64)
        between = between[pick]
    return tuple(sorted({low, best, high, *between.tolist()}))


@dataclass(frozen=True, slots=True)
class Spread:
    """What resampling images shows of a choice.

    Attributes:
        threshold: percentile interval of the threshold chosen again.
        optimism: by how much the best value flatters, on average.
        same: share of the resamples with the same least area and filling.
    """

    threshold: tuple[float, float]
    optimism: float
    same: float


def resampled(
    family: MaskFamily,
    objective: Objective,
    constraints: tuple[Constraint, ...],
    chosen: int,
    *,
    confidence: float,
    draws: int,
    seed: int,
) -> Spread | None:
    """Choose again on resampled images; None for one image, or where constraints seldom hold."""
    images = len(family.positives)
    if images < 2:
        return None
    rng = np.random.default_rng(seed)
    times = rng.multinomial(images, np.full(images, 1.0 / images), size=draws).astype(np.float64)
    whole = family.whole.value(objective)
    found, gains, same = [], [], 0
    for weight in times:
        again = choose(family.curve(weight), objective, constraints)
        if isinstance(again, Unreachable):
            continue
        found.append(again.threshold)
        gains.append(again.value - float(whole[again.index]))
        same += bool(
            family.area[again.index] == family.area[chosen]
            and family.fill[again.index] == family.fill[chosen]
        )
    if len(found) < draws / 2:
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail]).tolist()
    return Spread((low, high), float(np.mean(gains)), same / len(found))


def fold_choices(
    family: MaskFamily,
    objective: Objective,
    constraints: tuple[Constraint, ...],
    home: NDArray[np.int64],
) -> list[Choice | None]:
    """Return the choice without the images of each fold; `home` (images,) is the fold of each."""
    found: list[Choice | None] = []
    for fold in range(int(home.max()) + 1):
        choice = choose(family.without(home == fold), objective, constraints)
        found.append(None if isinstance(choice, Unreachable) else choice)
    return found


def columns(family: MaskFamily) -> list[dict[str, Any]]:
    """Return Dice, IoU and mean Dice by threshold, one entry for each area and filling.

    For charts: thresholds to nine digits, figures to six.
    """
    curve = family.whole
    figures = {
        "dice": curve.figure(f1),
        "iou": curve.figure(iou),
        "mean_dice": curve.value(Objective(MEAN_DICE, f1)),
    }
    made = []
    pairs: Sequence[tuple[int, bool]] = list(
        dict.fromkeys(zip(family.area.tolist(), family.fill.tolist(), strict=True))
    )
    for area, fill in pairs:
        own = (family.area == area) & (family.fill == fill)
        entry: dict[str, Any] = {"min_area": area, "fill_holes": fill}
        entry["threshold"] = [float(f"{v:.9g}") for v in family.threshold[own].tolist()]
        for name, values in figures.items():
            entry[name] = [None if v != v else float(f"{v:.6g}") for v in values[own].tolist()]
        made.append(entry)
    return made
