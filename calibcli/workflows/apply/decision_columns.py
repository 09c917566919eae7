"""The columns that `apply --thresholds` adds: decisions, referrals, prediction sets.

`decision` is 1 or 0, or the name of a class; it is empty where no class claims the row, and where
the row is referred, which `referred` tells. `prediction_set` is a list of class names, in text
formats a JSON array.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.rules import REFER
from calibcli.core.decisions.stored import SETS
from calibcli.core.results.warning import Warning
from calibcli.io.formats.arrow_arrays import number_array, text_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.workflows.input.loaded.cuts import LoadedThresholds


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
