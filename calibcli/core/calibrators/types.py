"""What calibrators have in common: their shape."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, cast

import numpy as np

from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.calibrators.evidence import FloatArray, Limits
    from calibcli.core.calibrators.piecewise import Pieces
    from calibcli.core.statistics.stats import ScoreStats

Space = Literal["logit", "probability"]

Takes = frozenset[Literal["score", "classes"]]
SCORE: Takes = frozenset({"score"})
CLASSES: Takes = frozenset({"classes"})
"""What a map takes: one score, or a row of one for each class."""


class Calibrator(Protocol):
    """A fitted map from scores to probabilities; a frozen dataclass without hidden state.

    `space` says what `apply` takes: logits (for several classes, rows of logits or of
    log-probabilities) or probabilities. `complexity` orders methods from simple to free for the
    one-standard-error rule. `notes` are the warnings found when fitting.
    """

    __slots__ = ()

    method: ClassVar[str]
    takes: ClassVar[Takes]
    free_form: ClassVar[bool]
    complexity: ClassVar[int]

    @property
    def space(self) -> Space:
        """What `apply` takes."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings found when fitting."""

    def apply(self, x: FloatArray) -> FloatArray:
        """Return probabilities in the shape of `x`, given in `space`."""

    @property
    def has_logits(self) -> bool:
        """Whether `logits` is there: it tells more than `apply` of what is certain to a float."""
        return type(self).logits is not Calibrator.logits

    def logits(self, x: FloatArray) -> FloatArray:
        """Return the logits of calibrated logits (n,), or of rows of logits (n, K), their shape.

        `apply` is the probability of these, rounded to 0 or 1 where they are far.

        Raises:
            UsageError: it has none.
        """
        raise UsageError(f"a {self.method} calibrator has no logits")

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: the parameters by name and the notes.

        They are the fields up to the notes, in order; floats survive the trip exactly.
        """
        names = [one.name for one in fields(cast("Any", self))]
        own = {name: _plain(getattr(self, name)) for name in names[: names.index("notes")]}
        return {"method": self.method, **own, "notes": list(self.notes)}

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""

    def by_column(self, columns: int) -> tuple[Calibrator, ...]:
        """Return the map of each column where each is a binary problem of its own, else none.

        Raises:
            InputError: for another number of columns than it was fitted on.
        """
        return ()

    @property
    def at_bound(self) -> bool:
        """Whether the fit ended at a bound, from where other rows could move it a long way."""
        return False

    @property
    def coefficients(self) -> tuple[float, float, float] | None:
        """(a, b, c) where logit p' = a log p - b log(1 - p) + c of one score, else None."""
        return None

    def class_weights(self, n_classes: int) -> tuple[FloatArray, FloatArray] | None:
        """Return (w, c), (K,) each, where a row's logits are w z + c, else None."""
        return None

    def pieces(self, *, logits: bool) -> Pieces:
        """Return this map of one score as pieces over scores of this kind.

        Raises:
            UsageError: it is no such map.
        """
        raise UsageError(
            f"a {self.method} calibrator cannot be written as one expression",
            "use apply, or fit another method",
        )

    def toward(self, other: Calibrator, step: float) -> Calibrator | None:
        """Return what lies a part of the way to another calibrator; None where there is nothing.

        One night's rows fix a map only up to their noise. A map that follows each night wholly is
        as noisy as a night; one that goes a part of the way remembers the nights before (Brown,
        "Statistical Forecasting for Inventory Control", 1959: exponential smoothing). The step is
        taken in the parameters of maps whose logits are linear in them (temperature in 1/T), where
        it is the weighted geometric mean of the two maps' odds: the logarithmic pool.

        Args:
            other: where a step of 1 ends. Of its limits and its notes the outcome has the same.
            step: from 0 to 1.
        """
        if step == 1.0:
            return other
        mixed = other.mix(self, other, step)
        return self.mix(self, other, step) if mixed is None else mixed

    def mix(self, old: Calibrator, new: Calibrator, step: float) -> Calibrator | None:
        """Return what lies between two maps as one of this kind; None unless both are of it."""
        return None


class BinaryCalibrator(Calibrator, Protocol):
    """A calibrator that is fitted from the collapsed pairs of one slice."""

    @classmethod
    def fit(cls, stats: ScoreStats) -> Self:
        """Return the calibrator of these pairs; `InputError` when only one class is present.

        Those that are not free-form also take `prior`, the rows of `with_prior`.
        """


def limits_of(calibrator: Calibrator) -> Limits:
    """Return the limits of a map that has some."""
    return getattr(calibrator, "limits", (None, None))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple):
        return list(value)
    return value.to_dict() if hasattr(value, "to_dict") else value
