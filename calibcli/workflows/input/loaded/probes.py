"""Artifacts are tried before they are used: what a file says may fit its schema and mean nothing.

A calibrator must turn scores into probabilities, and thresholds must decide. Both are asked for a
few rows, for each group that they know and for one that they do not, so that a file that was edited
or written by something else is refused by its name, not by what fails later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.stored import REGIONS, SETS
from calibcli.errors import CalibcliError, InputError
from calibcli.io.failures import show

if TYPE_CHECKING:
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds

ABOVE_ALL = 1.0 + 1e-9
"""A cut-off above every probability decides for nobody."""


def try_calibrator(path: str, loaded: LoadedCalibrator) -> None:
    """Raise InputError for a calibrator whose answers are no probabilities."""
    try:
        p = _calibrated(loaded)
        fits = np.isfinite(p).all() and p.min() >= -1e-12 and p.max() <= 1.0 + 1e-9
    except (CalibcliError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(
            f"{show(path)} turns scores into what is no probability: its numbers do not fit",
            "calibcli fit writes it; write it again",
        )


def _calibrated(loaded: LoadedCalibrator) -> np.ndarray[Any, Any]:
    """Return what a calibrator makes of even scores, and of one score a class at the ends."""
    shape = loaded.shape
    even = 0.0 if loaded.logits else (1.0 / shape[-1] if loaded.exclusive else 0.5)
    values = np.full((3, *shape), even)
    if not loaded.exclusive:
        values[1:] = np.reshape(
            [-40.0, 40.0] if loaded.logits else [0.0, 1.0], (2, *[1] * len(shape))
        )
    if loaded.group is None:
        return loaded.apply(values, logits=loaded.logits)
    groups = [*loaded.calibrator.groups, "no such group"]  # type: ignore[attr-defined]
    return np.concatenate(
        [
            loaded.apply_coded(values, np.zeros(3, np.int64), [str(one)], logits=loaded.logits)
            for one in groups
        ]
    )


def try_thresholds(path: str, loaded: LoadedThresholds) -> None:
    """Raise InputError for thresholds that cannot decide, or that no probability can reach."""
    cuts = [*loaded.values.tolist(), *(loaded.by_group.values() if loaded.rule != SETS else ())]
    none = not loaded.single  # a class may have no cut-off
    if loaded.stored.abstain is not None:
        cuts.append(loaded.stored.abstain.threshold)
    costs = [one.cost for one in loaded.stored.thresholds if one.cost is not None]
    bands = [cost.band for cost in costs if cost.band is not None]
    reachable = loaded.raw_scale is not None or (
        all(0.0 <= cut <= ABOVE_ALL or (none and np.isnan(cut)) for cut in cuts)
        and all(0.0 <= band.low <= band.high <= ABOVE_ALL for band in bands)
    )
    try:
        fits = reachable and _decides(loaded)
    except (CalibcliError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        fits = False
    if not fits:
        raise InputError(
            f"{show(path)} cannot decide: its numbers do not fit",
            "calibcli threshold writes it; write it again",
        )


def _decides(loaded: LoadedThresholds) -> bool:
    if loaded.rule == REGIONS:
        return loaded.image_rule is not None
    size = len(loaded.classes)
    rows = np.full((3, size), 1.0 / max(size, 1)) if not loaded.single else np.full(3, 0.5)
    groups = [*loaded.by_group, "no such group"] if loaded.group is not None else [None]
    for one in groups:
        decided = loaded.decide(rows, None if one is None else [one] * 3, logits=False)
        if len(decided) != 3:
            return False
    return True
