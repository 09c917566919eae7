"""Pixels of each image by what they are and what was decided, for figures by image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from calibcli.tasks.population import Extra

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.images.blocks import Image

    Counts = NDArray[np.int64]


@dataclass
class ImageCounts(Extra):
    """A structure is decided where it is the most probable class, or its probability at least 0.5.

    Attributes:
        number: places of the images in the data set; `unit` the hashes of their units.
        groups: for each image the value of each group column.
        counts: for each image (K, 3): pixels rightly decided, wrongly decided, missed.
        weight: of each image, None where it has none.
    """

    number: list[int] = field(default_factory=list)
    unit: list[int] = field(default_factory=list)
    groups: list[tuple[str, ...]] = field(default_factory=list)
    counts: list[Counts] = field(default_factory=list)
    weight: list[float | None] = field(default_factory=list)

    def add(self, image: Image, found: Counts) -> None:
        """Add a block of an image; blocks of one image come one after the other."""
        if self.number and self.number[-1] == image.number:
            self.counts[-1] = self.counts[-1] + found
            return
        self.number.append(image.number)
        self.unit.append(int(image.unit))
        self.groups.append(tuple(values[code] for code, values in image.groups))
        self.counts.append(found)
        self.weight.append(image.weight)

    def merge(self, other: ImageCounts) -> None:
        """Add a later partition."""
        self.number += other.number
        self.unit += other.unit
        self.groups += other.groups
        self.counts += other.counts
        self.weight += other.weight

    def numbered(self, known: tuple[int, ...] | None) -> ImageCounts:
        """Figures are by image, whatever its unit's bucket."""
        return self

    def of_label(self, k: int) -> ImageCounts:
        """Return the counts of one structure."""
        counts = [one[k : k + 1] for one in self.counts]
        return ImageCounts(self.number, self.unit, self.groups, counts, self.weight)

    def of_group(self, column: int, value: str) -> ImageCounts:
        """Return the images of one value of a group column."""
        own = [i for i, groups in enumerate(self.groups) if groups[column] == value]
        return ImageCounts(
            [self.number[i] for i in own],
            [self.unit[i] for i in own],
            [self.groups[i] for i in own],
            [self.counts[i] for i in own],
            [self.weight[i] for i in own],
        )

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.number)

    def by_image(self) -> Counts:
        """Return the counts (images, K, 3)."""
        return np.array(self.counts, np.int64)

    def weights(self) -> NDArray[np.float64] | None:
        """Return the weights (images,); None where every image counts once."""
        if not self.weight or self.weight[0] is None:
            return None
        return np.array(self.weight, np.float64)
