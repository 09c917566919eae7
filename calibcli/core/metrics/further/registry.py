"""The further figures, each as one descriptor: value, gradient, interval, direction and words.

Whatever shows, gates, compares or explains a figure reads it from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from calibcli.core.metrics.binary import METRICS
from calibcli.core.metrics.further import distances, least_cllr, losses, ranking, recalibration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calibcli.core.metrics.binary import View
    from calibcli.core.metrics.spread import Gradient

    Ends = Callable[[View, float, float, int], tuple[float, float]]

Better = Literal["lower", "higher", "nearer to 0", "nearer to 1", ""]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of one slice of pairs.

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


_INF = float("inf")
_ISOTONIC = "no interval holds where scores are honest: an isotonic fit always finds some distance"

FURTHER: Mapping[str, Figure] = {
    "calibration_slope": Figure(
        recalibration.slope,
        "nearer to 1",
        "slope of the label on the logit; below 1: scores are too extreme (Cox 1958)",
        recalibration.slope_gradient,
        least=-_INF,
    ),
    "calibration_intercept": Figure(
        recalibration.intercept,
        "nearer to 0",
        "calibration in the large: what is to be added to every logit",
        recalibration.intercept_gradient,
        least=-_INF,
    ),
    "oe_ratio": Figure(
        recalibration.oe_ratio,
        "nearer to 1",
        "observed over expected positives",
        recalibration.oe_gradient,
    ),
    "ici": Figure(
        distances.ici,
        "lower",
        "mean distance of score and isotonic frequency (Austin and Steyerberg 2019)",
        no_interval=_ISOTONIC,
    ),
    "e50": Figure(distances.e50, "lower", "median of that distance", no_interval=_ISOTONIC),
    "e90": Figure(
        distances.e90, "lower", "90th percentile of that distance", no_interval=_ISOTONIC
    ),
    "over_confidence": Figure(
        distances.over_confidence,
        "lower",
        "the part of ECE from bins whose score is above the frequency",
        ends=distances.one_sided_interval(-1.0),
        most=1.0,
    ),
    "under_confidence": Figure(
        distances.under_confidence,
        "lower",
        "the part of ECE from bins whose score is below the frequency",
        ends=distances.one_sided_interval(1.0),
        most=1.0,
    ),
    "nll_miscalibration": Figure(
        losses.nll_miscalibration,
        "lower",
        "the part of the log loss that calibration can remove (CORP)",
        losses.nll_miscalibration_gradient,
        losses.nll_miscalibration_interval,
    ),
    "nll_discrimination": Figure(
        losses.nll_discrimination,
        "higher",
        "the part of the log loss won by telling rows apart (CORP)",
        losses.nll_discrimination_gradient,
        losses.nll_discrimination_interval,
    ),
    "nll_uncertainty": Figure(
        losses.nll_uncertainty,
        "",
        "the part of the log loss that the labels alone cause (CORP)",
        losses.nll_uncertainty_gradient,
        losses.nll_uncertainty_interval,
    ),
    "brier_skill": Figure(
        losses.brier_skill,
        "higher",
        "share of the squared error of always saying the prevalence that is saved",
        losses.brier_skill_gradient,
        least=-_INF,
        most=1.0,
    ),
    "nll_skill": Figure(
        losses.nll_skill,
        "higher",
        "share of the log loss of always saying the prevalence that is saved",
        losses.nll_skill_gradient,
        least=-_INF,
        most=1.0,
    ),
    "cllr": Figure(
        losses.cllr,
        "lower",
        "cost of the likelihood ratios in bits, 1 for scores that tell nothing (Brümmer 2006)",
        losses.cllr_gradient,
    ),
    "cllr_min": Figure(
        least_cllr.cllr_min,
        "lower",
        "what is left of `cllr` after isotonic recalibration: how well labels are told apart",
        least_cllr.cllr_min_gradient,
        least_cllr.cllr_min_interval,
        most=1.0,
    ),
    "aurc": Figure(
        ranking.aurc,
        "lower",
        "mean share of wrong rows as the least confident are referred (Geifman 2017)",
        ranking.aurc_gradient,
        most=1.0,
    ),
    "miscalibration_p": Figure(
        distances.miscalibration_p,
        "",
        "p-value of calibration: labels drawn from the scores (Bröcker and Smith 2007)",
    ),
}
"""Figures that come after `METRICS`, in display order."""

ALL: Mapping[str, Callable[[View], float]] = {
    **METRICS,
    **{name: figure.value for name, figure in FURTHER.items()},
}
"""Every metric of one slice of pairs, in display order."""

SMOOTH = tuple(name for name, figure in FURTHER.items() if figure.gradient is not None)
"""Further figures of which a row's influence is known."""
