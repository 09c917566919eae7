"""The statistics of a population of rows to the result that is shown for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import structs

from calibcli.core.metrics import intervals, multiclass
from calibcli.core.metrics.binary import TESTS, View
from calibcli.core.metrics.further.readings import judged, read_at
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.shares import effective_rows, f1_of, overlap_interval, proportion
from calibcli.core.numeric.proportions import clopper_pearson
from calibcli.core.results.figures import Bin, BinnedEce, Confusion, Figure, Reading, undefined
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.reading import typed_as
from calibcli.core.statistics.curves import threshold_curve
from calibcli.io.task import IMAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from numpy.typing import NDArray

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.metrics.intervals import Found
    from calibcli.core.results.figures import Where
    from calibcli.core.results.measure import Segmentation, Structure
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Slice

    Array = NDArray[np.float64]
    Cells = tuple[Array, Array]
    Judge = Callable[[Where, Population], SliceResult]
    Part = TypeVar("Part", SliceResult, Structure)

Result = dict[str, Any]
CURVE_POINTS = 500
_SEVERAL = "several labels a row"


def slice_result(
    where: Where,
    population: Population,
    conventions: Conventions,
    *,
    curves: Costs | None = None,
) -> SliceResult:
    """Return what is known of one population: metrics, confusion tables, bins.

    Args:
        where: the slice.
        population: its statistics.
        conventions: how to bin and how sure to be.
        curves: what errors cost, to have also what a report draws.
    """
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = metrics_of(population, conventions, conventions.confidence)
    extra = population.extra
    result: Result = {
        "slice": where,
        "metrics": told_figures(found, population, conventions.confidence),
    }
    if not population.exclusive:
        result["confusion"] = [
            cut_table(population, t, conventions) for t in conventions.thresholds
        ]
    result["bins"] = bin_rows(view, conventions.confidence)
    result["ece_by_bins"] = ece_by_bins(population.pairs, conventions, found["ece"])
    if conventions.at:
        result["at"] = readings_of(view, conventions)
    if not population.pairs.exact:
        result["grid_error"] = grid_error(population.pairs)
    if extra is not None:
        result |= extra.parts()
    if curves is not None and not population.exclusive:
        result |= ranking_curves(population)
    if curves is not None and where.kind == "class":
        from calibcli.workflows.measure.decided.decision_curves import class_costs

        result |= class_costs(population, curves)
    if curves is not None and where.kind == "overall":
        from calibcli.workflows.measure.decided.decision_curves import decision_curves
        from calibcli.workflows.measure.report_curves import report_curves

        result |= report_curves(view, conventions)
        result |= decision_curves(population, curves, conventions.confidence)
    return typed_as(result, SliceResult)


def with_after(one: Slice, before: SliceResult, judged: Judge) -> SliceResult:
    """Return a slice with what `judged` says of it after the calibrator, where there is one."""
    if one.calibrated is None:
        return before
    after = structs.replace(judged(one.where, one.calibrated), slice=None)
    return structs.replace(before, calibrated=after)


def metrics_of(
    population: Population, conventions: Conventions, confidence: float | None
) -> dict[str, Found]:
    """Return every metric of a population, with intervals at a level unless that is None."""
    if population.exclusive:
        view = View(population.pairs, conventions.headline, seed=conventions.seed, confidence=True)
        return multiclass.measure(
            view,
            View.of_each(population.top, conventions.headline),
            View.of_each(population.classes, conventions.headline, seed=conventions.seed),
            confidence=confidence,
            seed=conventions.seed,
            rows=population.rows,
            losses=population.losses,
        )
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(view, confidence=confidence, seed=conventions.seed)
    if population.labels and population.pairs.n:
        # Whether buckets were kept or not: the labels of one row are not independent.
        found |= dict.fromkeys(TESTS, (None, None, None, _SEVERAL))
    return found


def brief_result(population: Population, conventions: Conventions) -> Result:
    """Return the metrics and the bins of a population only."""
    found = metrics_of(population, conventions, conventions.confidence)
    view = View(population.pairs, conventions.headline)
    return {
        "metrics": told_figures(found, population, conventions.confidence),
        "bins": bin_rows(view, conventions.confidence),
    }


def told_figures(
    found: dict[str, Found], population: Population, confidence: float | None
) -> dict[str, Figure]:
    """Return what was found as figures, with the medium's own, in display order."""
    figures = {name: figure(one) for name, one in found.items()}
    if population.extra is not None:
        figures = population.extra.metrics(figures, confidence)
    errors, loss = certain_errors(population), figures["nll"]
    if errors and loss.value is not None:
        figures["nll"] = structs.replace(loss, certain_errors=errors)
    return figures


def certain_errors(population: Population) -> int | float:
    """Return how many rows were certain and wrong: their log loss is infinite."""
    if not population.exclusive:
        return population.pairs.certain_errors
    wrong = sum(stats.pos[stats.key == 0].sum() for stats in population.classes)
    return float(wrong) if population.pairs.weighted else int(wrong)


def found_of(view: View, conventions: Conventions, names: Sequence[str]) -> dict[str, Found]:
    """Return some metrics of a view, with intervals as the conventions ask for."""
    level, seed = conventions.confidence, conventions.seed
    return intervals.measure(view, confidence=level, seed=seed, names=names)


def figure(found: Found) -> Figure:
    """Return a metric as a figure."""
    value, low, high, reason = found
    return Figure(value, low, high, reason=reason)


def cut_table(population: Population, threshold: float, conventions: Conventions) -> Confusion:
    """Return the confusion table at a threshold, of what the medium counts there."""
    extra, level = population.extra, conventions.confidence
    if extra is None:
        return confusion(View(population.pairs, conventions.headline), threshold, level)
    view = View(extra.counted(population.pairs), conventions.headline)
    counts = confusion(view, max(threshold, extra.lowest), level)
    found: Confusion = extra.table(counts, threshold)
    return found


def confusion(
    view: View, threshold: float, level: float | None, *, first: int | None = None
) -> Confusion:
    """Return the confusion table at a threshold: positive means score >= threshold.

    `first` is the first positive cell, where the threshold parts logits that are one probability.
    """
    stats = view.stats
    if first is None:  # by value, as `apply` decides: the probability of a logit is rounded
        first = int(np.searchsorted(stats.floor, threshold))
    alert = (np.arange(len(stats.key)) >= first).astype(np.float64)
    tp, fp = (c[first:].sum().item() for c in (stats.pos, stats.neg))
    fn, tn = (c[:first].sum().item() for c in (stats.pos, stats.neg))
    on, off = np.ones(len(alert)), np.zeros(len(alert))

    def share(of: str, hits: float, rows: float, hit: Cells, row: Cells) -> Figure:
        """A proportion hits / rows; `hit` and `row` mark the cells' positives and negatives."""
        if not rows:
            return undefined(f"no {of}")
        value = hits / rows
        if level is None:
            return Figure(value)
        slope = (hit[0] - value * row[0]) / rows, (hit[1] - value * row[1]) / rows
        return Figure(value, *proportion(stats, value, slope, rows, level))

    calm = on - alert
    return Confusion(
        threshold,
        tp,
        fp,
        fn,
        tn,
        precision=share("alerts", tp, tp + fp, (alert, off), (alert, alert)),
        recall=share("positives", tp, tp + fn, (alert, off), (on, off)),
        f1=_f1(stats, tp, fp, fn, alert, level),
        specificity=share("negatives", tn, tn + fp, (off, calm), (off, on)),
        fpr=share("negatives", fp, tn + fp, (off, alert), (off, on)),
    )


def _f1(
    stats: ScoreStats, tp: float, fp: float, fn: float, alert: Array, level: float | None
) -> Figure:
    size = 2 * tp + fp + fn
    if not size:
        return undefined("no positives and no alerts")
    value = 2 * tp / size
    if level is None:
        return Figure(value)
    low, high = overlap_interval(stats, alert, level)
    return Figure(value, f1_of(low), f1_of(high))


def bin_rows(view: View, level: float | None) -> tuple[Bin, ...]:
    """Return the bins; frequencies with exact (Clopper-Pearson) intervals.

    With clusters or weights the interval is that of the effective number of rows.
    """
    bins = view.bins
    low = high = None
    if level is not None and len(bins.count):
        rows_of = effective_rows(view, level)
        low, high = clopper_pearson(bins.frequency * rows_of, rows_of, level)

    def row(b: int) -> Bin:
        edges, count = (float(bins.low[b]), float(bins.high[b])), bins.count[b].item()
        if not bins.used[b]:
            return Bin(*edges, count)
        return Bin(
            *edges,
            count,
            score=float(bins.score[b]),
            frequency=float(bins.frequency[b]),
            frequency_low=None if low is None else float(low[b]),
            frequency_high=None if high is None else float(high[b]),
            gap=float(bins.gap[b]),
        )

    return tuple(map(row, range(len(bins.count))))


def ece_by_bins(stats: ScoreStats, conventions: Conventions, headline: Found) -> list[BinnedEce]:
    """Return ECE under every binning; `headline` is that of the first."""
    rows = []
    for binning in conventions.all_binnings():
        view = View(stats, binning)
        ece = headline
        if binning != conventions.headline:
            ece = found_of(view, conventions, ("ece",))["ece"]
        used = int(view.bins.used.sum())
        rows.append(BinnedEce(binning.bins, binning.kind, used, figure(ece)))
    return rows


def readings_of(view: View, conventions: Conventions) -> tuple[Reading, ...]:
    """Read the reliability curve at every confidence that is asked for."""
    tolerance, level = conventions.tolerance, conventions.confidence
    return tuple(read_at(view, at, tolerance, level) for at in conventions.at)


def change_parts(result: Result, change: Callable[[SliceResult], SliceResult]) -> None:
    """Change every slice of a measure result, and what it is after the calibrator, in place.

    Classes that are shown in brief stay as they are.
    """

    def changed(part: Any) -> Any:
        if not isinstance(part, SliceResult):
            return part
        after = part.calibrated
        return structs.replace(change(part), calibrated=None if after is None else change(after))

    result["overall"] = changed(result["overall"])
    for key in ("classes", "groups"):
        result[key] = [changed(part) for part in result[key]]


def judge_readings(result: Result, level: float | None) -> None:
    """Say of every reading of the curve in a result whether chance explains its gap."""
    if level is None:
        return
    found: list[Reading] = []

    def told(part: Part) -> Part:
        found.extend(part.at or ())
        return part

    change_parts(result, told)
    medium: Segmentation | None = result.get(IMAGES)
    for structure in () if medium is None else medium.structures:
        told(structure)
    verdicts = dict(zip(map(id, found), judged(found, 1 - level), strict=True))

    def again(part: Part) -> Part:
        at = part.at
        return structs.replace(part, at=None if at is None else tuple(verdicts[id(r)] for r in at))

    change_parts(result, again)
    if medium is not None:
        structures = tuple(map(again, medium.structures))
        result[IMAGES] = structs.replace(medium, structures=structures)


def ranking_curves(population: Population) -> Result:
    """Return ROC and precision-recall points, thinned evenly along the curve.

    Where something has no score of its own there are no negatives to make a ROC curve of.
    """
    stats, extra = population.pairs, population.extra
    stats = stats if extra is None else extra.counted(stats)
    curve = threshold_curve(stats)
    positives, negatives = stats.positives, stats.negatives
    if not positives or not negatives:
        return {}
    tp, fp = curve.tp.astype(np.float64), curve.fp.astype(np.float64)
    walk = tp / positives + fp / negatives
    wanted = np.searchsorted(walk, np.linspace(0.0, walk[-1], CURVE_POINTS))
    keep = np.unique(np.append(np.clip(wanted, 0, len(walk) - 1), [0, len(walk) - 1]))
    tp, fp, threshold = tp[keep], fp[keep], curve.threshold[keep]
    lowest = 0.0 if extra is None else extra.lowest
    able = threshold >= lowest
    pr = {
        "recall": (tp / positives)[able].tolist(),
        "precision": (tp / (tp + fp))[able].tolist(),
        "threshold": threshold[able].tolist(),
    }
    if lowest:
        return {"pr": pr}
    roc = {
        "fpr": [0.0, *(fp / negatives).tolist()],
        "tpr": [0.0, *(tp / positives).tolist()],
        "threshold": [None, *threshold.tolist()],
    }
    return {"roc": roc, "pr": pr}
