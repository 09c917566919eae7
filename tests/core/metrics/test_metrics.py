from __future__ import annotations

import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as distributions
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression

from calibcli.core.metrics.binary import Undefined, View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

tied = st.integers(0, 20).map(lambda i: i / 20)
rows = st.lists(st.tuples(tied | st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=60)
both_labels = rows.filter(lambda data: len({label for _, label in data}) == 2)
TESTS = ("spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p")


def of_rows(data: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    score, label = (np.array(c) for c in zip(*data, strict=True))
    return score.astype(float), label


def measure(name: str, score: Any, label: Any, binning: Binning | None = None, **o: Any) -> float:
    return METRICS[name](View(ScoreStats.from_arrays(score, label, **o), binning or Binning()))


def sample(n: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.6, 1.2, n)
    return p, (rng.random(n) < expit(0.7 * logit(p) + 0.3)).astype(int)


# -- against scikit-learn --------------------------------------------------------------------------


@given(both_labels)
def test_auc(data: list[Any]) -> None:
    score, label = of_rows(data)
    assert measure("auc", score, label) == pytest.approx(
        oracle.roc_auc_score(label, score), abs=1e-12
    )


@given(rows.filter(lambda data: any(label for _, label in data)))
def test_average_precision(data: list[Any]) -> None:
    score, label = of_rows(data)
    assert measure("average_precision", score, label) == pytest.approx(
        oracle.average_precision_score(label, score), abs=1e-12
    )


@given(both_labels)
def test_brier(data: list[Any]) -> None:
    score, label = of_rows(data)
    expected = oracle.brier_score_loss(label, score)
    assert measure("brier", score, label) == pytest.approx(expected, abs=1e-12)


@given(both_labels)
def test_nll(data: list[Any]) -> None:
    score, label = of_rows(data)
    expected = oracle.log_loss(label, np.clip(score, 1e-15, 1 - 1e-15))
    assert measure("nll", score, label) == pytest.approx(expected, rel=1e-3, abs=1e-12)
    inside = np.clip(score, 1e-6, 1 - 1e-6)
    expected = oracle.log_loss(label, inside)
    assert measure("nll", inside, label) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["auc", "average_precision", "brier", "nll"])
def test_importance_weights(name: str) -> None:
    score, label = sample(500)
    weight = np.random.default_rng(1).random(500)
    function = {
        "auc": oracle.roc_auc_score,
        "average_precision": oracle.average_precision_score,
        "brier": oracle.brier_score_loss,
        "nll": oracle.log_loss,
    }[name]
    expected = function(label, score, sample_weight=weight)
    assert measure(name, score, label, weight=weight) == pytest.approx(expected, abs=1e-12)


@given(both_labels)
def test_corp_against_scikit_learns_isotonic_regression(data: list[Any]) -> None:
    score, label = of_rows(data)
    score = np.round(score, 6)  # scikit-learn takes scores that are closer as tied
    fit = IsotonicRegression().fit_transform(score, label)
    share, after = label.mean(), ((fit - label) ** 2).mean()
    before = ((score - label) ** 2).mean()
    found = {n: measure(f"brier_{n}", score, label) for n in ("miscalibration", "discrimination")}
    assert found["miscalibration"] == pytest.approx(before - after, abs=1e-12)
    assert found["discrimination"] == pytest.approx(share * (1 - share) - after, abs=1e-12)
    assert measure("brier_uncertainty", score, label) == pytest.approx(share * (1 - share))


# -- against plain loops ---------------------------------------------------------------------------


def gaps_by_hand(data: list[Any], groups: list[list[int]]) -> list[tuple[int, float]]:
    found = []
    for group in groups:
        if group:
            score = math.fsum(data[i][0] for i in group) / len(group)
            found.append((len(group), sum(data[i][1] for i in group) / len(group) - score))
    return found


def groups_by_width(data: list[Any], bins: int) -> list[list[int]]:
    groups: list[list[int]] = [[] for _ in range(bins)]
    for i, (score, _) in enumerate(data):
        place = next(b for b in range(bins) if score <= (b + 1) / bins)
        groups[place].append(i)
    return groups


@given(rows, st.integers(1, 20))
def test_binned_errors(data: list[Any], bins: int) -> None:
    gaps = gaps_by_hand(data, groups_by_width(data, bins))
    score, label = of_rows(data)
    binning = Binning(bins=bins)
    ece = sum(count * abs(gap) for count, gap in gaps) / len(data)
    assert measure("ece", score, label, binning) == pytest.approx(ece, abs=1e-12)
    mce = max(abs(gap) for _, gap in gaps)
    assert measure("mce", score, label, binning) == pytest.approx(mce, abs=1e-12)
    ace = sum(abs(gap) for _, gap in gaps) / len(gaps)
    assert measure("ace", score, label, binning) == pytest.approx(ace, abs=1e-12)


@given(rows, st.integers(1, 12))
def test_debiased_ece(data: list[Any], bins: int) -> None:
    total = 0.0
    for group in groups_by_width(data, bins):
        if len(group) >= 2:
            ((count, gap),) = gaps_by_hand(data, [group])
            share = sum(data[i][1] for i in group) / count
            total += count / len(data) * (gap**2 - share * (1 - share) / (count - 1))
    expected = math.sqrt(max(total, 0.0))
    # A root near 0 doubles the digits that rounding takes.
    score, label = of_rows(data)
    found = measure("ece_debiased", score, label, Binning(bins=bins))
    assert found**2 == pytest.approx(expected**2, abs=1e-14)


def test_ece_against_scikit_learns_calibration_curve() -> None:
    score, label = sample()
    frequency, mean = calibration_curve(label, score, n_bins=10)
    mce = np.abs(frequency - mean).max()
    assert measure("mce", score, label, Binning(bins=10)) == pytest.approx(mce, abs=1e-12)
    frequency, mean = calibration_curve(label, score, n_bins=10, strategy="quantile")
    ace = np.abs(frequency - mean).mean()
    assert measure("ace", score, label, Binning("mass", 10)) == pytest.approx(ace, abs=1e-12)


def test_equal_mass_ece_of_sorted_blocks() -> None:
    score, label = sample(1000)
    order = np.argsort(score)
    blocks = (label - score)[order].reshape(20, 50)
    expected = np.abs(blocks.mean(axis=1)).mean()
    assert measure("ece", score, label, Binning("mass", 20)) == pytest.approx(expected, abs=1e-12)


@given(rows)
def test_ks_and_kuiper(data: list[Any]) -> None:
    walk = [0.0]
    for one in sorted({score for score, _ in data}):
        here = [label - score for score, label in data if score == one]
        walk.append(walk[-1] + math.fsum(here))
    ks = max(abs(w) for w in walk) / len(data)
    kuiper = (max(walk) - min(walk)) / len(data)
    score, label = of_rows(data)
    assert measure("ks", score, label) == pytest.approx(ks, abs=1e-12)
    assert measure("kuiper", score, label) == pytest.approx(kuiper, abs=1e-12)


def smooth_ece_directly(score: np.ndarray, label: np.ndarray, points: int) -> float:
    """The definition: a sum of kernels of every row and its reflections at each point."""
    at = (np.arange(points) + 0.5) / points
    images = np.concatenate([2 * k + sign * score for k in (-2, -1, 0, 1, 2) for sign in (1, -1)])
    residual = np.tile(label - score, 10) / len(score)

    def error(width: float) -> float:
        kernel = np.exp(-0.5 * ((at[:, None] - images) / width) ** 2)
        return float(np.abs(kernel @ residual).mean() / (width * math.sqrt(2 * math.pi)))

    low, high = 1e-3, 1.0
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) > middle else (low, middle)
    return high


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_smooth_ece_equals_its_definition(shift: float) -> None:
    rng = np.random.default_rng(3)
    score = rng.beta(0.5, 0.5, 120)
    label = (rng.random(120) < np.clip(score + shift, 0, 1)).astype(int)
    expected = smooth_ece_directly(score, label, 1001)
    assert measure("smooth_ece", score, label) == pytest.approx(expected, abs=2e-4)


def test_smooth_ece_of_a_constant_score_is_the_gap() -> None:
    # One point of mass: smoothing spreads it and keeps its area.
    assert measure("smooth_ece", np.full(10, 0.3), [1] * 8 + [0] * 2) == pytest.approx(0.5)


def test_smooth_ece_of_perfect_scores_is_0() -> None:
    assert measure("smooth_ece", [0, 0, 1, 1], [0, 0, 1, 1]) == 0.0


@given(rows)
def test_spiegelhalter(data: list[Any]) -> None:
    variance = math.fsum((1 - 2 * p) ** 2 * p * (1 - p) for p, _ in data)
    assume(variance > 1e-12)
    z = math.fsum((y - p) * (1 - 2 * p) for p, y in data) / math.sqrt(variance)
    score, label = of_rows(data)
    assert measure("spiegelhalter_z", score, label) == pytest.approx(z, rel=1e-9, abs=1e-9)
    p_value = 2 * distributions.norm.sf(abs(z))
    assert measure("spiegelhalter_p", score, label) == pytest.approx(p_value, rel=1e-6, abs=1e-9)


def test_hosmer_lemeshow() -> None:
    score, label = sample(1000)
    order = np.argsort(score)
    observed = label[order].reshape(10, 100).sum(axis=1)
    expected = score[order].reshape(10, 100).sum(axis=1)
    statistic = ((observed - expected) ** 2 / (expected * (1 - expected / 100))).sum()
    p_value = distributions.chi2.sf(statistic, 10)
    assert measure("hosmer_lemeshow_p", score, label) == pytest.approx(p_value, rel=1e-9)


@pytest.mark.parametrize("name", ["spiegelhalter_p", "hosmer_lemeshow_p"])
def test_p_values_are_uniform_on_calibrated_scores(name: str) -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for _ in range(400):
        score = rng.beta(2, 2, 500)
        p_values.append(measure(name, score, rng.random(500) < score))
    assert distributions.kstest(p_values, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", ["spiegelhalter_p", "hosmer_lemeshow_p"])
def test_p_values_find_scores_that_lie(name: str) -> None:
    score, label = sample()
    assert measure(name, score, label) < 1e-6


# -- what metrics have in common -------------------------------------------------------------------


@given(rows)
def test_corp_adds_up_and_its_terms_are_not_negative(data: list[Any]) -> None:
    score, label = of_rows(data)
    terms = [
        measure(f"brier_{name}", score, label)
        for name in ("miscalibration", "discrimination", "uncertainty")
    ]
    assert min(terms) >= 0.0
    total = terms[0] - terms[1] + terms[2]
    assert total == pytest.approx(measure("brier", score, label), abs=1e-15)


def test_corp_adds_up_on_weighted_rows_and_in_a_grid() -> None:
    score, label = sample()
    weight = np.random.default_rng(0).random(len(score))
    with mock.patch.object(tally, "EXACT_CELLS", 100):
        views = [View(ScoreStats.from_arrays(score, label, w), Binning()) for w in (None, weight)]
    for view in views:
        terms = {n: METRICS[f"brier_{n}"](view) for n in ("miscalibration", "discrimination")}
        total = terms["miscalibration"] - terms["discrimination"]
        total += METRICS["brier_uncertainty"](view)
        assert total == pytest.approx(METRICS["brier"](view), abs=1e-15)


@pytest.mark.parametrize("name", [n for n in METRICS if n != "n" and n not in TESTS])
def test_no_metric_depends_on_the_scale_of_weights(name: str) -> None:
    score, label = sample(400)
    weight = np.random.default_rng(0).random(400)
    found = [measure(name, score, label, weight=c * weight) for c in (1e-4, 1.0, 1e4)]
    assert found == pytest.approx([found[1]] * 3, rel=1e-9)


@pytest.mark.parametrize("name", list(METRICS))
def test_every_metric_in_a_grid_is_close_to_its_value_on_distinct_scores(name: str) -> None:
    score, label = sample(6000)
    exact = measure(name, score, label)
    with mock.patch.object(tally, "EXACT_CELLS", 500):
        stats = ScoreStats.from_arrays(score, label, edges=Binning().edges)
    assert not stats.exact
    found = METRICS[name](View(stats, Binning()))
    if name in ("n", "prevalence", "brier_uncertainty"):
        assert found == exact
    elif name in ("ece", "mce", "ace", "ece_debiased", "mean_score", "brier", "nll"):
        assert found == pytest.approx(exact, abs=1e-9)
    else:
        assert found == pytest.approx(exact, abs=2e-3, rel=2e-3)


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_leaves_ranking_undefined(label: int) -> None:
    view = View(ScoreStats.from_arrays([0.2, 0.7], [label, label]), Binning())
    with pytest.raises(Undefined, match=f"no row has label {1 - label}"):
        METRICS["auc"](view)
    if label == 0:
        with pytest.raises(Undefined, match="no row has label 1"):
            METRICS["average_precision"](view)
    for name in ("ece", "brier", "nll", "ks", "smooth_ece", "brier_miscalibration"):
        assert math.isfinite(METRICS[name](view))


def test_tests_say_why_they_are_undefined() -> None:
    certain = View(ScoreStats.from_arrays([0.0, 1.0], [0, 1]), Binning())
    weighted = View(ScoreStats.from_arrays([0.1, 0.6], [0, 1], [0.5, 1.5]), Binning())
    for name in TESTS:
        with pytest.raises(Undefined, match="every score is 0"):
            METRICS[name](certain)
        with pytest.raises(Undefined, match="unweighted"):
            METRICS[name](weighted)


def test_hosmer_lemeshow_of_an_impossible_outcome_is_0() -> None:
    score = np.concatenate([np.zeros(100), np.full(100, 0.5)])
    label = np.concatenate([[1], np.zeros(99), np.tile([0, 1], 50)])
    assert measure("hosmer_lemeshow_p", score, label) == 0.0


def test_all_scores_equal() -> None:
    score, label = np.full(100, 0.3), np.array([1] * 40 + [0] * 60)
    assert measure("auc", score, label) == 0.5
    assert measure("average_precision", score, label) == pytest.approx(0.4)
    for name in ("ece", "mce", "ace", "ks", "kuiper", "smooth_ece"):
        assert measure(name, score, label) == pytest.approx(0.1, abs=1e-6)
    assert measure("brier_discrimination", score, label) == 0.0
