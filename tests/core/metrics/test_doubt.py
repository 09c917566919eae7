"""An interval has a width wherever the data leave doubt, and says the same of the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.metrics.shares import of_variance
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats
from calibcli.workflows.measure.slices import confusion

TESTS = ("n", "spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p")
FIGURES = [name for name in METRICS if name not in TESTS]


def measured(score, label, **options):
    view = View(ScoreStats.from_arrays(score, label, **options), Binning())
    return intervals.measure(view, names=FIGURES)


def awkward(rng):
    """A few rows: extreme scores, one label, ties, weights, clusters of one or of all."""
    n = int(rng.integers(1, 9))
    kind = rng.integers(0, 4)
    score = [
        rng.random(n),
        rng.integers(0, 2, n).astype(float),
        np.full(n, rng.random()),
        rng.beta(0.1, 0.1, n),
    ][kind]
    label = [rng.random(n) < 0.5, np.ones(n), np.zeros(n), score > 0.5][rng.integers(0, 4)]
    options = {}
    if rng.random() < 0.3:
        options["weight"] = rng.lognormal(0.0, 2.0, n)
    if rng.random() < 0.5:
        options["cluster"] = rng.integers(0, 10**9, int(rng.integers(1, 4)))[rng.integers(0, 1, n)]
        options["cluster"] = rng.integers(0, int(rng.integers(1, 5)), n)
    return score, label.astype(int), options


@pytest.mark.slow
def test_every_interval_of_awkward_rows_holds_its_value_and_is_finite():
    rng = np.random.default_rng(0)
    for _ in range(400):
        score, label, options = awkward(rng)
        for name, (value, low, high, reason) in measured(score, label, **options).items():
            if value is None:
                assert reason
                continue
            assert np.isfinite([value, low, high]).all(), (name, score, label, options)
            assert low <= value + 1e-12, (name, low, value)
            assert value <= high + 1e-12, (name, value, high)
            assert low >= 0.0
            assert high <= 1.0 or name == "nll"


@pytest.mark.parametrize("clusters", [False, True])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("score", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_labels_that_all_agree_leave_doubt(score, label, clusters):
    rows = 20
    cluster = np.arange(rows) // 4 if clusters else None
    found = measured(np.full(rows, score), np.full(rows, label), cluster=cluster)
    for name, (value, low, high, _) in found.items():
        certain = score == 0.5 and name in ("brier", "nll")  # whatever the labels are
        if value is not None and not certain:
            assert high - low > 1e-3, name


def test_certain_scores_that_are_all_right_may_be_wrong_one_time_in_ten():
    # A true error of 0.1 gives such a file with chance 0.12.
    assert binom.pmf(0, 20, 0.1) > 0.025
    found = measured(np.repeat([0.0, 1.0], 10), np.repeat([0, 1], 10))
    for name in ("ece", "ece_debiased", "mce", "ace", "smooth_ece", "brier", "ks", "kuiper"):
        value, low, high, _ = found[name]
        assert value == low == 0.0
        least = {"kuiper": 0.1, "ks": 0.08, "brier_miscalibration": 0.01}.get(name, 0.1)
        assert high >= least, name
    assert found["nll"][2] >= 0.1 * -np.log(1e-15)
    assert found["auc"][1] <= 0.9
    assert found["average_precision"][1] <= 0.9


def test_the_largest_gap_reaches_what_its_bins_allow():
    """Two bins of ten rows without a positive, at scores near 0: each may be 0.3."""
    found = measured(np.repeat([0.02, 0.1], 10), np.zeros(20))
    exact = 1.0 - 0.025 ** (1 / 10)
    assert found["mce"][2] >= exact - 0.1
    assert found["ace"][2] >= 0.1


@pytest.mark.parametrize("rows", [1, 2])
def test_one_row_proves_nothing(rows):
    found = measured(np.full(rows, 0.1), np.ones(rows))
    assert found["nll"][1] < 1.0
    assert found["brier"][1] < 0.5
    assert found["prevalence"][1] <= 0.025 ** (1 / rows) + 1e-9


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_precision_recall_and_f1_of_exactly_0_or_1_have_intervals(share):
    label = np.repeat([0, 1], 15)
    score = np.where(label == 1, 0.9, 0.1) if share else np.where(label == 1, 0.1, 0.9)
    view = View(ScoreStats.from_arrays(score, label), Binning())
    table = confusion(view, 0.5, 0.95)
    for name in ("precision", "recall", "f1", "specificity", "fpr"):
        figure = getattr(table, name)
        assert figure.value in (0.0, 1.0)
        assert 0.05 < figure.high - figure.low < 0.35, name
    # F1 is 2 J / (1 + J) of J = tp of the rows that are an alert or a positive.
    rows = 15 if share else 30
    reach = 0.025 ** (1 / rows)
    if share:
        assert table.f1.low == pytest.approx(2 * reach / (1 + reach))
    else:
        assert table.f1.high == pytest.approx(2 * (1 - reach) / (2 - reach))


def test_identical_rows_counted_have_the_interval_of_the_rows():
    rng = np.random.default_rng(3)
    score = rng.integers(0, 12, 300) / 12
    label = (rng.random(300) < score).astype(int)
    cells, times = np.unique(np.stack([score, label]), axis=1, return_counts=True)
    plain = measured(score, label)
    counted = measured(cells[0], cells[1].astype(int), weight=times)
    for name in FIGURES:
        assert counted[name][:3] == pytest.approx(plain[name][:3], rel=1e-9), name


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_weights_in_any_unit_have_one_interval(unit):
    rng = np.random.default_rng(4)
    score = rng.beta(0.5, 5.0, 200)
    label = (rng.random(200) < score).astype(int)
    weight = rng.lognormal(0.0, 1.0, 200)
    one, other = (measured(score, label, weight=weight * u) for u in (1.0, unit))
    for name in FIGURES:
        assert other[name][:3] == pytest.approx(one[name][:3], rel=1e-6, abs=1e-9), name


def test_order_of_the_rows_is_nothing():
    rng = np.random.default_rng(5)
    score = rng.random(150)
    label = (rng.random(150) < score).astype(int)
    cluster = rng.integers(0, 20, 150)
    mixed = rng.permutation(150)
    one = measured(score, label, cluster=cluster)
    other = measured(score[mixed], label[mixed], cluster=cluster[mixed])
    for name in FIGURES:
        assert other[name][:3] == pytest.approx(one[name][:3], rel=1e-9), name


@pytest.mark.parametrize("value", [0.0, 1e-9, 0.3, 1.0])
@pytest.mark.parametrize("variance", [0.0, 1e-40, 1e-4, 10.0])
def test_a_variance_of_any_size_has_an_interval(value, variance):
    low, high = of_variance(value, variance, 0.95, units=8, most=np.inf, df=7.0)
    assert 0.0 <= low <= value <= high <= 1.0
    assert high > low
