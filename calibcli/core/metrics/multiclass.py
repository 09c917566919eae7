"""Metrics of a multi-class population: of the predicted class, and sums or means over classes.

Calibration of the confidence is a binary question (was the predicted class right?) and uses the
binary metrics. Brier and log loss sum over classes; AUC, average precision and classwise ECE are
unweighted means over classes, so a rare class counts as much as a common one. Pairs of one row
are not independent of each other, so sums over classes take their variance from buckets of rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.metrics import intervals, norms
from calibcli.core.metrics.binary import METRICS, Undefined, View
from calibcli.core.metrics.gaps import ece_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calibcli.core.metrics.intervals import Found, Gradient

_OF_CONFIDENCE = (
    "mean_score",
    "ece",
    "ece_debiased",
    "mce",
    "ace",
    "smooth_ece",
    "ks",
    "kuiper",
    "spiegelhalter_z",
    "spiegelhalter_p",
    "hosmer_lemeshow_p",
)
_SUMS = ("brier", "brier_miscalibration", "brier_discrimination", "brier_uncertainty", "nll")
_MEANS = ("auc", "average_precision")

MULTICLASS_METRICS = (
    "n",
    "accuracy",
    "mean_score",
    "ece",
    "ece_debiased",
    "mce",
    "ace",
    "classwise_ece",
    "top_label_ece",
    "smooth_ece",
    "ks",
    "kuiper",
    "brier",
    "brier_miscalibration",
    "brier_discrimination",
    "brier_uncertainty",
    "nll",
    "auc",
    "average_precision",
    "spiegelhalter_z",
    "spiegelhalter_p",
    "hosmer_lemeshow_p",
)
"""Names of the metrics of several classes, in display order."""


def measure(
    confidence_view: View,
    top: Sequence[View],
    classes: Sequence[View],
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
) -> dict[str, Found]:
    """Return every metric of a multi-class population.

    Args:
        confidence_view: pairs (confidence, was the predicted class right), one a row.
        top: the same, apart by predicted class (K).
        classes: pairs (probability of the class, is it the label) for each class (K).
        confidence: level of the intervals; None for none.
        seed: of the draws behind the intervals of norms.
    """
    binary = intervals.measure(
        confidence_view,
        confidence=confidence,
        seed=seed,
        names=("n", "prevalence", *_OF_CONFIDENCE),
    )
    found: dict[str, Found] = {"n": binary["n"], "accuracy": binary["prevalence"]}
    found |= {name: binary[name] for name in _OF_CONFIDENCE}
    if not confidence_view.stats.n:
        empty: Found = (None, None, None, "no rows")
        return {name: found.get(name, empty) for name in MULTICLASS_METRICS}
    found["classwise_ece"] = _classwise_ece(classes, confidence, seed)
    found["top_label_ece"] = _top_label_ece(top, confidence, seed)
    found |= {name: _sum(name, classes, confidence) for name in _SUMS}
    found |= {name: _mean(name, classes, confidence) for name in _MEANS}
    return {name: found[name] for name in MULTICLASS_METRICS}


# -- sums and means over classes ------------------------------------------------------------------


def _rows(view: View) -> float:
    return float(view.stats.n)


def _log_loss(view: View) -> tuple[float, Gradient]:
    """A row's log loss is that of its own class, so only the positives of each class count."""
    positive, _ = view.stats.cell_losses()
    value = float(view.stats.pos @ positive) / _rows(view)
    return value, (positive / _rows(view), np.zeros(len(positive)))


def _brier(view: View) -> tuple[float, Gradient]:
    value = METRICS["brier"](view)
    return value, intervals.gradient("brier", view, value)


def _corp(name: str) -> Callable[[View], tuple[float, Gradient]]:
    def one(view: View) -> tuple[float, Gradient]:
        value = METRICS[name](view)
        return value, intervals.corp_gradient(view, name, value)

    return one


def _uncertainty(view: View) -> tuple[float, Gradient]:
    share = view.stats.positives / view.stats.n
    ones = np.ones(len(view.stats.score))
    lean = (1.0 - 2.0 * share) / _rows(view)
    return share * (1.0 - share), (lean * (1.0 - share) * ones, -lean * share * ones)


_TERMS: dict[str, Callable[[View], tuple[float, Gradient]]] = {
    "nll": _log_loss,
    "brier": _brier,
    "brier_miscalibration": _corp("brier_miscalibration"),
    "brier_discrimination": _corp("brier_discrimination"),
    "brier_uncertainty": _uncertainty,
}


def summed(name: str, classes: Sequence[View]) -> tuple[float, float]:
    """Return a metric that sums over classes, such as "brier" or "nll", and its variance."""
    terms = [_TERMS[name](view) for view in classes]
    value = sum(term[0] for term in terms)
    gradients = [term[1] for term in terms]
    if name == "nll":
        # Centred once a row: each row is a positive of exactly one class.
        n = _rows(classes[0])
        gradients = [(p - value / n, q) for p, q in gradients]
    return value, _joint_variance(classes, gradients)


def _sum(name: str, classes: Sequence[View], confidence: float | None) -> Found:
    if confidence is None:
        return sum(_TERMS[name](view)[0] for view in classes), None, None, None
    value, variance = summed(name, classes)
    error = _quantile(classes, confidence) * math.sqrt(variance)
    if name in ("brier_miscalibration", "brier_discrimination"):
        bias = sum(intervals.corp_optimism(view) for view in classes)
        low, high = value - bias - error, value - bias + error
        return value, max(0.0, min(low, value)), max(high, value), None
    if name == "brier_uncertainty":
        return value, max(0.0, value - error), min(1.0, value + error), None
    return value, *intervals.on_log_scale(value, error), None


def _mean(name: str, classes: Sequence[View], confidence: float | None) -> Found:
    values: list[float] = []
    used: list[View] = []
    reason = "no class"
    for view in classes:
        try:
            values.append(METRICS[name](view))
            used.append(view)
        except Undefined as undefined:
            reason = str(undefined)
    if not used:
        return None, None, None, reason
    value = sum(values) / len(values)
    if confidence is None or not 0.0 < value < 1.0:
        return value, None, None, None
    gradients: list[Gradient] = []
    for view, own in zip(used, values, strict=True):
        positive, negative = intervals.gradient(name, view, own)
        gradients.append((positive / len(used), negative / len(used)))
    error = _quantile(used, confidence) * math.sqrt(_joint_variance(used, gradients))
    return value, *intervals.on_logit_scale(value, error), None


def _quantile(classes: Sequence[View], confidence: float) -> float:
    return intervals.quantile(classes[0].stats, confidence)


def _joint_variance(classes: Sequence[View], gradients: Sequence[Gradient]) -> float:
    """Return the variance of a sum over classes; without buckets its upper bound (Minkowski)."""
    if all(view.stats.parts is not None for view in classes):
        sums: Any = sum(
            view.stats.bucket_sums(*gradient)
            for view, gradient in zip(classes, gradients, strict=True)
        )
        size = len(sums)
        return float(((sums - sums.mean()) ** 2).sum()) * size / max(size - 1, 1)
    apart = (
        intervals.variance(view.stats, gradient)
        for view, gradient in zip(classes, gradients, strict=True)
    )
    return sum(math.sqrt(max(v, 0.0)) for v in apart) ** 2


# -- norms over classes and bins -------------------------------------------------------------------


def _classwise_ece(classes: Sequence[View], confidence: float | None, seed: int) -> Found:
    value = float(np.mean([METRICS["ece"](view) for view in classes]))
    if confidence is None:
        return value, None, None, None
    problem = norms.joined([ece_gaps(view) for view in classes], len(classes))
    return value, *norms.interval(problem, confidence, seed), None


def _top_label_ece(top: Sequence[View], confidence: float | None, seed: int) -> Found:
    """Weighted by how often each class is predicted: a sum over predicted classes and bins."""
    used = [view for view in top if view.stats.n]
    n = sum(_rows(view) for view in used)
    value = sum(METRICS["ece"](view) * _rows(view) for view in used) / n
    if confidence is None:
        return value, None, None, None
    problem = norms.joined([norms.scaled(ece_gaps(view), _rows(view) / n) for view in used], 1)
    return value, *norms.interval(problem, confidence, seed), None
