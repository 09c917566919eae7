"""The boxes that cut-offs and suppression leave, counted: what `apply` writes, and how right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from calibcli.core.decisions.counts import RuleCounts
from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.decisions.rules import Cut
from calibcli.core.numeric.special import t_ppf
from calibcli.core.results.figures import Figure, undefined
from calibcli.core.results.parts.decided import Decided, DecidedClass, DecisionCounts
from calibcli.core.statistics.buckets import BUCKETS
from calibcli.tasks.detection.figures import Detections
from calibcli.workflows.input.gathered import one_class
from calibcli.workflows.measure.decided.judged import macro_f1, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.tasks.population import Extra, Population


def box_decisions(
    found: Sequence[Population], cuts: Sequence[float], names: Sequence[str], level: float | None
) -> Decided:
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
    each = (table_of(judged.of_class(k), level) for k in range(len(names)))
    parts = [structs.replace(one, tn=None) for one in each]
    tables = [table_counts(judged.of_class(k)) for k in range(len(names))]
    return Decided(
        n=table.given,
        metrics={
            "precision": table.precision,
            "recall": table.recall,
            "f1": table.f1,
            "macro_f1": macro_f1(judged, tables, level),
            "fp_per_image": alarms_by_image(whole, found[0].extra, level),
        },
        confusion=DecisionCounts(table.tp, table.fp, table.fn),
        classes=tuple(map(DecidedClass.of, names, parts)),
    )


def alarms_by_image(judged: Judged, boxes: Extra | None, level: float | None) -> Figure:
    """Return false alarms an image: a ratio of sums over buckets of images."""
    alarms = judged.by_unit(1)[:, 1].astype(np.float64)
    if not isinstance(boxes, Detections):
        return undefined("saved statistics hold no images")
    images = np.bincount(boxes.bucket, minlength=BUCKETS).astype(np.float64)
    used = images > 0
    total, size = float(images.sum()), int(used.sum())
    if not total:
        return undefined("no image")
    value = float(alarms.sum()) / total
    if level is None or size < 2:
        return Figure(value)
    residual = (alarms - value * images)[used]
    error = (float((residual**2).sum()) * size / (size - 1)) ** 0.5 / total
    if not error:  # nobody has seen one: as many as that could be by chance
        most = -np.log((1.0 - level) / 2.0) / total
        return Figure(value, value, value + float(most))
    reach = t_ppf((1.0 + level) / 2.0, size - 1) * error
    return Figure(value, max(value - reach, 0.0), value + reach)
