"""Stacks of images as a data set: each pixel is a row, an image is a cluster.

Partitions are runs of images, so that a pass can decide, filter or judge images whole. A block is
some rows of pixels of one image, planes apart as the file has them; a batch is the same pixels as
rows, which is what every pass over tables reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError, UsageError
from calibcli.io.attributes import Attributes, attributes_of
from calibcli.io.images.blocks import Block, Frame, Image, content_hash
from calibcli.io.images.pixels import LabelRule, ScoreRule, Spot
from calibcli.io.images.shapes import Pair, pair_up
from calibcli.io.provenance import made_of, noted
from calibcli.io.rows.hashing import name_hashes
from calibcli.io.task import OfTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from calibcli.core.results.warning import Warning
    from calibcli.io.dataset import Unit
    from calibcli.io.formats.source import Source
    from calibcli.io.images.files import Reader
    from calibcli.io.rows.recipe import InputSpec

    Readers = tuple[Reader, Reader | None]

BLOCK_PIXELS = 1 << 18
_FEWEST, _MOST, _PARTS = 1 << 20, 1 << 24, 32


@dataclass(slots=True)
class StackNotes:
    """What passes note of each partition.

    Attributes:
        rows: pixels read.
        ignored: pixels without a label.
    """

    rows: dict[int, int] = field(default_factory=dict)
    ignored: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StackPartition:
    """A run of images, read by itself, in any thread, as often as needed.

    Attributes:
        runs: (pair, first image, end) of each file it reads of, in order.
    """

    index: int
    runs: tuple[tuple[int, int, int], ...]
    stack: StackDataset

    @property
    def source_index(self) -> int:
        """The file that it begins in."""
        return self.runs[0][0]

    @property
    def first_row(self) -> int:
        """The pixel of that file at which it begins."""
        return self.runs[0][1] * self.stack.pairs[self.source_index].shape.pixels

    @property
    def rows(self) -> int:
        """How many pixels it has."""
        pairs = self.stack.pairs
        return sum((stop - start) * pairs[number].shape.pixels for number, start, stop in self.runs)

    def blocks(self, block_pixels: int = BLOCK_PIXELS) -> Iterator[Block]:
        """Read the images from the first on, `block_pixels` at a time (at least a row).

        Raises:
            InputError: labels or scores that are none, with their place.
        """
        read = ignored = 0
        for number, start, stop in self.runs:
            for block in self._of_pair(self.stack.pairs[number], start, stop, block_pixels):
                read += block.pixels
                ignored += block.ignored
                yield block
        self.stack.notes.rows[self.index] = read
        self.stack.notes.ignored[self.index] = ignored

    def batches(self) -> Iterator[Block]:
        """Read the pixels as rows, without blocks that hold none."""
        return (block for block in self.blocks() if len(block))

    def noted(self) -> StackNotes:
        """Return what reading it in this process has found."""
        return self.stack.notes

    def note(self, found: StackNotes) -> None:
        """Take in what reading it in another process has found."""
        self.stack.notes.rows[self.index] = found.rows[self.index]
        self.stack.notes.ignored[self.index] = found.ignored[self.index]

    def _of_pair(self, pair: Pair, start: int, stop: int, size: int) -> Iterator[Block]:
        shape = pair.shape
        step = max(1, size // max(shape.width, 1))
        with pair.scores.reader(shape) as scores, pair.label_reader() as labels:
            for number in range(start, stop):
                image: Image | None = None
                started = False
                for first in range(0, shape.height, step):
                    end = min(first + step, shape.height)
                    raw, truth, kept, dropped = self._read(
                        pair, (scores, labels), number, first, end
                    )
                    if image is None:
                        image = self.stack.image(pair.first_image + number, raw)
                    pixels, offsets = raw.shape[-1], None
                    if kept is not None:
                        offsets = np.flatnonzero(kept)
                        raw = raw[..., offsets]
                        truth = None if truth is None else truth[..., offsets]
                    yield Block(
                        raw,
                        truth,
                        image,
                        self.stack.score_rule,
                        pair.scores.source.name,
                        pair.index,
                        number * shape.pixels + first * shape.width,
                        offsets,
                        pixels - raw.shape[-1] - dropped,
                        pixels,
                        end == shape.height,
                        not started and raw.shape[-1] > 0,
                    )
                    started = started or raw.shape[-1] > 0

    def _read(
        self, pair: Pair, readers: Readers, image: int, first: int, stop: int
    ) -> tuple[NDArray[Any], NDArray[Any] | None, NDArray[np.bool_] | None, int]:
        """Return scores, labels, which pixels have both (None for all), how many lack a score."""
        stack, shape = self.stack, pair.shape
        scores, kept = readers[0].block(image, first, stop), None
        codes = None
        if readers[1] is not None and pair.labels is not None and pair.label_shape is not None:
            raw = readers[1].block(image, first, stop)
            spot = Spot(pair.labels, pair.label_shape, image, first)
            codes, kept = stack.label_rule.coded(raw, spot)
        if not scores.dtype.isnative:
            scores = scores.astype(scores.dtype.newbyteorder("="))
        gone = stack.score_rule.missing(scores, kept, Spot(pair.scores, shape, image, first))
        dropped = 0
        if gone is not None:
            dropped = int(gone.sum())
            kept = ~gone if kept is None else kept & ~gone
        return scores, codes, kept, dropped

    def frames(self) -> Iterator[Frame]:
        """Read whole images, with the pixels that have no label or score.

        Raises:
            InputError: See `blocks`.
        """
        for number, start, stop in self.runs:
            pair = self.stack.pairs[number]
            height, width = pair.shape.height, pair.shape.width
            with pair.scores.reader(pair.shape) as scores, pair.label_reader() as labels:
                for image in range(start, stop):
                    raw, codes, kept, _ = self._read(pair, (scores, labels), image, 0, height)
                    head = raw[..., : max(1, BLOCK_PIXELS // max(width, 1)) * width]
                    yield Frame(
                        np.ascontiguousarray(raw),
                        codes,
                        kept,
                        self.stack.image(pair.first_image + image, head),
                        pair.index,
                        (height, width),
                    )


@dataclass(frozen=True, eq=False, repr=False)
class StackDataset(OfTask):
    """What `Dataset` is for tables, for images.

    Attributes:
        task: What a pixel is: "binary", "multiclass" or "multilabel".
        classes: Names of the structures; () where there is one score a pixel.
        structures: Names of the structures, also of the only one.
        ids: of the images; `named` whether they are names rather than numbers.
        attributes: what a table tells of the images.
    """

    task: str
    classes: tuple[str, ...]
    structures: tuple[str, ...]
    pairs: tuple[Pair, ...]
    label_rule: LabelRule
    score_rule: ScoreRule
    ids: tuple[str, ...]
    named: bool = False
    attributes: Attributes = field(default_factory=Attributes)
    notes: StackNotes = field(default_factory=StackNotes)

    name = "segmentation"
    medium = "images"

    @property
    def remarks(self) -> list[Warning]:
        """What is to be said of how the files were read."""
        return []

    score_names = ()
    schema = None

    def refuse_regions(self, rule: Any) -> None:
        """Refuse a rule that cleans masks by region, which are regions of flat images.

        Raises:
            UsageError: these are volumes.
        """
        volumes = any(pair.shape.depth > 1 for pair in self.pairs)
        if volumes and getattr(rule, "cleans", False):
            raise UsageError(
                "regions are those of flat images, and these are volumes",
                "leave out --search min-area and fill-holes, or give the slices as images",
            )

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.ids)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of scores."""
        return tuple(pair.scores.source.name for pair in self.pairs)

    @property
    def ignored(self) -> int:
        """Pixels without a label, as far as passes have seen."""
        return sum(self.notes.ignored.values())

    @property
    def partitions(self) -> list[StackPartition]:
        """In the order of the images; the same for the same files."""
        return [StackPartition(index, runs, self) for index, runs in enumerate(_runs(self.pairs))]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        """The files of scores, with their pixels."""
        return [
            noted(
                {
                    "path": pair.scores.source.name,
                    "rows": pair.shape.images * pair.shape.pixels,
                    "images": pair.shape.images,
                },
                made_of(pair.scores.source),
            )
            for pair in self.pairs
        ]

    @property
    def raw_scale(self) -> None:
        """None: scores of pixels are probabilities or logits."""

    def by_content(self) -> StackDataset:
        """Return itself: its units are known by their identity."""
        return self

    def batches(self) -> Iterator[Block]:
        """Read everything as rows, in order, in this thread."""
        for partition in self.partitions:
            yield from partition.batches()

    @property
    def unit(self) -> Unit:
        """What is independent: an image, or what clusters of them are."""
        return self.attributes.unit

    @cached_property
    def _units(self) -> NDArray[np.uint64] | None:
        """Hashes of the units of the images, where their ids or clusters tell."""
        if self.attributes.cluster is not None:
            return self.attributes.cluster
        return name_hashes(self.ids) if self.named else None

    def image(self, number: int, head: NDArray[Any]) -> Image:
        """Return what the pixels of an image share; `head` is the beginning of its scores.

        An image without a name is known by that beginning: equal images are one unit.
        """
        known, found = self._units, self.attributes
        return Image(
            number,
            content_hash(head) if known is None else known[number],
            head,
            None if found.weight is None else float(found.weight[number]),
            tuple((int(group.codes[number]), group.values) for group in found.groups),
        )


def _runs(pairs: tuple[Pair, ...]) -> Iterator[tuple[tuple[int, int, int], ...]]:
    """Yield runs of images of about as many pixels each; an NPZ file stays whole."""
    total = sum(pair.shape.images * pair.shape.pixels for pair in pairs)
    wanted = min(max(total // _PARTS, _FEWEST), _MOST)
    held: list[tuple[int, int, int]] = []
    size = 0
    for number, pair in enumerate(pairs):
        images, start = pair.shape.images, 0
        while start < images:
            room = max(1, -(-(wanted - size) // max(pair.shape.pixels, 1)))
            stop = images if pair.sequential else min(images, start + room)
            held.append((number, start, stop))
            size += (stop - start) * pair.shape.pixels
            start = stop
            if size >= wanted:
                yield tuple(held)
                held, size = [], 0
    if held:
        yield tuple(held)


def open_stacks(
    spec: InputSpec,
    *,
    need_labels: bool | None = True,
    sources: Sequence[Source],
    rows: str | None = None,
    planes: int | None = None,
) -> StackDataset:
    """Open images and their labels.

    Args:
        spec: The input options.
        need_labels: True: labels must be there. False: none are read. None: if there are any.
        sources: The files of scores.
        rows: What a pixel is, where no labels tell: "multiclass" or "multilabel".
        planes: How many scores a pixel has, where the shape of a single image cannot tell.

    Raises:
        InputError: Files that are no images, or that do not belong together.
        UsageError: Options that do not fit images.
    """
    found = pair_up(spec, sources, need_labels=need_labels, planes=planes)
    task = found.task if rows is None or found.planes is None else rows
    count = found.planes or 1
    names = found.names
    stack = StackDataset(
        task,
        () if found.planes is None else names,
        names,
        found.pairs,
        LabelRule(count if task == "multiclass" else 0, spec.ignored_pixel, found.positive),
        ScoreRule(task == "multiclass", spec.logits, spec.scale, spec.drop_invalid),
        found.ids,
        found.named or spec.images is not None,
        attributes_of(spec, found.ids),
    )
    if not stack.images or not sum(p.shape.images * p.shape.pixels for p in found.pairs):
        raise InputError(
            f"{found.pairs[0].scores.name} holds no pixels: its shape is "
            f"{found.pairs[0].scores.shape}",
            hint="is it the file that was meant?",
        )
    return stack
