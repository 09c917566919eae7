"""Masks cleaned by region: holes filled, small regions left out.

A region is a set of decided pixels that hang together: over edges (connectivity 4), or over edges
and corners (8). The pixels between regions hang together the other way, as they must for a curve
to part the plane (Rosenfeld 1970): with 8 for regions a hole is closed by corners too. A hole is
what does not reach the edge of the image. Holes are filled first; the area of a region is counted
after that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Counts = NDArray[np.int64]

CONNECTIVITIES = (4, 8)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """How a mask is cleaned.

    Attributes:
        min_area: pixels that a region needs to stay; 0 and 1 leave all.
        fill_holes: whether holes are filled.
        connectivity: 4 or 8.
    """

    min_area: int = 0
    fill_holes: bool = False
    connectivity: int = 8

    @property
    def idle(self) -> bool:
        """Whether a mask stays what it is."""
        return self.min_area <= 1 and not self.fill_holes

    def clean(self, mask: Mask) -> Mask:
        """Return the mask (H, W) cleaned."""
        if self.idle or not mask.any():
            return mask
        if self.fill_holes:
            mask = filled(mask, self.connectivity)
        if self.min_area <= 1:
            return mask
        region, areas = _regions(mask, self.connectivity)
        keep = areas >= self.min_area
        keep[0] = False
        kept: Mask = keep[region]
        return kept


def filled(mask: Mask, connectivity: int) -> Mask:
    """Return the mask (H, W) with its holes filled; `connectivity` is that of its regions."""
    from scipy import ndimage

    outside, count = ndimage.label(~mask, _structure(4 if connectivity == 8 else 8))
    if not count:
        return mask
    open_to_edge = np.zeros(count + 1, np.bool_)
    for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        open_to_edge[edge] = True
    open_to_edge[0] = False
    inside: Mask = ~open_to_edge[outside]
    return inside


def region_hits(mask: Mask, truth: Mask, areas: tuple[int, ...], connectivity: int) -> Counts:
    """Return pixels rightly and wrongly decided (A, 2) with only the regions of each least area.

    Args:
        mask: (H, W) decided pixels.
        truth: (H, W) pixels of the structure.
        areas: A least areas.
        connectivity: 4 or 8.
    """
    found = np.zeros((len(areas), 2), np.int64)
    if not mask.any():
        return found
    if max(areas) <= 1:
        hits, total = int(np.count_nonzero(mask & truth)), int(np.count_nonzero(mask))
        found[:] = hits, total - hits
        return found
    region, sizes = _regions(mask, connectivity)
    hits_by = np.bincount(region[truth], minlength=len(sizes))
    sizes[0] = hits_by[0] = 0
    for place, least in enumerate(areas):
        keep = sizes >= least
        hits = int(hits_by[keep].sum())
        found[place] = hits, int(sizes[keep].sum()) - hits
    return found


def _regions(mask: Mask, connectivity: int) -> tuple[NDArray[np.int32], Counts]:
    """Return the region of each pixel (H, W), 0 for none, and the pixels of each region."""
    from scipy import ndimage

    region, count = ndimage.label(mask, _structure(connectivity))
    sizes: Counts = np.bincount(region.reshape(-1), minlength=count + 1)
    return region.astype(np.int32, copy=False), sizes


def _structure(connectivity: int) -> NDArray[np.int64]:
    around = np.ones((3, 3), np.int64)
    if connectivity == 4:
        around[::2, ::2] = 0
    return around
