"""No correction: the candidate that every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.evidence import FloatArray
from calibcli.core.calibrators.pieces import curve
from calibcli.core.calibrators.piecewise import Linear, Logistic, Pieces
from calibcli.core.calibrators.types import CLASSES, SCORE, Calibrator, Space, Takes

if TYPE_CHECKING:
    from calibcli.core.calibrators.classes.rows import Deal, RowSource
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class Identity(Calibrator):
    """Returns the probabilities as they are."""

    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "identity"
    space: ClassVar[Space] = "probability"
    takes: ClassVar[Takes] = SCORE | CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 0

    @classmethod
    def fit(
        cls, data: ScoreStats | RowSource, *, start: Self | None = None, prior: float = 0.0
    ) -> Self:
        """Return the identity; nothing is learned, so one class is enough."""
        return cls()

    @classmethod
    def fit_folds(
        cls, rows: RowSource, folds: Deal, whole: Self, *, prior: float = 0.0
    ) -> tuple[Self, ...]:
        """Return the identity of each fold."""
        return (cls(),) * (int(folds.max()) + 1)

    def apply(self, x: FloatArray) -> FloatArray:
        """Return the probabilities in float64."""
        return np.asarray(x, dtype=np.float64)

    def logits(self, x: FloatArray) -> FloatArray:
        """Return the logits in float64."""
        return np.asarray(x, dtype=np.float64)

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """(1, 1, 0)."""
        return 1.0, 1.0, 0.0

    def class_weights(self, n_classes: int) -> tuple[FloatArray, FloatArray]:
        """Return ones and zeros."""
        return np.ones(n_classes), np.zeros(n_classes)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return the identity between two of them."""
        return self if isinstance(old, Identity) and isinstance(new, Identity) else None

    def pieces(self, *, logits: bool) -> Pieces:
        """Return the line of a probability, or the logistic curve of a logit."""
        if not logits:
            return Pieces(logits, (), (Linear(0.0, 1.0, 0.0),))
        return curve(self, lambda z: z, lambda _: Logistic(0.0, 1.0, 0.0), logits=logits)

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""
        return cls(tuple(payload["notes"]))
