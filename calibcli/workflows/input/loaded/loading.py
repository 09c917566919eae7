"""Artifacts as they are read from their JSON, and tried before they are used."""

from __future__ import annotations

import math
from os import fspath
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.calibrators import calibrator_from_dict
from calibcli.core.decisions.stored import COSTS, KEEP, SETS, StoredThresholds
from calibcli.core.results.parts.stored import StoredCalibrator
from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import read_as
from calibcli.io.task import Task
from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
from calibcli.workflows.input.loaded.cuts import LoadedThresholds
from calibcli.workflows.input.loaded.probes import try_calibrator, try_thresholds

if TYPE_CHECKING:
    from os import PathLike


def load_calibrator(path: str) -> LoadedCalibrator:
    """Read a calibrator.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    payload, stored = read_as(path, "calibrator", StoredCalibrator)
    loaded = LoadedCalibrator(
        stored.task,
        stored.classes,
        stored.input.logits or stored.input.raw is not None,
        calibrator_from_dict(stored.calibrator),
        payload,
    )
    try_calibrator(path, loaded)
    return loaded


def load(path: str | PathLike[str]) -> LoadedCalibrator | LoadedThresholds:
    """Read a calibrator or thresholds, whichever the file holds.

    Raises:
        InputError: neither, or one that this version cannot read.
    """
    from calibcli.io.artifacts.artifacts import kind_of

    name = fspath(path)
    kind = kind_of(name)
    if kind == "calibrator":
        return load_calibrator(name)
    if kind == "thresholds":
        return load_thresholds(name)
    raise InputError(f"{name} is neither a calibrator nor thresholds", "calibcli fit writes one")


def load_thresholds(path: str) -> LoadedThresholds:
    """Read thresholds.

    Raises:
        InputError: no such artifact, or one that this version cannot read.
    """
    payload, stored = read_as(path, "thresholds", StoredThresholds)
    cuts, classes = stored.thresholds, stored.classes
    whole = [one for one in cuts if one.slice.kind != "group"]
    if Task(stored.task).single:
        classes = ()
        found = [one.threshold for one in whole[:1]]
    else:
        named = {one.slice.name: one.threshold for one in whole}
        found = [named.get(name) for name in classes] if cuts else []
    by_group = {
        str(one.slice.value): math.nan if one.threshold is None else one.threshold
        for one in cuts
        if one.slice.kind == "group"
    }
    if stored.rule == SETS:
        by_group = {
            str(one.slice.value): math.inf if one.quantile is None else one.quantile
            for one in stored.set_slices
            if one.slice.kind == "group"
        }
    values = np.array([math.nan if v is None else v for v in found], dtype=np.float64)
    loaded = LoadedThresholds(stored.task, classes, values, stored.calibrated, payload, by_group)
    _check(path, loaded)
    try_thresholds(path, loaded)
    return loaded


def _check(path: str, loaded: LoadedThresholds) -> None:
    """Raise InputError for an artifact whose rule lacks what it decides by."""
    wanted = {SETS: "sets", COSTS: "cost_matrix", KEEP: "abstain"}.get(loaded.rule, "thresholds")
    if not getattr(loaded.stored, wanted):
        raise InputError(
            f"{path} has the rule {loaded.rule!r}, but no {wanted}",
            "choose again: calibcli threshold SCORES -o FILE",
        )
