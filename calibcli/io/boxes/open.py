"""Files of detections, and of the objects that there are to find, to a data set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.detection.masks import Masks, decoded
from calibcli.core.results.warning import Warning
from calibcli.errors import UsageError
from calibcli.io.attributes import attributes_of
from calibcli.io.boxes.checks import checked, form_remark, repeated_remark
from calibcli.io.boxes.coco import bad_mask
from calibcli.io.boxes.dataset import CLASS, BoxDataset
from calibcli.io.boxes.numbering import (
    by_file_name,
    by_name_or_id,
    classes_of,
    images_of,
    natural,
    numbered,
    read_files,
    read_truth,
    sizes_of,
    used,
)
from calibcli.io.boxes.subset import left_out, of_classes, of_images, wanted_categories
from calibcli.io.failures import show
from calibcli.io.provenance import beside, noted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from calibcli.io.boxes.numbering import Numbered, Truth
    from calibcli.io.boxes.tables import Boxes
    from calibcli.io.formats.source import Source
    from calibcli.io.rows.recipe import InputSpec


def open_boxes(
    spec: InputSpec, sources: Sequence[Source] | None = None, *, need_labels: bool | None = True
) -> BoxDataset:
    """Read detections and, unless `need_labels` is False, the objects that there are to find.

    Raises:
        InputError: unusable files, boxes that are none, unknown images or classes.
        UsageError: options that boxes do not have.
    """
    check_options(spec, need_labels=need_labels)
    path = spec.ground_truth if need_labels is not False else None
    truth, dropped = (None, 0) if path is None else read_truth(path, spec)
    found = []
    for one in read_files(spec, sources=sources):
        usable, bad = checked(one, logits=spec.logits, drop=spec.drop_invalid)
        found.append(usable)
        dropped += bad
    remarks = []
    if dropped:
        text = f"{dropped:,} boxes without a score or coordinate were left out"
        remarks.append(Warning("dropped", text))
    size_of = sizes_of(found)
    names: dict[str, str] = {}
    objects: Numbered | None = None
    where: list[Mapping[str, int]] = []
    read = (*found, *(() if truth is None else truth.boxes))
    if truth is None or path is None:
        images = tuple(sorted({i for boxes in found for i in used(boxes.image)}, key=natural))
        classes = spec.classes or tuple(
            sorted({name for boxes in found for name in used(boxes.label)}, key=natural)
        )
        of_name = {name: i for i, name in enumerate(classes)}
        number = {name: i for i, name in enumerate(images)}
        where += [of_name for _ in found]
    else:
        every, place = classes_of(truth, spec.classes, path)
        classes = wanted_categories(every, spec.classes, path) if truth.names else every
        found = [by_file_name(one, truth) for one in found]
        strangers = 0
        if spec.drop_invalid and truth.images is not None:
            found, strangers = of_images(found, truth.images)
        images = images_of(truth, found, path)
        number = {name: i for i, name in enumerate(images)}
        size_of = truth.size | size_of
        names = truth.names
        where += [by_name_or_id(one, place, names, path) for one in found]
        there = truth.boxes
        places: list[Mapping[str, int]] = [place for _ in there]
        if classes != every:
            found, where, others = of_classes(found, where, every, classes)
            there, places, more = of_classes(there, places, every, classes)
            remarks += left_out(others + more, 0)
            names = {key: name for key, name in names.items() if name in classes}
        remarks += left_out(0, strangers)
        objects = numbered(there, number, places)
        if spec.masks:
            objects = replace(objects, mask=masks_of(there, size_of))
        objects = objects.take(np.argsort(objects.image, kind="stable"))
        unlisted = _unlisted(truth, images)
        if unlisted:
            text = (
                f"{unlisted:,} images have detections and are not in the ground truth: "
                "they count as images without objects"
            )
            remarks.append(Warning("no-objects", text))
    size = np.full((len(images), 2), np.nan)
    for name, both in size_of.items():
        if name in number:
            size[number[name]] = both
    detections = numbered(found, number, where)
    if spec.masks and objects is not None:
        detections = replace(detections, mask=masks_of(found, size_of))
    if objects is not None:
        remark = form_remark(detections.box, size[detections.image], objects.box)
        if remark is not None:
            remarks.append(Warning("box-form", remark))
    same_id = 0 if truth is None else truth.same_id
    remark = repeated_remark(
        detections.repeated, 0 if objects is None else objects.repeated, same_id
    )
    if remark is not None:
        remarks.append(Warning("repeated-boxes", remark))
    columns = tuple(name for name in spec.groups if name != CLASS)
    return BoxDataset(
        images,
        classes,
        {name: key for key, name in names.items()},
        detections.take(np.argsort(detections.image, kind="stable")),
        objects,
        size,
        [
            noted(
                {"path": boxes.source, "rows": int(boxes.place[-1]) + 1 if len(boxes.place) else 0},
                beside(boxes.source),
            )
            for boxes in read
        ],
        tuple(boxes.source for boxes in found),
        attributes_of(replace(spec, groups=columns), images),
        spec.logits,
        spec.iou,
        spec.max_detections,
        remarks,
        dropped,
        (spec.score,) if spec.score else (),
        tuple(-1 if name == CLASS else columns.index(name) for name in spec.groups),
    )


def _unlisted(truth: Truth, images: tuple[str, ...]) -> int:
    """Return how many images with detections a ground-truth table does not mention."""
    if truth.images is not None:
        return 0
    known = {one for boxes in truth.boxes for one in (*used(boxes.image), *boxes.bare)}
    return len(set(images) - known)


def check_options(spec: InputSpec, *, need_labels: bool | None) -> None:
    """Refuse options that boxes do not have.

    Raises:
        UsageError: naming the option.
    """
    truth = "what is true comes with --ground-truth FILE"
    given = {
        "--scores": (spec.scores, "one score a box: --score COL"),
        "--label": (spec.label, truth),
        "--labels": (spec.labels, truth),
        "--positive": (spec.positive, truth),
    }
    for option, (value, hint) in given.items():
        if value is not None:
            raise UsageError(f"{option} is not for --task detection", hint)
    if need_labels and spec.ground_truth is None:
        raise UsageError(
            "--task detection needs the objects that there are to find",
            "--ground-truth FILE: COCO annotations, or a table of image_id, class, x, y, w, h",
        )
    if not 0 < spec.iou <= 1:
        raise UsageError("--iou must lie above 0 and up to 1", "for example --iou 0.5")
    if spec.max_detections < 1:
        raise UsageError("--max-detections must be at least 1", "for example 100")


def masks_of(files: Sequence[Boxes], size: Mapping[str, tuple[float, float]]) -> Masks:
    """Return the masks of the boxes of files, decoded, one after the other.

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
