"""Pixels counted: what `collect` does with rows, an image at a time.

The scores of an image stack repeat: 256 levels of a byte, 15,361 float16 numbers in [0, 1]. Such
scores are counted by level, which takes a few nanoseconds a pixel, and the levels become pairs
when the partition ends. Other scores go through a tally of the image, which is then added to the
statistics of all pixels and to those of the image's bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.numeric.scales import softmax
from calibcli.core.statistics.cell_table import CellTable
from calibcli.core.statistics.counting.tally import Tally
from calibcli.core.statistics.keys import logit_keys, probability_keys
from calibcli.core.statistics.stats import BUCKETS
from calibcli.io.images.blocks import Block
from calibcli.tasks.pairs import CLASSES, PAIRS, TOP
from calibcli.tasks.segmentation.image_counts import ImageCounts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.io.dataset import Batch
    from calibcli.io.images.blocks import Image
    from calibcli.tasks.side import Counting, Side

    Pixels = NDArray[np.int64]
    """Numbers of pixels."""

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


def levels_of(block: Block) -> Levels | None:
    """Return the levels of the scores, None where there are too many to count apart."""
    rule, dtype = block.rule, block.planes.dtype
    if rule.logits:
        return None
    if rule.scale is not None:
        if dtype.kind != "u" or dtype.itemsize > 2 or rule.scale > 2 ** (8 * dtype.itemsize) - 1:
            return None
        return _whole_levels(rule.scale)
    return _half_levels() if dtype == np.float16 else None


@lru_cache(maxsize=4)
def _whole_levels(scale: float) -> Levels:
    return Levels(np.arange(int(scale) + 1) / scale, "u")


@lru_cache(maxsize=1)
def _half_levels() -> Levels:
    values = np.arange(_ONE_16 + 1, dtype=np.uint16).view(np.float16)
    return Levels(values.astype(np.float64), "f")


class PixelCounter:
    """Counts images, a side at a time; what `collect.RowCounter` is for rows.

    Pixels of few levels wait by bucket and groups, others by image.
    """

    def __init__(self, counts: Counting) -> None:
        self.counts = counts
        self.task = counts.layout.task
        self.weighted = counts.layout.weighted
        self.width = max(len(counts.layout.classes), 1)
        self._levels: dict[tuple[Home, int], Levelled] = {}
        self._image: Image | None = None
        self._tallies: list[_Tallies] = []
        self._homes: dict[int, Home] = {}
        for side in counts.sides:
            side.extra = ImageCounts()

    def add(self, side: Side, batch: Batch, original: Batch) -> None:
        """Count pixels of one image, as they were read or under other scores."""
        assert isinstance(original, Block)
        image = original.image
        if image is not self._image:
            self._flush_image()
            self._image, self._homes = image, {}
        levels = levels_of(original) if batch is original else None
        if levels is not None and 2 * len(levels.values) * self.width * BUCKETS <= _MOST_DENSE:
            found = self._level(side, levels, original, self._home(side, image))
        else:
            found = self._tally(side, batch, original)
        if original.labelled:
            assert isinstance(side.extra, ImageCounts)
            side.extra.add(image, found)

    def _home(self, side: Side, image: Image) -> Home:
        home = self._homes.get(id(side))
        if home is None:
            units = self.counts.units
            members = tuple(
                scope.member(values[code])
                for scope, (code, values) in zip(side.groups, image.groups, strict=False)
            )
            bucket = 0 if units is None else units.bucket(int(image.unit))
            home = self._homes[id(side)] = Home(bucket, members, image.weight)
        return home

    def flush(self) -> None:
        """Hand over whatever has not been counted yet."""
        self._flush_image()
        together: dict[Any, list[tuple[int, Levelled]]] = {}
        for (home, size), held in self._levels.items():
            together.setdefault((home.members, home.weight, size), []).append((home.bucket, held))
        for (members, weight, _), parts in together.items():
            slots = np.tile(np.arange(self.width), len(parts))
            buckets = np.repeat([bucket for bucket, _ in parts], self.width)
            for name in parts[0][1].counts:
                counts = np.concatenate([held.counts[name] for _, held in parts])
                table = _table(counts, parts[0][1].keys, weight if self.weighted else None)
                if len(table):
                    self.counts.before.add_units(name, table, slots, buckets, members)
        self._levels = {}

    # -- few levels -----------------------------------------------------------------------------

    def _level(self, side: Side, levels: Levels, block: Block, home: Home) -> Pixels:
        key = home, len(levels.values)
        held = self._levels.get(key)
        if held is None:
            if len(self._levels) >= BUCKETS:
                self.flush()
            make = logit_keys if side.layout.logits else probability_keys
            shape = (self.width, len(levels.values), 2)
            names = side.overall.families
            held = Levelled(
                make(levels.values), {name: np.zeros(shape, np.int64) for name in names}
            )
            self._levels[key] = held
        return _count_levels(self.task, levels, block, held.counts)

    # -- any numbers ----------------------------------------------------------------------------

    def _tally(self, side: Side, batch: Batch, block: Block) -> Pixels:
        own = next((one for one in self._tallies if one.side is side), None)
        if own is None:
            own = _Tallies(side, self.width, self.weighted)
            self._tallies.append(own)
        planes = block.rule.values(block.planes) if batch is block else _planes(batch.scores)
        truth = no_truth(self.task, planes) if block.truth is None else block.truth
        weight = None if not self.weighted else block.image.weight
        if self.task != "multiclass":
            return own.structures(planes, truth, weight)
        if side.layout.logits:
            p = softmax(planes.T).T
        else:
            p = np.clip(planes, 0.0, 1.0)
        return own.classes(planes, p, truth, weight)

    def _flush_image(self) -> None:
        """Add the tallies of an image that has ended to all pixels, its bucket and its groups."""
        if self._image is not None:
            for own in self._tallies:
                home = self._home(own.side, self._image)
                for (name, first), tally in own.tallies.items():
                    slots = np.arange(first, first + tally.slots)
                    buckets = np.full(len(slots), home.bucket)
                    own.side.add_units(name, tally, slots, buckets, home.members)
        self._image, self._tallies = None, []


@dataclass(frozen=True, slots=True)
class Home:
    """Where the pixels of an image are counted: its bucket, its groups' members, its weight."""

    bucket: int
    members: tuple[int, ...] = ()
    weight: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Levelled:
    """Counts (K, levels, 2) of each family by structure, level and label, and the levels' keys."""

    keys: NDArray[np.int64]
    counts: dict[str, Pixels]


class _Tallies:
    """The tallies of one image on one side, by family and the first slot that they are of."""

    def __init__(self, side: Side, width: int, weighted: bool) -> None:
        self.side, self.width, self.weighted = side, width, weighted
        self.tallies: dict[tuple[str, int], Tally] = {}

    def structures(
        self, values: NDArray[Any], labels: NDArray[Any], weight: float | None
    ) -> Pixels:
        """Count scores (m,) or (K, m) of structures that may overlap."""
        logits = self.side.layout.logits
        make = logit_keys if logits else probability_keys
        cut = 0.0 if logits else 0.5
        name = PAIRS
        if values.ndim == 1:
            values, labels = values[None], labels[None]
        else:
            name = CLASSES
        rows = []
        for k in range(self.width):
            truth = labels[k].astype(np.bool_)
            self._add(name, k, make(values[k]), truth, weight)
            said = values[k] >= cut
            hits = int(np.count_nonzero(said & truth))
            rows.append([hits, int(np.count_nonzero(said)) - hits, int(truth.sum()) - hits])
        return np.array(rows, np.int64)

    def classes(
        self, values: NDArray[Any], p: NDArray[Any], labels: NDArray[Any], weight: float | None
    ) -> Pixels:
        """Count scores (K, m), whose largest decides, and probabilities (K, m) of classes."""
        _, predicted = _largest(values)
        right = predicted == labels
        confidence = np.take_along_axis(p, predicted[None].astype(np.intp), axis=0)[0]
        slots = predicted.astype(np.int64)
        self._add(TOP, 0, probability_keys(confidence), right, weight, slots)
        for k in range(self.width):
            self._add(CLASSES, k, probability_keys(p[k]), labels == k, weight)
        hits = np.bincount(slots[right], minlength=self.width)
        return _hits(hits, np.bincount(slots, minlength=self.width) - hits, labels)

    def _add(
        self,
        name: str,
        k: int,
        keys: NDArray[np.int64],
        label: NDArray[np.bool_],
        weight: float | None,
        slots: NDArray[np.int64] | None = None,
    ) -> None:
        key = name, k
        if key not in self.tallies:
            family = self.side.overall.families[name].tally
            self.tallies[key] = Tally(
                1 if slots is None else self.width,
                edges=family.edges,
                logits=family.logits,
                by_logit=family.by_logit,
                weighted=self.weighted,
                start_exact=f"{name}False" not in self.side.hopeless and family.exact,
                ranked=slots is None,
            )
        mass = None if weight is None else np.full(len(keys), weight)
        self.tallies[key].add(keys, label, slots, mass)


def _planes(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities of rows (m,) or (m, K) with planes apart, (m,) or (K, m)."""
    return np.ascontiguousarray(p.T)


def no_truth(task: str, planes: NDArray[Any]) -> NDArray[Any]:
    """Return labels that make every pair one of outcome 0, for pixels whose labels are unknown.

    A class that is none of the K is one more, of which nothing is decided.
    """
    if task == "multiclass":
        return np.full(planes.shape[-1], len(planes), np.int64)
    return np.zeros(planes.shape, np.uint8)


def _count_levels(task: str, levels: Levels, block: Block, into: dict[str, Pixels]) -> Pixels:
    """Add the pixels of a block by structure, level and label; return what was decided (K, 3)."""
    codes, labels = levels.codes(block.planes), block.truth
    if labels is None:
        labels = no_truth(task, codes)
    size = len(levels.values)
    half = int(np.searchsorted(levels.values, 0.5))
    if task == "binary":
        joint = _joint(codes, labels, size)
        into[PAIRS][0] += joint
        return _at_least(joint, half)[None]
    width = len(codes)
    if task == "multilabel":
        rows = []
        for k in range(width):
            joint = _joint(codes[k], labels[k], size)
            into[CLASSES][k] += joint
            rows.append(_at_least(joint, half))
        return np.stack(rows)
    best, predicted = _largest(codes)
    for k in range(width):
        into[CLASSES][k] += _joint(codes[k], labels == k, size)
    index = predicted.astype(np.intp) * size + best
    right = predicted == labels
    top = _joint(index, right, size * width).reshape(width, size, 2)
    into[TOP] += top
    return _hits(top[:, :, 1].sum(axis=1), top[:, :, 0].sum(axis=1), labels)


def _table(counts: Pixels, keys: NDArray[np.int64], weight: float | None) -> CellTable:
    """Return counts (slots, levels, 2) at the keys of the levels as a table of cells."""
    slot, level = np.nonzero(counts.any(axis=2))
    neg, pos = counts[slot, level].T
    squares: tuple[Any, Any] = (None, None)
    if weight is not None:
        pos, neg = pos * weight, neg * weight
        squares = pos * weight, neg * weight
    none = np.zeros(len(slot), pos.dtype)
    return CellTable(slot.astype(np.int32), keys[level], pos, neg, none, *squares)


def _joint(codes: NDArray[Any], labels: NDArray[Any], size: int) -> Pixels:
    """Return counts (size, 2) by code and label."""
    wide = np.dtype(np.uint16 if size <= 1 << 15 else np.intp)
    index = np.left_shift(codes.astype(wide), 1)
    np.bitwise_or(index, labels.astype(wide), out=index)
    return np.bincount(index, minlength=2 * size).reshape(size, 2)


def _at_least(joint: Pixels, half: int) -> Pixels:
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


def _hits(right: Pixels, wrong: Pixels, labels: NDArray[Any]) -> Pixels:
    truth = np.bincount(labels, minlength=len(right))[: len(right)]
    return np.stack([right, wrong, truth - right], axis=1)
