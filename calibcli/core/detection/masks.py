"""Masks of instances as COCO writes them: run lengths, compressed run lengths and polygons.

A mask is kept as runs of pixels, which are numbered down the columns of their image. Areas, unions
and intersections are sums over runs, so no image is ever drawn.

Source: pycocotools' maskApi.c, whose pixels of a polygon are reproduced one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]
    Runs = tuple[Ints, Ints]
    """First pixels of runs and those after their last, both increasing."""

_FINER = 5
"""Steps of a pixel in which the edges of a polygon are drawn."""


@dataclass(frozen=True, eq=False, repr=False)
class Masks:
    """The runs of n masks, one after the other.

    Attributes:
        start: int64 (runs,) first pixel of each run, `stop` the one after its last.
        first: int64 (n + 1,) where the runs of each mask begin.
    """

    start: Ints
    stop: Ints
    first: Ints

    @classmethod
    def of(cls, masks: Sequence[Runs]) -> Masks:
        """Return masks from the runs of each."""
        none = np.zeros(0, np.int64)
        first = np.cumsum([0, *(len(start) for start, _ in masks)])
        start = np.concatenate([none, *(start for start, _ in masks)])
        stop = np.concatenate([none, *(stop for _, stop in masks)])
        return cls(start, stop, first)

    def __len__(self) -> int:
        return len(self.first) - 1

    @cached_property
    def before(self) -> Ints:
        """How many pixels of all masks come before each run, and in all (runs + 1,)."""
        return np.append(0, np.cumsum(self.stop - self.start))

    @cached_property
    def area(self) -> Ints:
        """Pixels of each mask (n,)."""
        return np.diff(self.before[self.first])

    def take(self, rows: NDArray[Any] | slice) -> Masks:
        """Return some masks."""
        own = np.arange(len(self))[rows]
        size = self.first[own + 1] - self.first[own]
        first = np.append(0, np.cumsum(size))
        run = np.arange(first[-1]) + np.repeat(self.first[own] - first[:-1], size)
        return Masks(self.start[run], self.stop[run], first)

    def runs(self, i: int) -> slice:
        """Return which runs are those of mask `i`."""
        return slice(int(self.first[i]), int(self.first[i + 1]))


def mask_iou(a: Masks, of_a: Ints, b: Masks, of_b: Ints, crowd: NDArray[np.bool_]) -> Floats:
    """Return the intersection over union of masks of one image, pair by pair.

    Args:
        a: masks, of which `of_a` (m,) are the first of each pair.
        of_a: their places.
        b: masks, of which `of_b` (m,) are the second.
        of_b: their places.
        crowd: (m,) pairs whose second mask is a crowd: the union is the area of the first.
    """
    inside = np.zeros(len(of_a), np.int64)
    for at, (i, j) in enumerate(zip(of_a.tolist(), of_b.tolist(), strict=True)):
        one, other = a.runs(i), b.runs(j)
        start, stop = a.start[one], a.stop[one]
        begin, end = b.start[other], b.stop[other]
        if len(start) and len(begin) and start[0] < end[-1] and begin[0] < stop[-1]:
            before = b.before[other.start : other.stop + 1]
            inside[at] = (
                _pixels(stop, begin, end, before) - _pixels(start, begin, end, before)
            ).sum()
    union = a.area[of_a] + np.where(crowd, 0, b.area[of_b] - inside)
    return np.divide(inside, union, out=np.zeros(len(of_a)), where=union > 0)


def _pixels(at: Ints, start: Ints, stop: Ints, before: Ints) -> Ints:
    """Return how many pixels of runs come before each of `at`."""
    run = np.searchsorted(start, at, side="right") - 1
    known = np.maximum(run, 0)
    found: Ints = before[known] - before[0] + np.minimum(at, stop[known]) - start[known]
    return np.where(run >= 0, found, 0)


# -- reading ---------------------------------------------------------------------------------------


def decoded(segmentation: Any, width: float, height: float) -> Runs:
    """Return the runs of one of COCO's segmentations in an image of this size.

    Raises:
        ValueError: no such thing, run lengths of another size, or an unknown size of the image.
    """
    if isinstance(segmentation, dict):
        return _of_lengths(segmentation, width, height)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("neither run lengths nor polygons")
    if not (width > 0 and height > 0):
        raise ValueError("a polygon, and the size of its image is not known")
    parts = [
        _of_polygon(np.asarray(one, np.float64), int(width), int(height)) for one in segmentation
    ]
    return parts[0] if len(parts) == 1 else _union(parts)


def box_of(segmentation: Any) -> list[float]:
    """Return the box [x, y, w, h] around a segmentation.

    Raises:
        ValueError: no such thing.
    """
    if isinstance(segmentation, list) and segmentation:
        corners = np.concatenate(
            [np.asarray(one, np.float64).reshape(-1, 2) for one in segmentation]
        )
        low, high = corners.min(axis=0), corners.max(axis=0)
        return [*low.tolist(), *(high - low).tolist()]
    start, stop = decoded(segmentation, np.nan, np.nan)
    if not len(start):
        return [0.0, 0.0, 0.0, 0.0]
    high = int(segmentation["size"][0])
    x, last_x = start // high, (stop - 1) // high
    whole = bool((x != last_x).any())
    y0 = 0 if whole else int((start % high).min())
    y1 = high - 1 if whole else int(((stop - 1) % high).max())
    return [float(x.min()), float(y0), float(last_x.max() - x.min() + 1), float(y1 - y0 + 1)]


def _of_lengths(segmentation: dict[str, Any], width: float, height: float) -> Runs:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        raise ValueError("run lengths without a size")
    if (width > 0 and size[1] != width) or (height > 0 and size[0] != height):
        raise ValueError(f"run lengths of {size[1]} x {size[0]} pixels, and the image has others")
    lengths = _lengths(counts) if isinstance(counts, str) else np.asarray(counts, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() > size[0] * size[1]:
        raise ValueError("run lengths that do not fit their size")
    ends = np.cumsum(lengths)
    start, stop = ends[0::2][: len(ends) // 2], ends[1::2]
    return _merged(start, stop)


def _lengths(text: str) -> Ints:
    """Return run lengths from COCO's text: five bits a character, differences from the third on."""
    codes = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 48
    if ((codes < 0) | (codes > 63)).any() or (len(codes) and codes[-1] & 32):
        raise ValueError("run lengths that are no compressed ones")
    found: list[int] = []
    value = shift = 0
    for code in codes.tolist():
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        found.append(value + (found[-2] if len(found) > 2 else 0))
        value = shift = 0
    return np.array(found, np.int64)


def _of_polygon(corners: Floats, width: int, height: int) -> Runs:
    """Return the pixels of a polygon (2k,) of x, y: where its edges cross the columns."""
    if corners.ndim != 1 or len(corners) < 6 or len(corners) % 2 or not np.isfinite(corners).all():
        raise ValueError("a polygon of fewer than three corners")
    fine = np.trunc(_FINER * corners.reshape(-1, 2) + 0.5).astype(np.int64)
    edges = zip(fine.tolist(), [*fine[1:].tolist(), fine[0].tolist()], strict=True)
    points = [_edge(*one, *other) for one, other in edges]
    u, v = (np.concatenate(side) for side in zip(*points, strict=True))
    crossing = np.flatnonzero(u[1:] != u[:-1]) + 1
    now, last = u[crossing], u[crossing - 1]
    x = (np.where(now < last, now, now - 1) + 0.5) / _FINER - 0.5
    inside = (np.floor(x) == x) & (x >= 0) & (x <= width - 1)
    y = (np.minimum(v[crossing], v[crossing - 1]) + 0.5) / _FINER - 0.5
    y = np.ceil(np.clip(y, 0, height))
    at = np.sort((x[inside] * height + y[inside]).astype(np.int64))
    if len(at) % 2:
        at = np.append(at, width * height)
    return _merged(at[0::2], at[1::2])


def _edge(x: int, y: int, to_x: int, to_y: int) -> Runs:
    """Return the points of an edge, in its direction, at every step of its longer side."""
    wide, high = abs(to_x - x), abs(to_y - y)
    flat = wide >= high
    turned = (flat and x > to_x) or (not flat and y > to_y)
    if turned:
        x, to_x, y, to_y = to_x, x, to_y, y
    steps = np.arange((wide if flat else high) + 1)
    if turned:
        steps = steps[::-1]
    if flat:
        slope = (to_y - y) / wide if wide else 0.0
        return steps + x, np.trunc(y + slope * steps + 0.5).astype(np.int64)
    return np.trunc(x + (to_x - x) / high * steps + 0.5).astype(np.int64), steps + y


def _union(parts: Sequence[Runs]) -> Runs:
    start = np.concatenate([one for one, _ in parts])
    stop = np.concatenate([other for _, other in parts])
    order = np.argsort(start, kind="stable")
    return _merged(start[order], np.maximum.accumulate(stop[order]))


def _merged(start: Ints, stop: Ints) -> Runs:
    """Return sorted runs without empty ones, those that touch as one."""
    held = stop > start
    start, stop = start[held], stop[held]
    apart = np.append(True, start[1:] > stop[:-1])[: len(start)]
    return start[apart], stop[np.append(apart[1:], True)[: len(stop)]]
