"""The trade-off of precision and recall over every cut-off and NMS IoU, as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.decisions.objectives import FIGURES
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.threshold.candidates import write_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Objective
    from calibcli.core.decisions.thresholds import Curve

    Floats = NDArray[np.float64]


def write_trade_off(
    path: str,
    slices: Sequence[tuple[str, Sequence[tuple[float | None, Curve]]]],
    objective: Objective,
) -> None:
    """Write every candidate; `front` is 1 where no other has both more precision and more recall.

    Args:
        path: where to.
        slices: (name, its curves by NMS IoU).
        objective: what was sought.
    """
    rates = {name: FIGURES[name] for name in ("precision", "recall", "f1")}
    rates.setdefault(objective.name, objective.function)
    told = []
    for name, curves in slices:
        tables = []
        for nms, curve in curves:
            limit = np.full(len(curve.threshold), np.nan if nms is None else nms)
            threshold = np.where(curve.threshold <= LOWEST, 0.0, curve.threshold)
            figures = [curve.figure(function) for function in rates.values()]
            tables.append([limit, threshold, curve.tp, curve.fp, curve.fn, *figures])
        columns = [np.concatenate(column) for column in zip(*tables, strict=True)]
        best = front(columns[5], columns[6]).astype(np.int64)
        told.append((name, [column.tolist() for column in (*columns, best)]))
    header = ["nms_iou", "threshold", "tp", "fp", "fn", *rates, "front"]
    write_candidates(path, header, told)


def front(precision: Floats, recall: Floats) -> NDArray[np.bool_]:
    """Return which points (n,) no other beats: as good in both figures and better in one."""
    order = np.lexsort((-precision, -recall))  # the most recall first, then the most precision
    p, r = np.nan_to_num(precision[order], nan=-1.0), recall[order]
    fresh = np.append(True, r[1:] != r[:-1]) if len(r) else np.zeros(0, bool)
    group = np.cumsum(fresh) - 1
    first = np.flatnonzero(fresh)
    best = p[first]
    above = np.append(-1.0, np.maximum.accumulate(best))[: len(best)]  # of all larger recalls
    kept = np.zeros(len(p), np.bool_)
    kept[order] = (best > above)[group] & (p == best[group]) & (p >= 0)
    return kept
