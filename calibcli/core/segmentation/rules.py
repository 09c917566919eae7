"""Rules of images: from probabilities (K, H, W) to the decision of each pixel.

What `core.decisions.rules` is for rows; the codes of decisions are the same. Where classes exclude
each other a rule decides one a pixel, (H, W); else each structure by itself, 1 or 0, (K, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from calibcli.core.decisions.rules import NONE
from calibcli.core.decisions.stored import REGIONS, rule_of
from calibcli.core.segmentation.regions import Cleaning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.decisions.stored import StoredThresholds

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int16]


MANY = 254
"""Structures from which on a mask needs 16 bits: two values are for no structure, and to refer."""


def nothing_of(structures: int) -> int:
    """Return the value in a mask of a pixel that no structure claims, of several exclusive ones."""
    return 255 if structures < MANY else 65535


class ImageRule(Protocol):
    """What decides about the pixels of an image."""

    @property
    def column(self) -> str | None:
        """The column of groups of images by which decisions differ, if they do."""

    def decide(self, p: Floats, group: str | None = None, image: int = 0) -> Codes:
        """Return the decision of each pixel from probabilities (K, H, W).

        `group` is the image's value of `column`, and `image` its number.
        """


@dataclass(frozen=True, slots=True)
class MaskRule:
    """Cut-offs and cleaned regions.

    Attributes:
        thresholds: one a structure (K,); NaN for one that is never decided.
        cleaning: one a structure.
        background: the structure that gets every pixel no other claims; None for none.
        exclusive: whether one structure is decided a pixel: of several that claim it the one with
            the largest probability / threshold, ties to the first.
    """

    thresholds: tuple[float, ...]
    cleaning: tuple[Cleaning, ...]
    background: int | None = None
    exclusive: bool = True

    @property
    def column(self) -> None:
        """Every image is decided alike."""
        return

    @property
    def cleans(self) -> bool:
        """Whether some masks are cleaned by region."""
        return not all(one.idle for one in self.cleaning)

    def claims(self, p: Floats) -> NDArray[np.bool_]:
        """Return the cleaned mask of each structure (K, H, W) from probabilities (K, H, W)."""
        found = np.zeros(p.shape, np.bool_)
        for k, (threshold, cleaning) in enumerate(zip(self.thresholds, self.cleaning, strict=True)):
            if threshold == threshold and k != self.background:
                found[k] = cleaning.clean(p[k] >= threshold)
        return found

    def decide(self, p: Floats, group: str | None = None, image: int = 0) -> Codes:
        """Return the decision of each pixel."""
        claims = self.claims(p)
        if not self.exclusive:
            return claims.astype(np.int16)
        empty = NONE if self.background is None else self.background
        decided = np.full(p.shape[1:], empty, np.int16)
        strongest = np.full(p.shape[1:], -1.0)
        for k, own in enumerate(claims):
            strength = p[k] / max(self.thresholds[k], 1e-300)
            better = own & (strength > strongest)
            decided[better] = k
            strongest[better] = strength[better]
        return decided


@dataclass(frozen=True, slots=True)
class PixelRule:
    """A rule of rows, for each pixel by itself."""

    rule: Rule
    binary: bool

    @property
    def column(self) -> str | None:
        """The column of groups of images by which decisions differ, if they do."""
        found: str | None = getattr(self.rule, "column", None)
        return found

    def decide(self, p: Floats, group: str | None = None, image: int = 0) -> Codes:
        """Return the decision of each pixel; `group` is the image's value of `column`."""
        flat = p.reshape(len(p), -1)
        scores = flat[0] if self.binary else flat.T
        codes, values = None, None
        if group is not None:
            codes, values = np.zeros(len(scores), np.int64), [group]
        decided = np.asarray(self.rule.decide(scores, codes, values))
        if self.binary and decided.ndim == 1:
            decided = decided[:, None]
        return decided.T.astype(np.int16).reshape(*decided.shape[1:], *p.shape[1:])


def image_rule(
    stored: StoredThresholds,
    thresholds: Sequence[float],
    classes: tuple[str, ...],
    *,
    exclusive: bool,
) -> ImageRule:
    """Return the rule of a thresholds artifact for images.

    Args:
        stored: the artifact.
        thresholds: one a structure; NaN where there is none.
        classes: names of the structures; () for one score a pixel.
        exclusive: whether one structure is decided a pixel.
    """
    regions = stored.regions
    if regions is None or stored.rule != REGIONS:
        return PixelRule(rule_of(stored, exclusive=exclusive), binary=not classes)
    cleaning = (
        Cleaning(one.min_area, one.fill_holes, regions.connectivity) for one in stored.thresholds
    )
    background = None if regions.background is None else classes.index(regions.background)
    return MaskRule(tuple(thresholds), tuple(cleaning), background, exclusive)
