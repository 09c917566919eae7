"""What `apply` adds to rows: the names of columns, their table, the interval of a probability."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.calibrators import calibrator_from_dict
from calibcli.core.decisions.rules import REFER
from calibcli.core.decisions.stored import SETS
from calibcli.core.fitting.both_labels import tells_both
from calibcli.core.fitting.row_intervals import BothLabels, Margins, OfFolds
from calibcli.core.numeric.scales import expit
from calibcli.core.results.warning import Warning
from calibcli.errors import InputError, UsageError
from calibcli.io.formats.arrow_arrays import number_array, text_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.fitting.row_intervals import RowInterval
    from calibcli.core.results.parts.stored import MapPoint
    from calibcli.io.rows.dataset import Batch, Dataset
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds


ENDS = ("low", "high")


def end_names(classes: Sequence[str]) -> list[str]:
    """Return the names of the columns: `probability_low`, `probability_<class>_low` and so on."""
    names = [f"probability_{name}" for name in classes] or ["probability"]
    return [f"{name}_{end}" for name in names for end in ENDS]


def interval_of(loaded: LoadedCalibrator, prior: str | None) -> RowInterval:
    """Return what tells the interval of rows that a calibrator maps.

    Raises:
        UsageError: a calibrator, or a shift, whose interval is not known.
    """
    if prior is not None:
        raise UsageError(
            "--interval is of the map, and --prior moves what it returns", "leave one of them out"
        )
    one = loaded.calibrator
    if tells_both(one):
        return BothLabels(one)
    if loaded.classes:
        level, folds = loaded.stored.params.confidence, loaded.stored.folds
        if folds and level is not None:
            return OfFolds(tuple(map(calibrator_from_dict, folds)), level)
        raise UsageError(
            f"--interval: of several classes or labels {one.method} keeps no interval that a row "
            "could be looked up in",
            "fit --method venn-abers, which has one of each class; temperature, vector and their "
            "like have one of classes that exclude each other, without --no-ci",
        )
    if loaded.group is not None:
        raise UsageError(
            f"--interval: the artifact has the interval of the map of all rows, not of each "
            f"{loaded.group}",
            "fit without --per-group, or --method venn-abers, which has one of each",
        )
    if one.method == "identity":
        raise UsageError("--interval: identity has nothing that was fitted", "fit a method")
    found = Margins.of([_point(point, loaded) for point in loaded.stored.map])
    if found is None:
        raise UsageError(
            f"--interval: the {one.method} calibrator was written without the interval of its map",
            "fit one method of one score, without --no-ci",
        )
    return found


def _point(point: MapPoint, loaded: LoadedCalibrator) -> MapPoint:
    """Return a point of the map, its score as a probability."""
    if loaded.raw_scale is None:
        return point
    return structs.replace(point, score=float(expit(loaded.raw_scale.keyed(point.score))))


def added_names(
    loaded: LoadedCalibrator, cuts: LoadedThresholds | None, interval: bool, bare: bool = False
) -> list[str]:
    """Return the names of the columns: probabilities, their interval, decisions.

    `bare` tells that there is no calibrator, so that decisions are all that is new.
    """
    if bare and cuts is not None:
        return decision_names(cuts)
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


def decision_names(cuts: LoadedThresholds) -> list[str]:
    """Return the names of the columns."""
    if cuts.rule == SETS:
        return ["prediction_set"]
    if not cuts.labels:
        return ["decision", "referred"] if cuts.refers else ["decision"]
    names = [f"decision_{name}" for name in cuts.classes]
    return [*names, *(f"referred_{name}" for name in cuts.classes)] if cuts.refers else names


def decision_arrays(cuts: LoadedThresholds, decided: NDArray[Any], *, text: bool) -> list[Any]:
    """Return the columns of decisions (n,) or (n, K) as Arrow arrays.

    `decision` is 1 or 0, or the name of a class; it is empty where no class claims the row, and
    where the row is referred, which `referred` tells. `prediction_set` is a list of class names, in
    text formats a JSON array.

    Args:
        cuts: what has decided.
        decided: what it says of each row.
        text: whether the format has no lists.
    """
    if cuts.rule == SETS:
        return [_lists(decided, cuts.classes or ("0", "1"), text=text)]
    parts = [decided] if decided.ndim == 1 else list(decided.T)
    if cuts.exclusive:
        names = text_array([*cuts.classes, None])
        index = np.where(decided < 0, len(cuts.classes), decided)
        arrays = [names.take(number_array(index))]
    else:
        arrays = [
            number_array(part.astype(np.int8), part == REFER if cuts.refers else None)
            for part in parts
        ]
    if cuts.refers:
        arrays += [number_array((part == REFER).astype(np.int8)) for part in parts]
    return arrays


def rows_of_new_groups(
    cuts: LoadedThresholds, codes: NDArray[np.integer[Any]], values: Sequence[str]
) -> int:
    """Return how many rows (n,) belong to a group that was not there when choosing."""
    new = np.array([value not in cuts.by_group for value in values], np.bool_)
    return int(new[codes].sum()) if len(new) else 0


def new_groups(cuts: LoadedThresholds, rows: int) -> Warning:
    """Return the warning about such rows."""
    instead = "every class is in their sets" if cuts.rule == SETS else "the one of all rows decided"
    text = f"{rows:,} rows are of a {cuts.group} without a threshold of its own: {instead}"
    return Warning("unseen-group", text)


def _lists(inside: NDArray[np.bool_], classes: tuple[str, ...], *, text: bool) -> Any:
    import pyarrow as pa

    _, member = np.nonzero(inside)
    ends = np.append(0, np.cumsum(inside.sum(axis=1)))
    if text:
        spelt = np.array([json.dumps(name, ensure_ascii=False) for name in classes], object)[member]
        spans = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        return text_array([f"[{', '.join(spelt[a:b])}]" for a, b in spans])
    names = text_array(classes).take(number_array(member))
    return pa.ListArray.from_arrays(number_array(ends.astype(np.int32)), names)
