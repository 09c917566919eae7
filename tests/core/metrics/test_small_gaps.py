"""Intervals of a norm where few counts decide it: coverage summed over all outcomes, not drawn."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

NORMS = ("ece", "mce", "ace", "ks", "kuiper")


def found(scores, positives, rows, names=NORMS):
    """Intervals where `positives` of `rows` rows at each score have label 1."""
    labels = np.concatenate([np.arange(rows) < k for k in positives])
    stats = ScoreStats.from_arrays(np.repeat(scores, rows), labels)
    result = intervals.measure(View(stats, Binning()), names=names)
    return {name: result[name][:3] for name in names}


@pytest.mark.parametrize("rows", [4, 10, 30])
@pytest.mark.parametrize("score", [0.5, 0.3])
def test_one_score_for_all_rows_is_a_binomial_question(score, rows):
    held = {truth: dict.fromkeys(NORMS, 0.0) for truth in (0.05, score, 0.6, 0.9)}
    for k in range(rows + 1):
        for name, (value, low, high) in found([score], [k], rows).items():
            assert low <= value <= high
            for truth, share in held.items():
                if low <= abs(truth - score) <= high:
                    share[name] += binom.pmf(k, rows, truth)
    assert min(share for one in held.values() for share in one.values()) >= 0.95


def test_a_gap_of_exactly_zero_is_no_proof():
    _, low, high = found([0.5], [15], 30)["ece"]
    exact = binomtest(15, 30).proportion_ci(method="exact")
    assert (low, high) == (0.0, pytest.approx(exact.high - 0.5))


def test_a_gap_that_is_sure_has_a_lower_end():
    _, low, high = found([0.2], [25], 30)["ece"]
    exact = binomtest(25, 30).proportion_ci(method="exact")
    assert (low, high) == pytest.approx((exact.low - 0.2, exact.high - 0.2))


def test_two_scores_of_ten_rows_each():
    scores, truth, rows = [0.2, 0.7], [0.25, 0.75], 10
    held = dict.fromkeys(("ece", "ace"), 0.0)
    chance = [binom.pmf(np.arange(rows + 1), rows, p) for p in truth]
    for pair in product(range(rows + 1), repeat=2):
        likely = chance[0][pair[0]] * chance[1][pair[1]]
        if likely < 1e-4:
            continue
        for name, (_, low, high) in found(scores, pair, rows, tuple(held)).items():
            held[name] += likely * (low <= 0.05 <= high)
    assert min(held.values()) >= 0.93
