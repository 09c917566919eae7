"""A calibrator in use, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators import calibrate
from calibcli.core.numeric.raw_scale import stored_scale
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.core.results.reading import typed_as
from calibcli.errors import InputError
from calibcli.io.task import OfTask
from calibcli.tasks.validity import range_slack

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.numeric.raw_scale import RawScale


@dataclass(frozen=True)
class LoadedCalibrator(OfTask):
    """A calibrator from its JSON.

    Attributes:
        task: what a row of its scores is.
        classes: names of the K classes, in the order of the score columns; () for binary.
        logits: whether it was fitted on logits, or on raw scores that were turned into some;
            `apply` takes what it was fitted on.
        calibrator: the map itself.
        payload: the whole artifact.
    """

    task: str
    classes: tuple[str, ...]
    logits: bool
    calibrator: Calibrator
    payload: dict[str, Any]

    @cached_property
    def stored(self) -> StoredCalibrator:
        """What the artifact says beside the map."""
        return typed_as(self.payload, StoredCalibrator)

    @property
    def method(self) -> str:
        """What the fit called its choice; the method of the map where it does not say."""
        return self.stored.method or self.calibrator.method

    @property
    def raw_scale(self) -> RawScale | None:
        """How raw scores become those that it was fitted on; None where it was fitted on others."""
        return stored_scale(self.stored.input.raw)

    @property
    def group(self) -> str | None:
        """The group column of a calibrator with a map for each group; None for any other."""
        return getattr(self.calibrator, "column", None)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the scores of a row: () for one score, (K,), (M,) or (M, K)."""
        # A detection has one score, whatever the number of classes.
        columns = () if self.one_score else self.classes
        sizes = len(getattr(self.calibrator, "models", ())), len(columns)
        return tuple(size for size in sizes if size)

    def check_cuts(self, path: str, digest: str | None) -> None:
        """Raise InputError for cut-offs that were chosen after a calibrator of another digest."""
        if digest is not None and digest != self.stored.digest:
            raise InputError(
                f"{path} was chosen after another calibrator",
                "choose the thresholds again with this calibrator",
            )

    def apply(
        self,
        scores: ArrayLike,
        *,
        logits: bool | None = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[np.float64]:
        """Return calibrated probabilities of scores (n,), or (n, K) for several classes.

        A pool of M models takes their scores as (n, M) or (n, M, K), and returns (n,) or (n, K).

        Args:
            scores: what the model puts out, of any float dtype.
            logits: whether these are logits; default what the calibrator was fitted on. Of one of
                raw scores logits are what its scale makes of them.
            groups: (n,) values of the group column, for a calibrator by group. A value that it
                has not seen has the overall map.

        Raises:
            InputError: scores of another shape, or values that cannot be scores; groups that are
                missing, or given to a calibrator that has none.
        """
        values, kind = self._checked(scores, logits)
        if self.group is None:
            if groups is not None:
                raise InputError("this calibrator has one map for all groups", "leave out groups")
            if hasattr(self.calibrator, "combine"):
                return np.asarray(self.calibrator.combine(values, logits=kind))
            return calibrate(self.calibrator, values, logits=kind)
        if groups is None:
            return self.calibrator.apply(values)  # says what is missing
        texts = [_as_text(one) for one in np.asarray(groups).reshape(-1).tolist()]
        names, codes = np.unique(np.array(texts, dtype=object), return_inverse=True)
        return self.apply_coded(values, codes, names.tolist(), logits=kind)

    def apply_coded(
        self,
        scores: ArrayLike,
        codes: NDArray[np.integer[Any]],
        values: list[str],
        *,
        logits: bool | None = None,
    ) -> NDArray[np.float64]:
        """Return what `apply` does, for groups given as indices (n,) into their texts."""
        from calibcli.core.calibrators.composed.grouped import Grouped

        checked, kind = self._checked(scores, logits)
        assert isinstance(self.calibrator, Grouped)
        if len(codes) != len(checked):
            raise InputError(f"{len(codes):,} groups for {len(checked):,} scores")
        return self.calibrator.calibrate(checked, codes, values, logits=kind)

    def _checked(self, scores: ArrayLike, logits: bool | None) -> tuple[NDArray[Any], bool]:
        values = np.asarray(scores)
        if values.dtype.kind not in "fiub":
            raise InputError(f"scores of type {values.dtype}, where numbers are needed")
        kind = self.logits if logits is None else logits
        scale = self.raw_scale
        if scale is not None and logits is None:
            values = scale.keyed(values)
        shape = self.shape
        if values.shape[1:] != shape or values.ndim != 1 + len(shape):
            wanted = ", ".join(("n", *map(str, shape))) + ("" if shape else ",")
            raise InputError(f"scores of shape {values.shape}, where ({wanted}) is needed")
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        if np.isnan(low):
            raise InputError("the scores hold NaN")
        slack = range_slack(values.dtype) if self.exclusive else 0.0
        if not kind and (low < -slack or high > 1 + slack):
            raise InputError("a probability must lie between 0 and 1", "pass logits=True")
        if not kind and (low < 0 or high > 1):
            values = np.clip(values, 0.0, 1.0)
        return values, kind


def _as_text(value: object) -> str:
    """Return a group value as a column of a file has it."""
    from calibcli.io.rows.keys import MISSING_GROUP, as_text

    return MISSING_GROUP if value is None or value != value or value == "" else as_text(value)
