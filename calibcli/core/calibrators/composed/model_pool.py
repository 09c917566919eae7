"""Several models' scores of a row to one calibrated probability.

Two orders: average the scores and calibrate the average, or calibrate each model and average the
probabilities. A linear pool of calibrated forecasts that differ is under-confident (Ranjan and
Gneiting, "Combining probability forecasts", 2010), a logarithmic one may be either, and averaging
first leaves the correction to the calibrator; which is best is found by cross-fitting.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from calibcli.core.calibrators.classes.row_scores import clipped_log, finite_rows
from calibcli.core.calibrators.composed.pooling import Pool, linear_pool, log_pool, log_pool_rows
from calibcli.core.calibrators.evidence import FloatArray
from calibcli.core.calibrators.registry import calibrate, calibrator_from_dict
from calibcli.core.calibrators.types import CLASSES, SCORE, Calibrator, Space, Takes
from calibcli.core.numeric.scales import expit, logit, softmax
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Order = Literal["average", "calibrate"]
"""What comes first."""


@dataclass(frozen=True, slots=True)
class ModelPool(Calibrator):
    """A calibrated pool of M models of one binary label, or of the same K classes.

    Attributes:
        models: their names: score columns or patterns of them, or files in the order given.
        files: whether each model has a file of its own.
        first: "average" (one calibrator follows) or "calibrate" (M calibrators, then the pool).
        pool: "linear", the mean of probabilities, or "logit", the mean of logits.
        calibrators: one, or M.
        n_classes: K; 0 for a binary label.
    """

    models: tuple[str, ...]
    files: bool
    first: Order
    pool: Pool
    calibrators: tuple[Calibrator, ...]
    notes: tuple[str, ...] = ()
    n_classes: int = 0

    method: ClassVar[str] = "pool"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE | CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 12

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities (n,) of logits (n, M), or (n, K) of logits (n, M, K)."""
        return self.combine(x, logits=True)

    def combine(self, scores: NDArray[np.floating[Any]], *, logits: bool) -> FloatArray:
        """Return probabilities (n,) of the models' scores (n, M), or (n, K) of (n, M, K).

        Raises:
            InputError: when M or K is another number.
        """
        x = np.asarray(scores, dtype=np.float64)
        wanted = (len(self.models), self.n_classes) if self.n_classes else (len(self.models),)
        if x.ndim != 1 + len(wanted) or x.shape[1:] != wanted:
            shape = ", ".join(map(str, ("n", *wanted)))
            raise InputError(
                f"scores of shape {x.shape}, where ({shape}) is needed",
                f"the scores of each model: {', '.join(self.models)}",
            )
        if self.first == "average":
            return calibrate(
                self.calibrators[0],
                averaged(x, self.pool, logits=logits),
                logits=logits_of(self.pool),
            )
        each = zip(self.calibrators, np.moveaxis(x, 1, 0), strict=True)
        parts = [calibrate(one, own, logits=logits) for one, own in each]
        return pooled(parts, self.pool)

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return, map by map, what lies between two pools of the same models and order."""
        if not isinstance(old, ModelPool) or not isinstance(new, ModelPool):
            return None
        if (old.models, old.first, old.pool) != (new.models, new.first, new.pool):
            return None
        pairs = zip(old.calibrators, new.calibrators, strict=True)
        maps = [before.toward(after, step) for before, after in pairs]
        found = tuple(one for one in maps if one is not None)
        return replace(new, calibrators=found) if len(found) == len(maps) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "models": list(self.models),
            "files": self.files,
            "first": self.first,
            "pool": self.pool,
            "n_classes": self.n_classes,
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
        first, pool, size = payload["first"], payload["pool"], int(payload.get("n_classes", 0))
        parts = tuple(calibrator_from_dict(one) for one in payload["calibrators"])
        wanted = 1 if first == "average" else len(models)
        known = first in ("average", "calibrate") and pool in ("linear", "logit") and size >= 0
        if not known or len(parts) != wanted:
            raise InputError("the pool's entries do not fit together")
        notes = tuple(payload["notes"])
        return cls(models, bool(payload["files"]), first, pool, parts, notes, size)


def logits_of(pool: Pool) -> bool:
    """Return whether the average of a pool is a logit."""
    return pool == "logit"


def averaged(scores: FloatArray, pool: Pool, *, logits: bool) -> FloatArray:
    """Return the average (n,) of scores (n, M), or (n, K) of (n, M, K).

    Of probabilities, or of logits for "logit": of several classes these are logarithms of
    probabilities, up to a constant of the row.
    """
    several = scores.ndim == 3
    if pool == "linear":
        p = scores
        if logits:
            p = softmax(finite_rows(scores)) if several else expit(scores)
        return np.asarray(p.mean(axis=1), dtype=np.float64)
    if several:
        z = finite_rows(scores) if logits else clipped_log(scores)
    else:
        z = np.clip(scores, -1e300, 1e300) if logits else logit(scores)
    return np.asarray((z / z.shape[1]).sum(axis=1), dtype=np.float64)


def pooled(parts: list[FloatArray], pool: Pool) -> FloatArray:
    """Return the pool of equal weights of M probabilities (n,), or of classes (n, K)."""
    weights = [1.0 / len(parts)] * len(parts)
    if pool == "linear":
        return linear_pool(parts, weights)
    return log_pool(parts, weights) if parts[0].ndim == 1 else log_pool_rows(parts, weights)
