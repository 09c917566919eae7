"""`--thresholds` of `measure` and `report`: the artifact, whatever it is of."""

from __future__ import annotations

from calibcli.core.decisions.stored import StoredThresholds
from calibcli.io.artifacts.artifacts import read_as
from calibcli.tasks.table import TASKS
from calibcli.workflows.measure.decided.applied import Applied
from calibcli.workflows.measure.decided.applied_boxes import AppliedBoxes


def applied_of(path: str, *, calibrator: bool) -> Applied:
    """Read thresholds of any medium; `calibrator` tells whether there is one.

    Raises:
        InputError: no such artifact.
    """
    _, stored = read_as(path, "thresholds", StoredThresholds)
    if TASKS.get(stored.task) == "boxes":
        return AppliedBoxes.load(path, calibrator=calibrator)
    return Applied.load(path, calibrator=calibrator)
