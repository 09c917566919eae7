"""`apply`: calibrated probabilities and decisions beside every row, in stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli._version import __version__
from calibcli.engines.threads import map_ordered
from calibcli.errors import InputError, UsageError
from calibcli.io.dataset import open_dataset
from calibcli.io.writers import open_table_sink, output_type
from calibcli.tasks.collect import Layout, usable
from calibcli.workflows.loaded import load_calibrator, load_thresholds
from calibcli.workflows.warnings import check_fits

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

    from calibcli.io.dataset import Batch, Dataset, InputSpec
    from calibcli.workflows.gather import Progress
    from calibcli.workflows.loaded import LoadedCalibrator, LoadedThresholds

Result = dict[str, Any]


def apply(
    calibrator: str,
    spec: InputSpec,
    output: str,
    *,
    thresholds: str | None = None,
    stream: BinaryIO | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """Write every input row with its calibrated probability, in the order of the input.

    Args:
        calibrator: path of the calibrator.
        spec: what to read; labels are not needed.
        output: where to write; the suffix tells the type. NPY holds the probabilities alone.
        thresholds: path of thresholds, for a decision beside the probability.
        stream: write CSV here instead (standard output).
        threads: how many threads calibrate.
        progress: called with the number of rows written so far.

    Raises:
        InputError: unusable input, output or artifacts; an old output is left as it was.
    """
    loaded = load_calibrator(calibrator)
    cuts = None if thresholds is None else _thresholds(thresholds, loaded)
    plain = "csv" if stream is not None else output_type(output).kind
    keep = plain != "npy"
    if cuts is not None and not keep:
        raise UsageError(
            "NPY holds probabilities alone, not decisions", "write -o OUT.parquet or OUT.csv"
        )
    if loaded.payload["input"]["logits"] and not spec.logits:
        spec = replace(spec, logits=True)
    if loaded.classes and spec.classes is None:
        spec = replace(spec, classes=loaded.classes)
    if spec.task is None:
        spec = replace(spec, task=loaded.task)
    if spec.score is None and spec.scores is None and len(loaded.payload["input"]["scores"]) > 0:
        spec = _bound(spec, loaded)
    dataset = open_dataset(spec, need_labels=False, keep_columns=keep)
    check_fits(loaded, dataset.task, dataset.classes, logits=spec.logits)
    layout = Layout(
        dataset.task, dataset.classes, dataset.score_names, logits=spec.logits, intervals=False
    )
    if keep and dataset.schema is not None:
        _refuse_taken(dataset, _added(loaded, cuts))
    rows = 0

    def one(batch: Batch) -> Any:
        found, bad = usable(batch, layout)
        if bad and found is not None:
            row = batch.row(int((~found).argmax()))
            raise InputError(
                f"{batch.source}, row {row + 1:,}: no usable score", "every row needs a score"
            )
        p = loaded.apply(batch.scores, logits=spec.logits)
        if not keep:
            return p
        table = _scores_table(batch, loaded) if batch.table is None else batch.table
        return _with_columns(table, p, loaded, cuts)

    with open_table_sink(output, stream=stream) as sink:
        for made in map_ordered(one, dataset.batches(), threads):
            sink.write(made)
            rows += len(made)
            if progress is not None:
                progress(rows)
    return {
        "schema": "calibcli/apply",
        "version": 1,
        "calibcli": __version__,
        "inputs": dataset.inputs,
        "params": {"calibrator": calibrator, "thresholds": thresholds},
        "task": dataset.task,
        "method": loaded.payload.get("method", loaded.calibrator.method),
        "rows": rows,
        "output": output,
        "warnings": [],
    }


def _bound(spec: InputSpec, loaded: LoadedCalibrator) -> InputSpec:
    """Bind the score columns by the names that the calibrator was fitted on, where they exist."""
    names = tuple(loaded.payload["input"]["scores"])
    try:
        bound = replace(spec, scores=names) if loaded.classes else replace(spec, score=names[0])
        open_dataset(bound, need_labels=False)
    except InputError:
        return spec
    return bound


def _thresholds(path: str, loaded: LoadedCalibrator) -> LoadedThresholds:
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
    digest = cuts.payload.get("calibrator")
    if digest is not None and digest != loaded.payload.get("digest"):
        raise InputError(
            f"{path} was chosen after another calibrator",
            "choose the thresholds again with this calibrator",
        )
    return cuts


def _added(loaded: LoadedCalibrator, cuts: LoadedThresholds | None) -> list[str]:
    names = [f"probability_{name}" for name in loaded.classes] or ["probability"]
    if cuts is None:
        return names
    if loaded.task == "multilabel":
        return names + [f"decision_{name}" for name in loaded.classes]
    return [*names, "decision"]


def _refuse_taken(dataset: Dataset, added: list[str]) -> None:
    taken = [name for name in added if name in dataset.schema.names]
    if taken:
        raise InputError(
            f"the input has a column {taken[0]!r} already",
            "rename it, or leave it out of the input",
        )


def _scores_table(batch: Batch, loaded: LoadedCalibrator) -> Any:
    """Return the scores of an array file as columns: `score`, or `score_<class>`."""
    import pyarrow as pa

    columns = [batch.scores] if batch.scores.ndim == 1 else list(batch.scores.T)
    names = [f"score_{name}" for name in loaded.classes] or ["score"]
    arrays = [pa.array(np.ascontiguousarray(column)) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _with_columns(
    table: Any, p: NDArray[np.float64], loaded: LoadedCalibrator, cuts: LoadedThresholds | None
) -> Any:
    import pyarrow as pa

    columns: list[NDArray[Any]] = [p] if p.ndim == 1 else list(np.ascontiguousarray(p.T))
    arrays = [pa.array(column) for column in columns]
    if cuts is not None:
        decided = cuts.decide(p)
        if loaded.task == "multiclass":
            names = pa.array([*loaded.classes, None], pa.string())
            index = np.where(decided < 0, len(loaded.classes), decided)
            arrays.append(names.take(pa.array(index)))
        else:
            parts = [decided] if decided.ndim == 1 else list(decided.T)
            arrays += [pa.array(part.astype(np.int8)) for part in parts]
    for name, array in zip(_added(loaded, cuts), arrays, strict=True):
        table = table.append_column(name, array)
    return table
