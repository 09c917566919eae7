"""Every metric of one slice of pairs, a descriptor each: value, gradient, interval, words.

Whatever shows, gates, compares or explains a figure reads it from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from calibcli.core.metrics import binary, corp, gradients, rankings
from calibcli.core.metrics.further import distances, least_cllr, losses, ranking, recalibration
from calibcli.core.metrics.gaps import norm_interval
from calibcli.core.metrics.shares import proportion
from calibcli.core.metrics.spread import effective_n, spread_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient

    Ends = Callable[[View, float, float, int], tuple[float, float]]

Better = Literal["lower", "higher", "nearer to 0", "nearer to 1", ""]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of one slice of pairs.

    Attributes:
        value: computes it, or raises `Undefined` with the reason why there is none.
        better: which values are better; "" for a property of the data.
        means: what it is, in a line.
        gradient: what one more row adds to it, where it is smooth; its interval then follows.
        ends: the interval of (view, value, confidence, seed), where the gradient does not give it.
        least: smallest possible value; `most` the largest.
        no_interval: why it has none, where neither is given.
    """

    value: Callable[[View], float]
    better: Better
    means: str
    gradient: Callable[[View, float], Gradient] | None = None
    ends: Ends | None = None
    least: float = 0.0
    most: float = float("inf")
    no_interval: str = ""

    def __call__(self, view: View) -> float:
        """Return the value."""
        return self.value(view)


def _prevalence(view: View, value: float, confidence: float, seed: int) -> tuple[float, float]:
    slope = gradients.prevalence(view, value)
    return proportion(view.stats, value, slope, float(view.stats.n), confidence)


def _mean_score(view: View, value: float, confidence: float, seed: int) -> tuple[float, float]:
    """A score that was not seen is as far as the farthest that was; where all agree, 0 or 1."""
    stats = view.stats
    lowest, highest = float(stats.score[0]), float(stats.score[-1])
    if lowest == highest:
        lowest, highest = 0.0, 1.0
    n = effective_n(stats)
    more, fewer = (highest - value) / n, (value - lowest) / n
    spread = spread_of(stats, gradients.mean_score(view, value))
    spread = replace(spread, more=(more**2, more**3), fewer=(fewer**2, fewer**3))
    low, high = spread.ends(value, confidence)
    return float(low), float(high)


def _norm(name: str, value: Callable[[View], float], means: str) -> Metric:
    """Return a metric that is a norm of gaps, see `gaps`."""

    def ends(view: View, value: float, confidence: float, seed: int) -> tuple[float, float]:
        return norm_interval(view, name, value, confidence, seed)

    return Metric(value, "lower", means, ends=ends)


_INF = float("inf")
_ISOTONIC = "no interval holds where scores are honest: an isotonic fit always finds some distance"

METRICS: Mapping[str, Metric] = {
    "n": Metric(binary.n, "", "rows"),
    "prevalence": Metric(
        binary.prevalence, "", "share of label 1", gradients.prevalence, _prevalence
    ),
    "mean_score": Metric(
        binary.mean_score,
        "",
        "mean score; equals prevalence (multi-class: accuracy) when honest on average",
        gradients.mean_score,
        _mean_score,
        most=1.0,
    ),
    "ece": _norm(
        "ece", binary.ece, "mean gap between score and frequency over the bins, weighted by rows"
    ),
    "ece_debiased": _norm(
        "ece_debiased",
        binary.ece_debiased,
        "root of the squared gap with its upward bias removed (Kumar et al. 2019)",
    ),
    "mce": _norm("mce", binary.mce, "the largest gap of a bin"),
    "ace": _norm("ace", binary.ace, "mean gap over the bins that hold rows, unweighted"),
    "smooth_ece": _norm(
        "smooth_ece",
        binary.smooth_ece,
        "ECE without bins, by kernel smoothing (Błasiok and Nakkiran 2023)",
    ),
    "ks": _norm("ks", binary.ks, "largest running sum of label minus score; needs no bins"),
    "kuiper": _norm(
        "kuiper", binary.kuiper, "range of the running sum of label minus score; needs no bins"
    ),
    "brier": Metric(
        binary.brier, "lower", "mean squared error of the scores", gradients.brier, most=1.0
    ),
    "brier_miscalibration": Metric(
        binary.brier_miscalibration,
        "lower",
        "the part of Brier that calibration can remove (CORP)",
        ends=corp.miscalibration_interval,
    ),
    "brier_discrimination": Metric(
        binary.brier_discrimination,
        "higher",
        "the part of Brier won by telling rows apart (CORP)",
        ends=corp.discrimination_interval,
    ),
    "brier_uncertainty": Metric(
        binary.brier_uncertainty,
        "",
        "the part of Brier that the labels alone cause (CORP)",
        ends=corp.uncertainty_interval,
    ),
    "nll": Metric(
        binary.nll,
        "lower",
        "log loss: mean of -log of the probability given to what happened",
        gradients.nll,
    ),
    "auc": Metric(
        binary.auc,
        "higher",
        "chance that a positive row scores above a negative one",
        gradients.auc,
        rankings.auc_interval,
    ),
    "average_precision": Metric(
        binary.average_precision,
        "higher",
        "mean precision over recall, without interpolation",
        gradients.average_precision,
        rankings.average_precision_interval,
    ),
    "spiegelhalter_z": Metric(
        binary.spiegelhalter_z,
        "",
        "Spiegelhalter's statistic; far from 0 speaks against calibration",
    ),
    "spiegelhalter_p": Metric(binary.spiegelhalter_p, "", "its two-sided p-value"),
    "hosmer_lemeshow_p": Metric(
        binary.hosmer_lemeshow_p, "", "p-value of the Hosmer-Lemeshow test"
    ),
}
"""The first metrics, in display order."""

FURTHER: Mapping[str, Metric] = {
    "calibration_slope": Metric(
        recalibration.slope,
        "nearer to 1",
        "slope of the label on the logit; below 1: scores are too extreme (Cox 1958)",
        recalibration.slope_gradient,
        least=-_INF,
    ),
    "calibration_intercept": Metric(
        recalibration.intercept,
        "nearer to 0",
        "calibration in the large: what is to be added to every logit",
        recalibration.intercept_gradient,
        least=-_INF,
    ),
    "oe_ratio": Metric(
        recalibration.oe_ratio,
        "nearer to 1",
        "observed over expected positives",
        recalibration.oe_gradient,
    ),
    "ici": Metric(
        distances.ici,
        "lower",
        "mean distance of score and isotonic frequency (Austin and Steyerberg 2019)",
        no_interval=_ISOTONIC,
    ),
    "e50": Metric(distances.e50, "lower", "median of that distance", no_interval=_ISOTONIC),
    "e90": Metric(
        distances.e90, "lower", "90th percentile of that distance", no_interval=_ISOTONIC
    ),
    "over_confidence": Metric(
        distances.over_confidence,
        "lower",
        "the part of ECE from bins whose score is above the frequency",
        ends=distances.one_sided_interval(-1.0),
        most=1.0,
    ),
    "under_confidence": Metric(
        distances.under_confidence,
        "lower",
        "the part of ECE from bins whose score is below the frequency",
        ends=distances.one_sided_interval(1.0),
        most=1.0,
    ),
    "nll_miscalibration": Metric(
        losses.nll_miscalibration,
        "lower",
        "the part of the log loss that calibration can remove (CORP)",
        losses.nll_miscalibration_gradient,
        losses.nll_miscalibration_interval,
    ),
    "nll_discrimination": Metric(
        losses.nll_discrimination,
        "higher",
        "the part of the log loss won by telling rows apart (CORP)",
        losses.nll_discrimination_gradient,
        losses.nll_discrimination_interval,
    ),
    "nll_uncertainty": Metric(
        losses.nll_uncertainty,
        "",
        "the part of the log loss that the labels alone cause (CORP)",
        losses.nll_uncertainty_gradient,
        losses.nll_uncertainty_interval,
    ),
    "brier_skill": Metric(
        losses.brier_skill,
        "higher",
        "share of the squared error of always saying the prevalence that is saved",
        losses.brier_skill_gradient,
        least=-_INF,
        most=1.0,
    ),
    "nll_skill": Metric(
        losses.nll_skill,
        "higher",
        "share of the log loss of always saying the prevalence that is saved",
        losses.nll_skill_gradient,
        least=-_INF,
        most=1.0,
    ),
    "cllr": Metric(
        losses.cllr,
        "lower",
        "cost of the likelihood ratios in bits, 1 for scores that tell nothing (Brümmer 2006)",
        losses.cllr_gradient,
    ),
    "cllr_min": Metric(
        least_cllr.cllr_min,
        "lower",
        "what is left of `cllr` after isotonic recalibration: how well labels are told apart",
        least_cllr.cllr_min_gradient,
        least_cllr.cllr_min_interval,
        most=1.0,
    ),
    "aurc": Metric(
        ranking.aurc,
        "lower",
        "mean share of wrong rows as the least confident are referred (Geifman 2017)",
        ranking.aurc_gradient,
        most=1.0,
    ),
    "miscalibration_p": Metric(
        distances.miscalibration_p,
        "",
        "p-value of calibration: labels drawn from the scores (Bröcker and Smith 2007)",
    ),
}
"""Figures that come after `METRICS`, in display order."""

ALL: Mapping[str, Metric] = {**METRICS, **FURTHER}
"""Every metric of one slice of pairs, in display order."""

OF_CLASSES: Mapping[str, tuple[Better, str]] = {
    "accuracy": ("higher", "share of rows whose predicted class is right"),
    "classwise_ece": ("lower", "mean over classes of each class's ECE"),
    "top_label_ece": ("lower", "ECE given the predicted class as well (Gupta and Ramdas 2022)"),
}
"""What is better, and what it means, of the metrics that several classes have beside these."""

BETTER: Mapping[str, Better] = {
    **{name: metric.better for name, metric in ALL.items()},
    **{name: better for name, (better, _) in OF_CLASSES.items()},
}
"""Which values of each metric are better."""

SMOOTH = tuple(name for name, metric in FURTHER.items() if metric.gradient is not None)
"""Further metrics of which a row's influence is known."""
