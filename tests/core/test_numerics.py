"""Numerical mistakes found in released software by running it; each has a test named after it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats as distributions

from calibcli.core.metrics.binary import Undefined, View, debiased_square
from calibcli.core.metrics.registry import METRICS
from calibcli.core.numeric.scales import EPS, clipped, expit, logit
from calibcli.core.statistics.curves import Binning, pav, reliability, threshold_curve
from calibcli.core.statistics.stats import ScoreStats


def view(score: Any, label: Any, binning: Binning | None = None, **options: Any) -> View:
    return View(ScoreStats.from_arrays(score, label, **options), binning or Binning())


def measure(name: str, score: Any, label: Any, binning: Binning | None = None, **o: Any) -> float:
    return METRICS[name](view(score, label, binning, **o))


def counts(score: Any, binning: Binning) -> list[int]:
    stats = ScoreStats.from_arrays(score, np.ones(len(score)))
    found: list[int] = reliability(stats, binning).count.tolist()
    return found


# -- Bins ----------------------------------------------------------------------------------------


def test_bins_are_open_on_the_left_and_the_first_holds_its_lower_end() -> None:
    score = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert counts(score, Binning(bins=4)) == [2, 1, 1, 1]
    assert counts(score, Binning(bins=4, closed="left")) == [1, 1, 1, 2]


@pytest.mark.parametrize("closed", ["right", "left"])
def test_bins_hold_1_in_the_last_and_0_in_the_first(closed: Any) -> None:
    for bins in (1, 2, 3, 7, 10, 15, 100):
        assert counts([0.0], Binning(bins=bins, closed=closed))[0] == 1
        assert counts([1.0], Binning(bins=bins, closed=closed))[-1] == 1


def test_bins_promote_float32_before_binning() -> None:
    # 0.3 as float32 is above 0.3, so it is in the fourth of ten bins; 0.7 is below 0.7.
    for dtype, expected in ((np.float64, [2, 6]), (np.float32, [3, 6])):
        found = counts(np.array([0.3, 0.7], dtype), Binning(bins=10))
        assert np.flatnonzero(found).tolist() == expected


def test_bins_are_as_many_as_asked_not_their_edges() -> None:
    for bins in (1, 2, 10, 15):
        assert len(counts([0.5], Binning(bins=bins))) == bins


@pytest.mark.parametrize("bins", [3, 7, 10, 15, 20, 100])
def test_bins_have_edges_at_the_nearest_float_to_i_over_b(bins: int) -> None:
    edges = Binning(bins=bins).edges
    assert edges == tuple(float(Fraction(i, bins)) for i in range(bins + 1))
    read = [float(f"{i / bins:.17g}") for i in range(1, bins + 1)]
    assert counts(read, Binning(bins=bins)) == [1] * bins


def test_bins_with_linspace_edges_would_misplace_a_score_of_three_tenths() -> None:
    assert np.linspace(0, 1, 11)[3] != 0.3  # why edges are not made that way
    assert counts([0.3], Binning(bins=10)).index(1) == 2


def test_bins_on_a_file_of_scores_on_edges_follow_one_convention() -> None:
    # 420 rows, every score an edge: the convention decides the answer.
    rng = np.random.default_rng(0)
    score = rng.integers(0, 11, 420) / 10
    label = rng.random(420) < score**1.5
    found = {}
    for closed in ("right", "left"):
        total = 0.0
        for b in range(10):
            low, high = b / 10, (b + 1) / 10
            inside = (
                (score > low) & (score <= high) | (score == 0) & (b == 0)
                if closed == "right"
                else (score >= low) & (score < high) | (score == 1) & (b == 9)
            )
            if inside.any():
                total += abs((label[inside] - score[inside]).sum()) / 420
        found[closed] = measure("ece", score, label, Binning(bins=10, closed=closed))  # type: ignore[arg-type]
        assert found[closed] == pytest.approx(total, abs=1e-14)
    assert found["right"] != found["left"]


def test_bins_of_equal_mass_never_split_a_tie_and_say_how_many_were_used() -> None:
    score = [0.1] * 50 + [0.2] * 3 + [0.3] * 47
    stats = ScoreStats.from_arrays(score, np.ones(100))
    found = reliability(stats, Binning("mass", 10))
    assert len(found.count) < 10
    assert all(len(set(found.index[stats.score == s].tolist())) == 1 for s in (0.1, 0.2, 0.3))
    assert found.count.sum() == 100


def test_bins_that_are_empty_count_nothing_also_not_in_mce_or_ace() -> None:
    score, label = [0.05, 0.95], [1, 1]  # gaps .95 and .05
    assert measure("ace", score, label, Binning(bins=10)) == pytest.approx(0.5)
    assert measure("mce", score, label, Binning(bins=10)) == pytest.approx(0.95)
    calibrated = ([0.5, 0.5], [0, 1])
    for name in ("ece", "mce", "ace"):
        assert measure(name, *calibrated, Binning(bins=10)) == 0.0


# -- Sums ----------------------------------------------------------------------------------------


def test_sums_of_float32_scores_are_taken_in_float64() -> None:
    score = np.full(1_000_000, 0.6, np.float32)
    label = np.arange(1_000_000) % 4 != 0  # three quarters
    assert measure("ece", score, label) == pytest.approx(0.75 - float(score[0]), abs=1e-12)
    assert abs(float(np.cumsum(score)[-1]) - 600_000) > 100  # what a float32 sum would be


def test_sums_of_40_million_rows_do_not_stop_growing() -> None:
    # 2**24 + 1 is no float32.
    found = view([0.25, 0.25], [1, 0], weight=np.array([16_777_217, 23_222_783]))
    assert METRICS["n"](found) == 40_000_000
    assert METRICS["prevalence"](found) == 16_777_217 / 40_000_000
    assert METRICS["ece"](found) == pytest.approx(16_777_217 / 40_000_000 - 0.25, abs=1e-15)


# -- Debiased ECE --------------------------------------------------------------------------------


def test_debiased_ece_is_the_square_root_of_its_formula() -> None:
    score = [0.1] * 4 + [0.6] * 6 + [0.9]
    label = [0, 0, 0, 1, 1, 1, 1, 1, 0, 1, 1]
    terms = [
        4 / 11 * ((0.25 - 0.1) ** 2 - 0.25 * 0.75 / 3),
        6 / 11 * ((5 / 6 - 0.6) ** 2 - 5 / 36 / 5),
    ]  # the bin of one row adds nothing
    expected = max(sum(terms), 0.0)
    assert measure("ece_debiased", score, label) ** 2 == pytest.approx(expected, abs=1e-15)
    assert measure("ece_debiased", [0.5] * 10, [0, 1] * 5) == 0.0  # floored
    assert measure("ece_debiased", [0.1, 0.9], [1, 0]) == 0.0  # bins of one row


def test_debiased_ece_removes_the_bias_of_the_plug_in() -> None:
    rng = np.random.default_rng(0)
    plain, debiased = [], []
    for _ in range(300):
        score = rng.random(300)
        one = view(score, rng.random(300) < score)
        plain.append(METRICS["ece"](one) ** 2)
        debiased.append(debiased_square(one.bins, one.bins.gap))
    noise = np.std(debiased) / math.sqrt(300)
    assert abs(np.mean(debiased)) < 4 * noise  # the truth is 0
    assert np.mean(plain) > 20 * noise


# -- Probability to logit ------------------------------------------------------------------------


def test_probability_to_logit_is_float64_first_and_clips_both_sides_alike() -> None:
    p = np.array([0.0, 1e-12, 1 - 2**-24, 1.0], np.float32)
    assert np.array_equal(logit(p), logit(p.astype(np.float64)))
    assert logit(np.float32(1.0)) == -logit(np.float32(0.0))
    assert clipped(p) == 2


def test_probability_to_logit_is_not_needed_where_logits_came_in() -> None:
    z = np.array([-50.0, 38.0, 45.0])
    stats = ScoreStats.from_arrays(z, [0, 1, 1], logits=True)
    assert stats.logit == pytest.approx(z, rel=1e-14)
    by_way_of_p = ScoreStats.from_arrays(expit(z), [0, 1, 1]).logit
    assert by_way_of_p.max() < 35  # what is lost on that way


# -- Log loss ------------------------------------------------------------------------------------


def test_log_loss_counts_certain_errors_beside_the_clipped_value() -> None:
    found = view([1.0, 0.0, 0.5], [0, 0, 1])
    expected = (-math.log(EPS) - math.log(0.5)) / 3
    assert METRICS["nll"](found) == pytest.approx(expected, rel=1e-14)
    assert found.stats.certain_errors == 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_log_loss_is_clipped_the_same_for_every_input_dtype(dtype: type) -> None:
    found = measure("nll", np.array([0.0, 1.0], dtype), [1, 0])
    assert found == pytest.approx(-math.log(EPS), rel=1e-14)


def test_log_loss_of_logits_needs_no_clip() -> None:
    assert measure("nll", [-100.0, 100.0], [1, 1], logits=True) == pytest.approx(50.0, rel=1e-14)
    right = view([-np.inf, np.inf], [0, 1], logits=True)
    assert METRICS["nll"](right) == 0.0
    assert right.stats.certain_errors == 0


# -- Brier ---------------------------------------------------------------------------------------


def test_brier_is_the_mean_squared_error_and_its_corp_terms_add_up() -> None:
    rng = np.random.default_rng(0)
    score = rng.random(777)
    label = rng.random(777) < score**2
    found = view(score, label)
    brier = METRICS["brier"](found)
    assert brier == pytest.approx(((score - label) ** 2).mean(), abs=1e-15)
    terms = [METRICS[f"brier_{n}"](found) for n in ("miscalibration", "discrimination")]
    total = terms[0] - terms[1] + METRICS["brier_uncertainty"](found)
    assert total == pytest.approx(brier, abs=1e-15)
    bins = found.bins  # Murphy's binned terms, which do not
    murphy = float(bins.weight @ (bins.gap**2 - (bins.frequency - label.mean()) ** 2))
    assert abs(murphy + METRICS["brier_uncertainty"](found) - brier) > 1e-5


# -- Isotonic ------------------------------------------------------------------------------------


def test_isotonic_ties_are_exact_equality() -> None:
    # A tolerance of 1e-10 would make one point of every score here.
    score = np.array([1e-12, 2e-12, 3e-12], np.float32)
    stats = ScoreStats.from_arrays(score, [0, 0, 1])
    assert len(stats.score) == 3
    assert pav(stats.pos, stats.total)[0].tolist() == [0, 0, 1]
    tied = ScoreStats.from_arrays(np.array([0.3, 0.3, 0.4]), [0, 1, 1])
    assert pav(tied.pos, tied.total)[0].tolist() == [0.5, 1]


# -- Tests ---------------------------------------------------------------------------------------


def test_tests_spiegelhalter_is_two_sided() -> None:
    low = view([0.2] * 100, [0] * 95 + [1] * 5)
    high = view([0.2] * 100, [0] * 65 + [1] * 35)
    z = [METRICS["spiegelhalter_z"](v) for v in (low, high)]
    assert z[0] == pytest.approx(-z[1])
    p = [METRICS["spiegelhalter_p"](v) for v in (low, high)]
    assert p == pytest.approx([2 * distributions.norm.sf(abs(z[0]))] * 2, rel=1e-12)
    assert p[0] < 0.001


def test_tests_hosmer_lemeshow_has_g_degrees_of_freedom_on_other_data() -> None:
    score = np.repeat(np.arange(1, 11) / 11, 50)
    label = np.concatenate([[1] * k + [0] * (50 - k) for k in range(4, 50, 5)][:10])
    observed = label.reshape(10, 50).sum(axis=1)
    expected = 50 * np.arange(1, 11) / 11
    statistic = ((observed - expected) ** 2 / (expected * (1 - expected / 50))).sum()
    found = measure("hosmer_lemeshow_p", score, label)
    assert found == pytest.approx(distributions.chi2.sf(statistic, 10), rel=1e-10)
    assert found != pytest.approx(distributions.chi2.sf(statistic, 8), rel=1e-3)


def test_tests_ks_and_kuiper_are_read_at_the_end_of_a_tie_group() -> None:
    # Row by row the running sum would reach 1/4 in one order of the rows and -1/4 in another.
    for label in ([1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 0]):
        assert measure("ks", [0.5] * 4, label) == 0.0
        assert measure("kuiper", [0.5] * 4, label) == 0.0
    assert measure("ks", [0.25, 0.25, 0.75], [1, 0, 0]) == pytest.approx(0.5 / 3)
    assert measure("kuiper", [0.25, 0.25, 0.75], [1, 0, 0]) == pytest.approx(0.75 / 3)


# -- Thresholds ----------------------------------------------------------------------------------


def test_thresholds_are_at_or_above_and_ties_move_whole() -> None:
    curve = threshold_curve(ScoreStats.from_arrays([0.7, 0.7, 0.4, 0.9], [1, 0, 1, 0]))
    assert curve.threshold.tolist() == [0.9, 0.7, 0.4]
    assert curve.tp.tolist() == [0, 1, 2]
    assert curve.fp.tolist() == [1, 2, 2]


def test_thresholds_have_no_point_of_recall_0_and_precision_1() -> None:
    # scikit-learn's curve ends there; every point here is a cut that some row reaches.
    curve = threshold_curve(ScoreStats.from_arrays([0.2, 0.8], [1, 0]))
    precision = curve.tp / (curve.tp + curve.fp)
    assert precision.tolist() == [0.0, 0.5]
    assert (curve.tp + curve.fp).min() > 0


def test_thresholds_average_precision_is_not_interpolated() -> None:
    score, label = [0.9, 0.8, 0.7], [1, 0, 1]
    assert measure("average_precision", score, label) == pytest.approx(0.5 + 0.5 * 2 / 3)


# -- Labels --------------------------------------------------------------------------------------


def test_labels_of_one_class_are_not_an_error_but_an_undefined_metric() -> None:
    found = view([0.2, 0.6], [0, 0])
    assert METRICS["ece"](found) == pytest.approx(0.4)
    with pytest.raises(Undefined, match="no row has label 1"):
        METRICS["auc"](found)


def test_labels_of_tied_scores_leave_auc_at_one_half() -> None:
    assert measure("auc", [0.3] * 6, [1, 0, 0, 1, 1, 0]) == 0.5


# -- Published checks ----------------------------------------------------------------------------


def test_published_check_of_twelve_scores() -> None:
    score = [0.93, 0.82, 0.74, 0.58, 0.41, 0.88, 0.63, 0.52, 0.37, 0.22, 0.18, 0.07]
    label = [1] * 5 + [0] * 7
    edges = Binning("edges", custom=(0.0, 0.25, 0.5, 0.75, 1.0))
    assert round(measure("brier", score, label), 3) == 0.191
    assert round(measure("ece", score, label, edges), 3) == 0.149
    curve = threshold_curve(ScoreStats.from_arrays(score, label))
    at = int(np.flatnonzero(curve.threshold >= 0.7)[-1])
    assert (curve.tp[at], curve.fp[at], 5 - curve.tp[at], 7 - curve.fp[at]) == (3, 1, 2, 6)


def test_published_check_of_six_logits() -> None:
    z, label = np.array([2.2, 1.0, 0.2, -0.2, -1.0, -2.0]), [1, 1, 1, 0, 0, 0]
    edges = Binning("edges", closed="left", custom=(0.0, 0.33, 0.66, 1.0))
    nll = {t: measure("nll", z / t, label, logits=True) for t in (0.5, 1.0, 1.5, 2.0)}
    assert min(nll, key=lambda t: nll[t]) == 0.5
    found = [measure("ece", z / t, label, edges, logits=True) for t in (1.0, 0.5)]
    assert [round(v, 3) for v in found] == [0.126, 0.045]


def test_published_check_of_eight_probabilities() -> None:
    score = [0.95, 0.80, 0.60, 0.55, 0.52, 0.40, 0.35, 0.20]
    label = [1, 1, 0, 1, 0, 0, 1, 0]
    curve = threshold_curve(ScoreStats.from_arrays(score, label))
    f1 = 2 * curve.tp / (curve.tp + curve.fp + 4)
    best = int(f1.argmax())
    assert (curve.threshold[best], f1[best]) == (0.55, 0.75)
    assert (curve.tp[best], curve.fp[best]) == (3, 1)
