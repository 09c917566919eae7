"""Objects that no box has found: they have no score, and every recall needs them. Mergeable."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from msgspec import structs

from calibcli.core.detection.box_calibration import BINS
from calibcli.core.results.figures import Figure, undefined
from calibcli.tasks.detection.pairs import LOWEST, with_missed
from calibcli.tasks.population import Extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from calibcli.core.results.figures import Confusion
    from calibcli.core.statistics.stats import ScoreStats

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

NO_NEGATIVES = "a detector has no true negatives"
OWN: Final = ("images", "ground_truth", "ap", "ap_50_95", "lrp", *BINS)
"""Figures that pairs alone do not give."""
_OF_BOXES = "saved statistics hold no boxes"
FIRST: Final = (
    "n",
    "images",
    "ground_truth",
    "prevalence",
    "mean_score",
    "ap",
    "ap_50_95",
    "lrp",
    "ece",
    "ece_debiased",
    "mce",
    "ace",
    *BINS,
)
"""Names of the metrics of boxes that come first, in display order; then the others of pairs."""


class WithMissed(Extra):
    """A population of boxes, with the objects that count."""

    lowest = LOWEST
    only: int | None = None
    """The class that is looked at; None for all."""

    @property
    @abstractmethod
    def objects(self) -> Ints:
        """Objects that count of each class in each bucket of images (K, buckets)."""

    @property
    @abstractmethod
    def missed(self) -> Ints:
        """Those of them that no box has found (K, buckets)."""

    @property
    def mass(self) -> tuple[Floats, Floats] | None:
        """Sums of their weights, and of squares (K, buckets); None where images count once."""
        return None

    def of_label(self, k: int) -> Self:
        """Return the same images, looking at one class."""
        found = copy(self)
        found.__dict__.pop("curve", None)  # that of what was looked at before
        found.only = k
        return found

    def _looked_at(self, counts: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = counts.sum(axis=0) if self.only is None else counts[self.only]
        return found

    @property
    def own_objects(self) -> Ints:
        """Objects that count, of the class that is looked at, in each bucket (buckets,)."""
        return self._looked_at(self.objects)

    def counted(self, pairs: ScoreStats) -> ScoreStats:
        """Return pairs with what was missed below every score."""
        if self.mass is None:
            return with_missed(pairs, self._looked_at(self.missed))
        return with_missed(pairs, *map(self._looked_at, self.mass))

    def own(self, confidence: float | None) -> dict[str, Figure]:
        """Return the figures that pairs alone do not give."""
        known = {"ground_truth": Figure(int(self.own_objects.sum()))}
        return dict.fromkeys(OWN, undefined(_OF_BOXES)) | known

    def metrics(self, found: Mapping[str, Figure], confidence: float | None) -> dict[str, Figure]:
        """Return the figures of the pairs with those of boxes, in display order."""
        every = {**found, **self.own(confidence)}
        every.pop("average_precision", None)  # of pairs alone, as if nothing were missed
        return {name: every[name] for name in (*FIRST, *(n for n in found if n in every))}

    def table(self, counts: Confusion, threshold: float) -> Confusion:
        """Return a confusion table without true negatives."""
        none = undefined(NO_NEGATIVES)
        return structs.replace(counts, threshold=threshold, tn=None, specificity=none, fpr=none)

    def to_dict(self) -> dict[str, Any]:
        """Return what saved statistics keep of it."""
        found = {"objects": self.objects.tolist(), "missed": self.missed.tolist()}
        if self.mass is not None:
            found["missed_mass"] = [one.tolist() for one in self.mass]
        return found


class Missed(WithMissed):
    """The objects that saved statistics have kept, without the boxes."""

    def __init__(
        self, objects: Ints, missed: Ints, mass: tuple[Floats, Floats] | None = None
    ) -> None:
        self._objects, self._missed, self._mass = objects, missed, mass

    @property
    def objects(self) -> Ints:
        """Objects that count of each class in each bucket of images (K, buckets)."""
        return self._objects

    @property
    def missed(self) -> Ints:
        """Those of them that no box has found (K, buckets)."""
        return self._missed

    @property
    def mass(self) -> tuple[Floats, Floats] | None:
        """Sums of their weights, and of squares (K, buckets); None where images count once."""
        return self._mass

    def merge(self, other: Missed) -> None:
        """Add those of other images."""
        if self._mass is not None and other._mass is not None:
            self._mass = self._mass[0] + other._mass[0], self._mass[1] + other._mass[1]
        self._objects = self._objects + other.objects
        self._missed = self._missed + other.missed

    def numbered(self, known: tuple[int, ...] | None) -> Missed:
        """Return the same: the buckets were known when they were counted."""
        return self

    def rebucketed(self, moved: Ints) -> Missed:
        """Return the same, with bucket b counted as bucket moved[b]."""

        def one(counts: NDArray[Any]) -> NDArray[Any]:
            sums = np.zeros_like(counts)
            np.add.at(sums.T, moved, counts.T)
            return sums

        mass = None if self._mass is None else (one(self._mass[0]), one(self._mass[1]))
        return Missed(one(self._objects), one(self._missed), mass)

    def of_group(self, column: int, value: str) -> Missed:
        """Groups are saved as populations of their own."""
        return self
