"""Pixels to numbers: what labels and scores of images may hold, and where they do not.

A place is written as NumPy indexes the file: `masks.npy[3, 12, 40]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calibcli.errors import InputError

if TYPE_CHECKING:
    from calibcli.io.images.files import ImageFile, Shape

SUM_TOLERANCE = 1e-3
_ROUNDED_16 = 2.0**-11
"""Half a unit in the last place of a float16 below 1, twice: what rounding may move."""


def quantised(raw: NDArray[Any]) -> bool:
    """Return whether scores are whole numbers of few levels."""
    return raw.dtype.kind == "u" and raw.dtype.itemsize <= 2


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a block of pixels lies: rows from `first` on of an image of a file."""

    file: ImageFile
    shape: Shape
    image: int
    first: int

    def name(self, pixel: int, plane: int | None = None) -> str:
        """Return `file[image, plane, row, column]` of a pixel of the block."""
        row, column = divmod(pixel, self.shape.width)
        place = [self.first + row, column]
        if self.shape.depth > 1:
            place = [*divmod(place[0], self.shape.height // self.shape.depth), column]
        if plane is not None and self.shape.planes is not None:
            place = [*place, plane] if self.shape.last else [plane, *place]
        if not self.shape.single:
            place = [self.image, *place]
        return f"{self.file.name}[{', '.join(map(str, place))}]"


@dataclass(frozen=True, slots=True)
class LabelRule:
    """What a label means.

    Attributes:
        classes: The number of classes; 0 where a label is 0 or 1.
        ignore: The label of pixels that are left out.
        positive: The label that means 1, where one is named.
    """

    classes: int
    ignore: float | None = None
    positive: float | None = None

    def coded(self, raw: NDArray[Any], spot: Spot) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return labels as small integers, and which pixels have one (None for all).

        Args:
            raw: (m,) class indices or 0/1, or (K, m) of 0/1; pixels without a label get 0.
            spot: where they lie.

        Raises:
            InputError: a label that is none, with its place.
        """
        kept = None
        if self.ignore is not None:
            gone = raw == self.ignore
            gone = gone.any(axis=0) if gone.ndim == 2 else gone
            if gone.any():
                kept = ~gone
        values = raw if kept is None else np.where(kept, raw, raw.dtype.type(0))
        if self.positive is not None:
            return (values == self.positive).astype(np.uint8), kept
        most = max(self.classes - 1, 1) if self.classes else 1
        if values.dtype.kind == "b":
            return values.astype(np.uint8), kept
        low, high = (values.min(), values.max()) if values.size else (0, 0)
        if values.dtype.kind == "f" and not (np.floor(values) == values).all():
            raise self._refused(values, np.floor(values) != values, spot)
        if not (low >= 0 and high <= most):
            raise self._refused(values, ~((values >= 0) & (values <= most)), spot)
        small = np.uint8 if most < 256 else np.uint16
        return values.astype(small, copy=False), kept

    def _refused(self, values: NDArray[Any], bad: NDArray[np.bool_], spot: Spot) -> InputError:
        at = np.unravel_index(int(bad.argmax()), bad.shape)
        value = values[at].item()
        plane, pixel = (None, int(at[0])) if len(at) == 1 else (int(at[0]), int(at[1]))
        where = spot.name(pixel, plane)
        if isinstance(value, float) and value != int(value if value == value else 0):
            return InputError(
                f"{where}: the label {value:g} is no whole number",
                "labels are class indices or 0/1: are these probabilities, and the files swapped?",
            )
        if self.classes:
            what = f"there are {self.classes} classes, 0 to {self.classes - 1}"
            return InputError(
                f"{where}: the label {value:g}, but {what}",
                f"--ignore-label {value:g} leaves such pixels out; every class, the background "
                "too, needs a plane of scores",
            )
        return InputError(
            f"{where}: the label {value:g}, where 0 or 1 is expected",
            f"--positive {value:g} if it marks the structure, --ignore-label {value:g} if it marks "
            "pixels without a label",
        )


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """What a score means.

    Attributes:
        exclusive: Whether the K scores of a pixel are of classes that exclude each other.
        logits: Whether scores are logits.
        scale: What a probability of 1 is stored as, for quantised scores.
        drop: Whether pixels without a score may be left out.
    """

    exclusive: bool
    logits: bool
    scale: float | None
    drop: bool

    def values(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return probabilities or logits of raw scores; floats without a scale as they are."""
        if self.scale is None:
            return raw
        if quantised(raw):
            levels = np.arange(2 ** (8 * raw.dtype.itemsize)) / self.scale
            return np.asarray(levels[raw])
        return raw / self.scale

    def rounding(self, raw: NDArray[Any]) -> float:
        """Return by how much each probability may have been rounded."""
        if quantised(raw):
            return 0.5 / (self.scale or 1.0)
        return _ROUNDED_16 if raw.dtype == np.float16 else 0.0

    def missing(
        self, raw: NDArray[Any], kept: NDArray[np.bool_] | None, spot: Spot
    ) -> NDArray[np.bool_] | None:
        """Return which pixels have no score, of those with a label; None where all have one.

        Raises:
            InputError: no probability, classes that do not sum to 1, or a gap that may not be.
        """
        if not raw.size:
            return None
        low, high = raw.min(), raw.max()
        one = 1.0 if self.scale is None else self.scale
        if self.logits:
            fine = bool(np.isfinite(low) and np.isfinite(high))
        else:
            slack = SUM_TOLERANCE * one if self.exclusive else 0.0
            fine = bool(low >= -slack and high <= one + slack)
        gone = None
        if not fine:
            gone = self._gaps(raw, kept, spot, one)
        if self.exclusive and not self.logits:
            self._check_sums(raw, kept, gone, spot, one)
        return gone

    def _gaps(
        self, raw: NDArray[Any], kept: NDArray[np.bool_] | None, spot: Spot, one: float
    ) -> NDArray[np.bool_] | None:
        rows = raw if raw.ndim == 2 else raw[None]
        looked = np.ones(rows.shape[1], np.bool_) if kept is None else kept
        if not self.logits:
            slack = SUM_TOLERANCE * one if self.exclusive else 0.0
            with np.errstate(invalid="ignore"):
                wrong = ((rows < -slack) | (rows > one + slack)) & looked
            if wrong.any():
                plane, pixel = map(int, np.unravel_index(int(wrong.argmax()), wrong.shape))
                scaled = f" (with --scale {self.scale:g})" if self.scale is not None else ""
                raise InputError(
                    f"{spot.name(pixel, plane)}: {rows[plane, pixel].item():g} is no "
                    f"probability{scaled}, which lies between 0 and 1",
                    "if the scores are logits, add --logits"
                    if self.scale is None
                    else "--scale is the value that stands for 1: 255 or 65535",
                )
        bad: NDArray[np.bool_] = np.isnan(rows).any(axis=0)
        if self.logits and self.exclusive:
            bad |= np.isneginf(rows).all(axis=0) | (np.isposinf(rows).sum(axis=0) > 1)
        bad &= looked
        if not bad.any():
            return None
        if not self.drop:
            pixel = int(bad.argmax())
            count = int(bad.sum())
            more = f" (and {count - 1:,} more nearby)" if count > 1 else ""
            raise InputError(
                f"{spot.name(pixel)}: no score{more}", "leave such pixels out with --drop-invalid"
            )
        return bad

    def _check_sums(
        self,
        raw: NDArray[Any],
        kept: NDArray[np.bool_] | None,
        gone: NDArray[np.bool_] | None,
        spot: Spot,
        one: float,
    ) -> None:
        wide = np.uint32 if quantised(raw) else None
        if raw.dtype == np.float16:
            total: NDArray[Any] = np.zeros(raw.shape[1], np.float32)
            for plane in raw:
                total += plane
        else:
            total = raw.sum(axis=0, dtype=wide)
        allowed = (SUM_TOLERANCE + self.rounding(raw) * len(raw)) * one
        if total.min() >= one - allowed and total.max() <= one + allowed:
            return
        off = np.abs(total - float(one)) > allowed
        if gone is not None:
            off &= ~gone
        if kept is not None:
            off &= kept
        if off.any():
            pixel = int(off.argmax())
            raise InputError(
                f"{spot.name(pixel)}: the class probabilities sum to {total[pixel] / one:.4g}, "
                "not to 1",
                "if the scores are logits, add --logits; if each plane is a structure of its own, "
                "give labels with as many planes",
            )
