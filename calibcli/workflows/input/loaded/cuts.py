"""Thresholds in use: decisions from the JSON, with NumPy alone.

What decides is the rule of the artifact, see `core.decisions.stored`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.decisions.rules import of_logits
from calibcli.core.decisions.stored import CUT, REGIONS, StoredThresholds, rule_of
from calibcli.core.numeric.raw_scale import stored_scale
from calibcli.core.results.reading import typed_as
from calibcli.errors import InputError
from calibcli.io.task import OfTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.decisions.rules import Rule
    from calibcli.core.decisions.stored import StoredCut
    from calibcli.core.numeric.raw_scale import RawScale
    from calibcli.core.segmentation.rules import ImageRule


@dataclass(frozen=True)
class LoadedThresholds(OfTask):
    """Thresholds from their JSON.

    Attributes:
        task: the task they were chosen for.
        classes: names of the classes; () for binary.
        values: one threshold, or one for each class; NaN for a class that got none. Empty where
            decisions do not come from cut-offs.
        calibrated: whether they apply to calibrated probabilities.
        payload: the whole artifact.
        by_group: the threshold (the last of several classes'), or the quantile of sets, of each
            value of `group`.

    Thresholds of raw scores are in the unit of the scores.
    """

    task: str
    classes: tuple[str, ...]
    values: NDArray[np.float64]
    calibrated: bool
    payload: dict[str, Any]
    by_group: dict[str, float] = field(default_factory=dict)

    @cached_property
    def stored(self) -> StoredThresholds:
        """What of the artifact decides, and what it was chosen by."""
        return typed_as(self.payload, StoredThresholds)

    @property
    def rule(self) -> str:
        """How decisions are made, as it stands in the artifact."""
        return self.stored.rule

    @property
    def raw_scale(self) -> RawScale | None:
        """How raw scores become logits, where the thresholds are of raw scores."""
        return None if self.calibrated else stored_scale(self.stored.params.raw)

    @cached_property
    def decider(self) -> Rule:
        """What decides about rows: of raw scores, once they are logits."""
        if self.raw_scale is not None:
            return rule_of(keyed_cuts(self.stored, self.raw_scale), exclusive=False)
        return rule_of(self.stored, exclusive=self.exclusive)

    @cached_property
    def image_rule(self) -> ImageRule:
        """What decides about the pixels of images."""
        from calibcli.core.segmentation.rules import image_rule

        return image_rule(self.stored, self.values.tolist(), self.classes, exclusive=self.exclusive)

    @property
    def group(self) -> str | None:
        """The column of groups that decisions need, if they need one."""
        return self.stored.group

    @property
    def refers(self) -> bool:
        """Whether some rows may be referred (REFER) rather than decided."""
        return self.rule != REGIONS and self.decider.refers

    def decide(
        self,
        scores: ArrayLike,
        groups: Sequence[Any] | None = None,
        *,
        logits: bool | None = None,
    ) -> NDArray[Any]:
        """Return one decision a row; see the table in `core.decisions.stored`.

        Args:
            scores: (n,), or (n, K) for several classes: what the thresholds were chosen on, which
                is the calibrator's output where there was one.
            groups: (n,) the value of the column `group`, where thresholds differ by group. A
                value that was not there when choosing gets the threshold of all rows, and a
                prediction set of every class.
            logits: whether the scores are logits; default what the thresholds were chosen on.

        Raises:
            InputError: scores of another shape, NaN, no groups where they are needed.
        """
        codes, values = None, None
        if groups is not None:
            named, codes = np.unique(
                np.array([str(g) for g in groups], object), return_inverse=True
            )
            values = [str(name) for name in named]
        return self.decide_coded(scores, codes, values, logits=logits)

    def decide_coded(
        self,
        scores: ArrayLike,
        codes: NDArray[np.integer[Any]] | None = None,
        values: Sequence[str] | None = None,
        *,
        logits: bool | None = None,
    ) -> NDArray[Any]:
        """Decide as `decide` does, with groups as codes (n,) into `values`."""
        given = self._checked(scores)
        if logits is None and self.raw_scale is not None:
            given, logits = self.raw_scale.keyed(given), True
        if logits is None:
            logits = self.stored.params.logits and not self.calibrated
        by_logit = of_logits(self.decider) if logits and self.rule == CUT else None
        if by_logit is not None:
            return by_logit.decide(given, codes, values)
        p = self._probabilities(given) if logits else given
        if self.rule == REGIONS:
            raise InputError(
                "these thresholds filter regions of images, and rows have none",
                "calibcli apply CALIBRATOR STACK --task segmentation --thresholds FILE",
            )
        return self.decider.decide(p, codes, values)

    def _checked(self, scores: ArrayLike) -> NDArray[np.float64]:
        given = np.asarray(scores)
        binary = self.single
        if given.ndim != (1 if binary else 2) or (
            not binary and given.shape[1] != len(self.classes)
        ):
            wanted = "(n,)" if binary else f"(n, {len(self.classes)})"
            raise InputError(f"scores of shape {given.shape}, where {wanted} is needed")
        p = given.astype(np.float64)
        if p.size and np.isnan(p.min()):
            raise InputError("the scores hold NaN")
        return p

    def _probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        from calibcli.core.calibrators.classes.row_scores import finite_rows
        from calibcli.core.numeric.scales import expit, softmax

        return softmax(finite_rows(logits)) if self.exclusive else expit(logits)


def keyed_cuts(stored: StoredThresholds, scale: RawScale) -> StoredThresholds:
    """Return thresholds of raw scores as those of the logits that these become."""

    def keyed(one: StoredCut) -> StoredCut:
        raw = one.threshold
        if raw is None:
            return one
        at, logit = scale.probability(raw), float(scale.keyed(raw))
        return structs.replace(one, threshold=at, logit=logit)

    return structs.replace(stored, thresholds=tuple(map(keyed, stored.thresholds)))
