"""Artifacts in use: a calibrator and thresholds read from JSON, with NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.calibrators import calibrate, calibrator_from_dict
from calibcli.errors import InputError
from calibcli.io.artifacts import read_artifact

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from calibcli.core.calibrators import Calibrator


@dataclass(frozen=True, slots=True)
class LoadedCalibrator:
    """A calibrator from its JSON.

    Attributes:
        task: "binary", "multiclass" or "multilabel".
        classes: names of the K classes, in the order of the score columns; () for binary.
        logits: whether it was fitted on logits; `apply` takes what it was fitted on.
        calibrator: the map itself.
        payload: the whole artifact.
    """

    task: str
    classes: tuple[str, ...]
    logits: bool
    calibrator: Calibrator
    payload: dict[str, Any]

    def apply(self, scores: ArrayLike, *, logits: bool | None = None) -> NDArray[np.float64]:
        """Return calibrated probabilities of scores (n,), or (n, K) for several classes.

        Args:
            scores: what the model puts out, of any float dtype.
            logits: whether these are logits; default what the calibrator was fitted on.

        Raises:
            InputError: scores of another shape, or values that cannot be scores.
        """
        values = np.asarray(scores)
        kind = self.logits if logits is None else logits
        width = len(self.classes)
        if values.ndim != (2 if width else 1) or (width and values.shape[1] != width):
            wanted = f"(n, {width})" if width else "(n,)"
            raise InputError(f"scores of shape {values.shape}, where {wanted} is needed")
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        if np.isnan(low):
            raise InputError("the scores hold NaN")
        if not kind and (low < 0 or high > 1):
            raise InputError("a probability must lie between 0 and 1", "pass logits=True")
        return calibrate(self.calibrator, values, logits=kind)


@dataclass(frozen=True, slots=True)
class LoadedThresholds:
    """Thresholds from their JSON.

    Attributes:
        task: the task they were chosen for.
        classes: names of the classes; () for binary.
        values: one threshold, or one for each class; NaN for a class that got none.
        calibrated: whether they apply to calibrated probabilities.
        payload: the whole artifact.
    """

    task: str
    classes: tuple[str, ...]
    values: NDArray[np.float64]
    calibrated: bool
    payload: dict[str, Any]

    def decide(self, probabilities: ArrayLike) -> NDArray[Any]:
        """Return decisions: score >= threshold.

        Binary: bool (n,). Multi-label: bool (n, K). Multi-class: the index (n,) of the most
        probable class among those that reach their threshold, -1 where none does.
        """
        p = np.asarray(probabilities, dtype=np.float64)
        if self.task == "binary":
            if p.ndim != 1:
                raise InputError(f"probabilities of shape {p.shape}, where (n,) is needed")
            return p >= self.values[0]
        if p.ndim != 2 or p.shape[1] != len(self.classes):
            raise InputError(
                f"probabilities of shape {p.shape}, where (n, {len(self.classes)}) is needed"
            )
        reached = p >= self.values
        if self.task == "multilabel":
            return reached
        best = np.where(reached, p, -np.inf).argmax(axis=1)
        return np.where(reached.any(axis=1), best, -1)


def load_calibrator(path: str) -> LoadedCalibrator:
    """Read a calibrator.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    payload = read_artifact(path, "calibrator")
    return LoadedCalibrator(
        payload["task"],
        tuple(payload["classes"]),
        bool(payload["input"]["logits"]),
        calibrator_from_dict(payload["calibrator"]),
        payload,
    )


def load_thresholds(path: str) -> LoadedThresholds:
    """Read thresholds.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    payload = read_artifact(path, "thresholds")
    classes = tuple(payload["classes"])
    found = {item["slice"].get("name"): item["threshold"] for item in payload["thresholds"]}
    if payload["task"] == "binary":
        values = [item["threshold"] for item in payload["thresholds"]][:1]
    else:
        values = [found.get(name) for name in classes]
    array = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
    return LoadedThresholds(payload["task"], classes, array, bool(payload["calibrated"]), payload)


def load(path: str) -> LoadedCalibrator | LoadedThresholds:
    """Read a calibrator or thresholds, whichever the file holds.

    Raises:
        InputError: neither, or one that this version cannot read.
    """
    from calibcli.io.artifacts import kind_of

    kind = kind_of(path)
    if kind == "calibrator":
        return load_calibrator(path)
    if kind == "thresholds":
        return load_thresholds(path)
    raise InputError(f"{path} is neither a calibrator nor thresholds", "calibcli fit writes one")
