"""ROC and precision-recall curves, with the cut-offs that were chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calibcli.render.charts.palette import AFTER, QUIET
from calibcli.render.charts.vega import (
    TICKS,
    dashed,
    diagonal,
    field,
    layer,
    place,
    ring,
    square,
    unit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.parts.curves import PrecisionRecall, Roc

    Spec = dict[str, Any]


def roc(lines: Sequence[tuple[Roc, bool]], points: Sequence[Spec], *, title: str) -> Spec:
    """Return ROC curves (curve, emphasised) and the chosen points {"x", "y", "label"}."""
    layers = [diagonal()]
    for curve, strong in lines:
        layers.append(_curve(curve.fpr, curve.tpr, strong=strong))
    return _square([*layers, *_chosen(points)], "false positive rate", "recall", title)


def precision_recall(
    lines: Sequence[tuple[PrecisionRecall, bool]],
    points: Sequence[Spec],
    *,
    prevalence: float | None,
    title: str,
) -> Spec:
    """Return precision-recall curves; dashed: the prevalence, the precision of chance."""
    layers = []
    if prevalence is not None:
        layers.append(dashed([{"x": 0, "y": prevalence}, {"x": 1, "y": prevalence}]))
    for curve, strong in lines:
        layers.append(_curve(curve.recall, curve.precision, strong=strong))
    return _square([*layers, *_chosen(points)], "recall", "precision", title)


def _square(layers: list[Spec], x: str, y: str, title: str) -> Spec:
    first = {**layers[0], "encoding": {"x": unit("x", x, TICKS), "y": unit("y", y, TICKS)}}
    return square([first, *layers[1:]], title)


def _curve(xs: Sequence[float], ys: Sequence[float], *, strong: bool) -> Spec:
    values = [
        {"x": round(x, 5), "y": round(y, 5), "i": i}
        for i, (x, y) in enumerate(zip(xs, ys, strict=True))
    ]
    mark: Spec = {"type": "line", "color": AFTER, "strokeWidth": 2}
    if not strong:
        mark = {"type": "line", "color": QUIET, "strokeWidth": 1, "opacity": 0.7}
    return layer(values, mark, {**place(), "order": field("i")})


def _chosen(points: Sequence[Spec]) -> list[Spec]:
    return ring(points, "label", {"align": "left", "dx": 9, "dy": 11}) if points else []
