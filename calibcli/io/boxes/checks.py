"""Whether boxes are boxes: coordinates that are there and finite, sizes that are not negative."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.errors import InputError
from calibcli.io.rows.keys import MISSING_GROUP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.boxes.tables import Boxes


def checked(boxes: Boxes, *, logits: bool, drop: bool) -> tuple[Boxes, int]:
    """Return the boxes that can be used, and how many cannot.

    Args:
        boxes: of one file.
        logits: whether scores may be any number.
        drop: leave out boxes with a missing score or coordinate, instead of refusing them.

    Raises:
        InputError: a missing or an infinite coordinate, a negative size, a missing id or score, a
            score outside [0, 1].
    """
    for found, what in ((boxes.image, "image"), (boxes.label, "class")):
        gone = np.array([value == MISSING_GROUP for value in found.values] or [False])
        rows = np.flatnonzero(gone[found.codes]) if len(found.codes) else np.zeros(0, int)
        if rows.size:
            raise InputError(f"{boxes.where(rows[0])}: no {what}", f"every box has {what}s' ids")
    missing = _any(np.isnan(boxes.box))
    if boxes.score is not None:
        missing |= np.isnan(boxes.score)
    if missing.any():
        if not drop:
            first, count = int(missing.argmax()), int(missing.sum())
            of = "score or coordinate" if boxes.score is not None else "coordinate"
            more = f" ({count:,} such boxes)" if count > 1 else ""
            raise InputError(
                f"{boxes.where(first)}: a {of} is NaN or missing{more}",
                "correct the file, or leave such boxes out with --drop-invalid",
            )
        boxes = boxes.rows(~missing)
    _refuse(boxes, _any(~np.isfinite(boxes.box)), "a coordinate is infinite", "pixels")
    _refuse(
        boxes,
        _any(boxes.box[:, 2:] < 0),
        "the box has a negative width or height",
        "boxes are x, y, w, h (COCO's bbox too) or x1, y1, x2, y2 with x2 >= x1",
    )
    if boxes.score is not None and not logits:
        _refuse(
            boxes,
            (boxes.score < 0) | (boxes.score > 1),
            "a score lies outside [0, 1]",
            "if the scores are logits, add --logits",
        )
    return boxes, int(missing.sum())


def form_remark(
    box: NDArray[np.float64], size: NDArray[np.float64], truth: NDArray[np.float64]
) -> str | None:
    """Return why boxes seem not to be x, y, w, h in pixels; None where they may be.

    Args:
        box: (n, 4) of detections.
        size: (n, 2) width and height of their images; NaN where unknown.
        truth: (m, 4) of ground-truth boxes.
    """
    if not len(box) or not len(truth):
        return None
    if box.max() <= 1 < truth.max() and (box[:, 2:] > 0).all():
        return (
            "every box lies within [0, 1], as shares of an image do: boxes are x, y, w, h in the "
            "pixels of the ground truth"
        )
    outside = _any(box[:, :2] + box[:, 2:] > 1.05 * size + 1)
    if outside.any() and (box[:, 2:] >= box[:, :2]).all():
        return (
            f"{outside.sum():,} of {len(box):,} boxes leave their image, and would not as x1, y1, "
            "x2, y2: boxes are x, y, w, h, or columns of these names"
        )
    return None


def repeated_remark(detections: int, objects: int, same_id: int) -> str | None:
    """Return what is there twice, and counts twice; None where nothing is."""
    parts = {"detections": detections, "objects": objects, "ids of objects": same_id}
    told = [f"{what} ({count:,})" for what, count in parts.items() if count]
    if not told:
        return None
    return f"there twice: {', '.join(told)}; each counts by itself: were files joined twice?"


def _refuse(boxes: Boxes, bad: NDArray[np.bool_], problem: str, hint: str) -> None:
    if bad.any():
        first, count = int(bad.argmax()), int(bad.sum())
        more = f" ({count:,} such boxes)" if count > 1 else ""
        raise InputError(f"{boxes.where(first)}: {problem}{more}", hint)


def _any(bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which rows of (n, m) have one that is bad (n,)."""
    return np.asarray(bad.any(axis=1))
