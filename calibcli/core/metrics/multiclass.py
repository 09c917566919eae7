"""Metrics of a multi-class population: of the predicted class, and sums or means over classes.

Calibration of the confidence is a binary question (was the predicted class right?) and uses the
binary metrics. Brier and log loss sum over classes; AUC, average precision and classwise ECE are
unweighted means over classes, so a rare class counts as much as a common one. Pairs of one row
are not independent of each other, so sums over classes take their variance from whole rows.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from calibcli.core.metrics import gradients, intervals
from calibcli.core.metrics.absolute_sums import AbsoluteSum, joined
from calibcli.core.metrics.binary import Undefined, View, ece
from calibcli.core.metrics.corp import corp_optimism
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.inversion import interval as absolute_interval
from calibcli.core.metrics.joint import Joint
from calibcli.core.metrics.rankings import unflattered
from calibcli.core.metrics.registry import FURTHER, METRICS
from calibcli.core.metrics.spread import Spread, spread_of
from calibcli.core.statistics.losses import own_log_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibcli.core.metrics.intervals import Found
    from calibcli.core.metrics.spread import Gradient
    from calibcli.core.statistics.row_sample import RowSample

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
    "calibration_slope",
    "calibration_intercept",
    "oe_ratio",
    "ici",
    "e50",
    "e90",
    "over_confidence",
    "under_confidence",
    "aurc",
    "miscalibration_p",
)
_SKILLS = {"brier_skill": ("brier", "brier_uncertainty"), "nll_skill": ("nll", "nll_uncertainty")}
_OF_PAIRS_ONLY = ("nll_miscalibration", "nll_discrimination", "nll_uncertainty", "cllr", "cllr_min")
_SUMS = ("brier", "brier_miscalibration", "brier_discrimination", "brier_uncertainty", "nll")
_MEANS: dict[str, Callable[[View, float], float]] = {
    "auc": lambda _, value: value,
    "average_precision": unflattered,
}
"""Means over classes: from where, of a class and its value, the lower end is taken.

What that takes off every class is no chance, so it is in their mean undiminished.
"""

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
    *(name for name in FURTHER if name not in _OF_PAIRS_ONLY),
)
"""Names of the metrics of several classes, in display order."""


def measure(
    confidence_view: View,
    top: Sequence[View],
    classes: Sequence[View],
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
    rows: RowSample | None = None,
    losses: NDArray[np.float64] | None = None,
) -> dict[str, Found]:
    """Return every metric of a multi-class population.

    Args:
        confidence_view: pairs (confidence, was the predicted class right), one a row.
        top: the same, apart by predicted class (K).
        classes: pairs (probability of the class, is it the label) for each class (K).
        confidence: level of the intervals; None for none.
        seed: of the draws behind the intervals of norms.
        rows: some of them whole, where classes keep no buckets.
        losses: (K, 4) sums of the losses of the rows of each class (see `losses.SUMS`).
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
    joint = Joint(confidence_view.stats.parts is not None, rows, losses)
    found["classwise_ece"] = _classwise_ece(classes, confidence, joint)
    found["top_label_ece"] = _top_label_ece(top, confidence)
    found |= {name: _sum(name, classes, confidence, joint) for name in _SUMS}
    if not found["classwise_ece"][1]:
        # A squared norm: above 0 for sure only where the gaps of the classes are beyond chance.
        value, low, high, reason = found["brier_miscalibration"]
        found["brier_miscalibration"] = value, low and 0.0, high, reason
    found |= {name: _skill(name, classes, confidence, joint) for name in _SKILLS}
    found |= {name: _mean(name, classes, confidence, joint) for name in _MEANS}
    return {name: found[name] for name in MULTICLASS_METRICS}


# -- sums and means over classes ------------------------------------------------------------------


def _rows(view: View) -> float:
    return float(view.stats.n)


def _log_loss(view: View) -> float:
    """A row's log loss is that of its own class, so only the positives of each class count."""
    positive, _ = view.stats.cell_losses()
    return float(view.stats.pos @ positive) / _rows(view)


def _log_loss_gradient(view: View, _: float) -> Gradient:
    positive = view.stats.cell_losses()[0]
    return positive / _rows(view), np.zeros(len(positive))


def _uncertainty_gradient(view: View, _: float) -> Gradient:
    share = view.stats.positives / view.stats.n
    ones = np.ones(len(view.stats.key))
    lean = (1.0 - 2.0 * share) / _rows(view)
    return lean * (1.0 - share) * ones, -lean * share * ones


def _entropy(view: View) -> float:
    """The log loss of always saying the share of each class."""
    share = view.stats.positives / view.stats.n
    return share * -math.log(share) if share else 0.0


def _entropy_gradient(view: View, _: float) -> Gradient:
    share = view.stats.positives / view.stats.n
    loss = -math.log(share) if share else 0.0
    ones = np.ones(len(view.stats.key)) / _rows(view)
    return loss * ones, 0.0 * ones


def _corp(name: str) -> Callable[[View, float], Gradient]:
    return lambda view, value: gradients.corp_gradient(view, name, value)


_TERMS: dict[str, tuple[Callable[[View], float], Callable[[View, float], Gradient]]] = {
    "nll": (_log_loss, _log_loss_gradient),
    "brier": (METRICS["brier"], gradients.brier),
    "brier_miscalibration": (METRICS["brier_miscalibration"], _corp("brier_miscalibration")),
    "brier_discrimination": (METRICS["brier_discrimination"], _corp("brier_discrimination")),
    "brier_uncertainty": (METRICS["brier_uncertainty"], _uncertainty_gradient),
    "nll_uncertainty": (_entropy, _entropy_gradient),
}
"""The term of a class in a sum over classes, and its gradient by the counts of each cell."""
_BY_OWN_CLASS = ("nll", "nll_uncertainty")
"""Sums in which a row counts in the term of its own class only."""


def summed(name: str, classes: Sequence[View], joint: Joint) -> tuple[float, Spread]:
    """Return a metric that sums over classes, such as "brier" or "nll", and its spread.

    Args:
        name: of the metric.
        classes: pairs of each class.
        joint: what is known of the rows behind them.
    """
    value = _total(name, classes, joint)
    alone = name in _BY_OWN_CLASS and not joint.clustered
    near = joint.near(classes)
    return value, _spread(near, _gradients(name, near, value), joint, alone=alone)


def _total(name: str, classes: Sequence[View], joint: Joint) -> float:
    if name == "nll" and joint.losses is not None and not classes[0].stats.exact:
        # Cells of a grid have the mean score of a class's rows, and not that of its positives.
        worst = [view.stats.loss_sums[3] for view in classes]
        return own_log_loss(joint.losses, worst) / _rows(classes[0])
    return math.fsum(_term(name, view) for view in classes)


def _term(name: str, view: View) -> float:
    of_view, _ = _TERMS[name]
    found: float = view.kept(f"term {name}", lambda: of_view(view))
    return found


def _gradients(name: str, classes: Sequence[View], value: float) -> list[Gradient]:
    _, of_term = _TERMS[name]
    gradients = [of_term(view, _term(name, view)) for view in classes]
    if name in _BY_OWN_CLASS:
        # Centred once a row: each row is a positive of exactly one class.
        n = _rows(classes[0])
        gradients = [(p - value / n, q) for p, q in gradients]
    return gradients


def _spread(
    classes: Sequence[View], gradients: Sequence[Gradient], joint: Joint, *, alone: bool
) -> Spread:
    """Return the spread of a sum over classes; `alone` where a row counts in one of them only."""
    each = [
        spread_of(joint.apart(view).stats, gradient)
        for view, gradient in zip(classes, gradients, strict=True)
    ]
    factor = 1.0 if alone else joint.effect(classes, gradients)
    return Spread(
        factor * sum(one.variance for one in each),
        factor**1.5 * sum(one.third for one in each),
        max((one.more for one in each), key=lambda pair: float(pair[0])),
        max((one.fewer for one in each), key=lambda pair: float(pair[0])),
        each[0].df,
    )


def _skill(name: str, classes: Sequence[View], confidence: float | None, joint: Joint) -> Found:
    """Return 1 - loss / loss of always saying the shares of the classes."""
    losses = _SKILLS[name]
    loss, base = (_total(part, classes, joint) for part in losses)
    if not base:
        return None, None, None, "every row has the same label"
    value = 1.0 - loss / base
    if confidence is None:
        return value, None, None, None
    near = joint.near(classes)
    own, of = (
        _gradients(part, near, total) for part, total in zip(losses, (loss, base), strict=True)
    )
    gradients = [
        ((loss / base * b - a) / base, (loss / base * d - c) / base)
        for (a, c), (b, d) in zip(own, of, strict=True)
    ]
    alone = name == "nll_skill" and not joint.clustered
    spread = _spread(near, gradients, joint, alone=alone)
    low, high = spread.ends(value, confidence)
    return value, float(low), min(float(high), 1.0), None


def _sum(name: str, classes: Sequence[View], confidence: float | None, joint: Joint) -> Found:
    if confidence is None:
        return _total(name, classes, joint), None, None, None
    value, spread = summed(name, classes, joint)
    centre = value
    if name in ("brier_miscalibration", "brier_discrimination"):
        centre -= sum(corp_optimism(view) for view in joint.near(classes))
    low, high = (float(end) for end in spread.ends(centre, confidence))
    most = {"brier": 2.0, "nll": math.inf}.get(name, 1.0)
    return value, max(0.0, min(low, value)), max(min(high, most), value), None


def _mean(name: str, classes: Sequence[View], confidence: float | None, joint: Joint) -> Found:
    """Return an unweighted mean over the classes that have the figure.

    Its interval recovers the variances from those of the classes (Zou and Donner, "Construction
    of confidence limits about effect measures", 2008), so that it holds what they hold, and goes
    by how their errors go together.
    """
    values: list[float] = []
    used: list[View] = []
    numbers: list[int] = []
    reason = "no class"
    for number, view in enumerate(classes):
        try:
            values.append(METRICS[name](view))
            used.append(view)
            numbers.append(number)
        except Undefined as undefined:
            reason = str(undefined)
    if not used:
        return None, None, None, reason
    value = sum(values) / len(values)
    if confidence is None:
        return value, None, None, None
    used = list(joint.near(used))
    gradients = [
        intervals.gradient(name, view, own) for view, own in zip(used, values, strict=True)
    ]
    ends = [
        intervals.interval(joint.apart(view), name, own, confidence, 0)
        for view, own in zip(used, values, strict=True)
    ]
    size = len(used)
    effect = math.sqrt(joint.effect(used, gradients, numbers))
    centres = [_MEANS[name](view, own) for view, own in zip(used, values, strict=True)]
    down = math.hypot(*(c - (e or (c, c))[0] for c, e in zip(centres, ends, strict=True)))
    up = math.hypot(*((e or (v, v))[1] - v for v, e in zip(values, ends, strict=True)))
    low, high = sum(centres) / size - effect * down / size, value + effect * up / size
    return value, max(low, 0.0), min(high, 1.0), None


# -- norms over classes and bins -------------------------------------------------------------------


def _classwise_ece(classes: Sequence[View], confidence: float | None, joint: Joint) -> Found:
    value = float(np.mean([ece(view) for view in classes]))
    if confidence is None:
        return value, None, None, None
    near = joint.near(classes)
    gradients = [_signed(view) for view in near]
    effect = max(joint.effect(near, gradients), 1.0 + 1.0 / max(len(classes) - 1, 1))
    sums = [ece_sum(joint.apart(view)) for view in near]
    return value, *_ends(sums, [1.0 / len(classes)] * len(classes), effect, value, confidence), None


def _top_label_ece(top: Sequence[View], confidence: float | None) -> Found:
    """Weighted by how often each class is predicted: a sum over predicted classes and bins."""
    used = [view for view in top if view.stats.n]
    n = sum(_rows(view) for view in used)
    value = sum(ece(view) * _rows(view) for view in used) / n
    if confidence is None:
        return value, None, None, None
    weights = [_rows(view) / n for view in used]
    return value, *_ends([ece_sum(view) for view in used], weights, 1.0, value, confidence), None


def _signed(view: View) -> Gradient:
    """Return the gradient of ECE, the signs of the gaps held."""
    sign = np.sign(view.bins.gap)[view.bins.index] / _rows(view)
    score = view.stats.score
    return sign * (1.0 - score), -sign * score


def _ends(
    sums: Sequence[AbsoluteSum],
    weights: Sequence[float],
    effect: float,
    value: float,
    confidence: float,
) -> tuple[float, float]:
    """Return the interval of a weighted sum of ECEs whose errors go together by `effect`."""
    every, weight = joined([one.gaps for one in sums], weights)
    both = AbsoluteSum(every, weight, shares=False, effect=effect)
    half_row = 0.0 if every.shared is not None else 0.5 / every.n
    low, high = absolute_interval(every, both, confidence, half_row)
    return max(min(low, value), 0.0), min(max(high, value), 1.0)
