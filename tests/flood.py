"""A plain flood fill: what regions are, written without the code under test."""

from __future__ import annotations

import numpy as np

EDGES = ((-1, 0), (1, 0), (0, -1), (0, 1))
CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))


def flood(cells, steps):
    """Return the connected sets of a set of (row, column) cells."""
    left, found = set(cells), []
    while left:
        stack, region = [left.pop()], set()
        while stack:
            r, c = stack.pop()
            region.add((r, c))
            for dr, dc in steps:
                near = (r + dr, c + dc)
                if near in left:
                    left.remove(near)
                    stack.append(near)
        found.append(region)
    return found


def cleaned(mask, min_area, fill_holes, connectivity):
    """Return a mask (H, W) with holes filled and then small regions left out."""
    height, width = mask.shape
    own = EDGES + CORNERS if connectivity == 8 else EDGES
    between = EDGES if connectivity == 8 else EDGES + CORNERS
    on = {(r, c) for r in range(height) for c in range(width) if mask[r, c]}
    if fill_holes:
        off = {(r, c) for r in range(height) for c in range(width)} - on
        for hole in flood(off, between):
            if all(0 < r < height - 1 and 0 < c < width - 1 for r, c in hole):
                on |= hole
    kept = np.zeros_like(mask)
    for region in flood(on, own):
        if len(region) >= min_area:
            for r, c in region:
                kept[r, c] = True
    return kept
