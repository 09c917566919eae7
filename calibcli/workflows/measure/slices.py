"""The statistics of a population of rows to the result that is shown for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics import intervals, multiclass
from calibcli.core.metrics.binary import TESTS, View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.readings import judged, read_at
from calibcli.core.metrics.shares import effective_rows, f1_of, overlap_interval, proportion
from calibcli.core.numeric.proportions import clopper_pearson
from calibcli.core.results.base import plain
from calibcli.core.results.figures import Figure, Reading
from calibcli.core.results.reading import typed_as
from calibcli.core.statistics.curves import threshold_curve
from calibcli.io.task import IMAGES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibcli.core.decisions.costs import Costs
    from calibcli.core.metrics.intervals import Found
    from calibcli.core.statistics.stats import ScoreStats
    from calibcli.tasks.collect import Population
    from calibcli.workflows.input.conventions import Conventions

    Array = NDArray[np.float64]
    Cells = tuple[Array, Array]

Result = dict[str, Any]
CURVE_POINTS = 500
_SEVERAL = "several labels a row"
_SHOWN = ("n", "prevalence", "mean_score", "ece", "nll")
"""Figures of a class that tables for people show."""


def slice_result(
    where: Result,
    population: Population,
    conventions: Conventions,
    *,
    curves: Costs | None = None,
) -> Result:
    """Return what is known of one population: metrics, confusion tables, bins.

    Args:
        where: the slice, as it stands in the JSON.
        population: its statistics.
        conventions: how to bin and how sure to be.
        curves: what errors cost, to have also what a report draws.
    """
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = metrics_of(population, conventions, conventions.confidence)
    extra = population.extra
    metrics = _figures(found, population, conventions.confidence)
    result: Result = {"slice": where, "metrics": metrics}
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
        result |= _curves(population)
    if curves is not None and where["kind"] == "class":
        from calibcli.workflows.measure.decided.decision_curves import class_costs

        result |= class_costs(population, curves)
    if curves is not None and where["kind"] == "overall":
        from calibcli.workflows.measure.decided.decision_curves import decision_curves
        from calibcli.workflows.measure.report_curves import report_curves

        result |= report_curves(view, conventions)
        result |= decision_curves(population, curves, conventions.confidence)
    return result


def shown_class(where: Result, population: Population, conventions: Conventions) -> Result:
    """Return what a table shows of one class against the rest; `slice_result` has the others."""
    view = View.of(population.pairs, conventions.headline, seed=conventions.seed)
    found = intervals.measure(
        view, confidence=conventions.confidence, seed=conventions.seed, names=_SHOWN
    )
    View.forget(population.pairs)
    return {"slice": where, "metrics": _figures(found, population, None), "bins": []}


def metrics_of(
    population: Population, conventions: Conventions, confidence: float | None
) -> dict[str, Found]:
    """Return every metric of a population, with intervals at a level unless that is None."""
    if population.exclusive:
        view = View(population.pairs, conventions.headline, seed=conventions.seed, confidence=True)
        return multiclass.measure(
            view,
            [View(stats, conventions.headline) for stats in population.top],
            [
                View.of(stats, conventions.headline, seed=conventions.seed)
                for stats in population.classes
            ],
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
        "metrics": _figures(found, population, conventions.confidence),
        "bins": bin_rows(view, conventions.confidence),
    }


def _figures(found: dict[str, Found], population: Population, confidence: float | None) -> Result:
    figures = {name: figure(one) for name, one in found.items()}
    if population.extra is not None:
        pairs = {name: Figure(*one[:3], reason=one[3]) for name, one in found.items()}
        figures = plain(population.extra.metrics(pairs, confidence))
    errors = certain_errors(population)
    if errors and figures["nll"]["value"] is not None:
        figures["nll"]["certain_errors"] = errors
    return figures


def certain_errors(population: Population) -> int | float:
    """Return how many rows were certain and wrong: their log loss is infinite."""
    if not population.exclusive:
        return population.pairs.certain_errors
    wrong = sum(stats.pos[stats.key == 0].sum() for stats in population.classes)
    return float(wrong) if population.pairs.weighted else int(wrong)


def figure(found: Found) -> Result:
    """Return a metric as it stands in the JSON."""
    value, low, high, reason = found
    figure: Result = {"value": value, "low": low, "high": high}
    if reason is not None:
        figure["reason"] = reason
    return figure


def cut_table(population: Population, threshold: float, conventions: Conventions) -> Result:
    """Return the confusion table at a threshold, of what the medium counts there."""
    extra, level = population.extra, conventions.confidence
    if extra is None:
        return confusion(View(population.pairs, conventions.headline), threshold, level)
    view = View(extra.counted(population.pairs), conventions.headline)
    counts = confusion(view, max(threshold, extra.lowest), level)
    found: Result = plain(extra.table(counts, threshold))
    return found


def confusion(
    view: View, threshold: float, level: float | None, *, first: int | None = None
) -> Result:
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

    def share(of: str, hits: float, rows: float, hit: Cells, row: Cells) -> Result:
        """A proportion hits / rows; `hit` and `row` mark the cells' positives and negatives."""
        if not rows:
            return {"value": None, "low": None, "high": None, "reason": f"no {of}"}
        value = hits / rows
        if level is None:
            return {"value": value, "low": None, "high": None}
        slope = (hit[0] - value * row[0]) / rows, (hit[1] - value * row[1]) / rows
        low, high = proportion(stats, value, slope, rows, level)
        return {"value": value, "low": low, "high": high}

    calm = on - alert
    return {
        "threshold": threshold,
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "tn": tn,
        "precision": share("alerts", tp, tp + fp, (alert, off), (alert, alert)),
        "recall": share("positives", tp, tp + fn, (alert, off), (on, off)),
        "f1": _f1(stats, tp, fp, fn, alert, level),
        "specificity": share("negatives", tn, tn + fp, (off, calm), (off, on)),
        "fpr": share("negatives", fp, tn + fp, (off, alert), (off, on)),
    }


def _f1(
    stats: ScoreStats, tp: float, fp: float, fn: float, alert: Array, level: float | None
) -> Result:
    size = 2 * tp + fp + fn
    if not size:
        return {"value": None, "low": None, "high": None, "reason": "no positives and no alerts"}
    value = 2 * tp / size
    if level is None:
        return {"value": value, "low": None, "high": None}
    low, high = overlap_interval(stats, alert, level)
    return {"value": value, "low": f1_of(low), "high": f1_of(high)}


def bin_rows(view: View, level: float | None) -> list[Result]:
    """Return the bins as rows; frequencies with exact (Clopper-Pearson) intervals.

    With clusters or weights the interval is that of the effective number of rows.
    """
    bins = view.bins
    low = high = None
    if level is not None and len(bins.count):
        rows_of = effective_rows(view, level)
        low, high = clopper_pearson(bins.frequency * rows_of, rows_of, level)
    rows = []
    for b in range(len(bins.count)):
        used = bool(bins.used[b])
        rows.append(
            {
                "low": float(bins.low[b]),
                "high": float(bins.high[b]),
                "count": bins.count[b].item(),
                "score": float(bins.score[b]) if used else None,
                "frequency": float(bins.frequency[b]) if used else None,
                "frequency_low": float(low[b]) if used and low is not None else None,
                "frequency_high": float(high[b]) if used and high is not None else None,
                "gap": float(bins.gap[b]) if used else None,
            }
        )
    return rows


def ece_by_bins(stats: ScoreStats, conventions: Conventions, headline: Found) -> list[Result]:
    """Return ECE under every binning; `headline` is that of the first."""
    rows = []
    for binning in conventions.all_binnings():
        view = View(stats, binning)
        ece = headline
        if binning != conventions.headline:
            ece = intervals.measure(
                view, confidence=conventions.confidence, seed=conventions.seed, names=("ece",)
            )["ece"]
        used = int(view.bins.used.sum())
        rows.append(
            {"bins": binning.bins, "binning": binning.kind, "used": used, "ece": figure(ece)}
        )
    return rows


def readings_of(view: View, conventions: Conventions) -> list[Result]:
    """Read the reliability curve at every confidence that is asked for."""
    tolerance, level = conventions.tolerance, conventions.confidence
    return [plain(read_at(view, at, tolerance, level)) for at in conventions.at]


def judge_readings(result: Result, level: float | None) -> None:
    """Say of every reading of the curve in a result whether chance explains its gap."""
    if level is None:
        return
    parts = [result["overall"], *result["classes"], *result["groups"]]
    parts += [part["calibrated"] for part in parts if part.get("calibrated")]
    parts += result.get(IMAGES, {}).get("structures", ())
    told = [part for part in parts if part.get("at")]
    readings = iter(
        judged([typed_as(one, Reading) for part in told for one in part["at"]], 1 - level)
    )
    for part in told:
        part["at"] = [plain(next(readings)) for _ in part["at"]]


def _curves(population: Population) -> Result:
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
