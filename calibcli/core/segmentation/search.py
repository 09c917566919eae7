"""The best mask rule among candidates counted image by image.

A candidate is a threshold, a least area and whether holes are filled. Pooled figures are of all
pixels together; `mean-dice` is the mean of each image's Dice over the images that have the
structure or are decided to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.objectives import Objective, f1, iou
from calibcli.core.decisions.thresholds import Choice, Curve, Unreachable, choose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Constraint

    Array = NDArray[np.float64]
    Counts = NDArray[Any]

MEAN_DICE = "mean-dice"
QUANTILES, REFINED, ALL_SCORES = 100, 20, 128
"""Thresholds tried first, then around the best; all, where there are no more distinct scores."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Candidates in the order in which ties are settled: the last, plainest one wins.

    All arrays are (C,), `right` and `wrong` (images, C).
    """

    threshold: Array
    area: NDArray[np.int64]
    fill: NDArray[np.bool_]
    right: Counts
    wrong: Counts
    positives: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def dice_by_image(self) -> tuple[Array, NDArray[np.bool_]]:
        """Return Dice (images, C), 0 where it is undefined, and where it is defined."""
        whole = self.right + self.wrong + self.positives[:, None]
        used = whole > 0
        return np.where(used, 2.0 * self.right / np.maximum(whole, 1), 0.0), used

    def judge(self, objective: Objective, weight: Array | None = None) -> list[Judged]:
        """Return the candidates on all images, or on each weighting (draws, images) of them."""
        share = np.ones((1, len(self.positives))) if weight is None else weight
        tp = share @ self.right.astype(np.float64)
        fp = share @ self.wrong.astype(np.float64)
        positives, pixels = share @ self.positives, share @ self.pixels
        curves = [
            Curve(self.threshold, t, f, p - t, n - p - f)
            for t, f, p, n in zip(tp, fp, positives, pixels, strict=True)
        ]
        if objective.name != MEAN_DICE:
            return [Judged(curve, curve.figure(objective.function)) for curve in curves]
        dice, used = self.dice_by_image()
        total, images = share @ dice, share @ used.astype(np.float64)
        mean = np.where(images > 0, total / np.maximum(images, 1e-300), np.nan)
        return [Judged(curve, row) for curve, row in zip(curves, mean, strict=True)]


@dataclass(frozen=True, slots=True)
class Judged:
    """Candidates with their pooled counts and the value of the objective (C,)."""

    curve: Curve
    values: Array

    def best(
        self, objective: Objective, constraints: tuple[Constraint, ...] = ()
    ) -> Choice | Unreachable:
        """Return the best candidate that meets every constraint (on pooled pixels)."""
        return choose(self.curve, Objective(objective.name, lambda *_: self.values), constraints)


def flattened(
    thresholds: tuple[float, ...],
    areas: tuple[int, ...],
    fills: tuple[bool, ...],
    right: Counts,
    wrong: Counts,
    positives: NDArray[np.int64],
    pixels: NDArray[np.int64],
) -> Tried:
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
    return Tried(threshold, area, fill, flat(right), flat(wrong), positives, pixels)


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
    tried: Tried,
    objective: Objective,
    constraints: tuple[Constraint, ...],
    chosen: int,
    *,
    confidence: float,
    draws: int,
    seed: int,
) -> Spread | None:
    """Choose again on resampled images; None for one image, or where constraints seldom hold."""
    images = len(tried.positives)
    if images < 2:
        return None
    rng = np.random.default_rng(seed)
    weight = rng.multinomial(images, np.full(images, 1.0 / images), size=draws).astype(np.float64)
    whole = tried.judge(objective)[0].values
    found, gains, same = [], [], 0
    for drawn in tried.judge(objective, weight):
        again = drawn.best(objective, constraints)
        if isinstance(again, Unreachable):
            continue
        found.append(again.threshold)
        gains.append(again.value - float(whole[again.index]))
        same += bool(
            tried.area[again.index] == tried.area[chosen]
            and tried.fill[again.index] == tried.fill[chosen]
        )
    if len(found) < draws / 2:
        return None
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(found, [tail, 1.0 - tail]).tolist()
    return Spread((low, high), float(np.mean(gains)), same / len(found))


def columns(tried: Tried) -> list[dict[str, Any]]:
    """Return Dice, IoU and mean Dice by threshold, one entry for each area and filling.

    For charts: thresholds to nine digits, figures to six.
    """
    pooled = tried.judge(Objective("dice", f1))[0]
    figures = {
        "dice": pooled.values,
        "iou": pooled.curve.figure(iou),
        "mean_dice": tried.judge(Objective(MEAN_DICE, f1))[0].values,
    }
    made = []
    for area, fill in dict.fromkeys(zip(tried.area.tolist(), tried.fill.tolist(), strict=True)):
        own = (tried.area == area) & (tried.fill == fill)
        entry: dict[str, Any] = {"min_area": area, "fill_holes": fill}
        entry["threshold"] = [float(f"{v:.9g}") for v in tried.threshold[own].tolist()]
        for name, values in figures.items():
            entry[name] = [None if v != v else float(f"{v:.6g}") for v in values[own].tolist()]
        made.append(entry)
    return made
