"""Against SciPy, closed forms, and simulated false alarms and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import beta, chi2, chi2_contingency, ks_2samp, kstwobign
from scipy.stats import f as f_distribution

from calibcli.core.comparison.drift import (
    jensen_shannon,
    jensen_shannon_of,
    kolmogorov_sf,
    ks,
    psi,
    psi_of,
)
from calibcli.core.comparison.shared_bins import Shares, binned
from calibcli.core.metrics.binary import Undefined
from calibcli.core.numeric.special import scaled_chi2_sf
from calibcli.core.statistics.stats import ScoreStats


def of(p, **options):
    return ScoreStats.from_arrays(p, np.zeros(len(p), int), **options)


def samples(seed=0, n=2000, m=700, shift=0.0):
    rng = np.random.default_rng(seed)
    return rng.beta(2, 5, n), rng.beta(2 + shift, 5, m)


def deciles(p, q):
    """NumPy's own deciles of the reference, for scores without ties."""
    edges = np.sort(p)[np.arange(1, 10) * len(p) // 10 - 1]
    return (np.bincount(np.searchsorted(edges, x, "left"), minlength=10) for x in (p, q))


def test_psi_is_its_formula_over_deciles_of_the_reference():
    p, q = samples(shift=0.4)
    a, b = deciles(p, q)
    a, b = a / len(p), b / len(q)
    assert psi(of(p), of(q)).value == pytest.approx(float(((b - a) * np.log(b / a)).sum()))
    assert jensen_shannon(of(p), of(q)).value == pytest.approx(jensenshannon(a, b, 2) ** 2)


def test_p_is_that_of_the_chi_squared_test_in_scipy():
    p, q = samples(1, shift=0.1)
    table = np.stack(list(deciles(p, q)))
    expected = chi2_contingency(table, correction=False).pvalue
    assert psi(of(p), of(q)).p == pytest.approx(expected)
    assert 1e-6 < expected < 0.9


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.5])
def test_ks_is_scipys(shift):
    p, q = samples(2, shift=shift)
    found, oracle = ks(of(p), of(q)), ks_2samp(p, q)
    assert found.value == pytest.approx(oracle.statistic)
    assert found.p == pytest.approx(oracle.pvalue, rel=0.05, abs=1e-6)


def test_ks_reads_the_end_of_ties():
    p, q = (np.round(x, 1) for x in samples(3, shift=0.4))
    assert ks(of(p), of(q)).value == pytest.approx(ks_2samp(p, q).statistic)


def test_an_estimated_scale_makes_an_f_distribution():
    for x, df, spread in ((3.0, 2, 11), (20.0, 9, 63), (0.0, 4, 5)):
        oracle = f_distribution.sf(x / df, df, spread)
        assert scaled_chi2_sf(x, df, spread) == pytest.approx(oracle, abs=1e-12)
    assert scaled_chi2_sf(9.0, 3, None) == pytest.approx(chi2.sf(9.0, 3))


def test_kolmogorovs_distribution():
    for x in (0.05, 0.3, 0.8, 1.36, 2.5):
        assert kolmogorov_sf(x) == pytest.approx(kstwobign.sf(x), abs=1e-12)


def test_noise_floor_is_b_less_one_times_the_sum_of_the_inverses():
    p, q = samples(4)
    found = psi(of(p), of(q))
    assert found.expected == pytest.approx(9 * (1 / 2000 + 1 / 700))
    assert found.bins == 10


def test_small_samples_have_fewer_bins():
    p, q = samples(5, m=20)
    assert psi(of(p), of(q)).bins == 4


def test_a_value_that_the_reference_never_had_is_drift():
    same, other = np.full(500, 0.5), np.full(500, 0.9)
    assert psi(of(same), of(same)).value == 0.0
    assert psi(of(same), of(other)).value > 5
    assert psi(of(same), of(other)).p < 1e-12
    assert jensen_shannon(of(same), of(other)).value == pytest.approx(1.0, abs=0.01)
    assert ks(of(same), of(other)).value == 1.0


def test_tied_scores_are_not_split():
    rng = np.random.default_rng(6)
    p = np.where(rng.random(3000) < 0.4, 0.0, rng.random(3000))
    shares = binned(of(p), of(p))
    assert shares.reference.max() == pytest.approx((p == 0).mean())
    np.testing.assert_allclose(shares.reference, shares.current)


def test_saved_grids_are_compared_in_the_coarser_one():
    p, q = samples(7, n=20_000, m=5000, shift=0.3)
    exact, coarse = of(p), of(p).coarsened(4)
    whole, part = psi(exact, of(q)), psi(coarse, of(q))
    assert part.value == pytest.approx(whole.value, rel=0.1)
    assert ks(coarse, of(q)).value == pytest.approx(ks(exact, of(q)).value, abs=0.01)
    assert ks(coarse, of(q)).value <= ks(exact, of(q)).value
    assert psi(coarse, exact).value == pytest.approx(0.0, abs=1e-12)


def test_counts_and_logits_are_the_same_rows():
    p, q = (np.round(x, 2) for x in samples(8, shift=0.2))
    values, counts = np.unique(q, return_counts=True)
    assert psi(of(p), of(values, weight=counts)) == psi(of(p), of(q))
    with np.errstate(divide="ignore"):
        z, w = (np.log(x / (1 - x)) for x in samples(8, shift=0.2))
    direct = psi(*(of(x) for x in samples(8, shift=0.2))).value
    assert psi(of(z, logits=True), of(w, logits=True)).value == pytest.approx(direct)


def test_without_rows_there_is_no_distance():
    with pytest.raises(Undefined):
        psi(of(np.array([0.5])), of(np.zeros(0)))
    with pytest.raises(Undefined):
        ks(of(np.zeros(0)), of(np.array([0.5])))


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_any_two_samples_have_finite_distances(p, q):
    for one in (psi, jensen_shannon, ks):
        found = one(of(np.array(p)), of(np.array(q)))
        assert all(
            np.isfinite(v) for v in (found.value, found.low, found.high, found.expected, found.p)
        )
        assert 0 <= found.low <= found.value <= found.high
        assert 0 <= found.p <= 1


def alarms(draw, runs=300):
    found = [[psi(*pair).p, ks(*pair).p, psi(*pair).value / psi(*pair).expected] for pair in draw]
    found = np.array(found)
    return (found[:, :2] < 0.05).mean(axis=0), found[:, 2].mean()


@pytest.mark.slow
def test_false_alarms_are_nominal_and_psi_is_its_noise_floor():
    rng = np.random.default_rng(9)
    pairs = ((of(rng.beta(2, 5, 800)), of(rng.beta(2, 5, 150))) for _ in range(300))
    rate, ratio = alarms(pairs)
    assert (rate <= 0.085).all()  # three standard errors above 0.05
    assert rate[0] >= 0.015
    assert ratio == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_clusters_do_not_raise_false_alarms():
    rng = np.random.default_rng(10)

    def clustered(clusters, size):
        cluster = np.repeat(np.arange(clusters), size)
        z = np.repeat(rng.normal(0, 1, clusters), size) + rng.normal(0, 0.7, clusters * size)
        return 1 / (1 + np.exp(-z)), cluster

    naive, honest = [], []
    for _ in range(150):
        (p, c), (q, d) = clustered(150, 12), clustered(100, 12)
        naive.append(psi(of(p), of(q)).p < 0.05)
        found = psi(of(p, cluster=c), of(q, cluster=d + 1000))
        honest.append(found.p < 0.05)
    assert np.mean(naive) > 0.5
    assert np.mean(honest) <= 0.12


def test_intervals_hold_the_distance_of_the_distributions():
    edges = beta.ppf(np.arange(1, 10) / 10, 2, 5)
    truth_p = np.full(10, 0.1)
    truth_q = np.diff(np.concatenate([[0], beta.cdf(edges, 2.4, 5), [1]]))
    true_psi = float(((truth_q - truth_p) * np.log(truth_q / truth_p)).sum())
    true_js = jensenshannon(truth_p, truth_q, 2) ** 2
    rng = np.random.default_rng(11)
    held = np.zeros(2)
    for _ in range(400):
        a, b = rng.multinomial(3000, truth_p) / 3000, rng.multinomial(600, truth_q) / 600
        shares = Shares(a, b, 3000, 600)
        for i, (one, truth) in enumerate(
            [(psi_of(shares), true_psi), (jensen_shannon_of(shares), true_js)]
        ):
            held[i] += one.low <= truth <= one.high
    assert (held / 400 >= 0.92).all()
