"""Calibrators and thresholds of detections, read and held against what they are used on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.stored import StoredThresholds
from calibcli.core.results.reading import typed_as
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError
from calibcli.io.boxes.dataset import BoxDataset
from calibcli.tasks.detection.nms import NEVER
from calibcli.workflows.input.loaded.probes import ABOVE_ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

Result = dict[str, Any]
TASK = BoxDataset.name


@dataclass(frozen=True)
class BoxCuts:
    """Cut-offs and NMS of detections, from their artifact.

    Attributes:
        overall: the cut-off of all classes; None where each has its own.
        by_class: the cut-off of each class that has one.
        nms: the NMS IoU of each class, or under None of all; no entry: no NMS.
        payload: the artifact.
    """

    overall: float | None
    by_class: dict[str, float]
    nms: dict[str | None, float]
    payload: Result

    @cached_property
    def stored(self) -> StoredThresholds:
        """What of the artifact decides, and what it was chosen by."""
        return typed_as(self.payload, StoredThresholds)

    @property
    def calibrated(self) -> bool:
        """Whether the cut-offs are of calibrated probabilities."""
        return self.stored.calibrated

    @property
    def raw_scale(self) -> None:
        """Scores of boxes are probabilities or logits."""

    @property
    def limit(self) -> int:
        """Detections of a class that count in an image."""
        return self.stored.params.max_detections or 100

    @property
    def logits(self) -> bool:
        """Whether the scores that they were chosen on were logits."""
        return self.stored.params.logits

    @property
    def categories(self) -> dict[str, str]:
        """COCO's category ids by class name, where they were known."""
        return self.stored.params.categories or {}

    @property
    def least_nms(self) -> float | None:
        """The smallest NMS IoU, None where there is no NMS."""
        return min(self.nms.values()) if self.nms else None

    def limits(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """Return the NMS IoU of each class (K,)."""
        common = self.nms.get(None, NEVER)
        return np.array([self.nms.get(name, common) for name in classes])

    def cutoffs(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """Return the cut-off of each class (K,): infinite for one that got none."""
        common = np.inf if self.overall is None else self.overall
        return np.array([self.by_class.get(name, common) for name in classes])

    def nms_words(self) -> float | dict[str, float] | None:
        """Return the NMS IoU as it stands in the JSON: of all, or by class."""
        if not self.nms:
            return None
        return self.nms.get(None) or {str(k): v for k, v in self.nms.items()}

    def check_calibrator(self, path: str, loaded: LoadedCalibrator) -> None:
        """Raise InputError for cut-offs that were chosen after another calibrator."""
        loaded.check_cuts(path, self.stored.calibrator)


def unseen_boxes(number: int) -> Warning:
    """Return the warning about boxes of classes that a calibrator was not fitted on."""
    text = f"{number:,} detections are of classes that the calibrator has not seen: the overall map"
    return Warning("unseen-class", text)


def cuts_boxes(path: str) -> bool:
    """Tell whether thresholds are of detections.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    from calibcli.io.artifacts.artifacts import read_as

    return read_as(path, "thresholds", StoredThresholds)[1].task == TASK


def load_box_cuts(path: str, loaded: LoadedCalibrator | None) -> BoxCuts:
    """Read cut-offs of detections.

    Raises:
        InputError: cut-offs of another task, or chosen after another calibrator.
    """
    from calibcli.io.artifacts.artifacts import read_as

    payload, stored = read_as(path, "thresholds", StoredThresholds)
    if stored.task != TASK:
        raise InputError(
            f"{path} was chosen for {stored.task} scores, these are detections",
            "choose them with calibcli threshold --task detection",
        )
    cut_at = {one.slice.name: one.threshold for one in stored.thresholds}
    overall = cut_at.pop(None, None)
    by_class = {str(name): at for name, at in cut_at.items() if at is not None}
    nms = {one.slice.name: one.nms_iou for one in stored.thresholds if one.nms_iou is not None}
    if not stored.thresholds:
        raise InputError(f"{path} holds no cut-offs", "choose again: calibcli threshold")
    cuts = [*by_class.values(), *nms.values(), *(() if overall is None else (overall,))]
    if not all(0.0 <= cut <= ABOVE_ALL for cut in cuts):
        raise InputError(f"{path} cannot decide: its numbers do not fit", "choose again")
    found = BoxCuts(overall, by_class, nms, payload)
    if loaded is not None:
        found.check_calibrator(path, loaded)
    return found
