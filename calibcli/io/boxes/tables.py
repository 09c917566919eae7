"""Boxes from tables: image, class, four coordinates, and for detections a score.

Coordinates are in pixels from the upper left corner, as x, y, w, h or as two corners. All boxes
are held in memory: some 100 bytes each.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError
from calibcli.io.boxes.naming import (
    CLASSES,
    CROWDS,
    FALSE,
    IGNORED,
    IMAGES,
    NO_MARK,
    TRUE,
    Coordinates,
    column_of,
    coordinates_of,
    mark_of,
)
from calibcli.io.failures import blaming, listing, row_text, show
from calibcli.io.formats.decode import numbers
from calibcli.io.formats.frames import ReadPlan
from calibcli.io.formats.readers import open_reader
from calibcli.io.rows.columns import find
from calibcli.io.rows.keys import MISSING_GROUP, Categories, categories, merged
from calibcli.io.rows.names import SCORES, usual

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from calibcli.io.formats.frames import Reader
    from calibcli.io.formats.source import Source


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Boxes:
    """Boxes of one file, in its order.

    Attributes:
        source: the file, as it may be shown; `unit` is what a box is there: "row", "detection".
        image: ids of the images as text; `label` names or ids of the classes.
        box: float64 (n, 4) as x, y, w, h.
        score: (n,) as the file has them, or None for objects.
        crowd: bool (n,) regions of many objects; `ignore` (n,) objects that count as nothing.
        size: float64 (n, 2) width and height of each box's image, or None.
        place: int64 (n,) 0-based place of each box in the file.
        table: all columns as a pyarrow.Table, where they are kept.
        segments: COCO's segmentation of each, where masks are matched.
        bare: images that the file names without a box, and `bare_size` their sizes.
    """

    source: str
    unit: str
    image: Categories
    label: Categories
    box: NDArray[np.float64]
    score: NDArray[Any] | None
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    size: NDArray[np.float64] | None
    place: NDArray[np.int64]
    table: Any = None
    segments: tuple[Any, ...] | None = None
    bare: tuple[str, ...] = ()
    bare_size: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.box)

    @property
    def coco(self) -> bool:
        """Whether the file is COCO's JSON, where classes are category ids."""
        return self.unit != "row"

    def where(self, i: int) -> str:
        """Return `file, row 17` for box `i`."""
        return f"{show(self.source)}, {self.unit} {int(self.place[i]) + 1:,}"

    def rows(self, kept: NDArray[np.bool_]) -> Boxes:
        """Return some of the boxes."""
        return replace(
            self,
            image=Categories(self.image.codes[kept], self.image.values),
            label=Categories(self.label.codes[kept], self.label.values),
            box=self.box[kept],
            score=None if self.score is None else self.score[kept],
            crowd=self.crowd[kept],
            ignore=self.ignore[kept],
            size=None if self.size is None else self.size[kept],
            place=self.place[kept],
            table=None if self.table is None else self.table.take(np.flatnonzero(kept)),
            segments=None if self.segments is None else tuple(compress(self.segments, kept)),
        )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column is what."""

    image: str
    label: str
    box: Coordinates
    score: str | None
    crowd: str | None
    ignore: str | None


def read_table(
    source: Source, *, score: str | None = None, scored: bool, keep: bool = False
) -> Boxes:
    """Read the boxes of one table.

    Args:
        source: a Parquet, CSV or Arrow file.
        score: the score column; default the one with a known name.
        scored: whether these are detections, with scores, rather than objects.
        keep: also hand over all columns, as `Boxes.table`.

    Raises:
        InputError: missing columns, text where numbers belong, a file of no objects.
    """
    if source.kind in ("npy", "npz"):
        raise InputError(
            f"{show(source.name)} is an array, and boxes come as a table or as COCO JSON",
            "columns image_id, class, x, y, w, h" + (", score" if scored else ""),
        )
    reader = open_reader(source)
    columns = _resolve(reader, source.name, score, scored=scored)
    plan = ReadPlan(
        numbers=(
            *columns.box.names,
            *([columns.score] if columns.score else []),
            *columns.box.size,
        ),
        keys=(columns.image, columns.label, *filter(None, (columns.crowd, columns.ignore))),
        keep=keep,
    )
    pieces = [
        _piece(frame.columns, frame.first_row, columns, source.name)
        for part in reader.parts
        for frame in _frames(reader, part, plan)
    ]
    rows = sum(len(piece[0].codes) for piece in pieces)
    if not rows and not scored:
        raise InputError(
            f"{show(source.name)} holds no rows",
            "it has a header and nothing else: is it the file that was meant?",
        )
    whole = _kept(reader, plan) if keep else None
    if not rows:  # a detector that has found nothing
        return _nothing(source.name, whole)
    image, label, box, values, crowd, ignore, size = (
        [piece[i] for piece in pieces] for i in range(7)
    )
    boxes = Boxes(
        source.name,
        "row",
        merged(image),
        merged(label),
        np.concatenate(box),
        np.concatenate(values) if columns.score else None,
        np.concatenate(crowd),
        np.concatenate(ignore),
        np.concatenate(size) if columns.box.size else None,
        np.arange(rows),
        whole,
    )
    if columns.box.form == "centres":
        boxes = _in_pixels(boxes)
    return boxes if scored else _without_bare(boxes)


def _nothing(path: str, table: Any) -> Boxes:
    """Return no detections."""
    none, flags = Categories(np.zeros(0, np.int64), []), np.zeros(0, np.bool_)
    place = np.zeros(0, np.int64)
    empty = np.zeros((0, 4)), np.zeros(0)
    return Boxes(path, "row", none, none, *empty, flags, flags, None, place, table)


def _in_pixels(boxes: Boxes) -> Boxes:
    """Return boxes that are shares of their images in pixels, where the images' sizes are known."""
    known = boxes.box[np.isfinite(boxes.box)]
    if boxes.size is None or not known.size or known.max() > 1:
        return boxes
    return replace(boxes, box=boxes.box * np.hstack([boxes.size, boxes.size]))


def _frames(reader: Reader, part: Any, plan: ReadPlan) -> Iterable[Any]:
    return reader.read(part, replace(plan, keep=False))


def _kept(reader: Reader, plan: ReadPlan) -> Any:
    """Return all columns: of a CSV file as text, exactly as they are."""
    import pyarrow as pa

    batches = [frame.table for part in reader.parts for frame in reader.read(part, plan)]
    return pa.Table.from_batches(batches, None if batches else reader.schema())


def _resolve(reader: Reader, path: str, score: str | None, *, scored: bool) -> _Columns:
    names = list(reader.columns)
    image, label = (column_of(names, path, known) for known in (IMAGES, CLASSES))
    return _Columns(
        image,
        label,
        coordinates_of(names, path),
        _score(names, path, score) if scored else None,
        None if scored else mark_of(names, CROWDS),
        None if scored else mark_of(names, IGNORED),
    )


def _score(names: list[str], path: str, score: str | None) -> str:
    if score is not None:
        return find(score, names, path, "--score")
    known = usual(names, SCORES)
    if len(known) == 1:
        return known[0]
    if known:
        raise InputError(
            f"{show(path)} has {len(known)} columns that may be the score: {listing(known)}",
            f"name one: --score {known[0]}",
        )
    raise InputError(
        f"{show(path)} has no score column, so it holds objects rather than detections",
        "were the two files swapped? Detections come first, objects after --ground-truth; "
        "another name of the score is --score COL",
    )


def _piece(raw: dict[str, Any], first_row: int, columns: _Columns, path: str) -> tuple[Any, ...]:
    def read(name: str) -> NDArray[Any]:
        with blaming(name, path, first_row):
            return numbers(raw[name])

    def coded(name: str) -> Categories:
        with blaming(name, path, first_row):
            return categories(raw[name])

    image, label = coded(columns.image), coded(columns.label)
    box = np.stack([read(name).astype(np.float64) for name in columns.box.names], axis=1)
    if columns.box.form == "corners":
        box[:, 2:] -= box[:, :2]
    elif columns.box.form == "centres":
        box[:, :2] -= box[:, 2:] / 2.0

    def marked(name: str | None) -> NDArray[np.bool_]:
        if name is None:
            return np.zeros(len(box), np.bool_)
        return _flags(coded(name), name, path, first_row)

    crowd = marked(columns.crowd)
    size = [read(name).astype(np.float64) for name in columns.box.size]
    return (
        image,
        label,
        box,
        read(columns.score) if columns.score else None,
        crowd,
        crowd | marked(columns.ignore),
        np.stack(size, axis=1) if size else None,
    )


def _flags(found: Categories, name: str, path: str, first_row: int) -> NDArray[np.bool_]:
    texts = [value.lower() if value != MISSING_GROUP else "" for value in found.values]
    wrong = [i for i, text in enumerate(texts) if text not in TRUE | FALSE]
    rows = np.flatnonzero(np.isin(found.codes, wrong))
    if rows.size:
        said, hint = NO_MARK
        place = row_text(first_row + int(rows[0]))
        raise InputError(f"column {name!r} of {show(path)}, {place}: {said}", hint)
    return np.array([text in TRUE for text in texts], np.bool_)[found.codes]


def _without_bare(boxes: Boxes) -> Boxes:
    """Take out rows that name an image and nothing else: images without an object."""
    gone = np.array([value == MISSING_GROUP for value in boxes.label.values] or [False])
    bare = gone[boxes.label.codes] & np.isnan(boxes.box).all(axis=1)
    if not bare.any():
        return boxes
    rows = np.flatnonzero(bare)
    names = [boxes.image.values[code] for code in boxes.image.codes[rows].tolist()]
    size: dict[str, tuple[float, float]] = {}
    if boxes.size is not None:
        size = {n: (w, h) for n, (w, h) in zip(names, boxes.size[rows].tolist(), strict=True)}
    return replace(boxes.rows(~bare), bare=tuple(sorted(set(names))), bare_size=size)
