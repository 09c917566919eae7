"""No correction: the candidate that every other method has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.types import (
    BINARY,
    MULTICLASS,
    Calibrator,
    FloatArray,
    RowSource,
    Space,
)

if TYPE_CHECKING:
    from calibcli.core.statistics.stats import ScoreStats


@dataclass(frozen=True, slots=True)
class Identity(Calibrator):
    """Returns the probabilities as they are."""

    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "identity"
    space: ClassVar[Space] = "probability"
    tasks: ClassVar[frozenset[str]] = BINARY | MULTICLASS
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 0

    @classmethod
    def fit(cls, stats: ScoreStats, *, prior: float = 0.0) -> Self:
        """Return the identity; nothing is learned, so one class is enough."""
        return cls()

    @classmethod
    def fit_rows(cls, rows: RowSource, n_classes: int, *, start: Self | None = None) -> Self:
        """Return the identity without a look at the rows."""
        return cls()

    def apply(self, x: FloatArray) -> FloatArray:
        """Return the probabilities in float64."""
        return np.asarray(x, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"method": self.method, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""
        return cls(tuple(payload["notes"]))
