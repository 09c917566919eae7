"""Calibrators that scikit-learn has fitted, as artifacts that every command takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.core.calibrators import Isotonic, Platt, calibrator_from_dict
from calibcli.errors import UsageError
from calibcli.io.artifacts.artifacts import completed, write_artifact
from calibcli.io.task import SINGLE
from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator

if TYPE_CHECKING:
    from os import PathLike

    from calibcli.core.calibrators import Calibrator

_OTHERWISE = "calibcli.fit on held-out scores fits one that is"


def to_artifact(fitted: Any, path: str | PathLike[str] | None = None) -> LoadedCalibrator:
    """Return a fitted map of scikit-learn as a calibrator, and write it where a path is given.

    Args:
        fitted: an `IsotonicRegression` of probabilities, or a binary `CalibratedClassifierCV` with
            one calibrator (`ensemble=False`, or around a `FrozenEstimator`): a sigmoid of a
            `decision_function`, or isotonic of probabilities.
        path: where the artifact goes.

    Raises:
        UsageError: a map that is no function of one score in the terms of artifacts.
    """
    mapping, logits = _mapping(fitted)
    payload: dict[str, Any] = {
        "calibcli": __version__,
        "task": SINGLE,
        "classes": [],
        "method": mapping.method,
        "input": {"scores": [], "logits": logits, "positive": None},
        "calibrator": mapping.to_dict(),
        "params": {"fitted_by": f"sklearn {type(fitted).__name__}"},
        "rows": 0,
    }
    whole = completed("calibrator", payload)
    if path is not None:
        write_artifact(str(path), "calibrator", payload)
    again = calibrator_from_dict(whole["calibrator"])
    return LoadedCalibrator(SINGLE, (), logits, again, whole)


def _mapping(fitted: Any) -> tuple[Calibrator, bool]:
    kind = type(fitted).__name__
    if kind == "IsotonicRegression":
        return _isotonic(fitted), False
    if kind != "CalibratedClassifierCV":
        raise UsageError(f"{kind} is no calibrator that can be converted", _OTHERWISE)
    parts = fitted.calibrated_classifiers_
    if len(parts) != 1 or len(parts[0].calibrators) != 1:
        raise UsageError(
            f"this {kind} has {len(parts)} classifiers and {len(parts[0].calibrators)} maps each, "
            "where an artifact is one map of one score",
            "fit it for two classes, with ensemble=False",
        )
    margins = hasattr(parts[0].estimator, "decision_function")
    inner = parts[0].calibrators[0]
    if type(inner).__name__ == "IsotonicRegression" and not margins:
        return _isotonic(inner), False
    if hasattr(inner, "a_") and margins:
        return Platt(float(inner.a_), float(inner.b_)), True
    of = "a decision_function" if margins else "probabilities"
    raise UsageError(f"{fitted.method} of {of} is no map that artifacts have", _OTHERWISE)


def _isotonic(fitted: Any) -> Isotonic:
    x = np.asarray(fitted.X_thresholds_, dtype=np.float64)
    y = np.asarray(fitted.y_thresholds_, dtype=np.float64)
    if x[0] < 0 or x[-1] > 1 or y.min() < 0 or y.max() > 1 or not fitted.increasing_:
        raise UsageError("this IsotonicRegression is no map of probabilities", _OTHERWISE)
    return Isotonic(x, y, "linear", "raw")
