"""What is known of boxes beside their pairs: ranks at each IoU, places, and the objects missed.

Average precision ranks the boxes of a class, a localisation error needs their IoUs, calibration by
position their places. So these are kept box by box, some 80 bytes each, with the image of each: any
class, group or unit is a selection. Mergeable.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.detection.average_precision import Ranking
from calibcli.core.statistics.stats import BUCKETS, buckets_of
from calibcli.tasks.detection.missed import WithMissed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

WRONG, RIGHT, NOTHING = 0, 1, -1
"""A box found no object, or one, or counts as nothing: it found an ignored one."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Piece:
    """Boxes and objects of some images.

    Attributes:
        label: int64 (n,) class of each box that counts at some IoU; `image` its image.
        score: float64 (n,) probabilities; `rank` (n,) what they are ranked by.
        state: int8 (n, T): RIGHT, WRONG or NOTHING at each matching IoU.
        iou: float64 (n,) with the object that it found at the first of them, else 0.
        place: float64 (n, 4) centre and size as shares of the image, NaN where unknown.
        object_label: int64 (g,) class of each object that counts; `object_image` its image.
        unit: uint64 (images,) hash of each image's unit.
        weight: float64 (images,), or None.
        groups: for each group column the value of each image (images,).
        limited: boxes beyond the limit of an image and class; `dropped` found an ignored object.
    """

    label: Ints
    image: Ints
    score: Floats
    rank: Floats
    state: NDArray[np.int8]
    iou: Floats
    place: Floats
    object_label: Ints
    object_image: Ints
    unit: NDArray[np.uint64]
    weight: Floats | None
    groups: tuple[NDArray[Any], ...]
    limited: int = 0
    dropped: int = 0

    def of_images(self, kept: NDArray[np.bool_]) -> Piece:
        """Return the boxes and objects of some images (images,)."""
        number = np.cumsum(kept) - 1
        rows, objects = kept[self.image], kept[self.object_image]
        return replace(
            self,
            label=self.label[rows],
            image=number[self.image[rows]],
            score=self.score[rows],
            rank=self.rank[rows],
            state=self.state[rows],
            iou=self.iou[rows],
            place=self.place[rows],
            object_label=self.object_label[objects],
            object_image=number[self.object_image[objects]],
            unit=self.unit[kept],
            weight=None if self.weight is None else self.weight[kept],
            groups=tuple(values[kept] for values in self.groups),
        )


def joined(pieces: Sequence[Piece]) -> Piece:
    """Return the boxes of several runs of images as one."""
    if len(pieces) == 1:
        return pieces[0]
    starts = np.cumsum([0, *(len(piece.unit) for piece in pieces[:-1])])

    def together(name: str) -> Any:
        return np.concatenate([getattr(piece, name) for piece in pieces])

    def shifted(name: str) -> Any:
        return np.concatenate(
            [getattr(piece, name) + start for piece, start in zip(pieces, starts, strict=True)]
        )

    return Piece(
        together("label"),
        shifted("image"),
        together("score"),
        together("rank"),
        together("state"),
        together("iou"),
        together("place"),
        together("object_label"),
        shifted("object_image"),
        together("unit"),
        None if pieces[0].weight is None else together("weight"),
        tuple(np.concatenate(column) for column in zip(*(p.groups for p in pieces), strict=True)),
        sum(piece.limited for piece in pieces),
        sum(piece.dropped for piece in pieces),
    )


class FoundBoxes(WithMissed):
    """The boxes and objects of a population, as figures that pairs cannot give read them.

    Attributes:
        classes: names of the K classes.
        ious: the matching IoUs: --iou first.
        by_class: group columns that are the class of a box.
        only: the class that is looked at; None for all.
        known: hashes of the units in the order of their buckets; None where they share buckets.
    """

    def __init__(
        self,
        classes: tuple[str, ...],
        ious: tuple[float, ...],
        by_class: frozenset[int] = frozenset(),
        pieces: Sequence[Piece] = (),
    ) -> None:
        self.classes, self.ious, self.by_class = classes, ious, by_class
        self.only: int | None = None
        self.known: tuple[int, ...] | None = None
        self._pieces = list(pieces)

    def add(self, piece: Piece) -> None:
        """Add a run of images."""
        self._pieces.append(piece)

    def merge(self, other: FoundBoxes) -> None:
        """Add a later partition."""
        self._pieces += other._pieces

    def _of(self, piece: Piece) -> Self:
        found = type(self)(self.classes, self.ious, self.by_class, [piece])
        found.known, found.only = self.known, self.only
        return found

    def numbered(self, known: tuple[int, ...] | None) -> Self:
        """Return the same, whose units have the buckets of these hashes."""
        found = self._of(self.whole)
        found.known = known
        return found

    def of_group(self, column: int, value: str) -> Self:
        """Return the images of one value of a group column, or the boxes of a class."""
        if column in self.by_class:
            return self.of_label(self.classes.index(value))
        return self._of(self.whole.of_images(self.whole.groups[column] == value))

    @property
    def whole(self) -> Piece:
        """All of them."""
        if len(self._pieces) > 1:
            self._pieces = [joined(self._pieces)]
        return self._pieces[0]

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.whole.unit)

    @cached_property
    def bucket(self) -> Ints:
        """The bucket of each image's unit (images,)."""
        if self.known is None:
            return buckets_of(self.whole.unit)
        return np.searchsorted(np.array(self.known, np.uint64), self.whole.unit)

    @cached_property
    def objects(self) -> Ints:
        """Objects that count of each class in each bucket (K, buckets)."""
        whole = self.whole
        home = whole.object_label * BUCKETS + self.bucket[whole.object_image]
        counts: Ints = np.bincount(home, minlength=len(self.classes) * BUCKETS)
        return counts.reshape(-1, BUCKETS)

    @cached_property
    def _order(self) -> tuple[Ints, Ints]:
        """The boxes by class and score from the top, and where each class begins (K + 1,)."""
        order = np.lexsort((-self.whole.rank, self.whole.label))
        bounds = np.searchsorted(self.whole.label[order], np.arange(len(self.classes) + 1))
        return order, bounds

    def rows(self, k: int | None = None, at: int = 0) -> Ints:
        """Return the boxes of a class, or of all, that count at an IoU by its place, best first."""
        if k is None:
            own = np.argsort(-self.whole.rank, kind="stable")
        else:
            order, bounds = self._order
            own = order[bounds[k] : bounds[k + 1]]
        kept: Ints = own[self.whole.state[own, at] != NOTHING]
        return kept

    def right(self, rows: Ints, at: int = 0) -> NDArray[np.bool_]:
        """Return which boxes found an object."""
        found: NDArray[np.bool_] = self.whole.state[rows, at] == RIGHT
        return found

    def buckets(self, rows: Ints) -> Ints:
        """Return the bucket of each box's image."""
        return self.bucket[self.whole.image[rows]]

    def ranking(self, k: int, at: int) -> Ranking:
        """Return what the average precision of class k at an IoU is read from."""
        own = self.rows(k, at)
        return Ranking(self.right(own, at), self.buckets(own), self.objects[k])

    @cached_property
    def missed(self) -> Ints:
        """Objects of each class that no box has found, by bucket (K, buckets)."""
        own = self.rows()
        own = own[self.right(own)]
        home = self.whole.label[own] * BUCKETS + self.buckets(own)
        hits = np.bincount(home, minlength=len(self.classes) * BUCKETS)
        return self.objects - hits.reshape(-1, BUCKETS)

    @property
    def mass(self) -> tuple[Floats, Floats] | None:
        """Sums of their weights, and of squares (K, buckets); None where images count once."""
        weight = self.whole.weight
        return None if weight is None else (self._mass(weight), self._mass(weight**2))

    def _mass(self, weight: Floats) -> Floats:
        """Return the sums of weights (images,) of missed objects (K, buckets)."""
        whole, size = self.whole, len(self.classes) * BUCKETS
        own = self.rows()
        own = own[self.right(own)]
        sums = np.zeros(size)
        for label, image, sign in (
            (whole.object_label, whole.object_image, 1.0),
            (whole.label[own], whole.image[own], -1.0),
        ):
            home = label * BUCKETS + self.bucket[image]
            sums += sign * np.bincount(home, weights=weight[image], minlength=size)
        return np.where(self.missed > 0, sums.reshape(-1, BUCKETS), 0.0)
