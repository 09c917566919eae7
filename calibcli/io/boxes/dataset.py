"""Detections and objects of the same images: read, checked, and numbered alike.

Images and classes are matched by their ids as text, so the integer 7 of a JSON file is the "7" of a
CSV file. A class of COCO annotations has its category's name, and detections may name it so or by
its id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError, UsageError, did_you_mean
from calibcli.io.boxes.checks import checked
from calibcli.io.boxes.coco import is_json, read_annotations, read_results
from calibcli.io.boxes.tables import Boxes, read_table
from calibcli.io.failures import listing, show
from calibcli.io.formats.sources import expand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.io.rows.keys import Categories
    from calibcli.io.rows.recipe import InputSpec

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Numbered:
    """Boxes with images and classes as numbers.

    Attributes:
        image: int64 (n,) index into the images; `label` into the classes.
        box: float64 (n, 4) as x, y, w, h.
        score: float64 (n,); of objects an empty array.
        crowd, ignore: bool (n,).
    """

    image: Ints
    label: Ints
    box: NDArray[np.float64]
    score: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DetectionData:
    """Everything that was read.

    Attributes:
        images: ids as text; whole numbers by size, then texts by their letters.
        classes: names, in the order of the annotations' categories.
        categories: the COCO id of each class as text, where annotations have told them; else {}.
        truth: the objects; `found` the detections, both in the order of the files.
        size: float64 (images, 2) width and height, NaN where unknown.
        inputs: {"path", "rows"} of each file.
        dropped: boxes left out by --drop-invalid.
        unlisted: images with detections that a ground-truth table does not mention.
    """

    images: tuple[str, ...]
    classes: tuple[str, ...]
    categories: dict[str, str]
    truth: Numbered
    found: Numbered
    size: NDArray[np.float64]
    inputs: list[dict[str, Any]]
    dropped: int = 0
    unlisted: int = 0
    files: tuple[Boxes, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Truth:
    """Objects, and what their file says of images and classes."""

    boxes: list[Boxes]
    images: tuple[str, ...] | None
    size: dict[str, tuple[float, float]]
    names: dict[str, str]


def read_files(spec: InputSpec, *, keep: bool = False) -> list[Boxes]:
    """Read the files of detections, without looking at their values.

    Raises:
        InputError: files that hold no detections.
    """
    sources = expand(spec.paths, spec.input_format)
    return [
        read_results(source, keep=keep)
        if is_json(source)
        else read_table(source, score=spec.score, scored=True, keep=keep)
        for source in sources
    ]


def open_detections(spec: InputSpec, ground_truth: str) -> DetectionData:
    """Read detections and the objects that there are to find.

    Raises:
        InputError: unusable files, boxes that are none, unknown images or classes.
        UsageError: --classes beside annotations that name their categories.
    """
    truth, dropped = _truth(ground_truth, spec)
    found = []
    for one in read_files(spec):
        usable, bad = checked(one, logits=spec.logits, drop=spec.drop_invalid)
        found.append(usable)
        dropped += bad
    classes, place = _classes(truth, spec.classes, ground_truth)
    images = _images(truth, found, ground_truth)
    number = {name: i for i, name in enumerate(images)}
    size = np.full((len(images), 2), np.nan)
    for name, both in (truth.size | _sizes(found)).items():
        if name in number:
            size[number[name]] = both
    known = {one for boxes in truth.boxes for one in _used(boxes.image)} | {
        one for boxes in truth.boxes for one in boxes.bare
    }
    unlisted = 0 if truth.images is not None else len(set(images) - known)
    return DetectionData(
        images,
        classes,
        {name: key for key, name in truth.names.items()},
        _numbered(truth.boxes, number, [place for _ in truth.boxes]),
        _numbered(
            found, number, [_by_name_or_id(one, place, truth.names, ground_truth) for one in found]
        ),
        size,
        [
            {"path": boxes.source, "rows": int(boxes.place[-1]) + 1 if len(boxes.place) else 0}
            for boxes in (*found, *truth.boxes)
        ],
        dropped,
        unlisted,
    )


def _truth(path: str, spec: InputSpec) -> tuple[_Truth, int]:
    boxes: list[Boxes] = []
    images: list[str] = []
    names: dict[str, str] = {}
    size: dict[str, tuple[float, float]] = {}
    dropped = 0
    sources = expand((path,))
    listed = all(map(is_json, sources))
    for source in sources:
        if is_json(source):
            if not listed:
                raise InputError(f"{show(path)} is both JSON and tables", "give files of one kind")
            found = read_annotations(source)
            one = found.boxes
            images += found.images
            if names and names != found.names:
                raise InputError(
                    f"{show(source.name)} has other categories than the files before it",
                    "annotations of one data set share their categories",
                )
            names = found.names
            size |= dict(zip(found.images, map(tuple, found.size.tolist()), strict=True))
        else:
            one = read_table(source, scored=False)
            size |= _sizes([one])
        usable, bad = checked(one, logits=False, drop=spec.drop_invalid)
        boxes.append(usable)
        dropped += bad
    if len(set(images)) < len(images):
        raise InputError(f"{show(path)}: files share an image", "an image is in one file")
    return _Truth(boxes, tuple(images) if listed else None, size, names), dropped


def _sizes(files: Sequence[Boxes]) -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = {}
    for boxes in files:
        if boxes.size is None or not len(boxes):
            continue
        codes, first = np.unique(boxes.image.codes, return_index=True)
        for code, row in zip(codes.tolist(), first.tolist(), strict=True):
            wide, high = boxes.size[row].tolist()
            found[boxes.image.values[code]] = (wide, high)
    return found


def _used(found: Categories) -> list[str]:
    """Return the values that occur."""
    present = np.flatnonzero(np.bincount(found.codes, minlength=len(found.values)))
    return [found.values[code] for code in present.tolist()]


def _natural(text: str) -> tuple[bool, int, str]:
    """Sort whole numbers as numbers, before texts."""
    plain = text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
    return (False, int(text), text) if plain and len(text) < 20 else (True, 0, text)


def _classes(
    truth: _Truth, wanted: tuple[str, ...] | None, path: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names, and the number of each class by what the objects call it."""
    if truth.names:
        if wanted is not None:
            raise UsageError(
                f"the classes are the categories of {show(path)}", "leave out --classes"
            )
        names = tuple(truth.names.values())
        return names, {key: i for i, key in enumerate(truth.names)}
    used = {name for boxes in truth.boxes for name in _used(boxes.label)}
    if wanted is None:
        names = tuple(sorted(used, key=_natural))
    else:
        strange = sorted(used - set(wanted), key=_natural)
        if strange:
            raise InputError(
                f"{show(path)} has objects of the class {strange[0]!r}, which --classes does not "
                "name",
                did_you_mean(strange[0], wanted) or f"there too: {listing(strange)}",
            )
        names = wanted
    return names, {name: i for i, name in enumerate(names)}


def _by_name_or_id(
    boxes: Boxes, place: dict[str, int], names: dict[str, str], path: str
) -> dict[str, int]:
    """Return the number of each class by what a file of detections calls it.

    COCO's results have category ids; a table has names, or ids where names do not fit.

    Raises:
        InputError: a class that the ground truth does not have.
    """
    used = set(_used(boxes.label))
    by_name = {name: place[key] for key, name in names.items()} or place
    orders = (place, by_name) if boxes.coco else (by_name, place)
    for known in orders:
        if used <= set(known):
            return known
    known = max(orders, key=lambda one: len(used & set(one)))
    row = int(np.flatnonzero(~_within(boxes.label, known))[0])
    name = boxes.label.values[boxes.label.codes[row]]
    raise InputError(
        f"{boxes.where(row)}: the class {name!r} is not in {show(path)}",
        did_you_mean(name, known)
        or f"its classes: {listing(known)}; "
        + ("the list of categories has them all" if names else "--classes A,B,C names all of them"),
    )


def _within(found: Categories, known: dict[str, int]) -> NDArray[np.bool_]:
    return np.array([value in known for value in found.values] or [False])[found.codes]


def _images(truth: _Truth, found: Sequence[Boxes], path: str) -> tuple[str, ...]:
    """Return the images. Annotations list them all; of a table, detections may add some.

    Raises:
        InputError: a detection in an image that annotations do not list, or no image in common.
    """
    own = {name for boxes in found for name in _used(boxes.image)}
    if truth.images is not None:
        known = dict.fromkeys(truth.images, 0)
        for boxes in found:
            rows = np.flatnonzero(~_within(boxes.image, known))
            if rows.size:
                name = boxes.image.values[boxes.image.codes[rows[0]]]
                more = f" ({rows.size:,} such boxes)" if rows.size > 1 else ""
                raise InputError(
                    f"{boxes.where(rows[0])}: the image {name!r} is not in {show(path)}{more}",
                    "are these the annotations of the same images? Their list of images must "
                    "name every one, also those without an object",
                )
        return tuple(sorted(truth.images, key=_natural))
    listed = {name for boxes in truth.boxes for name in (*_used(boxes.image), *boxes.bare)}
    if own and not own & listed:
        raise InputError(
            f"no image of the detections is in {show(path)}",
            "image_id must be the same in both files",
        )
    return tuple(sorted(own | listed, key=_natural))


def _numbered(
    files: Sequence[Boxes], images: dict[str, int], classes: Sequence[dict[str, int]]
) -> Numbered:
    def codes(found: Categories, number: dict[str, int]) -> Ints:
        table = np.array([number.get(value, -1) for value in found.values] or [-1], np.int64)
        coded: Ints = table[found.codes]
        return coded

    scores = [
        np.zeros(0) if boxes.score is None else boxes.score.astype(np.float64) for boxes in files
    ]
    return Numbered(
        np.concatenate([codes(boxes.image, images) for boxes in files]),
        np.concatenate(
            [codes(boxes.label, known) for boxes, known in zip(files, classes, strict=True)]
        ),
        np.concatenate([boxes.box for boxes in files]),
        np.concatenate(scores),
        np.concatenate([boxes.crowd for boxes in files]),
        np.concatenate([boxes.ignore for boxes in files]),
    )
