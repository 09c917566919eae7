"""`report`: everything on one page, as data that render/ turns into HTML, Markdown or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import ValidationError

from calibcli._version import __version__
from calibcli.core.decisions.costs import Costs, parse_costs
from calibcli.core.results.reading import typed_as
from calibcli.core.results.report import CalibratorFile
from calibcli.core.results.threshold import ThresholdsFile
from calibcli.errors import InputError
from calibcli.io.artifacts.artifacts import read_artifact
from calibcli.io.failures import show
from calibcli.workflows.measure.measure import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gather import Progress

Result = dict[str, Any]


def report(
    spec: InputSpec,
    conventions: Conventions,
    *,
    calibrator: str | None = None,
    thresholds: str | None = None,
    title: str | None = None,
    fail_if: Sequence[str] = (),
    cost: str | None = None,
    versus: str | None = None,
    reference: str | None = None,
    by: str | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    in_brief: bool = False,
) -> Result:
    """Return the data of the report.

    `cost` is what errors cost, such as 'fp=1,fn=4'; `versus` a second model on the same rows;
    `reference` what drift is measured from; `by` a column of periods. `in_brief` is for
    a page: of classes that exclude each other it has everything of the forty of the largest ECE.

    Raises:
        InputError: unusable input or artifacts.
        UsageError: a gate that cannot be understood or evaluated.
    """
    costs = parse_costs(cost) if cost else Costs(1.0, 1.0)
    measured = measure(
        spec,
        conventions,
        calibrator=calibrator,
        thresholds=thresholds,
        versus=versus,
        reference=reference,
        by=by,
        in_brief=in_brief,
        fail_if=fail_if,
        threads=threads,
        progress=progress,
        curves=costs,
        confusions=True,
    )
    fitted = None if calibrator is None else _shown(calibrator, "calibrator", CalibratorFile)
    chosen = None if thresholds is None else _shown(thresholds, "thresholds", ThresholdsFile)
    return {
        "schema": "calibcli/report",
        "version": 1,
        "calibcli": __version__,
        "title": title or "Calibration report",
        "inputs": measured["inputs"],
        "params": measured["params"],
        "task": measured["task"],
        "measure": measured,
        "calibrator": fitted,
        "thresholds": chosen,
        "gates": measured["gates"],
        "warnings": measured["warnings"],
        "warning_codes": measured["warning_codes"],
    }


def _shown(path: str, kind: str, shape: type[CalibratorFile | ThresholdsFile]) -> Result:
    """Read an artifact that a report shows.

    Raises:
        InputError: it cannot be read, or a part that is shown has been changed by hand.
    """
    payload = read_artifact(path, kind)
    try:
        _ = typed_as(payload, shape).conventions
    except ValidationError as error:
        raise InputError(f"{show(path)} is not whole: {error}", f"make the {kind} again") from error
    return payload
