"""The interval of the calibrated probability of a row, from what a calibrator keeps of its map.

An artifact holds the map at some twenty-five scores with its interval there. Between two of them
the margins, as logits, follow a line in the logit of the score. Of methods whose logit is linear in
that of the score the standard error is a convex function of it (the square root of a quadratic
form), which lies below its chords: intervals in between are never narrower than those of the
bootstrap itself. As those they are about the parameters of the method, not about its form.

Venn-Abers needs no such thing: its two predictions p0 and p1 are the interval, see `both_labels`.
Of parametric maps of several classes an artifact holds the maps without each fold; a row goes
through all of them, and the interval of each class is that of `class_map`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from calibcli.core.calibrators import Grouped, calibrate
from calibcli.core.fitting.both_labels import both_by_group, both_labels
from calibcli.core.fitting.class_map import jackknife_margin
from calibcli.core.numeric.scales import expit, logit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.calibrators.evidence import FloatArray
    from calibcli.core.results.parts.stored import MapPoint


class RowGroups(Protocol):
    """The group of each row."""

    @property
    def codes(self) -> NDArray[np.integer]:
        """Places (n,) in `values`; -1 for none."""

    @property
    def values(self) -> Sequence[str]:
        """Group values as text."""


class RowInterval(Protocol):
    """What tells the interval of rows."""

    def __call__(
        self, scores: FloatArray, p: FloatArray, groups: RowGroups | None = None, *, logits: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return low and high of scores (n,) or (n, K) and their calibrated probabilities p.

        `groups` are those of the rows where the calibrator has maps by group; `logits` tells
        whether the scores are logits; else they are probabilities.
        """


@dataclass(frozen=True, slots=True, eq=False)
class BothLabels:
    """p0 and p1 of Venn-Abers, or what is made of them."""

    calibrator: Calibrator

    def __call__(
        self, scores: FloatArray, p: FloatArray, groups: RowGroups | None = None, *, logits: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities if the row's label were 0, and 1."""
        if isinstance(self.calibrator, Grouped):
            assert groups is not None
            found = both_by_group(
                self.calibrator, scores, groups.codes, groups.values, logits=logits
            )
        else:
            found = both_labels(self.calibrator, scores, logits=logits)
        return np.minimum(found[0], p), np.maximum(found[1], p)


@dataclass(frozen=True, slots=True, eq=False)
class OfFolds:
    """The delete-a-group jackknife of the maps that are fitted without a fold, at a level."""

    folds: tuple[Calibrator, ...]
    confidence: float

    def __call__(
        self, scores: FloatArray, p: FloatArray, groups: RowGroups | None = None, *, logits: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities a margin below and above, each class by itself."""
        without = np.array([calibrate(one, scores, logits=logits) for one in self.folds])
        middle, margin = logit(p), jackknife_margin(without, self.confidence)
        return np.minimum(expit(middle - margin), p), np.maximum(expit(middle + margin), p)


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Margins as logits below and above the map (m,), at logits of scores (m,) that increase."""

    at: FloatArray
    below: FloatArray
    above: FloatArray

    @classmethod
    def of(cls, points: Sequence[MapPoint]) -> Margins | None:
        """Return the margins of a map's points; None where they have no interval."""
        known = [one for one in points if one.low is not None and one.high is not None]
        if len(known) < 2:
            return None
        score, p, low, high = (
            logit(np.array([getattr(one, name) for one in known], np.float64))
            for name in ("score", "probability", "low", "high")
        )
        order = np.argsort(score)
        return cls(score[order], (p - low)[order], (high - p)[order])

    def __call__(
        self, scores: FloatArray, p: FloatArray, groups: RowGroups | None = None, *, logits: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Return the probabilities a margin below and above."""
        z, middle = scores if logits else logit(scores), logit(p)
        inside = np.clip(z, self.at[0], self.at[-1])
        low = expit(middle - np.interp(inside, self.at, self.below))
        high = expit(middle + np.interp(inside, self.at, self.above))
        return np.minimum(low, p), np.maximum(high, p)
