"""Against SciPy's and scikit-learn's own estimates, per-row arithmetic, and simulated promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import f as f_distribution
from scipy.stats import t, ttest_ind_from_stats

from calibcli.core.comparison.change import (
    Estimate,
    _two_sided,
    _wald,
    _welch,
    change,
    changed,
    difference,
    norm_change,
    recalibration_changes,
)
from calibcli.core.comparison.reliability_test import reliability_p
from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.further.recalibration import recalibrate
from calibcli.core.metrics.gaps import ece_sum
from calibcli.core.metrics.registry import METRICS
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

BINNING = Binning()


def rows(rng, n, level=0.0, slope=1.0, mean=0.0):
    z = rng.normal(mean, 1.4, n)
    return expit(z), (rng.random(n) < expit(level + slope * z)).astype(int)


def view(p, y, **options):
    return View(ScoreStats.from_arrays(p, y, **options), BINNING)


def test_change_of_a_mean_is_the_difference_with_both_variances():
    rng = np.random.default_rng(0)
    (p, y), (q, w) = rows(rng, 900), rows(rng, 400, slope=0.7)
    losses = (p - y) ** 2, (q - w) ** 2
    value = losses[1].mean() - losses[0].mean()
    rarer = [int(min(label.sum(), len(label) - label.sum())) for label in (y, w)]
    parts = [one.var() / len(one) * m / (m - 1) for one, m in zip(losses, rarer, strict=True)]
    error = np.sqrt(sum(parts))
    df = int(error**4 / sum(v**2 / (m - 1) for v, m in zip(parts, rarer, strict=True)))
    found = change("brier", view(p, y), view(q, w), 0.9)
    assert found.value == pytest.approx(value)
    assert (found.low, found.high) == pytest.approx(
        (value - t.ppf(0.95, df) * error, value + t.ppf(0.95, df) * error), rel=1e-6
    )
    assert found.p == pytest.approx(2 * t.sf(abs(value / error), df), rel=1e-6)


def test_p_with_few_degrees_of_freedom_is_welchs():
    a, b = Estimate(1.0, 0.04, 11), Estimate(1.7, 0.09, 5)
    df = 0.13**2 / (0.04**2 / 11 + 0.09**2 / 5)
    assert _welch(a, b) == int(df)
    oracle = ttest_ind_from_stats(1.7, 0.3 * np.sqrt(6), 6, 1.0, 0.2 * np.sqrt(12), 12, False)
    assert difference(a, b, 0.95).p == pytest.approx(oracle.pvalue, rel=0.05)
    assert _two_sided(2.1, 9) == pytest.approx(2 * t.sf(2.1, 9))


def test_joint_test_is_hotellings():
    assert _wald(7.0, 12) == pytest.approx(f_distribution.sf(7.0 * 11 / 24, 2, 11))


def test_slope_and_intercept_are_the_maximum_likelihood():
    p, y = rows(np.random.default_rng(1), 700, 0.4, 0.6)
    z = np.log(p / (1 - p))

    def loss(theta, slope=None):
        f = theta[-1] + (theta[0] if slope is None else slope) * z
        return np.logaddexp(0, f).sum() - f @ y

    both = minimize(loss, [1.0, 0.0]).x
    large = minimize(lambda a: loss(a, 1.0), [0.0]).x
    found = recalibrate(ScoreStats.from_arrays(p, y))
    assert (found.slope, found.level) == pytest.approx(both, abs=1e-5)
    assert found.intercept == pytest.approx(large[0], abs=1e-5)


def test_sandwich_is_the_sum_over_rows():
    p, y = rows(np.random.default_rng(2), 300, 0.2, 0.8)
    found = recalibrate(ScoreStats.from_arrays(p, y))
    x = np.column_stack([np.log(p / (1 - p)), np.ones(300)])
    mu = expit(x @ [found.slope, found.level])
    bread = np.linalg.inv((x * (mu * (1 - mu))[:, None]).T @ x)
    scores = x * (y - mu)[:, None]
    np.testing.assert_allclose(found.covariance, bread @ scores.T @ scores @ bread, rtol=1e-6)


def test_exact_zeros_and_ones_do_not_decide_the_slope():
    p, y = rows(np.random.default_rng(3), 5000)
    rounded = np.round(p, 2)
    y[rounded == 0] = 0
    y[np.flatnonzero(rounded == 0)[:1]] = 1  # one certain error
    assert 0.8 < recalibrate(ScoreStats.from_arrays(rounded, y), (-5.3, 5.3)).slope < 1.1
    found = recalibration_changes(*(ScoreStats.from_arrays(rounded, y),) * 2, 0.95)
    assert 0.8 < found["slope"].reference < 1.1
    assert found["slope"].p == 1.0


@pytest.mark.parametrize(
    ("p", "y", "reason"),
    [
        ([0.1, 0.2], [0, 0], "one label"),
        ([0.4, 0.4], [0, 1], "equal"),
        ([0.1, 0.2, 0.8], [0, 0, 1], "separate"),
    ],
)
def test_what_has_no_slope_says_why(p, y, reason):
    stats = ScoreStats.from_arrays(np.array(p), np.array(y))
    with pytest.raises(Undefined, match=reason):
        recalibrate(stats)
    found = recalibration_changes(stats, stats, 0.95)["slope"]
    assert found.value is None
    assert reason in found.reason


def test_undefined_metrics_say_where():
    full, one = view(*rows(np.random.default_rng(4), 50)), view(np.array([0.2]), np.array([0]))
    assert "in the reference" in change("auc", one, full, 0.95).reason
    assert "in the reference" not in change("auc", full, one, 0.95).reason
    assert change("brier", full, full, None).low is None
    assert changed(reason="x").value is None


def simulated(runs, pair, truth):
    """Return coverage of ECE's change and of Brier's interval, and rates of small p."""
    found = []
    for _ in range(runs):
        a, b = pair()
        values = METRICS["ece"](a), METRICS["ece"](b)
        ece = norm_change(ece_sum(a), ece_sum(b), values, 0.95)
        slope = recalibration_changes(a.stats, b.stats, 0.95)
        found.append(
            (
                ece.low <= truth <= ece.high,
                ece.p < 0.05,
                reliability_p(a.stats, b.stats) < 0.05,
                slope["slope"].p < 0.05,
                slope["recalibration_p"].value < 0.05,
                change("nll", a, b, 0.95).p < 0.05,
                ece.value,
            )
        )
    return np.mean(found, axis=0)


@pytest.mark.slow
def test_a_small_sample_of_the_same_is_not_worse():
    """ECE's plain difference is far above 0 there; its interval and its test are not fooled."""
    rng = np.random.default_rng(5)
    held, *alarms, plain = simulated(
        120, lambda: (view(*rows(rng, 4000)), view(*rows(rng, 300))), 0.0
    )
    assert plain > 0.03
    assert held >= 0.9
    assert max(alarms) <= 0.125  # 3.7 standard errors above 0.05


@pytest.mark.slow
def test_a_bad_model_that_stays_as_bad_has_not_changed():
    rng = np.random.default_rng(6)

    def one(n):
        return view(*rows(rng, n, 0.4, 0.7))

    held, *alarms, _ = simulated(120, lambda: (one(2000), one(1500)), 0.0)
    assert held >= 0.89
    assert max(alarms) <= 0.125


@pytest.mark.slow
def test_change_of_ece_is_held_and_turned_curves_are_seen():
    rng = np.random.default_rng(7)
    z = np.random.default_rng(8).normal(0, 1.4, 400_000)
    p = expit(z)
    home = np.clip(np.ceil(p * 15).astype(int) - 1, 0, 14)

    def ece(level, slope):
        gap = expit(level + slope * z) - p
        return np.abs(np.bincount(home, weights=gap)).sum() / len(z)

    truth = ece(0.0, 1.5) - ece(0.0, 0.7)
    pairs = lambda: (view(*rows(rng, 2000, 0, 0.7)), view(*rows(rng, 1000, 0, 1.5)))  # noqa: E731
    held, _, curve, slope, joint, *_ = simulated(80, pairs, truth)
    assert held >= 0.88
    assert min(curve, slope, joint) > 0.95


@pytest.mark.slow
def test_clusters_do_not_raise_false_alarms():
    rng = np.random.default_rng(9)

    def one(clusters):
        lift = np.repeat(rng.normal(0, 1.6, clusters), 10)
        z = rng.normal(0, 1, len(lift)) + np.repeat(rng.normal(0, 1, clusters), 10)
        y = (rng.random(len(z)) < expit(z + lift)).astype(int)
        ids = np.repeat(rng.integers(1 << 60, size=clusters), 10)
        return view(expit(z), y, cluster=ids), view(expit(z), y)

    alarms = []
    for _ in range(100):
        (a, bare_a), (b, bare_b) = one(150), one(120)
        alarms.append(
            (
                reliability_p(a.stats, b.stats) < 0.05,
                change("brier", a, b, 0.95).p < 0.05,
                recalibration_changes(a.stats, b.stats, 0.95)["intercept"].p < 0.05,
                recalibration_changes(bare_a.stats, bare_b.stats, 0.95)["intercept"].p < 0.05,
            )
        )
    *honest, naive = np.mean(alarms, axis=0)
    assert max(honest) <= 0.13
    assert naive > 0.18
