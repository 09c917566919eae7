"""Pixels counted: the pairs of `collect.count`, an image at a time.

The scores of an image stack repeat: 256 levels of a byte, 15,361 float16 numbers in [0, 1]. Such
scores are counted by level, which takes a few nanoseconds a pixel, and the levels become pairs
when the partition ends. Other scores go through a tally of the image, which is then added to the
statistics of all pixels and to those of the image's bucket.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import softmax
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import BUCKETS, buckets_of
from calibcli.core.statistics.tally import Tally
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError, UsageError
from calibcli.tasks.collect import empty, mapping_of
from calibcli.tasks.pairs import CLASSES, PAIRS, TOP

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.images.blocks import Block
    from calibcli.io.images.stacks import StackDataset, StackPartition
    from calibcli.tasks.collect import Counted, Layout, Mapping, Scope

    Counts = NDArray[np.int64]

_MOST_DENSE = 1 << 25
_ONE_16 = 0x3C00
"""The bits of 1.0 as float16: positive numbers sort as their bits do."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The few values that scores can have, and their codes.

    Attributes:
        values: (L,) float64 score of each code.
        kind: "u" for whole numbers, "f" for float16.
    """

    values: NDArray[np.float64]
    kind: str

    def codes(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the code of each score, of any shape; rounding outside [0, 1] is clipped."""
        if self.kind == "u":
            return np.minimum(raw, len(self.values) - 1) if len(self.values) < 256 else raw
        bits = raw.view(np.uint16)
        if bits.size and int(bits.max()) >= len(self.values):
            # -0.0 and what rounding may leave below 0 or above 1.
            bits = np.where(bits >= 0x8000, 0, np.minimum(bits, len(self.values) - 1))
            return bits.astype(np.uint16)
        return bits


def levels_of(dataset: StackDataset) -> Levels | None:
    """Return the levels of the scores, None where there are too many to count apart."""
    rule = dataset.score_rule
    dtype = dataset.pairs[0].scores.header.dtype
    if any(pair.scores.header.dtype != dtype for pair in dataset.pairs):
        return None
    if rule.logits and (dataset.task == "multiclass" or dtype != np.float16):
        return None
    if rule.scale is not None:
        if dtype.kind != "u" or dtype.itemsize > 2 or rule.scale > 2 ** (8 * dtype.itemsize) - 1:
            return None
        return Levels(np.arange(int(rule.scale) + 1) / rule.scale, "u")
    if dtype != np.float16 or rule.logits:
        return None
    values = np.arange(_ONE_16 + 1, dtype=np.uint16).view(np.float16)
    return Levels(values.astype(np.float64), "f")


@dataclass(slots=True)
class Decided:
    """Pixels of each image by what they are and what was decided, for figures by image.

    A structure is decided where it is the most probable class, or its probability is at least 0.5.

    Attributes:
        image: numbers of the images, in order.
        counts: for each image (K, 3): pixels rightly decided, wrongly decided, missed.
    """

    image: list[int]
    counts: list[Counts]

    def add(self, image: int, found: Counts) -> None:
        """Add a block of an image."""
        if self.image and self.image[-1] == image:
            self.counts[-1] = self.counts[-1] + found
        else:
            self.image.append(image)
            self.counts.append(found)


class PixelCounter:
    """Counts the pixels of one partition into a scope.

    Args:
        dataset: what is read.
        layout: what is counted.
        scope: where it is counted.
        hopeless: families that have outgrown distinct scores elsewhere.
    """

    def __init__(
        self, dataset: StackDataset, layout: Layout, scope: Scope, hopeless: set[str]
    ) -> None:
        self.dataset = dataset
        self.task = layout.task
        self.width = max(len(layout.classes), 1)
        self.logits = layout.logits
        self.scope = scope
        self.hopeless = hopeless
        self.decided = Decided([], [])
        self.levels = levels_of(dataset)
        self.dense: dict[str, NDArray[np.int64]] = {}
        if self.levels is not None:
            size = len(self.levels.values)
            if 2 * size * self.width * BUCKETS > _MOST_DENSE:
                self.levels = None
            else:
                for name in scope.families:
                    self.dense[name] = np.zeros((BUCKETS, self.width, size, 2), np.int64)
        self._own: dict[str, Tally] = {}

    def add(self, block: Block) -> None:
        """Count a block."""
        bucket = bucket_of(block)
        if len(block):
            assert block.truth is not None
            if self.levels is not None:
                found = self._count_levels(self.levels, block, bucket)
            else:
                found = self._count_values(block)
            self.decided.add(block.image.number, found)
        if block.last:
            self.merge_image(bucket)

    # -- few levels -----------------------------------------------------------------------------

    def _count_levels(self, levels: Levels, block: Block, bucket: int) -> Counts:
        codes, labels = levels.codes(block.planes), block.truth
        assert labels is not None
        size = len(levels.values)
        half = int(np.searchsorted(levels.values, 0.5))
        if self.task == "binary":
            joint = _joint(codes, labels, size)
            self.dense[PAIRS][bucket, 0] += joint
            return _at_least(joint, half)[None]
        if self.task == "multilabel":
            rows = []
            for k in range(self.width):
                joint = _joint(codes[k], labels[k], size)
                self.dense[CLASSES][bucket, k] += joint
                rows.append(_at_least(joint, half))
            return np.stack(rows)
        best, predicted = _largest(codes)
        for k in range(self.width):
            self.dense[CLASSES][bucket, k] += _joint(codes[k], labels == k, size)
        index = predicted.astype(np.intp) * size + best
        right = predicted == labels
        top = _joint(index, right, size * self.width).reshape(self.width, size, 2)
        self.dense[TOP][bucket] += top
        return _hits(top[:, :, 1].sum(axis=1), top[:, :, 0].sum(axis=1), labels)

    # -- any numbers ----------------------------------------------------------------------------

    def _count_values(self, block: Block) -> Counts:
        values, labels = self.dataset.score_rule.values(block.planes), block.truth
        assert labels is not None
        if self.task == "multiclass":
            p = softmax(values.T).T if self.logits else np.clip(values, 0.0, 1.0)
            return self.count_classes(values, p, labels)
        return self._count_structures(values, labels)

    def _count_structures(self, values: NDArray[Any], labels: NDArray[Any]) -> Counts:
        make = logit_keys if self.logits else probability_keys
        if self.task == "binary":
            values, labels = values[None], labels[None]
        name = PAIRS if self.task == "binary" else CLASSES
        cut = 0.0 if self.logits else 0.5
        rows = []
        for k in range(self.width):
            truth = labels[k].astype(np.bool_)
            self._tally(name, k).add(make(values[k]), truth)
            said = values[k] >= cut
            hits = int(np.count_nonzero(said & truth))
            rows.append([hits, int(np.count_nonzero(said)) - hits, int(truth.sum()) - hits])
        return np.array(rows, np.int64)

    def count_classes(self, values: NDArray[Any], p: NDArray[Any], labels: NDArray[Any]) -> Counts:
        """Count scores (K, m), whose largest decides, and probabilities (K, m) of classes."""
        _, predicted = _largest(values)
        right = predicted == labels
        confidence = np.take_along_axis(p, predicted[None].astype(np.intp), axis=0)[0]
        slots = predicted.astype(np.int64)
        self._tally(TOP, 0).add(probability_keys(confidence), right, slots)
        for k in range(self.width):
            self._tally(CLASSES, k).add(probability_keys(p[k]), labels == k)
        hits = np.bincount(slots[right], minlength=self.width)
        return _hits(hits, np.bincount(slots, minlength=self.width) - hits, labels)

    def add_probabilities(self, block: Block, p: NDArray[np.float64]) -> None:
        """Count calibrated probabilities (m,) or (m, K) of a block."""
        assert block.truth is not None
        columns = np.ascontiguousarray(p.T)
        if self.task == "multiclass":
            found = self.count_classes(columns, np.clip(columns, 0.0, 1.0), block.truth)
        else:
            found = self._count_structures(columns, block.truth)
        self.decided.add(block.image.number, found)

    def _tally(self, name: str, k: int) -> Tally:
        key = f"{name} {k}"
        if key not in self._own:
            family = self.scope.families[name].tally
            self._own[key] = Tally(
                self.width if name == TOP else 1,
                edges=family.edges,
                logits=family.logits,
                by_logit=family.by_logit,
                start_exact=f"{name}False" not in self.hopeless and family.exact,
            )
        return self._own[key]

    def merge_image(self, bucket: int) -> None:
        """Add the tally of an image that has ended to all pixels and to its bucket."""
        for key, own in self._own.items():
            name, _, number = key.partition(" ")
            slots = np.arange(self.width) if name == TOP else np.array([int(number)])
            family = self.scope.families[name]
            family.tally.merge(own, slots)
            if family.parts is not None:
                family.parts.merge(own, slots * BUCKETS + bucket)
        self._own = {}

    def finish(self) -> None:
        """Hand over what was counted by level."""
        if self.levels is None:
            return
        make = logit_keys if self.logits else probability_keys
        keys = make(self.levels.values)
        for name, counts in self.dense.items():
            family = self.scope.families[name]
            _add_counts(family.tally, counts.sum(axis=0), keys)
            if family.parts is not None:
                by_slot = counts.transpose(1, 0, 2, 3).reshape(-1, *counts.shape[2:])
                _add_counts(family.parts, by_slot, keys)


def _joint(codes: NDArray[Any], labels: NDArray[Any], size: int) -> Counts:
    """Return counts (size, 2) by code and label."""
    wide = np.dtype(np.uint16 if size <= 1 << 15 else np.intp)
    index = np.left_shift(codes.astype(wide), 1)
    np.bitwise_or(index, labels.astype(wide), out=index)
    return np.bincount(index, minlength=2 * size).reshape(size, 2)


def _at_least(joint: Counts, half: int) -> Counts:
    negatives, positives = joint[half:].sum(axis=0).tolist()
    return np.array([positives, negatives, int(joint[:half, 1].sum())], np.int64)


def _largest(planes: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the largest of (K, m) planes (m,), and which it is; ties go to the first."""
    best = planes[0].copy()
    which = np.zeros(len(best), np.uint8 if len(planes) < 256 else np.uint16)
    for k in range(1, len(planes)):
        np.copyto(which, which.dtype.type(k), where=planes[k] > best)
        np.maximum(best, planes[k], out=best)
    return best, which


def _hits(right: Counts, wrong: Counts, labels: NDArray[Any]) -> Counts:
    truth = np.bincount(labels, minlength=len(right))
    return np.stack([right, wrong, truth - right], axis=1)


def _add_counts(tally: Tally, counts: Counts, keys: NDArray[np.int64]) -> None:
    """Add counts (slots, levels, 2) at the keys of the levels."""
    slot, level, label = np.nonzero(counts)
    if len(slot):
        tally.add(keys[level], label.astype(np.bool_), slot, counts[slot, level, label])


def bucket_of(block: Block) -> int:
    """Return the bucket of the image's unit."""
    return int(buckets_of(np.array([block.image.unit]))[0])


def map_block(mapping: Mapping, block: Block) -> NDArray[np.float64]:
    """Return calibrated probabilities (m,) or (m, K) of a block."""
    return mapping(block, block.scores, None, buckets_of(block.unit))


def count_pixels(
    dataset: StackDataset,
    layout: Layout,
    *,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counted:
    """Read the images once and count their pixels; what `collect.count` is for rows.

    Raises:
        InputError: unusable scores or labels, no pixel with a label.
    """
    if dataset.pairs[0].labels is None:
        raise InputError(
            f"{dataset.pairs[0].scores.name} holds no labels, and images are counted with them",
            "a reference of images is their statistics: measure … --save-stats ref.json, then "
            "--reference ref.json; an NPZ file can hold both",
        )
    if layout.groups or layout.weighted:
        named = "--group" if layout.groups else "--weight"
        raise UsageError(f"{named} is not for images", "leave it out")
    hopeless: set[str] = set()
    mapping = None
    if calibrator is not None:
        mapping = mapping_of(calibrator, (), logits=layout.logits, unseen={})
    after = replace(layout, logits=False)

    def one(partition: StackPartition) -> tuple[Counted, Decided, Decided | None]:
        found = empty(layout, hopeless)
        counter = PixelCounter(dataset, layout, found.overall, hopeless)
        later = None
        if mapping is not None:
            found.calibrated = empty(after, hopeless)
            later = PixelCounter(dataset, after, found.calibrated.overall, hopeless)
            later.levels = None
        for block in partition.blocks():
            counter.add(block)
            found.rows += len(block)
            found.dropped += block.dropped - block.ignored
            if later is not None and mapping is not None:
                if len(block):
                    later.add_probabilities(block, map_block(mapping, block))
                if block.last:
                    later.merge_image(bucket_of(block))
        counter.finish()
        for name, family in found.overall.families.items():
            if not family.tally.exact:
                hopeless.add(f"{name}False")
        return found, counter.decided, None if later is None else later.decided

    total: Counted | None = None
    for partition, (found, decided, decided_after) in zip(
        dataset.partitions, map_ordered(one, dataset.partitions, threads), strict=True
    ):
        index, notes = partition.index, dataset.notes
        notes.decided[index] = (np.array(decided.image), decided.counts)
        if decided_after is not None:
            notes.decided_after[index] = (np.array(decided_after.image), decided_after.counts)
        if total is None:
            total = found
        else:
            total.merge(found)
        if progress is not None:
            progress(total.rows)
    assert total is not None
    if not total.rows:
        raise InputError("no pixel has a label and a score", "check --ignore-label and the masks")
    return total
