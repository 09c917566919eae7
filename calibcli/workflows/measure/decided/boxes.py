"""The boxes that cut-offs and suppression leave, counted: what `apply` writes, and how right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.decisions.counts import RuleCounts
from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.decisions.rules import Cut
from calibcli.core.numeric.special import t_ppf
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.detections import Detections
from calibcli.workflows.input.gathered import one_class
from calibcli.workflows.measure.decided.judged import macro_f1, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.tasks.population import Extra, Population

Result = dict[str, Any]
_SHOWN = ("precision", "recall", "f1")


def box_decisions(
    found: Sequence[Population], cuts: Sequence[float], names: Sequence[str], level: float | None
) -> Result:
    """Return the figures of kept boxes, of all classes and of each.

    Args:
        found: of each class (K), the population that suppression leaves.
        cuts: of each class, its cut-off; infinite where none of its boxes is kept.
        names: of the classes.
        level: of the intervals; None for none.
    """
    classes = RuleCounts(2, slots=max(len(names), 2), units=BUCKETS)
    pooled = RuleCounts(2, units=BUCKETS)
    for k, (population, at) in enumerate(zip(found, cuts, strict=True)):
        own = one_class(population, k)
        assert own.extra is not None
        stats, cut = own.extra.counted(own.pairs), Cut(max(at, own.extra.lowest))
        classes.add_stats(stats, cut, slot=k)
        pooled.add_stats(stats, cut)
    whole = Judged(pooled)
    table = table_of(whole.of_class(1), level)
    judged = Judged(classes)
    parts = [table_of(judged.of_class(k), level) for k in range(len(names))]
    tables = [table_counts(judged.of_class(k)) for k in range(len(names))]
    kept = table["tp"] + table["fp"]
    return {
        "n": kept,
        "metrics": {
            **{name: table[name] for name in _SHOWN},
            "macro_f1": macro_f1(judged, tables, level),
            "fp_per_image": alarms_by_image(whole, found[0].extra, level),
        },
        "confusion": {name: table[name] for name in ("tp", "fp", "fn")},
        "classes": [
            {
                "name": name,
                **{key: own[key] for key in ("tp", "fp", "fn")},
                **{key: own[key] for key in _SHOWN},
            }
            for name, own in zip(names, parts, strict=True)
        ],
    }


def alarms_by_image(judged: Judged, boxes: Extra | None, level: float | None) -> Result:
    """Return false alarms an image: a ratio of sums over buckets of images."""
    alarms = judged.by_unit(1)[:, 1].astype(np.float64)
    if not isinstance(boxes, Detections):
        reason = "saved statistics hold no images"
        return {"value": None, "low": None, "high": None, "reason": reason}
    images = np.bincount(boxes.bucket, minlength=BUCKETS).astype(np.float64)
    used = images > 0
    total, size = float(images.sum()), int(used.sum())
    if not total:
        return {"value": None, "low": None, "high": None, "reason": "no image"}
    value = float(alarms.sum()) / total
    if level is None or size < 2:
        return {"value": value, "low": None, "high": None}
    residual = (alarms - value * images)[used]
    error = (float((residual**2).sum()) * size / (size - 1)) ** 0.5 / total
    if not error:  # nobody has seen one: as many as that could be by chance
        most = -np.log((1.0 - level) / 2.0) / total
        return {"value": value, "low": value, "high": value + float(most)}
    reach = t_ppf((1.0 + level) / 2.0, size - 1) * error
    return {"value": value, "low": max(value - reach, 0.0), "high": value + reach}
