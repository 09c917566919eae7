"""The columns that `apply` adds to rows: their names, and the table that they stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.errors import InputError, UsageError
from calibcli.io.formats.arrow_arrays import number_array
from calibcli.workflows.apply.decision_columns import decision_names
from calibcli.workflows.apply.row_interval import end_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.io.rows.dataset import Batch, Dataset
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds


def added_names(
    loaded: LoadedCalibrator, cuts: LoadedThresholds | None, interval: bool
) -> list[str]:
    """Return the names of the columns: probabilities, their interval, decisions."""
    names = [f"probability_{name}" for name in loaded.classes] or ["probability"]
    names += end_names(loaded.classes) if interval else ()
    if len(set(names)) < len(names):
        raise UsageError("--interval: two columns would have one name", "rename the classes")
    return names if cuts is None else names + decision_names(cuts)


def refuse_taken(dataset: Dataset, added: Sequence[str]) -> None:
    """Refuse an input that has one of the columns.

    Raises:
        InputError: naming the column.
    """
    taken = [name for name in added if name in dataset.schema.names]
    if taken:
        raise InputError(
            f"the input has a column {taken[0]!r} already",
            "rename it, or leave it out of the input",
        )


def scores_table(batch: Batch, loaded: LoadedCalibrator) -> Any:
    """Return the scores of an array file as columns: `score`, or `score_<class>`."""
    import pyarrow as pa

    given = batch.scores if loaded.raw_scale is None else loaded.raw_scale.raw(batch.scores)
    columns = [given] if given.ndim == 1 else list(given.T)
    names = [f"score_{name}" for name in loaded.classes] or ["score"]
    arrays = [number_array(column) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=names)
