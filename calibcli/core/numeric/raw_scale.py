"""Raw scores, which are no probabilities, in the key space of logits: a linear map and its inverse.

Margins, points, distances and anomaly scores are standardised before anything else,
z = (s - a) / b, and read as logits from there on; what is printed and stored goes back. b is a
power of two, and a is 0 unless the scores lie far from it, so the map keeps the order of all scores
and comes back exactly: for a = 0, and for scores within a factor of 2 of a (Sterbenz 1974); others
may lose what is below 2**-53 of a. Where low scores mean label 1, b is negative.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from calibcli.core.statistics.keys import (
    key_logits,
    key_probabilities,
    logit_keys,
    logit_places,
    probability_keys,
)
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_QUARTILES = 2.0 * math.log(3.0)
"""Distance of the quartiles of a logistic distribution, to which scores are brought."""
_FAR = 16.0
"""Scales from 0 at which the middle of the scores becomes the location."""
_SHIFT = 46
_CELLS = 1 << (64 - _SHIFT)


@dataclass(frozen=True, slots=True)
class RawScale:
    """z = (s - location) / scale of a raw score s.

    Attributes:
        location: 0, or a multiple of the scale near the middle of the scores.
        scale: a power of two; negative where low scores mean label 1.
    """

    location: float
    scale: float

    @property
    def descending(self) -> bool:
        """Whether low scores mean label 1."""
        return self.scale < 0

    def keyed(self, raw: ArrayLike) -> Array:
        """Return scores of any shape as they are counted; infinities stay infinite."""
        z: Array = (np.asarray(raw, dtype=np.float64) - self.location) / self.scale
        return z

    def raw(self, z: ArrayLike) -> Array:
        """Return what `keyed` was given."""
        s: Array = np.asarray(z, dtype=np.float64) * self.scale + self.location
        return s

    def cut(self, z: float) -> float:
        """Return the cut-off in the unit of the scores: those on its side are at least `z`."""
        found = float(self.raw(z))
        beyond = -math.inf if self.descending else math.inf
        while math.isfinite(found) and float(self.keyed(found)) < z:
            found = math.nextafter(found, beyond)
        return found

    def probability(self, raw: float) -> float:
        """Return the probability by which a raw score is counted; it means nothing by itself.

        Of a score that is no probability exactly it is the one below.
        """
        place = logit_places(self.keyed([raw]))
        found = key_probabilities(place)
        if probability_keys(found)[0] > place[0]:
            found = np.nextafter(found, 0.0)
        return float(found[0])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "location": self.location,
            "scale": self.scale,
            "descending": self.descending,
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the scale that `to_dict` wrote."""
        return cls(float(payload["location"]), float(payload["scale"]))


def stored_scale(found: dict[str, Any] | None) -> RawScale | None:
    """Return the scale of raw scores as an artifact holds it, if it holds one.

    Raises:
        InputError: it is none.
    """
    if found is None:
        return None
    try:
        scale = RawScale.from_dict(found)
        if math.isfinite(scale.location) and math.isfinite(scale.scale) and scale.scale != 0:
            return scale
    except (TypeError, ValueError, LookupError):
        pass
    raise InputError("the scale of its raw scores is damaged", "write it again")


@dataclass(slots=True)
class ScoreSpread:
    """How raw scores lie: counts of cells of 6 mantissa bits, which merge in any order."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_CELLS, np.int64))
    low: float = math.inf
    high: float = -math.inf

    def add(self, scores: NDArray[Any]) -> None:
        """Count scores (n,); what is not finite is left out."""
        known = scores[np.isfinite(scores)]
        if not known.size:
            return
        self.low, self.high = min(self.low, float(known.min())), max(self.high, float(known.max()))
        cell = (logit_keys(known) >> _SHIFT) + _CELLS // 2
        self.counts += np.bincount(cell, minlength=_CELLS)

    def merge(self, other: ScoreSpread) -> None:
        """Take in what another has counted."""
        self.counts += other.counts
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)

    def scale(self, *, descending: bool = False) -> RawScale:
        """Return the scale at which the quartiles lie as those of a logistic distribution do.

        Where few cells hold all between them, the range takes their place: a quarter of it.
        """
        total = int(self.counts.sum())
        sign = -1.0 if descending else 1.0
        if not total:
            return RawScale(0.0, sign)
        below = np.cumsum(self.counts)
        first, last = np.searchsorted(below, [0.25 * total, 0.75 * total])
        ends = [self.low, self.high]
        if last - first > 8:
            ends = [float(min(max(_start(int(c)), self.low), self.high)) for c in (first, last)]
        width = ends[1] - ends[0] if last - first > 8 else (ends[1] - ends[0]) / 4.0
        if not 0.0 < width < math.inf:
            return RawScale(ends[0] if width == 0.0 else 0.0, sign)
        unit = 2.0 ** max(min(round(math.log2(width / _QUARTILES)), 1000), -1000)
        middle = ends[0] / 2.0 + ends[1] / 2.0
        location = round(middle / unit) * unit if abs(middle) > _FAR * unit else 0.0
        return RawScale(location, sign * unit)


def _start(cell: int) -> float:
    """Return a score of the cell, the nearest to 0."""
    place = cell - _CELLS // 2
    key = (place if place >= 0 else place + 1) << _SHIFT
    return float(key_logits(np.array([key], np.int64))[0])
