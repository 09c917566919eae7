"""The pool of a slice's own map and the overall one, weighted by the slice's size.

See `fitting.shrinkage` for the weight. The two maps are pooled by their logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.composed.pooling import log_pool
from calibcli.core.calibrators.evidence import FloatArray
from calibcli.core.calibrators.registry import calibrate, calibrator_from_dict
from calibcli.core.calibrators.types import SCORE, Calibrator, Space, Takes
from calibcli.errors import InputError


@dataclass(frozen=True, slots=True)
class Shrunk(Calibrator):
    """The pool of a slice's own map and the overall one; see the module.

    Attributes:
        own: the slice's map.
        overall: the map of all slices.
        weight: w, from 0 (overall alone) to 1 (own alone).
    """

    own: Calibrator
    overall: Calibrator
    weight: float
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "shrunk"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 10

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities of binary logits, any shape."""
        z = np.asarray(x, dtype=np.float64).reshape(-1)
        overall = calibrate(self.overall, z, logits=True)
        own = calibrate(self.own, z, logits=True)
        return log_pool((own, overall), (self.weight, 1.0 - self.weight)).reshape(np.shape(x))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "weight": self.weight,
            "own": self.own.to_dict(),
            "overall": self.overall.to_dict(),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: when the weight is not one.
        """
        weight = checked_weight(payload["weight"])
        own, overall = (calibrator_from_dict(payload[name]) for name in ("own", "overall"))
        return cls(own, overall, weight, tuple(payload["notes"]))


def checked_weight(value: object) -> float:
    """Return a weight read from JSON.

    Raises:
        InputError: a number outside [0, 1].
    """
    weight = float(value)  # type: ignore[arg-type]
    if not 0.0 <= weight <= 1.0:
        raise InputError("a slice's weight must lie between 0 and 1")
    return weight
