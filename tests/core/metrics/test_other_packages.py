"""Figures that other packages print for four score files: rms of R, statsmodels, dcurves.

The files are `score_set` below, written with 17 digits. In R 4.2.2 with rms 6.5.0:

    v <- val.prob(d$p, d$y, pl=FALSE)                 # C (ROC), Brier, Slope, Intercept, S:z, S:p
    coef(glm(y ~ offset(qlogis(p)), binomial, d))     # the intercept with the slope held at 1
    w <- tapply(d$y, d$p, length); p <- rep(as.numeric(names(w)), w)
    e <- abs(p - isoreg(p, rep(as.vector(tapply(d$y, d$p, mean)), w))$yf)
    mean(e); quantile(e, c(.5, .9), type=1)           # ICI, E50, E90 by isotonic regression

`val.prob` finds its `Intercept` beside the slope, and its `Eavg` and `E90` by lowess rather than by
isotonic regression: these are `level` and `lowess` below. Spreads are those of statsmodels 0.15
(`GLM(..., Binomial()).fit(cov_type="HC0")`), net benefits those of dcurves 1.1.7 (`dca(data=d,
outcome="y", modelnames=["p"], thresholds=[.1, .25, .5])`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import expit, logit

from calibcli.core.metrics.binary import View
from calibcli.core.metrics.further.net_benefit import net_benefit, over_all
from calibcli.core.metrics.further.recalibration import recalibrate
from calibcli.core.metrics.registry import ALL, METRICS
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

AT = np.array([0.1, 0.25, 0.5])


@dataclass(frozen=True)
class Printed:
    """What others print for one file, which is made by `score_set(*made)`."""

    made: tuple[int, int, float, float, int]
    c: float
    brier: float
    slope: float
    level: float
    large: float
    z: float
    p: float
    ici: float
    e50: float
    e90: float
    lowess: float
    spread: tuple[float, float, float]
    benefit: tuple[float, float, float]
    of_all: tuple[float, float, float]


PRINTED = {
    "honest": Printed(
        (1, 400, 1.0, 0.0, 3),
        0.750247395833333330, 0.197989959999999993, 0.885523775398747270, -0.132378593550319640,
        -0.106029121542528, 0.601495559188031992, 0.547509968698196681,
        0.0415739376664025, 0.029, 0.0952068965517242, 0.024524415911587584,
        (0.12246624, 0.11765108, 0.11686435),
        (0.33222222222222225, 0.24666666666666667, 0.0925),
        (0.33333333333333337, 0.20000000000000004, -0.19999999999999996),
    ),
    "over-confident": Printed(
        (2, 300, 0.5, 0.0, 3),
        0.637718023255814, 0.250002250000000, 0.384224944856517, -0.170884097823864,
        -0.0221527364042869, 6.31993180537442, 2.61678754755030e-10,
        0.114317826086956, 0.100764705882353, 0.194764705882353, 0.118071816378519,
        (0.09383241, 0.12451285, 0.15804035),
        (0.36111111111111116, 0.20888888888888893, 0.04),
        (0.362962962962963, 0.23555555555555563, -0.14666666666666656),
    ),
    "rare": Printed(
        (3, 500, 1.0, -0.8, 3),
        0.787211440245148, 0.0937815340000000, 0.923186453664584, -0.798709490562066,
        -0.724106674839959, -3.12723851245200, 0.00176456710089293,
        0.074178, 0.0545373134328358, 0.157814814814815, 0.0734581454107009,
        (0.14451478, 0.21219348, 0.15739393),
        (0.04533333333333332, 0.0, -0.006),
        (0.0111111111111111, -0.18666666666666665, -0.78),
    ),
    "coarse": Printed(
        (4, 250, 1.4, 0.4, 1),
        0.8435759554445939, 0.1649205, 1.3938770236958529, 0.2455312593306787,
        0.172428237946841, -1.9260736879561863, 0.0540951735179617,
        0.0741, 0.0615384615384616, 0.127450980392157, 0.0580332497517835,
        (0.18130364, 0.16411117, 0.13625739),
        (0.43777777777777777, 0.37466666666666665, 0.252),
        (0.43555555555555553, 0.32266666666666666, -0.016),
    ),
}  # fmt: skip


def score_set(seed, rows, slope, shift, digits):
    rng = np.random.default_rng(seed)
    z = rng.normal(-2.0 if seed == 3 else -0.3, 1.3, rows)
    score = np.round(expit(z), digits).clip(0.005, 0.995)
    return score, (rng.random(rows) < expit(slope * logit(score) + shift)).astype(int)


@pytest.fixture(params=PRINTED)
def file(request):
    printed = PRINTED[request.param]
    return printed, ScoreStats.from_arrays(*score_set(*printed.made))


def test_val_prob(file):
    printed, stats = file
    view = View(stats, Binning())
    for name, own in {
        "auc": printed.c,
        "brier": printed.brier,
        "spiegelhalter_z": printed.z,
        "spiegelhalter_p": printed.p,
    }.items():
        assert METRICS[name](view) == pytest.approx(own, rel=1e-10), name
    assert ALL["calibration_slope"](view) == pytest.approx(printed.slope, abs=1e-7)
    assert ALL["calibration_intercept"](view) == pytest.approx(printed.large, abs=1e-9)
    assert recalibrate(stats).level == pytest.approx(printed.level, abs=1e-7)


def test_distances_by_isotonic_regression(file):
    printed, stats = file
    view = View(stats, Binning())
    for name in ("ici", "e50", "e90"):
        assert ALL[name](view) == pytest.approx(getattr(printed, name), abs=1e-12)


def test_lowess_finds_less_distance_in_honest_scores(file):
    printed, stats = file
    ours = ALL["ici"](View(stats, Binning()))
    if printed is PRINTED["honest"]:
        assert ours == pytest.approx(1.7 * printed.lowess, rel=0.01)
    elif printed is not PRINTED["coarse"]:
        assert ours == pytest.approx(printed.lowess, rel=0.04)


def test_spreads_of_slope_and_intercepts(file):
    printed, stats = file
    found = recalibrate(stats)
    variances = (*np.diag(found.covariance), found.intercept_variance)
    assert np.sqrt(variances) == pytest.approx(printed.spread, rel=1e-6)


def test_decision_curves(file):
    printed, stats = file
    own = net_benefit(stats, AT, 0.95).value
    assert own == pytest.approx(printed.benefit, abs=1e-12)
    assert own - over_all(stats, AT, 0.95).value == pytest.approx(printed.of_all, abs=1e-12)
