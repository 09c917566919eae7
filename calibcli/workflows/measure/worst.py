"""`measure --worst N`: the rows that are most confidently wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calibcli.core.results.parts.worst import Worst
from calibcli.errors import UsageError
from calibcli.tasks.rows.worst import WorstRows
from calibcli.tasks.scan import scan
from calibcli.tasks.table import open_dataset
from calibcli.workflows.input.gather import with_group_of

if TYPE_CHECKING:
    from calibcli.core.calibrators import Calibrator
    from calibcli.io.rows.dataset import InputSpec
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.gathered import Gathered


def worst_rows(found: Gathered, asked: Asked, size: int) -> Worst:
    """Return the rows that are most confidently wrong, in one more pass over the files.

    Raises:
        UsageError: there are no rows to show: statistics, a pipe, images, several models, or no
            labels.
    """
    spec, calibrator = asked.spec, asked.mapping
    reason = _unseen(found, spec, calibrator)
    if reason is not None:
        raise UsageError(f"--worst shows rows, and {reason}", "leave it out")
    assert found.dataset is not None
    key = tuple(part.strip() for part in (spec.key or "").split(",") if part.strip())
    reading = with_group_of(spec, calibrator)
    dataset = found.dataset
    if key:
        dataset = open_dataset(reading, keep_columns=True)
    layout = asked.layout(dataset)
    held = WorstRows(size, layout, calibrator, reading.groups, key)
    scan(dataset, layout, held, threads=asked.threads)
    return Worst(held.rows, held.wrong)


def _unseen(found: Gathered, spec: InputSpec, calibrator: Calibrator | None) -> str | None:
    """Return why there are no rows to show, or None where there are."""
    if found.dataset is None:
        return "saved statistics hold none"
    if "-" in spec.paths:
        return "standard input is read once"
    if found.dataset.medium != "rows":
        return "a pixel or a box is none: see the worst images of calibcli report"
    if calibrator is not None and calibrator.method == "pool":
        return "these are averages of several models"
    if not found.labelled:
        return "without labels none is known to be wrong"
    return None
