"""The masks of boxes that COCO's JSON has, decoded once the sizes of their images are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.detection.masks import Masks, decoded
from calibcli.errors import UsageError
from calibcli.io.boxes.coco import bad_mask
from calibcli.io.failures import show

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.io.boxes.tables import Boxes


def masks_of(files: Sequence[Boxes], size: Mapping[str, tuple[float, float]]) -> Masks:
    """Return the masks of the boxes of files, one after the other.

    Args:
        files: the boxes.
        size: width and height of each image by its id.

    Raises:
        InputError: a mask that cannot be read.
        UsageError: a table, which has none.
    """
    found = []
    for boxes in files:
        if boxes.segments is None:
            raise UsageError(
                f"--masks: {show(boxes.source)} is a table, and masks are in COCO's JSON",
                "leave out --masks to match boxes",
            )
        images = [boxes.image.values[code] for code in boxes.image.codes.tolist()]
        for i, (one, image) in enumerate(zip(boxes.segments, images, strict=True)):
            wide, high = size.get(image, (float("nan"), float("nan")))
            try:
                found.append(decoded(one, wide, high))
            except (ValueError, TypeError, OverflowError) as error:
                raise bad_mask(boxes.where(i), error) from error
    return Masks.of(found)
