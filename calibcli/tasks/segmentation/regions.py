"""Candidates of a mask rule counted image by image: thresholds, least areas, holes filled or not.

One pass labels the regions of each image once for each threshold, with and without holes; all
least areas are read off the same regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import expit, softmax
from calibcli.core.segmentation.regions import filled, region_hits
from calibcli.engines.threads import map_ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from calibcli.io.images.blocks import Frame
    from calibcli.io.images.stacks import StackDataset, StackPartition

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Calibrate = Callable[[NDArray[Any]], Floats]
    """Scores (n,) or (n, K) to probabilities of the same shape."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The candidates of one structure.

    Attributes:
        thresholds: increasing.
        areas: least areas; `fills` whether holes are filled.
    """

    thresholds: tuple[float, ...]
    areas: tuple[int, ...]
    fills: tuple[bool, ...]
    connectivity: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(areas, fills, thresholds): the order of candidates."""
        return len(self.areas), len(self.fills), len(self.thresholds)


@dataclass(frozen=True, slots=True)
class ImageHits:
    """Counts of images for one structure.

    Attributes:
        right: (images, areas, fills, thresholds) pixels rightly decided; `wrong` wrongly.
        positives: (images,) pixels of the structure; `pixels` all with a label.
    """

    right: Counts
    wrong: Counts
    positives: Counts
    pixels: Counts


def probabilities(dataset: StackDataset, frame: Frame, calibrate: Calibrate | None) -> Floats:
    """Return the probabilities (K, H, W) of an image, K = 1 where there is one score a pixel."""
    values = dataset.score_rule.values(frame.scores)
    if calibrate is not None:
        p = calibrate(np.ascontiguousarray(values.T)).T
    elif dataset.score_rule.logits:
        p = softmax(values.T).T if dataset.task == "multiclass" else expit(values)
    else:
        p = values
    return np.ascontiguousarray(p, dtype=np.float64).reshape(-1, *frame.size)


def truths(dataset: StackDataset, frame: Frame) -> Iterator[NDArray[np.bool_]]:
    """Yield, for each structure, which pixels (H, W) are of it."""
    labels = frame.labels
    assert labels is not None
    for k in range(len(dataset.structures)):
        if dataset.task == "multiclass":
            own = labels == k
        else:
            own = (labels if labels.ndim == 1 else labels[k]).astype(np.bool_)
        yield own.reshape(frame.size)


def scan(
    dataset: StackDataset,
    grids: list[Grid | None],
    calibrate: Calibrate | None,
    *,
    stride: int = 1,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[ImageHits | None]:
    """Count every candidate in every image; a structure without a grid is left out.

    Of very many images `stride` takes one in so many.
    """

    def one(partition: StackPartition) -> list[list[tuple[Any, int, int]]]:
        found: list[list[tuple[Any, int, int]]] = [[] for _ in grids]
        for frame in partition.frames():
            if frame.image.number % stride:
                continue
            p = probabilities(dataset, frame, calibrate)
            kept = None if frame.kept is None else frame.kept.reshape(frame.size)
            pixels = p[0].size if kept is None else int(kept.sum())
            for k, (grid, truth) in enumerate(zip(grids, truths(dataset, frame), strict=True)):
                if grid is not None:
                    own = truth if kept is None else truth & kept
                    hits = count_candidates(grid, p[k], own, kept)
                    found[k].append((hits, int(own.sum()), pixels))
        return found

    parts: list[list[tuple[Any, int, int]]] = [[] for _ in grids]
    seen = 0
    for found in map_ordered(one, dataset.partitions, threads):
        for mine, theirs in zip(parts, found, strict=True):
            mine += theirs
        seen += sum(row[2] for row in next((rows for rows in found if rows), []))
        if progress is not None:
            progress(seen)
    made: list[ImageHits | None] = []
    for grid, rows in zip(grids, parts, strict=True):
        if grid is None:
            made.append(None)
            continue
        hits = np.array([one for one, _, _ in rows])
        columns = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
        made.append(ImageHits(hits[..., 0], hits[..., 1], *columns))
    return made


def count_candidates(
    grid: Grid,
    p: Floats,
    truth: NDArray[np.bool_],
    kept: NDArray[np.bool_] | None,
) -> NDArray[np.int32]:
    """Return (areas, fills, thresholds, 2) pixels rightly and wrongly decided in one image.

    Args:
        grid: the candidates.
        p: (H, W) probabilities.
        truth: (H, W) pixels of the structure, among those that count.
        kept: (H, W) pixels that count; None for all. The others shape regions all the same.
    """
    found = np.zeros((*grid.shape, 2), np.int32)
    if max(grid.areas) <= 1 and not any(grid.fills):
        found[:, :] = _pixelwise(grid.thresholds, p, truth, kept)
        return found
    last: NDArray[np.bool_] | None = None
    for t, threshold in enumerate(grid.thresholds):
        mask = p >= threshold
        if last is not None and np.array_equal(mask, last):
            found[:, :, t] = found[:, :, t - 1]
            continue
        last = mask
        for f, fill in enumerate(grid.fills):
            whole = filled(mask, grid.connectivity) if fill else mask
            found[:, f, t] = _judged(whole, truth, kept, grid)
    return found


def _judged(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], kept: NDArray[np.bool_] | None, grid: Grid
) -> Counts:
    hits = region_hits(mask, truth, grid.areas, grid.connectivity)
    if kept is not None:
        # What a region covers without a label is neither right nor wrong.
        hits[:, 1] -= region_hits(mask, ~kept, grid.areas, grid.connectivity)[:, 0]
    return hits


def _pixelwise(
    thresholds: tuple[float, ...],
    p: Floats,
    truth: NDArray[np.bool_],
    kept: NDArray[np.bool_] | None,
) -> Counts:
    """Return (thresholds, 2) hits of a cut-off alone, in one pass over the pixels."""
    values = p if kept is None else p[kept]
    label = (truth if kept is None else truth[kept]).reshape(-1)
    cell = np.searchsorted(np.array(thresholds), values.reshape(-1), side="right")
    counts = np.bincount(cell * 2 + label, minlength=2 * (len(thresholds) + 1)).reshape(-1, 2)
    above = counts[::-1].cumsum(axis=0)[::-1][1:]
    return np.ascontiguousarray(above[:, ::-1])
