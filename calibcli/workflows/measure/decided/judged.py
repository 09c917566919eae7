"""Decisions as they stand in the JSON: what `apply` would write on these rows, and how right it is.

Read from the counts of a rule (`core.decisions.counts`) and from nothing else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs

from calibcli.core.decisions.judged import Judged, table_counts
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.shares import of_variance
from calibcli.core.numeric.special import norm_ppf, t_ppf
from calibcli.core.results.figures import Figure, Where, undefined
from calibcli.core.results.parts.decided import (
    Decided,
    DecidedClass,
    DecisionCounts,
    DecisionMatrix,
    PlainDecision,
)
from calibcli.core.statistics.curves import Binning
from calibcli.workflows.measure.slices import confusion, figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibcli.core.decisions.counts import RuleCounts
    from calibcli.core.results.figures import Confusion
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.rows.row_sets import DecidedSets


MOST_MATRIX = 100
"""Classes up to which the counts of every pair of truth and decision are listed."""
_BINS = Binning("width", 1, "right")


def decision_result(
    counts: RuleCounts,
    classes: Sequence[str],
    level: float | None,
    *,
    member: int = 0,
    plain: RuleCounts | None = None,
) -> Decided:
    """Return the figures of decisions.

    Args:
        counts: of the rule.
        classes: names; () for a binary score.
        level: of the intervals; None for none.
        member: the group's value that is meant.
        plain: counts of deciding the most probable class, to stand beside.
    """
    judged = Judged(counts, member)
    if counts.sets:
        return _sets(judged, classes or ("0", "1"), level)
    metrics = figures_of(judged, len(classes), level)
    if not classes:
        table = table_of(judged.of_class(1), level)
        counted = DecisionCounts(table.tp, table.fp, table.fn, table.tn)
        return Decided(n=judged.n, metrics=metrics | table.rates, confusion=counted)
    parts = [table_of(judged.of_class(k), level) for k in range(len(classes))]
    beside = None
    if plain is not None:
        figures = figures_of(Judged(plain, member), len(classes), level)
        beside = PlainDecision("most probable class", figures)
    small = counts.slots == 1 and len(classes) <= MOST_MATRIX
    return Decided(
        n=judged.n,
        metrics=metrics,
        classes=tuple(map(DecidedClass.of, classes, parts)),
        confusion_matrix=_matrix(judged, classes) if small else None,
        plain=beside,
    )


def groups_result(
    counts: RuleCounts,
    column: str,
    values: Sequence[str],
    classes: Sequence[str],
    level: float | None,
) -> list[Decided]:
    """Return the figures of decisions in each group; counts of confusions stay out."""
    found = []
    for member, value in enumerate(values):
        part = decision_result(counts, classes, level, member=member)
        where = Where("group", column=column, value=value)
        found.append(structs.replace(part, slice=where, confusion_matrix=None))
    return found


def _sets(judged: Judged, classes: Sequence[str], level: float | None) -> Decided:
    """Return how often prediction sets hold the true class, of all rows and of each class's."""
    parts = [table_of(judged.of_class(k), level) for k in range(len(classes))]
    return Decided(
        n=judged.n,
        metrics={
            "coverage": share(judged.right(), level),
            "set_size": Figure(judged.decided()),
        },
        classes=tuple(
            DecidedClass(name=name, true=table.true, coverage=table.recall)
            for name, table in zip(classes, parts, strict=True)
        ),
    )


def table_of(stats: ScoreStats, level: float | None) -> Confusion:
    """Return the confusion table of pairs (decision, truth)."""
    return confusion(View(stats, _BINS), 0.5, level)


def share(stats: ScoreStats, level: float | None) -> Figure:
    """Return the share of positives as a figure."""
    found = intervals.measure(View(stats, _BINS), confidence=level, names=("prevalence",))
    return figure(found["prevalence"])


def figures_of(judged: Judged, classes: int, level: float | None) -> dict[str, Figure]:
    """Return the figures of all decisions together; with classes, the mean of F1 over these."""
    metrics = {
        "accuracy": share(judged.right(), level),
        "undecided": share(judged.undecided(), level),
    }
    if classes:
        parts = [table_counts(judged.of_class(k)) for k in range(classes)]
        metrics["macro_f1"] = macro_f1(judged, parts, level)
    return metrics


def _matrix(judged: Judged, classes: Sequence[str]) -> DecisionMatrix:
    """Return the counts by truth and decision; columns of NONE and REFER only where they occur."""
    counts = judged.matrix()
    k = len(classes)
    used = [*range(k), *(k + i for i in range(2) if counts[:, k + i].any())]
    names = [*classes, "none", "refer"]
    decisions = tuple(names[i] for i in used)
    return DecisionMatrix(tuple(classes), decisions, counts[:, used].tolist())


def macro_f1(
    judged: Judged,
    parts: Sequence[tuple[float, float, float, float]],
    level: float | None,
    *,
    pooled: bool = False,
) -> Figure:
    """Return the mean of F1 over the classes that occur or are decided, by linearisation.

    `pooled` asks for F1 of the pooled counts of all classes in its place (micro F1).
    """
    size = np.array([2 * tp + fp + fn for tp, fp, fn, _ in parts])
    there = size > 0
    if not there.any():
        return undefined("no class occurs")
    hits = np.array([table[0] for table in parts])
    if pooled:
        hits, size = np.full(len(hits), hits.sum()), np.full(len(size), size.sum())
    f1 = np.where(size > 0, 2 * hits / np.maximum(size, 1e-300), 0.0)
    value = float(f1[there].mean())
    if level is None or not 0.0 < value < 1.0:
        return Figure(value)
    slope = _slope(judged, f1, size) / (1 if pooled else int(there.sum()))
    reach = norm_ppf((1 + level) / 2)
    if judged.counts.clustered:
        reach = t_ppf((1 + level) / 2, max(len(np.unique(judged.all.unit)) - 1, 1))
    error = reach * judged.variance(slope) ** 0.5
    return Figure(value, *intervals.on_logit_scale(value, error))


def _slope(
    judged: Judged, f1: NDArray[np.float64], size: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what one more row of each cell (m,) adds to the sum of F1 over classes."""
    cells, safe = judged.all, np.maximum(size, 1e-300)
    per, slope = f1 / safe, np.zeros(len(judged.all.count))
    if judged.counts.slots > 1:
        decided, true = cells.decision == 1, cells.truth == 1
        slope += 2.0 * (decided & true) / safe[cells.slot]
        slope -= per[cells.slot] * (decided.astype(np.float64) + true)
        return slope
    decided = cells.decision >= 0
    slope += np.where(cells.decision == cells.truth, 2.0 / safe[cells.truth], 0.0)
    slope -= np.where(decided, per[np.where(decided, cells.decision, 0)], 0.0)
    slope -= per[cells.truth]
    return slope


def with_row_sets(
    result: Decided, sets: DecidedSets | None, member: int, level: float | None
) -> Decided:
    """Return the figures of decisions with `row-precision`, `row-recall` and `row-f1`.

    Without them where rows are not of several labels, or do not count once each.
    """
    moments = None if sets is None else sets.moments(member)
    if moments is None:
        return result
    found = {name: mean_figure(*own, level) for name, own in moments.items()}
    return structs.replace(result, metrics=result.metrics | found)


def mean_figure(units: int, total: float, squares: float, level: float | None) -> Figure:
    """Return a mean of figures between 0 and 1 of units, with its interval.

    The interval is Clopper and Pearson's at the number of trials that the variance is worth, at
    Student's degrees of freedom (Korn and Graubard, 1998). The variance has one unit more whose
    figure is 0 or 1: where all units happen to agree, it would be nothing.

    Args:
        units: how many have the figure.
        total: the sum of their figures.
        squares: the sum of the squares of these.
        level: of the interval; None for none.
    """
    if not units:
        return undefined("no row has one")
    mean = total / units
    if level is None or units < 2:
        return Figure(mean)
    spread = max(squares - units * mean * mean, 0.0) + mean * (1.0 - mean)
    variance = spread / (units * (units - 1.0))
    ends = of_variance(mean, variance, level, units=units, most=math.inf, df=units - 1.0)
    return Figure(mean, *ends)
