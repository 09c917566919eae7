"""One map for each value of a group column, each borrowing from the overall one (`shrinkage`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from calibcli.core.calibrators.classes.one_vs_rest import OneVsRest
from calibcli.core.calibrators.composed.pooling import log_pool, log_pool_rows
from calibcli.core.calibrators.composed.shrunk import Shrunk, checked_weight
from calibcli.core.calibrators.evidence import FloatArray
from calibcli.core.calibrators.registry import calibrate, calibrator_from_dict
from calibcli.core.calibrators.types import CLASSES, SCORE, Calibrator, Space, Takes
from calibcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class GroupMap:
    """One value's map.

    Attributes:
        own: its own calibrator, None where it has the overall one.
        rows: how many rows it was fitted on, or their weight.
        weight: of its own map; one number, or one for each label of a multi-label task.
        note: why it fell back, or nothing.
    """

    own: Calibrator | None
    rows: float
    weight: tuple[float, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grouped(Calibrator):
    """Calibrators by the value of a group column.

    Attributes:
        column: the group column.
        overall: the map of values that were not seen or fell back.
        groups: by value, as text.
        exclusive: whether rows of several columns are class probabilities that sum to 1.
        prior_rows: n0, see `shrinkage`; None where one map serves all.
    """

    column: str
    overall: Calibrator
    groups: Mapping[str, GroupMap] = field(hash=False)
    exclusive: bool = False
    prior_rows: float | None = None
    notes: tuple[str, ...] = ()

    method: ClassVar[str] = "grouped"
    space: ClassVar[Space] = "logit"
    takes: ClassVar[Takes] = SCORE | CLASSES
    free_form: ClassVar[bool] = False
    complexity: ClassVar[int] = 11

    def apply(self, x: FloatArray) -> FloatArray:
        """Refuse: the group of each row is needed.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"this calibrator has a map for each value of {self.column!r}",
            "give the score files, or in Python the groups: apply(scores, groups=...)",
        )

    def calibrate(
        self,
        scores: NDArray[np.floating[Any]],
        codes: NDArray[np.integer[Any]],
        values: Sequence[str],
        *,
        logits: bool,
    ) -> FloatArray:
        """Return probabilities of scores (n,) or (n, K).

        Args:
            scores: logits or probabilities.
            codes: (n,) index into `values` of each row's group; -1 for none.
            values: group values as text.
            logits: which of the two the scores are.
        """
        p = np.array(calibrate(self.overall, scores, logits=logits))
        used = np.flatnonzero(np.bincount(codes[codes >= 0], minlength=len(values)))
        for code in used.tolist():
            found = self.groups.get(values[code])
            if found is None or found.own is None:
                continue
            rows = np.flatnonzero(codes == code)
            own = calibrate(found.own, scores[rows], logits=logits)
            p[rows] = self.pooled(own, p[rows], found.weight)
        return p

    def pooled(self, own: FloatArray, overall: FloatArray, weight: tuple[float, ...]) -> FloatArray:
        """Return the pool of a group's own probabilities and the overall ones (n,) or (n, K)."""
        if all(one == 1.0 for one in weight):
            return own
        if self.exclusive and own.ndim == 2:
            return log_pool_rows((own, overall), (weight[0], 1.0 - weight[0]))
        share = np.asarray(weight if len(weight) > 1 else weight[0], dtype=np.float64)
        return log_pool((own, overall), (share, 1.0 - share))

    def unseen(self, codes: NDArray[np.integer[Any]], values: Sequence[str]) -> int:
        """Return how many rows have a value that the calibrator was not fitted on."""
        known = np.array([value in self.groups for value in values] + [False])
        return int(np.count_nonzero(~known[codes]))

    def of(self, value: str) -> Calibrator | None:
        """Return the map of a value's rows as one calibrator; None where there is no such one.

        Maps of several classes are pooled where the pool is a map of their kind (weights of
        logits); binary ones, and those of each label, always.
        """
        found = self.groups.get(value)
        if found is None or found.own is None:
            return self.overall
        return _joined(found.own, self.overall, found.weight, exclusive=self.exclusive)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "method": self.method,
            "column": self.column,
            "exclusive": self.exclusive,
            "prior_rows": self.prior_rows,
            "overall": self.overall.to_dict(),
            "groups": {value: _map_to_dict(one) for value, one in self.groups.items()},
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, payload: dict[str, Any]) -> Self:
        """Return the calibrator that `to_dict` wrote."""
        prior = payload["prior_rows"]
        return cls(
            str(payload["column"]),
            calibrator_from_dict(payload["overall"]),
            {str(value): _map_from_dict(one) for value, one in payload["groups"].items()},
            bool(payload["exclusive"]),
            None if prior is None else float(prior),
            tuple(payload["notes"]),
        )


def _joined(
    own: Calibrator, overall: Calibrator, weight: tuple[float, ...], *, exclusive: bool
) -> Calibrator | None:
    if all(one == 1.0 for one in weight):
        return own
    if all(one == 0.0 for one in weight):
        return overall
    if not exclusive and isinstance(own, OneVsRest) and isinstance(overall, OneVsRest):
        shares = weight if len(weight) > 1 else weight * len(own.calibrators)
        parts = zip(own.calibrators, overall.calibrators, shares, strict=True)
        return replace(own, calibrators=tuple(_pair(*part) for part in parts))
    if not exclusive:
        return _pair(own, overall, weight[0])
    # One map a class against the rest is normalised after it, so its pool is no such map.
    of_classes = isinstance(own, OneVsRest) or isinstance(overall, OneVsRest)
    return None if of_classes else overall.toward(own, weight[0])


def _pair(own: Calibrator, overall: Calibrator, weight: float) -> Calibrator:
    if weight in (0.0, 1.0):
        return own if weight else overall
    return Shrunk(own, overall, weight)


def _map_to_dict(one: GroupMap) -> dict[str, Any]:
    rows = one.rows
    return {
        "rows": int(rows) if rows == int(rows) else rows,
        "weight": one.weight[0] if len(one.weight) == 1 else list(one.weight),
        "calibrator": None if one.own is None else one.own.to_dict(),
        "note": one.note,
    }


def _map_from_dict(payload: dict[str, Any]) -> GroupMap:
    weight = payload["weight"]
    weights = weight if isinstance(weight, list) else [weight]
    own = payload["calibrator"]
    return GroupMap(
        None if own is None else calibrator_from_dict(own),
        float(payload["rows"]),
        tuple(checked_weight(one) for one in weights),
        str(payload["note"]),
    )
