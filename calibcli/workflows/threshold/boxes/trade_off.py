"""Precision against recall at each NMS IoU: thinned for a report, and every candidate as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from calibcli.core.decisions.objectives import FIGURES
from calibcli.core.results.parts.searches import TradeOff, TradeOffCurve
from calibcli.tasks.detection.pairs import LOWEST
from calibcli.workflows.threshold.candidates import write_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.objectives import Objective
    from calibcli.core.decisions.thresholds import Curve
    from calibcli.core.results.figures import Where

    Floats = NDArray[np.float64]

POINTS: Final = 60
SLICES: Final = 6


def trade_off(
    found: Sequence[tuple[Where, float, Sequence[tuple[float | None, Curve, float | None]]]],
    objective: Objective,
) -> TradeOff:
    """Return the curves of the `SLICES` slices that reach the least, these first.

    Args:
        found: of each slice where it is, the value of the objective that it reaches, and for each
            NMS IoU (the IoU, its curve, the cut-off chosen there if any).
        objective: what was sought.
    """
    sign = 1.0 if objective.larger_is_better else -1.0
    worst = sorted(found, key=lambda one: sign * one[1])[:SLICES]
    curves = tuple(
        TradeOffCurve(where, nms, **_thinned(curve, chosen))
        for where, _, tried in worst
        for nms, curve, chosen in tried
    )
    return TradeOff(len(found), curves)


def _thinned(curve: Curve, chosen: float | None) -> dict[str, Any]:
    """Return at most `POINTS` candidates, thresholds decreasing, the chosen one among them.

    Of many candidates the highest threshold that reaches each of equal steps of recall: of equal
    recall that of the highest precision.
    """
    precision, recall = (curve.figure(FIGURES[name]) for name in ("precision", "recall"))
    at = np.flatnonzero(np.isfinite(precision) & np.isfinite(recall))[::-1]
    if at.size > POINTS:
        steps = np.linspace(recall[at[0]], recall[at[-1]], POINTS - 1)
        place = np.minimum(np.searchsorted(recall[at], steps), at.size - 1)
        kept = at[place]
        if chosen is not None:
            kept = np.append(kept, curve.index(chosen))
        at = np.unique(kept)[::-1]
        at = at[np.isfinite(precision[at])]
    return {
        "threshold": _plain(curve.threshold[at]),
        "precision": precision[at].tolist(),
        "recall": recall[at].tolist(),
    }


def _plain(threshold: NDArray[np.float64]) -> list[float]:
    """Return cut-offs as they are written: the least one stands for every box."""
    shown: list[float] = np.where(threshold <= LOWEST, 0.0, threshold).tolist()
    return shown


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
