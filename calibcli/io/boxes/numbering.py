"""Detections and objects of the same images, matched by ids and numbered alike.

Images and classes are matched by their ids as text, so the integer 7 of a JSON file is the "7" of a
CSV file. A class of COCO annotations has its category's name, and detections may name it so or by
its id.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.errors import InputError, did_you_mean
from calibcli.io.boxes.checks import checked
from calibcli.io.boxes.coco import is_json, read_annotations, read_results
from calibcli.io.boxes.tables import Boxes, read_table
from calibcli.io.content import row_hashes
from calibcli.io.failures import listing, show
from calibcli.io.formats.sources import expand
from calibcli.io.rows.keys import Categories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.core.detection.masks import Masks
    from calibcli.io.formats.source import Source
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
        mask: of each, where masks are matched rather than boxes.
    """

    image: Ints
    label: Ints
    box: NDArray[np.float64]
    score: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]
    mask: Masks | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: NDArray[Any] | slice) -> Numbered:
        """Return some boxes."""
        return Numbered(
            self.image[rows],
            self.label[rows],
            self.box[rows],
            self.score[rows] if len(self.score) else self.score,
            self.crowd[rows],
            self.ignore[rows],
            None if self.mask is None else self.mask.take(rows),
        )

    @property
    def repeated(self) -> int:
        """How many are an earlier one again: image, class, place and score.

        Masks are not told by their boxes.
        """
        if not len(self) or self.mask is not None:
            return 0
        columns = [self.image, self.label, *self.box.T]
        columns += [self.score] if len(self.score) else []
        hashes = np.sort(row_hashes(np.column_stack(columns)))  # a quarter of what `unique` takes
        return int((hashes[1:] == hashes[:-1]).sum())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Truth:
    """Objects, and what their file says of images and classes.

    `files` has the ids of images by the names of their files; `same_id` is how many objects of a
    file have the id of another.
    """

    boxes: list[Boxes]
    images: tuple[str, ...] | None
    size: dict[str, tuple[float, float]]
    names: dict[str, str]
    files: dict[str, str]
    same_id: int


def read_files(
    spec: InputSpec, *, keep: bool = False, sources: Sequence[Source] | None = None
) -> list[Boxes]:
    """Read the files of detections, without looking at their values.

    Raises:
        InputError: files that hold no detections.
    """
    if sources is None:
        sources = expand(spec.paths, spec.input_format)
    return [
        read_results(source, keep=keep, masks=spec.masks)
        if is_json(source)
        else read_table(source, score=spec.score, scored=True, keep=keep)
        for source in sources
    ]


def read_truth(path: str, spec: InputSpec) -> tuple[Truth, int]:
    """Read the objects.

    Returns:
        (them, how many boxes were left out).

    Raises:
        InputError: files that hold no objects.
    """
    boxes: list[Boxes] = []
    images: list[str] = []
    names: dict[str, str] = {}
    size: dict[str, tuple[float, float]] = {}
    files: dict[str, str] = {}
    dropped = same_id = 0
    sources = expand((path,))
    listed = all(map(is_json, sources))
    for source in sources:
        if is_json(source):
            if not listed:
                raise InputError(f"{show(path)} is both JSON and tables", "give files of one kind")
            found = read_annotations(source, masks=spec.masks)
            one = found.boxes
            images += found.images
            if names and names != found.names:
                raise InputError(
                    f"{show(source.name)} has other categories than the files before it",
                    "annotations of one data set share their categories",
                )
            names = found.names
            files |= found.files
            same_id += found.same_id
            size |= dict(zip(found.images, map(tuple, found.size.tolist()), strict=True))
        else:
            one = read_table(source, scored=False)
            size |= sizes_of([one])
        usable, bad = checked(one, logits=False, drop=spec.drop_invalid)
        boxes.append(usable)
        dropped += bad
    if len(set(images)) < len(images):
        raise InputError(f"{show(path)}: files share an image", "an image is in one file")
    known = tuple(images) if listed else None
    return Truth(boxes, known, size, names, files, same_id), dropped


def by_file_name(boxes: Boxes, truth: Truth) -> Boxes:
    """Return detections under the ids of their images, where they name the images' files."""
    known = set(truth.images or ())
    values = boxes.image.values
    if not truth.files or known.issuperset(values):
        return boxes
    ids = [one if one in known else truth.files.get(one, one) for one in values]
    place = {name: i for i, name in enumerate(dict.fromkeys(ids))}
    codes = np.array([place[name] for name in ids], np.int32)[boxes.image.codes]
    return replace(boxes, image=Categories(codes, list(place)))


def sizes_of(files: Sequence[Boxes]) -> dict[str, tuple[float, float]]:
    """Return width and height of the images that tables tell them of, with or without a box."""
    found: dict[str, tuple[float, float]] = {}
    for boxes in files:
        found |= boxes.bare_size
        if boxes.size is None or not len(boxes):
            continue
        codes, first = np.unique(boxes.image.codes, return_index=True)
        for code, row in zip(codes.tolist(), first.tolist(), strict=True):
            wide, high = boxes.size[row].tolist()
            found[boxes.image.values[code]] = (wide, high)
    return found


def used(found: Categories) -> list[str]:
    """Return the values that occur."""
    present = np.flatnonzero(np.bincount(found.codes, minlength=len(found.values)))
    return [found.values[code] for code in present.tolist()]


def natural(text: str) -> tuple[bool, int, str]:
    """Sort whole numbers as numbers, before texts."""
    plain = text.removeprefix("-").isascii() and text.removeprefix("-").isdigit()
    return (False, int(text), text) if plain and len(text) < 20 else (True, 0, text)


def classes_of(
    truth: Truth, wanted: tuple[str, ...] | None, path: str
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names, and the number of each class by what the objects call it."""
    if truth.names:
        names = tuple(truth.names.values())
        return names, {key: i for i, key in enumerate(truth.names)}
    named = {name for boxes in truth.boxes for name in used(boxes.label)}
    if wanted is None:
        names = tuple(sorted(named, key=natural))
    else:
        strange = sorted(named - set(wanted), key=natural)
        if strange:
            raise InputError(
                f"{show(path)} has objects of the class {strange[0]!r}, which --classes does not "
                "name",
                did_you_mean(strange[0], wanted) or f"there too: {listing(strange)}",
            )
        names = wanted
    return names, {name: i for i, name in enumerate(names)}


def by_name_or_id(
    boxes: Boxes, place: dict[str, int], names: dict[str, str], path: str
) -> dict[str, int]:
    """Return the number of each class by what a file of detections calls it.

    COCO's results have category ids; a table has names, or ids where names do not fit.

    Raises:
        InputError: a class that the ground truth does not have.
    """
    named = set(used(boxes.label))
    by_name = {name: place[key] for key, name in names.items()} or place
    orders = (place, by_name) if boxes.coco else (by_name, place)
    for known in orders:
        if named <= set(known):
            return known
    known = max(orders, key=lambda one: len(named & set(one)))
    row = int(np.flatnonzero(~boxes.label.among(known))[0])
    name = boxes.label.values[boxes.label.codes[row]]
    raise InputError(
        f"{boxes.where(row)}: the class {name!r} is not in {show(path)}",
        did_you_mean(name, known)
        or f"its classes: {listing(known)}; "
        + ("the list of categories has them all" if names else "--classes A,B,C names all of them"),
    )


def images_of(truth: Truth, found: Sequence[Boxes], path: str) -> tuple[str, ...]:
    """Return the images. Annotations list them all; of a table, detections may add some.

    Raises:
        InputError: a detection in an image that annotations do not list, or no image in common.
    """
    own = {name for boxes in found for name in used(boxes.image)}
    if truth.images is not None:
        known = dict.fromkeys(truth.images, 0)
        for boxes in found:
            rows = np.flatnonzero(~boxes.image.among(known))
            if rows.size:
                name = boxes.image.values[boxes.image.codes[rows[0]]]
                more = f" ({rows.size:,} such boxes)" if rows.size > 1 else ""
                raise InputError(
                    f"{boxes.where(rows[0])}: the image {name!r} is not in {show(path)}{more}",
                    "are these the annotations of the same images? Their list of images must "
                    "name every one, also those without an object; an image is named by its id, or "
                    "by its file_name with or without suffix",
                )
        return tuple(sorted(truth.images, key=natural))
    listed = {name for boxes in truth.boxes for name in (*used(boxes.image), *boxes.bare)}
    if own and not own & listed:
        raise InputError(
            f"no image of the detections is in {show(path)}",
            "image_id must be the same in both files",
        )
    return tuple(sorted(own | listed, key=natural))


def numbered(
    files: Sequence[Boxes], images: dict[str, int], classes: Sequence[Mapping[str, int]]
) -> Numbered:
    """Return the boxes of files under the numbers of their images and of each file's classes."""

    def codes(found: Categories, number: Mapping[str, int]) -> Ints:
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
