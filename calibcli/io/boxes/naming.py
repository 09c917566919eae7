"""Which column of a table of boxes is what, by the names that tools give them.

Upper and lower case and what stands between words do not matter. Of several lists of names the
first counts that the table has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from calibcli.errors import InputError
from calibcli.io.failures import listing, show
from calibcli.io.rows.names import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGES: Final = (
    "image_id", "image", "file_name", "filename", "image_name", "image_path", "imageid", "img_id",
    "img", "frame",
)  # fmt: skip
CLASSES: Final = (
    "class", "category_id", "category", "class_name", "category_name", "class_id", "label",
    "label_name", "labelname", "name", "cls",
)  # fmt: skip
CROWDS: Final = ("iscrowd", "is_crowd", "crowd", "isgroupof", "is_group_of")
"""Regions of many objects, as COCO and Open Images mark them."""
IGNORED: Final = ("ignore", "ignored", "difficult", "is_difficult", "isdifficult")
"""Objects that count as nothing; Pascal VOC calls them difficult."""
TRUE: Final = frozenset({"1", "1.0", "true", "yes"})
FALSE: Final = frozenset({"0", "0.0", "false", "no", "", "none", "null"})
"""How a mark is written, in lower case."""
NO_MARK: Final = "neither 0 nor 1", "1 marks a region that counts as nothing, 0 an object"
SIDES: Final = ("x", "y", "w", "h")
CORNERS: Final = ("x1", "y1", "x2", "y2")
_WRITTEN: Final = {
    "corners": (
        CORNERS,
        ("xmin", "ymin", "xmax", "ymax"),
        ("x_min", "y_min", "x_max", "y_max"),
        ("left", "top", "right", "bottom"),
    ),
    "centres": (
        ("x_center", "y_center", "width", "height"),
        ("x_center", "y_center", "w", "h"),
        ("xc", "yc", "w", "h"),
        ("cx", "cy", "w", "h"),
    ),
    "sides": (SIDES, ("x", "y", "width", "height"), ("left", "top", "width", "height")),
}
"""Names of the four coordinates. Pascal VOC, TensorFlow and Open Images have corners, YOLO has
centres."""
_SIZES: Final = (("image_width", "image_height"), ("img_width", "img_height"))
_OF_IMAGE: Final = ("width", "height")
"""What TensorFlow's tables call the size of an image, beside corners."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """The columns of a box.

    Attributes:
        form: "sides" (x, y, w, h), "corners" (x1, y1, x2, y2) or "centres" (of x and y; w, h).
        names: of the four columns.
        size: the columns of the width and height of its image, or ().
    """

    form: str
    names: tuple[str, ...]
    size: tuple[str, ...]


def column_of(names: Sequence[str], path: str, known: Sequence[str]) -> str:
    """Return the column with the first of the known names.

    Raises:
        InputError: there is none.
    """
    spelled = _spelled(names)
    found = next((spelled[name] for name in known if name in spelled), None)
    if found is None:
        raise InputError(
            f"{show(path)} has no column {known[0]!r}",
            f"boxes need image_id, class, x, y, w, h; columns: {listing(names)}",
        )
    return found


def mark_of(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column with the first of the known names of a mark; None if there is none."""
    spelled = _spelled(names)
    return next((spelled[name] for name in known if name in spelled), None)


def coordinates_of(names: Sequence[str], path: str) -> Coordinates:
    """Return which columns a box is in.

    Raises:
        InputError: none, or boxes of two forms, which may differ.
    """
    spelled = _spelled(names)
    found = {
        form: own
        for form, written in _WRITTEN.items()
        if (own := next((one for one in written if set(one) <= spelled.keys()), None)) is not None
    }
    if len(found) > 1:
        first, second = (", ".join(own) for own in sorted(found.values(), reverse=True)[:2])
        raise InputError(
            f"{show(path)} has boxes as {first} and as {second}",
            "leave one of them out: they may differ",
        )
    if not found:
        missing = [name for name in SIDES if name not in spelled]
        raise InputError(
            f"{show(path)} has no boxes: no column {listing(missing)}",
            f"boxes are x, y, w, h or x1, y1, x2, y2; columns: {listing(names)}",
        )
    ((form, own),) = found.items()
    sizes = (*_SIZES, _OF_IMAGE) if form == "corners" else _SIZES
    size: tuple[str, ...] = next((one for one in sizes if set(one) <= spelled.keys()), ())
    return Coordinates(
        form, tuple(spelled[name] for name in own), tuple(spelled[name] for name in size)
    )


def _spelled(names: Sequence[str]) -> dict[str, str]:
    """Return the columns by their plain names; one that is spelled so goes first."""
    return {plain(name): name for name in reversed(names)} | {name: name for name in names}
