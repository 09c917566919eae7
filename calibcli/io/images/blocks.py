"""Pieces of images as they are read: a block of some rows of pixels, a frame of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.core.numeric.mixing import mixed
from calibcli.io.content import Content, rounded
from calibcli.io.rows.batch import RowBatch
from calibcli.io.rows.keys import Categories

if TYPE_CHECKING:
    from calibcli.io.dataset import Rows
    from calibcli.io.images.pixels import ScoreRule

_WIDE = 1 << 10
_ALL = 2**64 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """What all pixels of an image share.

    Attributes:
        number: its place in the data set.
        unit: hash of the identity of its unit.
        head: (m,) or (K, m) its first scores, as the file has them.
        weight: of each pixel, or None.
        groups: code and values of each group column.
    """

    number: int
    unit: np.uint64
    head: NDArray[Any]
    weight: float | None = None
    groups: tuple[tuple[int, list[str]], ...] = ()


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of pixels of one image, a batch whose planes lie apart as the file has them.

    Pixels without a label or score are left out.

    Attributes:
        planes: scores (m,) or (K, m), as the file has them.
        truth: labels (m,) class indices or 0/1, (K, m) of 0/1, or None.
        image: what they share.
        rule: what a score means.
        first_row: Pixel of the source at which the block begins.
        kept: Offsets from `first_row` of the pixels, when some were left out; else None.
        ignored: Pixels left out for want of a label.
        pixels: Pixels of the block before any was left out.
        last: Whether the block ends the image; `first` whether it is the first with a pixel.
    """

    planes: NDArray[Any]
    truth: NDArray[Any] | None
    image: Image
    rule: ScoreRule
    source: str
    source_index: int
    first_row: int
    kept: NDArray[np.int64] | None
    ignored: int
    pixels: int
    last: bool
    first: bool

    models = None
    table = None
    count = None
    checked = True

    def __len__(self) -> int:
        return int(self.planes.shape[-1])

    def row(self, i: int) -> int:
        """Return the pixel of the source that row `i` is."""
        return self.first_row + (i if self.kept is None else int(self.kept[i]))

    @property
    def labelled(self) -> bool:
        """Whether there are labels."""
        return self.truth is not None

    @property
    def dropped(self) -> int:
        """How many pixels were left out."""
        return self.pixels - len(self)

    @cached_property
    def scores(self) -> NDArray[Any]:
        """Probabilities or logits of the pixels, (m,) or (m, K)."""
        return np.ascontiguousarray(self.rule.values(self.planes).T)

    @cached_property
    def labels(self) -> NDArray[Any] | None:
        """Labels of the pixels, (m,) or (m, K)."""
        if self.truth is None:
            return None
        kind = np.int64 if self.rule.exclusive else np.int8
        return np.ascontiguousarray(self.truth.T).astype(kind)

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """The image's weight, once a pixel (m,)."""
        weight = self.image.weight
        return None if weight is None else np.broadcast_to(np.float64(weight), len(self))

    @property
    def groups(self) -> tuple[Categories, ...]:
        """The image's groups, once a pixel."""
        return tuple(
            Categories(np.broadcast_to(np.int32(code), len(self)), values)
            for code, values in self.image.groups
        )

    @property
    def unit(self) -> NDArray[np.uint64]:
        """The image's unit, once a pixel (m,)."""
        return np.broadcast_to(self.image.unit, len(self))

    @property
    def units(self) -> NDArray[np.uint64]:
        """The image's unit."""
        return np.array([self.image.unit])

    @property
    def rounding(self) -> float:
        """By how much each probability may have been rounded."""
        return self.rule.rounding(self.planes)

    def content(self, digits: int | None = None, limit: int | None = None) -> Content:
        """Return what the image is known by, once an image: its first scores.

        An image of one score throughout can be like another, and is not looked at.
        """
        head, own = rounded(self.image.head, digits)
        if not self.first or head.min() == head.max():
            return Content(np.zeros(0, np.uint64), None, own, certain=True)
        return Content(np.array([content_hash(head)]), None, own, certain=True)

    def take(self, rows: Rows) -> RowBatch:
        """Return some pixels as rows."""
        return self._rows().take(rows)

    def rescored(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any] | None = None,
        source: str | None = None,
    ) -> RowBatch:
        """Return the pixels as rows under other scores, and other labels or file if given."""
        return self._rows().rescored(scores, labels, source)

    def _rows(self) -> RowBatch:
        return RowBatch(
            scores=self.scores,
            labels=self.labels,
            weight=self.weight,
            count=None,
            groups=self.groups,
            unit=self.unit,
            first_row=self.first_row,
            source=self.source,
            source_index=self.source_index,
            dropped=self.dropped,
            kept=self.kept,
            rounding=self.rounding,
            ignored=self.ignored,
            checked=True,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image, whole.

    Attributes:
        scores: (H * W,) or (K, H * W), as the file has them.
        labels: (H * W,) or (K, H * W), or None.
        kept: (H * W,) the pixels that have a label and a score; None for all.
        image: what its pixels share; `source_index` the place of its file.
        size: (H, W).
    """

    scores: NDArray[Any]
    labels: NDArray[Any] | None
    kept: NDArray[np.bool_] | None
    image: Image
    source_index: int
    size: tuple[int, int]


def content_hash(planes: NDArray[Any]) -> np.uint64:
    """Return a hash of scores (m,) or (K, m): of their bytes and places, whatever the file.

    Sums of words by row and column of a table of them, each times a fixed odd factor, modulo 2^64:
    about a quarter of a nanosecond a byte.
    """
    content = np.ascontiguousarray(planes).view(np.uint8).reshape(-1)
    whole = len(content) // (8 * _WIDE)
    table = content[: whole * 8 * _WIDE].view(np.uint64).reshape(-1, _WIDE)
    rest = content[whole * 8 * _WIDE :]
    if len(rest) % 8:
        rest = np.append(rest, np.zeros(-len(rest) % 8, np.uint8))
    with np.errstate(over="ignore"):
        total = int((rest.view(np.uint64) * _factors(_WIDE, 1)[: len(rest) // 8]).sum())
        if whole:
            total += int(((_factors(whole, 2) @ table) * _factors(_WIDE, 3)).sum())
    return np.uint64(_scrambled((total ^ len(content)) & _ALL))


def _scrambled(z: int) -> int:
    """Return SplitMix64's output function of one integer, as `mixed` does of many."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _ALL
    return z ^ (z >> 31)


@lru_cache(maxsize=8)
def _factors(size: int, seed: int) -> NDArray[np.uint64]:
    return mixed(np.arange(size) + seed * 1_000_003) | np.uint64(1)
