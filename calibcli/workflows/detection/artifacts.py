"""Calibrators and thresholds of detections, read and held against what they are used on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.results.warning import Warning
from calibcli.errors import InputError
from calibcli.tasks.detection.nms import keep
from calibcli.workflows.detection.observed import TASK
from calibcli.workflows.input.loaded import load_calibrator
from calibcli.workflows.input.overlap import found_overlap, watch_of
from calibcli.workflows.input.probes import ABOVE_ALL
from calibcli.workflows.input.warnings import in_sample_warnings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from calibcli.tasks.detection.pairs import Scene
    from calibcli.workflows.detection.observed import Observed
    from calibcli.workflows.input.loaded import LoadedCalibrator

Result = dict[str, Any]
NEVER = 2.0
"""A limit of the IoU that no two boxes reach: nothing is suppressed."""


@dataclass(frozen=True, slots=True)
class DetectionCalibrator:
    """A calibrator of detections."""

    artifact: LoadedCalibrator

    @property
    def categories(self) -> dict[str, str]:
        """COCO's category ids by class name, where the fit has known them."""
        found: dict[str, str] = self.artifact.payload["input"].get("categories") or {}
        return found

    @property
    def nms(self) -> float | None:
        """The IoU at which boxes were suppressed before the fit; None for no suppression."""
        found: float | None = self.artifact.payload["input"].get("nms_iou")
        return found

    def other_suppression(self, used: Mapping[str | None, float | None]) -> list[Warning]:
        """Return a warning where boxes are suppressed at another IoU than before the fit.

        `used` holds the IoU of each class, or under None of all.
        """
        other = [nms for nms in used.values() if nms != self.nms]
        if not other:
            return []
        was = "before suppression" if self.nms is None else f"suppressed at IoU {self.nms:g}"
        if len(set(used.values())) > 1:
            now, hint = "suppressed at other IoUs", "fit on boxes that are suppressed alike"
        elif other[0] is None:
            now, hint = "not suppressed", f"--nms-iou {self.nms:g}"
        else:
            now = f"suppressed at IoU {other[0]:g}"
            hint = f"fit with --nms-iou {other[0]:g}"
        text = f"the calibrator was fitted on boxes {was}, and these are {now}: {hint}"
        return [Warning("other-matching", text)]

    def seen_before(self, seen: Observed, what: str = "figures after it are") -> list[Warning]:
        """Return a warning where it was fitted on these boxes: `what` is then in-sample."""
        watch = watch_of(self.artifact)
        if watch is not None:
            watch.add(seen.whole)
        data = seen.data
        shared = found_overlap(self.artifact, watch)
        return in_sample_warnings(self.artifact, data.inputs, shared, what, data.medium)


def detection_calibrator(path: str, *, logits: bool) -> DetectionCalibrator:
    """Read a calibrator of detections.

    Raises:
        InputError: one of another task, or of logits where these are probabilities.
    """
    loaded = load_calibrator(path)
    if loaded.task != TASK:
        raise InputError(
            f"the calibrator is for {loaded.task} scores, these are detections",
            "calibcli fit SCORES --task detection --ground-truth FILE -o FILE writes one",
        )
    if loaded.logits != logits:
        was, now = ("logits", "probabilities") if loaded.logits else ("probabilities", "logits")
        raise InputError(
            f"the calibrator was fitted on {was}, these are read as {now}",
            "add --logits" if loaded.logits else "leave out --logits",
        )
    return DetectionCalibrator(loaded)


def fitting_calibrator(path: str, seen: Observed) -> DetectionCalibrator:
    """Read a calibrator, and add a warning to `seen` about classes that it does not know."""
    found = detection_calibrator(path, logits=seen.spec.logits)
    if found.artifact.group is not None:
        groups = getattr(found.artifact.calibrator, "groups", {})
        strange = [name for name in seen.data.classes if name not in groups]
        rows = int(np.isin(seen.data.found.label, _places(seen.data.classes, strange)).sum())
        if rows:
            seen.warnings.append(unseen_boxes(rows))
    return found


def _places(classes: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    wanted = set(names)
    return np.array([i for i, name in enumerate(classes) if name in wanted], np.int64)


@dataclass(frozen=True, slots=True)
class DetectionCuts:
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

    @property
    def calibrated(self) -> bool:
        """Whether the cut-offs are of calibrated probabilities."""
        return bool(self.payload["calibrated"])

    @property
    def limit(self) -> int:
        """Detections of a class that count in an image."""
        return int(self.payload.get("params", {}).get("max_detections") or 100)

    @property
    def logits(self) -> bool:
        """Whether the scores that they were chosen on were logits."""
        return bool(self.payload.get("params", {}).get("logits"))

    @property
    def categories(self) -> dict[str, str]:
        """COCO's category ids by class name, where they were known."""
        found: dict[str, str] = self.payload.get("params", {}).get("categories") or {}
        return found

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

    def kept(self, view: Scene) -> NDArray[np.bool_] | None:
        """Return which boxes of a scene NMS leaves (n,); None without NMS."""
        if view.rivals is None:
            return None
        return keep(view.rivals, self.limits(view.classes)[view.label], len(view.label))

    def nms_words(self) -> float | dict[str, float] | None:
        """Return the NMS IoU as it stands in the JSON: of all, or by class."""
        if not self.nms:
            return None
        return self.nms.get(None) or {str(k): v for k, v in self.nms.items()}

    def cautions(self, seen: Observed, *, calibrated: bool) -> list[Warning]:
        """Return what is to be said of these cut-offs on these detections."""
        said = []
        if self.calibrated and not calibrated:
            text = (
                "the cut-offs were chosen on calibrated probabilities, and these are not "
                "calibrated: add --calibrator FILE"
            )
            said.append(Warning("uncalibrated", text))
        iou = self.payload.get("params", {}).get("iou")
        if iou is not None and iou != seen.options.iou:
            text = f"the cut-offs were chosen at --iou {iou:g}, not {seen.options.iou:g}"
            said.append(Warning("other-matching", text))
        return said


def unseen_boxes(number: int) -> Warning:
    """Return the warning about boxes of classes that a calibrator was not fitted on."""
    text = f"{number:,} detections are of classes that the calibrator has not seen: the overall map"
    return Warning("unseen-class", text)


def detection_cuts(path: str, loaded: LoadedCalibrator | None) -> DetectionCuts:
    """Read cut-offs of detections.

    Raises:
        InputError: cut-offs of another task, or chosen after another calibrator.
    """
    from calibcli.io.artifacts.artifacts import read_artifact

    payload = read_artifact(path, "thresholds")
    if payload["task"] != TASK:
        raise InputError(
            f"{path} was chosen for {payload['task']} scores, these are detections",
            "choose them with calibcli threshold --task detection",
        )
    digest = payload.get("calibrator")
    if loaded is not None and digest is not None and digest != loaded.payload.get("digest"):
        raise InputError(
            f"{path} was chosen after another calibrator",
            "choose the thresholds again with this calibrator",
        )
    overall, by_class, nms = None, {}, {}
    for item in payload["thresholds"]:
        name = item["slice"].get("name")
        if item["threshold"] is not None:
            if name is None:
                overall = float(item["threshold"])
            else:
                by_class[str(name)] = float(item["threshold"])
        if item.get("nms_iou") is not None:
            nms[name] = float(item["nms_iou"])
    if not payload["thresholds"]:
        raise InputError(f"{path} holds no cut-offs", "choose again: calibcli threshold")
    cuts = [*by_class.values(), *nms.values(), *(() if overall is None else (overall,))]
    if not all(0.0 <= cut <= ABOVE_ALL for cut in cuts):
        raise InputError(f"{path} cannot decide: its numbers do not fit", "choose again")
    return DetectionCuts(overall, by_class, nms, payload)


def fitting_cuts(path: str, seen: Observed, loaded: LoadedCalibrator | None) -> DetectionCuts:
    """Read cut-offs and hold their classes against those that were read.

    Raises:
        InputError: cut-offs of other classes.
    """
    found = detection_cuts(path, loaded)
    if found.overall is None and not set(found.by_class) & set(seen.data.classes):
        raise InputError(
            f"{path} was chosen for other classes than these",
            "choose thresholds on detections of this kind: calibcli threshold --task detection",
        )
    return found
