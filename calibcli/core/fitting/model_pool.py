"""Several models' scores of a row to one calibrated probability.

Two orders: average the scores and calibrate the average, or calibrate each model and average the
probabilities. A linear pool of calibrated forecasts that differ is under-confident (Ranjan and
Gneiting, "Combining probability forecasts", 2010), a logarithmic one may be either, and averaging
first leaves the correction to the calibrator; which is best is found by cross-fitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from calibcli.core.calibrators import calibrate, calibrator_from_dict
from calibcli.core.calibrators.types import BINARY, Calibrator, FloatArray, Space
from calibcli.core.fitting.pooling import Pool, linear_pool, log_pool
from calibcli.core.scales import expit, logit
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Order = Literal["average", "calibrate"]
"""What comes first."""


@dataclass(frozen=True, slots=True)
class ModelPool:
    """A calibrated pool of M models of one binary label.

    Attributes:
        models: their names: score columns, or files in the order in which they are given.
        files: whether each model has a file of its own.
        first: "average" (one calibrator follows) or "calibrate" (M calibrators, then the pool).
        pool: "linear", the mean of probabilities, or "logit", the mean of logits.
        calibrators: one, or M.
    """

    models: tuple[str, ...]
    files: bool
    first: Order
    pool: Pool
    calibrators: tuple[Calibrator, ...]
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "pool"
    space: ClassVar[Space] = "logit"
    tasks: ClassVar[frozenset[str]] = BINARY
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 12

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n,) of logits (n, M)."""
        return self.combine(x, logits=True)

    def combine(self, scores: NDArray[np.floating[Any]], *, logits: bool) -> FloatArray:
        """Return probabilities (n,) of the models' scores (n, M), logits or probabilities.

        Raises:
            InputError: when M is another number of models.
        """
        x = np.asarray(scores, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.models):
            raise InputError(
                f"scores of shape {x.shape}, where (n, {len(self.models)}) is needed",
                f"one column for each model: {', '.join(self.models)}",
            )
        if self.first == "average":
            return calibrate(
                self.calibrators[0],
                averaged(x, self.pool, logits=logits),
                logits=logits_of(self.pool),
            )
        columns = zip(self.calibrators, x.T, strict=True)
        parts = [calibrate(one, column, logits=logits) for one, column in columns]
        return pooled(parts, self.pool)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "models": list(self.models),
            "files": self.files,
            "first": self.first,
            "pool": self.pool,
            "calibrators": [one.to_dict() for one in self.calibrators],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote.

        Raises:
            InputError: entries that do not fit together.
        """
        models = tuple(str(name) for name in payload["models"])
        first, pool = payload["first"], payload["pool"]
        parts = tuple(calibrator_from_dict(one) for one in payload["calibrators"])
        wanted = 1 if first == "average" else len(models)
        known = first in ("average", "calibrate") and pool in ("linear", "logit")
        if not known or len(parts) != wanted:
            raise InputError("the pool's entries do not fit together")
        return cls(models, bool(payload["files"]), first, pool, parts, tuple(payload["notes"]))


def logits_of(pool: Pool) -> bool:
    """Return whether the average of a pool is a logit."""
    return pool == "logit"


def averaged(scores: FloatArray, pool: Pool, *, logits: bool) -> FloatArray:
    """Return the average (n,) of scores (n, M): of probabilities, or of logits for "logit"."""
    if pool == "linear":
        p = expit(scores) if logits else scores
        return np.asarray(p.mean(axis=1), dtype=np.float64)
    z = np.clip(scores, -1e300, 1e300) if logits else logit(scores)
    return np.asarray((z / z.shape[1]).sum(axis=1), dtype=np.float64)


def pooled(parts: list[FloatArray], pool: Pool) -> FloatArray:
    """Return the pool of equal weights of M probabilities (n,)."""
    weights = [1.0 / len(parts)] * len(parts)
    return linear_pool(parts, weights) if pool == "linear" else log_pool(parts, weights)
