"""Boxes of some classes, and of the images that there are: what is left out, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, did_you_mean
from calibcli.io.failures import listing, show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.io.boxes.tables import Boxes

    Places = Mapping[str, int]
    """Numbers of classes by what a file calls them."""


def wanted_categories(
    names: Sequence[str], wanted: tuple[str, ...] | None, path: str
) -> tuple[str, ...]:
    """Return the classes that are asked for among the categories of annotations; default all.

    Raises:
        InputError: a class that the annotations do not have.
    """
    if wanted is None:
        return tuple(names)
    strange = [name for name in wanted if name not in names]
    if strange:
        raise InputError(
            f"--classes names {strange[0]!r}, which is no category of {show(path)}",
            did_you_mean(strange[0], names) or f"its categories: {listing(list(names))}",
        )
    return wanted


def of_classes(
    files: Sequence[Boxes], places: Sequence[Places], every: Sequence[str], kept: Sequence[str]
) -> tuple[list[Boxes], list[Places], int]:
    """Return the boxes of some of the classes, the numbers of these, and how many are left out.

    Args:
        files: the boxes.
        places: numbers of the classes of each file.
        every: all classes.
        kept: those that stay, in their new order.
    """
    number = {name: i for i, name in enumerate(kept)}
    boxes: list[Boxes] = []
    told: list[Places] = []
    left = 0
    for one, place in zip(files, places, strict=True):
        own = {text: number[every[i]] for text, i in place.items() if every[i] in number}
        mask = one.label.among(own)
        boxes.append(one if mask.all() else one.rows(mask))
        left += int((~mask).sum())
        told.append(own)
    return boxes, told, left


def of_images(files: Sequence[Boxes], images: Sequence[str]) -> tuple[list[Boxes], int]:
    """Return the boxes of some images, and how many are left out."""
    known = set(images)
    masks = [one.image.among(known) for one in files]
    kept = [one if own.all() else one.rows(own) for one, own in zip(files, masks, strict=True)]
    return kept, sum(int((~own).sum()) for own in masks)


def left_out(classes: int, images: int) -> list[Warning]:
    """Return what is to be said of boxes and objects that were left out."""
    told = {
        "are of other classes than --classes names": classes,
        "are of images that the ground truth does not have": images,
    }
    return [
        Warning("dropped", f"{number:,} boxes {why}, and are left out")
        for why, number in told.items()
        if number
    ]
