from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.numeric import proportions
from calibcli.core.numeric.proportions import clopper_pearson, wilson
from calibcli.core.numeric.special import (
    beta_ppf,
    betainc,
    chi2_sf,
    digamma,
    norm_ppf,
    norm_sf_two_sided,
    t_ppf,
)

shapes = st.floats(0.1, 1e6)


@given(st.floats(1e-10, 1 - 1e-10))
def test_normal_quantile(q: float) -> None:
    assert norm_ppf(q) == pytest.approx(scipy.stats.norm.ppf(q), rel=1e-9, abs=1e-12)


@given(st.floats(-30, 30))
def test_normal_tails(z: float) -> None:
    assert norm_sf_two_sided(z) == pytest.approx(2 * scipy.stats.norm.sf(abs(z)), rel=1e-12)


@given(st.floats(0, 700), st.integers(1, 60))
def test_chi_squared_tail(x: float, df: int) -> None:
    assert chi2_sf(x, df) == pytest.approx(scipy.stats.chi2.sf(x, df), rel=1e-10, abs=1e-300)


@given(shapes, shapes, st.floats(0, 1))
def test_incomplete_beta(a: float, b: float, x: float) -> None:
    expected = scipy.special.betainc(a, b, x)
    assert float(betainc(a, b, x)) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0.001, 0.999))
def test_beta_quantile(a: float, b: float, q: float) -> None:
    expected = scipy.stats.beta.ppf(q, a, b)
    assert float(beta_ppf(q, a, b)) == pytest.approx(expected, rel=1e-8)


@given(st.sampled_from([0.9, 0.95, 0.975, 0.995, 0.025, 0.5]), st.integers(1, 1000))
def test_student_quantile(q: float, df: int) -> None:
    assert t_ppf(q, df) == pytest.approx(scipy.stats.t.ppf(q, df), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_clopper_pearson_equals_scipy(confidence: float) -> None:
    k, n = np.array([0, 1, 0, 30, 7, 1]), np.array([1, 1, 30, 30, 30, 10**6])
    low, high = clopper_pearson(k, n, confidence)
    for i in range(len(k)):
        own = scipy.stats.binomtest(int(k[i]), int(n[i])).proportion_ci(confidence, "exact")
        assert (low[i], high[i]) == pytest.approx((own.low, own.high), rel=1e-9)


def test_clopper_pearson_has_the_tails_it_promises() -> None:
    low, high = clopper_pearson(13, 57, 0.9)
    assert scipy.stats.binom.sf(12, 57, float(low)) == pytest.approx(0.05, rel=1e-8)
    assert scipy.stats.binom.cdf(13, 57, float(high)) == pytest.approx(0.05, rel=1e-8)


def test_clopper_pearson_without_trials_says_nothing() -> None:
    low, high = clopper_pearson([0], [0])
    assert (low.tolist(), high.tolist()) == ([0.0], [1.0])


def test_clopper_pearson_of_a_billion_rows() -> None:
    low, high = clopper_pearson(3 * 10**8, 10**9)
    half = 1.959964 * (0.3 * 0.7 / 1e9) ** 0.5
    assert (float(low), float(high)) == pytest.approx((0.3 - half, 0.3 + half), abs=1e-8)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (500, 1000)])
def test_wilson_equals_scipy(k: int, n: int) -> None:
    expected = scipy.stats.binomtest(k, n).proportion_ci(0.95, "wilson")
    found = wilson(k / n, n, norm_ppf(0.975))
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_digamma_equals_scipy() -> None:
    x = np.concatenate([np.arange(1.0, 2000.0), np.linspace(1, 12, 500), [1e5, 2e7, 1e12]])
    np.testing.assert_allclose(digamma(x), scipy.special.digamma(x), rtol=1e-14, atol=1e-14)


def test_an_interval_is_the_same_whatever_was_asked_before_and_beside_it() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(0, 400, 300).astype(float)
    k = np.floor(rng.random(300) * (n + 1))
    proportions._CLOPPER.clear()
    together = clopper_pearson(k, n, 0.9)
    proportions._CLOPPER.clear()
    apart = [clopper_pearson(a, b, 0.9) for a, b in zip(k[::-1], n[::-1], strict=True)][::-1]
    for end in (0, 1):
        assert together[end].tolist() == [float(one[end]) for one in apart]
        again = clopper_pearson(k.reshape(30, 10), n.reshape(30, 10), 0.9)[end]
        assert again.tolist() == together[end].reshape(30, 10).tolist()
