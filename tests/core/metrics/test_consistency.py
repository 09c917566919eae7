from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions
from sklearn.isotonic import IsotonicRegression

from calibcli.core.metrics.consistency import binomial_band, corp_band, corp_curve
from calibcli.core.numeric.proportions import clopper_pearson
from calibcli.core.statistics.stats import ScoreStats


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_the_band_of_bins_is_between_binomial_quantiles(confidence):
    score = np.array([0.003, 0.1, 0.5, 0.93, 0.0, 1.0, 1e-6, 0.2, 0.01, 0.5])
    rows = np.array([10, 57, 1000, 20, 5, 5, 3e5, 1e6, 2e7, 1e9])
    low, high = binomial_band(score, rows, confidence)
    tail = (1 - confidence) / 2
    off = np.where(rows * score * (1 - score) > 1e4, 1, 1e-6)  # one row, where there are many
    assert (abs(low * rows - distributions.binom.ppf(tail, rows, score)) <= off).all()
    top = rows - distributions.binom.ppf(tail, rows, 1 - score)
    assert (abs(high * rows - top) <= off).all()


def test_a_bin_without_rows_has_a_band_of_no_width():
    low, high = binomial_band(np.array([0.3]), np.array([0.0]), 0.95)
    assert (low[0], high[0]) == (0.3, 0.3)


def test_a_count_lies_in_the_band_just_where_its_exact_interval_holds_the_score():
    for n, score in ((7, 0.31), (40, 0.05), (200, 0.72)):
        k = np.arange(n + 1)
        low, high = clopper_pearson(k, np.full(n + 1, n), 0.9)
        band = binomial_band(np.array([score]), np.array([float(n)]), 0.9)
        inside = (band[0][0] <= k / n) & (k / n <= band[1][0])
        np.testing.assert_array_equal(inside, (low <= score) & (score <= high))


def test_the_corp_curve_is_the_isotonic_regression():
    rng = np.random.default_rng(3)
    p = np.round(rng.random(500), 2)
    y = rng.random(500) < p**2
    curve = corp_curve(ScoreStats.from_arrays(p, y))
    fitted = IsotonicRegression().fit_transform(p, y)
    place = np.searchsorted(curve.low, p, side="right") - 1
    assert (p <= curve.high[place]).all()
    np.testing.assert_allclose(curve.fitted[place], fitted)
    assert curve.count.sum() == 500


def test_curves_of_honest_models_lie_in_the_corp_band_as_often_as_it_says():
    rng = np.random.default_rng(4)
    p = np.sort(rng.beta(1, 2, 1500))
    at = np.array([0.1, 0.3, 0.5, 0.7])
    low, high = corp_band(ScoreStats.from_arrays(p, p < 0.5), at, 0.9, draws=500)
    inside = np.zeros((400, len(at)), dtype=bool)
    for i in range(len(inside)):
        fitted = IsotonicRegression(out_of_bounds="clip").fit(p, rng.random(1500) < p).predict(at)
        inside[i] = (low <= fitted) & (fitted <= high)
    share = inside.mean(axis=0)  # standard error .015
    assert (share > 0.83).all()
    assert (share < 0.96).all()


def test_the_band_is_the_same_for_the_same_seed():
    stats = ScoreStats.from_arrays([0.1, 0.4, 0.4, 0.9], [0, 1, 0, 1])
    at = np.array([0.2, 0.5])
    first, again = (corp_band(stats, at, 0.95, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first, again)
