"""Images to counts of decisions, by a rule and by the most probable structure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.counts import RuleCounts
from calibcli.engines.threads import map_ordered
from calibcli.tasks.segmentation.regions import probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.segmentation.rules import ImageRule
    from calibcli.io.images.blocks import Frame, Image
    from calibcli.io.images.stacks import StackDataset, StackPartition
    from calibcli.tasks.segmentation.regions import Calibrate


@dataclass(frozen=True, slots=True)
class DecidedImages:
    """Decisions counted by image.

    Attributes:
        counts: of the rule, one unit an image; `plain` of the most probable structure, if asked.
        unit: uint64 (images,) hash of the unit of each image.
        groups: value of each group column, of each image that was seen.
    """

    counts: RuleCounts
    plain: RuleCounts | None
    unit: NDArray[np.uint64]
    groups: dict[int, tuple[str, ...]]

    def by_unit(self) -> tuple[RuleCounts, RuleCounts | None]:
        """Return the counts with all images of a unit as one."""
        _, place = np.unique(self.unit, return_inverse=True)
        place = place.astype(np.int64)
        plain = None if self.plain is None else self.plain.relabelled(place)
        return self.counts.relabelled(place), plain

    def by_group(self, column: int) -> tuple[RuleCounts, list[str]]:
        """Return the counts with the values of a group column as members, and these in order."""
        from calibcli.tasks.rows.decided import natural

        values = sorted({found[column] for found in self.groups.values()}, key=natural)
        member = np.zeros(len(self.unit), np.int64)
        for image, found in self.groups.items():
            member[image] = values.index(found[column])
        _, place = np.unique(self.unit, return_inverse=True)
        return self.counts.relabelled(place.astype(np.int64), member), values


def count_images(
    dataset: StackDataset,
    rule: ImageRule,
    calibrate: Calibrate | None,
    columns: Sequence[str] = (),
    *,
    plain: bool = False,
    threads: int | None = None,
) -> DecidedImages:
    """Decide every image and count its pixels; those without a label count for nothing.

    `columns` names the group columns of the images, where the rule differs by one.
    """
    exclusive = dataset.task == "multiclass"
    place = None if rule.column is None else list(columns).index(rule.column)

    def empty() -> RuleCounts:
        size = len(dataset.structures)
        return RuleCounts(
            size if exclusive else 2,
            slots=1 if exclusive else size,
            units=dataset.images,
            weighted=dataset.attributes.weight is not None,
        )

    def one(partition: StackPartition) -> tuple[RuleCounts, RuleCounts, list[Image]]:
        counts, beside = empty(), empty()
        seen: list[Image] = []
        for frame in partition.frames():
            p = probabilities(dataset, frame, calibrate)
            group = None
            if place is not None:
                code, values = frame.image.groups[place]
                group = values[code]
            _add(counts, frame, rule.decide(p, group, frame.image.number), exclusive)
            if plain:
                _add(beside, frame, p.argmax(axis=0), exclusive)
            seen.append(frame.image)
        return counts, beside, seen

    total, beside = empty(), empty()
    unit = np.zeros(dataset.images, np.uint64)
    groups: dict[int, tuple[str, ...]] = {}
    for counts, other, seen in map_ordered(one, dataset.partitions, threads):
        total.merge(counts)
        beside.merge(other)
        for image in seen:
            unit[image.number] = image.unit
            groups[image.number] = tuple(values[code] for code, values in image.groups)
    return DecidedImages(total, beside if plain else None, unit, groups)


def _add(counts: RuleCounts, frame: Frame, decided: NDArray[Any], exclusive: bool) -> None:
    """Count the pixels of one image that have a label."""
    assert frame.labels is not None
    kept = slice(None) if frame.kept is None else frame.kept
    labels = frame.labels.reshape(1, -1) if frame.labels.ndim == 1 else frame.labels
    codes = decided.reshape(len(labels), -1)
    image, weight = frame.image.number, frame.image.weight
    for slot, (truth, own) in enumerate(zip(labels[:, kept], codes[:, kept], strict=True)):
        counts.add_image(image, truth, own, 0 if exclusive else slot, weight)
