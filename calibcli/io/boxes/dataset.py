"""Detections as a data set: a box is a row, the image that it is in its unit.

All boxes are held in memory, by image: some 100 bytes each. A partition is a run of images; what is
sent to another process is its own boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.io.content import Content, row_hashes
from calibcli.io.rows.hashing import name_hashes
from calibcli.io.rows.keys import Categories
from calibcli.io.task import OfTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from calibcli.core.results.warning import Warning
    from calibcli.io.attributes import Attributes
    from calibcli.io.boxes.numbering import Numbered
    from calibcli.io.dataset import Rows, Unit

    Ints = NDArray[np.int64]

CLASS = "class"
"""The group column that the classes of boxes are."""
_FEWEST, _PARTS = 20_000, 32


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoxBatch:
    """The boxes of a run of images, a batch.

    Attributes:
        scores: float64 (n,) probabilities or logits of the detections.
        found: the detections, by image; `truth` the objects, None where none are read.
        first: the first image; numbers of images count from it.
        units: uint64 (images,) hash of the unit of each image.
        image_weight: float64 (images,) of each image, or None.
        image_groups: one column of categories (images,) for each group column.
        size: float64 (images, 2) width and height, NaN where unknown.
        classes: names of the K classes.
        logits: whether the scores are logits.
        iou: the matching IoU; `limit` the boxes of one class in an image that count.
        places: which group columns are read: those of the images, and -1 for the class.
    """

    scores: NDArray[np.float64]
    found: Numbered
    truth: Numbered | None
    first: int
    units: NDArray[np.uint64]
    image_weight: NDArray[np.float64] | None
    image_groups: tuple[Categories, ...]
    size: NDArray[np.float64]
    classes: tuple[str, ...]
    logits: bool
    source: str
    iou: float
    limit: int
    places: tuple[int, ...] = ()

    @property
    def count(self) -> None:
        """A box stands for itself."""

    models = None
    table = None
    kept = None
    labels = None
    checked = True
    dropped = ignored = source_index = 0
    rounding = 0.0

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def first_row(self) -> int:
        """The first image."""
        return self.first

    def row(self, i: int) -> int:
        """Return the place of a box."""
        return i

    @property
    def labelled(self) -> bool:
        """Whether there are objects."""
        return self.truth is not None

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """The weight of each box's image (n,), or None."""
        return None if self.image_weight is None else self.image_weight[self.found.image]

    @property
    def groups(self) -> tuple[Categories, ...]:
        """The groups of each box: of its image, or its class."""
        return tuple(self._group(place) for place in self.places)

    def _group(self, place: int) -> Categories:
        if place < 0:
            return Categories(self.found.label.astype(np.int32), list(self.classes))
        group = self.image_groups[place]
        return Categories(group.codes[self.found.image], group.values)

    @property
    def unit(self) -> NDArray[np.uint64]:
        """The unit of each box's image (n,)."""
        return self.units[self.found.image]

    def content(self, digits: int | None = None, limit: int | None = None) -> Content:
        """Return what the boxes are known by: where they lie and their scores, to single precision.

        Text and the types of tables round to it alike.
        """
        known = np.column_stack([self.found.box, self.found.score]).astype(np.float32)
        return Content(row_hashes(known), None, 32)

    def take(self, rows: Rows) -> BoxBatch:
        """Return some of the detections, with all objects."""
        return replace(self, scores=self.scores[rows], found=self.found.take(rows))

    def rescored(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any] | None = None,
        source: str | None = None,
    ) -> BoxBatch:
        """Return the same boxes under other scores, which are probabilities."""
        return replace(self, scores=scores, logits=False, source=source or self.source)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class BoxPartition:
    """A run of images."""

    index: int
    batch: BoxBatch

    @property
    def source_index(self) -> int:
        """All files are read together."""
        return 0

    @property
    def first_row(self) -> int:
        """The first image."""
        return self.batch.first

    @property
    def rows(self) -> int:
        """How many detections it has."""
        return len(self.batch)

    def batches(self) -> Iterator[BoxBatch]:
        """Return the boxes, at once."""
        yield self.batch

    def noted(self) -> None:
        """Reading finds nothing out."""

    def note(self, found: None) -> None:
        """Reading finds nothing out."""


@dataclass(frozen=True, eq=False, repr=False)
class BoxDataset(OfTask):
    """Detections, and the objects that there are to find.

    Attributes:
        images: ids as text; whole numbers by size, then texts by their letters.
        classes: names, in the order of the annotations' categories.
        categories: the COCO id of each class as text, where annotations have told them; else {}.
        found: the detections by image; `truth` the objects, None where none are read.
        size: float64 (images, 2) width and height, NaN where unknown.
        inputs: {"path", "rows"} of each file.
        attributes: what a table tells of the images.
        iou: the IoU from which a detection has found an object; never that of NMS.
        limit: detections of one class in one image that count, the best ones.
        remarks: what is to be said of the files; `dropped` boxes that were left out.
        nms: the IoU of each class, or under None of all, at which boxes have been suppressed.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    categories: dict[str, str]
    found: Numbered
    truth: Numbered | None
    size: NDArray[np.float64]
    inputs: list[dict[str, Any]]
    paths: tuple[str, ...]
    attributes: Attributes
    logits: bool
    iou: float
    limit: int
    remarks: list[Warning]
    dropped: int = 0
    score_names: tuple[str, ...] = ()
    places: tuple[int, ...] = ()
    nms: Mapping[str | None, float] = field(default_factory=dict)

    task = name = "detection"
    medium = "boxes"
    schema = None

    @property
    def unit(self) -> Unit:
        """What is independent: an image, or what clusters of them are."""
        return self.attributes.unit

    @cached_property
    def units(self) -> NDArray[np.uint64]:
        """Hash of the unit of each image."""
        cluster = self.attributes.cluster
        return name_hashes(self.images) if cluster is None else cluster

    def batch(self, start: int, stop: int) -> BoxBatch:
        """Return the boxes of a run of images."""
        images = slice(start, stop)
        own = [
            _of_images(boxes, start, stop) if boxes is not None else None
            for boxes in (self.found, self.truth)
        ]
        assert own[0] is not None
        weight = self.attributes.weight
        return BoxBatch(
            own[0].score,
            own[0],
            own[1],
            start,
            self.units[images],
            None if weight is None else weight[images],
            tuple(Categories(g.codes[images], g.values) for g in self.attributes.groups),
            self.size[images],
            self.classes,
            self.logits,
            self.paths[0],
            self.iou,
            self.limit,
            self.places,
        )

    @property
    def partitions(self) -> list[BoxPartition]:
        """Runs of images of about as many boxes each; the same for the same files."""
        count = np.bincount(self.found.image, minlength=len(self.images))
        if self.truth is not None:
            count = count + np.bincount(self.truth.image, minlength=len(self.images))
        ends = np.cumsum(count)
        wanted = max(int(ends[-1]) // _PARTS, _FEWEST) if len(ends) else 1
        cuts = np.searchsorted(ends, np.arange(wanted, int(ends[-1]), wanted)) + 1
        bounds = np.unique([0, *cuts.tolist(), len(self.images)]).tolist()
        return [
            BoxPartition(index, self.batch(start, stop))
            for index, (start, stop) in enumerate(pairwise(bounds))
        ]

    @property
    def raw_scale(self) -> None:
        """None: scores of boxes are probabilities or logits."""

    def by_content(self) -> BoxDataset:
        """Return itself: its units are known by their identity."""
        return self

    def batches(self) -> Iterator[BoxBatch]:
        """Read everything in this thread."""
        for partition in self.partitions:
            yield from partition.batches()


def _of_images(boxes: Numbered, start: int, stop: int) -> Numbered:
    """Return the boxes, sorted by image, of a run of images, which are numbered from its first."""
    low, high = np.searchsorted(boxes.image, [start, stop])
    own = boxes.take(slice(int(low), int(high)))
    return replace(own, image=own.image - start)
