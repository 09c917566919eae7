"""Thresholds that go with a calibrator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.errors import InputError
from calibcli.workflows.input.loaded.loading import load_thresholds

if TYPE_CHECKING:
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds


def fitting_thresholds(path: str, loaded: LoadedCalibrator) -> LoadedThresholds:
    """Return thresholds that were chosen after a calibrator.

    Raises:
        InputError: no such artifact, or one for other scores or after another calibrator.
    """
    cuts = load_thresholds(path)
    if cuts.task != loaded.task or cuts.classes != loaded.classes:
        raise InputError(
            f"{path} is for other scores than the calibrator",
            "choose thresholds with --calibrator and the same score columns",
        )
    if not cuts.calibrated:
        raise InputError(
            f"{path} was chosen on uncalibrated scores",
            "calibrate first, then choose: calibcli threshold SCORES --calibrator FILE",
        )
    loaded.check_cuts(path, cuts.stored.calibrator)
    return cuts
