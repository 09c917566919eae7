"""Measure, correct and threshold the scores of a classifier.

    >>> import calibcli
    >>> calibcli.load("calibrator.json").apply([0.2, 0.9])  # doctest: +SKIP

Importing this package imports nothing heavy; `load` needs NumPy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli._version import __version__

if TYPE_CHECKING:
    from calibcli.workflows.input.loaded import LoadedCalibrator, LoadedThresholds, load

__all__ = ["LoadedCalibrator", "LoadedThresholds", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name in ("LoadedCalibrator", "LoadedThresholds", "load"):
        from calibcli.workflows.input import loaded

        return getattr(loaded, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
