import numpy as np
import pytest
from scipy import stats

from calibcli.render.words import bins as regions
from tests.render.whole import bins as bins_of


def clopper_pearson_bins(score, total, rng, truth):
    """Return bins of the shape results have, with SciPy's exact intervals."""
    k = rng.binomial(total, truth)
    low = np.where(k == 0, 0.0, stats.beta.ppf(0.025, k, total - k + 1))
    high = np.where(k == total, 1.0, stats.beta.ppf(0.975, k + 1, total - k))
    width = 1 / len(score)
    return bins_of(
        [
            {
                "low": i * width,
                "high": (i + 1) * width,
                "count": int(total[i]),
                "score": float(score[i]),
                "frequency": float(k[i] / total[i]),
                "frequency_low": float(low[i]),
                "frequency_high": float(high[i]),
                "gap": float(k[i] / total[i] - score[i]),
            }
            for i in range(len(score))
        ]
    )


@pytest.mark.parametrize("n", [1, 10, 100, 5000])
@pytest.mark.parametrize("ends", [(0.03, 0.97), (0.002, 0.06), (0.94, 0.998)])
def test_honest_models_are_rarely_accused(n, ends):
    rng = np.random.default_rng(n)
    score = np.linspace(*ends, 15)
    total = np.full(15, n)
    accused = sum(
        bool(regions.sure_regions(clopper_pearson_bins(score, total, rng, score), confidence=0.95))
        for _ in range(400)
    )
    # At most 5% of honest models; 35 of 400 is three standard errors above.
    assert accused <= 35


def test_a_gap_of_a_tenth_is_found_with_a_thousand_rows_a_bin():
    rng = np.random.default_rng(1)
    score = (np.arange(15) + 0.5) / 15
    truth = np.where(score > 0.6, score - 0.1, score)
    found = [
        regions.sure_regions(
            clopper_pearson_bins(score, np.full(15, 1000), rng, truth), confidence=0.95
        )
        for _ in range(50)
    ]
    assert all(region for region in found)
    assert all(region[0].gap < 0 and region[0].low >= 0.59 for region in found)


def test_neighbours_that_all_err_a_little_are_found_together():
    rng = np.random.default_rng(2)
    score = (np.arange(15) + 0.5) / 15
    truth = np.where(score > 0.4, score - 0.17, score)
    found = alone = 0
    for _ in range(100):
        bins = clopper_pearson_bins(score, np.full(15, 15), rng, truth)
        found += bool(regions.sure_regions(bins, confidence=0.95))
        alone += any(regions.miss(b) > regions.two_sided_z(0.05 / 15) / 1.96 for b in bins)
    assert found > 60
    assert found > 2 * alone


def test_a_bad_stretch_is_not_hidden_by_a_big_good_bin():
    rng = np.random.default_rng(4)
    score = np.array([0.2, 0.5, 0.7, 0.98])
    truth = np.array([0.2, 0.3, 0.5, 0.97])
    bins = clopper_pearson_bins(score, np.array([50, 300, 300, 90_000]), rng, truth)
    (region,) = regions.sure_regions(bins, confidence=0.95, beyond=0.05)
    assert (region.low, region.high) == (0.25, 0.75)


def test_thousands_of_bins_cost_little():
    rng = np.random.default_rng(3)
    score = (np.arange(3000) + 0.5) / 3000
    truth = np.where(score > 0.5, score - 0.1, score)
    bins = clopper_pearson_bins(score, np.full(3000, 20), rng, truth)
    (region, *_) = regions.sure_regions(bins, confidence=0.95)
    assert region.gap == pytest.approx(-0.1, abs=0.02)
    assert 0.4 < region.low < 0.6


def test_a_region_pools_its_rows():
    rows = bins_of([
        {"low": 0.0, "high": 0.5, "count": 10, "score": 0.4, "frequency": 0.2,
         "frequency_low": 0.19, "frequency_high": 0.21, "gap": -0.2},
        {"low": 0.5, "high": 1.0, "count": 30, "score": 0.8, "frequency": 0.6,
         "frequency_low": 0.59, "frequency_high": 0.61, "gap": -0.2},
    ])  # fmt: skip
    (region,) = regions.sure_regions(rows, confidence=0.95)
    assert (region.low, region.high, region.count) == (0.0, 1.0, 40)
    assert region.score == pytest.approx((10 * 0.4 + 30 * 0.8) / 40)
    assert region.frequency == pytest.approx((10 * 0.2 + 30 * 0.6) / 40)
    assert region.gap == pytest.approx(-0.2)


def test_an_empty_bin_is_never_a_fault():
    (empty,) = bins_of([{"low": 0.0, "high": 1.0, "count": 0, "score": None, "frequency": None,
             "frequency_low": None, "frequency_high": None, "gap": None}])  # fmt: skip
    assert regions.sure_regions([empty], confidence=0.95) == []
    assert regions.miss(empty) == 0


@pytest.mark.parametrize("alpha", [0.5, 0.05, 0.01, 1e-4, 1e-9])
def test_two_sided_z_is_the_normal_quantile(alpha):
    assert regions.two_sided_z(alpha) == pytest.approx(stats.norm.isf(alpha / 2), abs=1e-9)
