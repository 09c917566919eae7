"""Measure, correct and threshold the scores of a classifier.

    >>> import calibcli
    >>> calibcli.measure(frame, score="p", label="churned").metrics  # doctest: +SKIP
    >>> calibcli.load("calibrator.json").apply([0.2, 0.9])  # doctest: +SKIP

Importing this package imports nothing heavy; `load` needs NumPy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli._version import __version__

if TYPE_CHECKING:
    from calibcli.api.calls import apply, fit, measure, threshold
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds
    from calibcli.workflows.input.loaded.loading import load

__all__ = [
    "LoadedCalibrator",
    "LoadedThresholds",
    "__version__",
    "apply",
    "fit",
    "load",
    "measure",
    "threshold",
]
_MODULES = {
    **dict.fromkeys(
        ("LoadedCalibrator", "LoadedThresholds", "load"), "calibcli.workflows.input.loaded.loading"
    ),
    **dict.fromkeys(("apply", "fit", "measure", "threshold"), "calibcli.api.calls"),
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
