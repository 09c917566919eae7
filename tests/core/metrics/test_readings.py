from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from calibcli.core.metrics.binary import View
from calibcli.core.metrics.further.readings import judged, read_at
from calibcli.core.numeric.proportions import binomial_p, clopper_pearson
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats


def reading(score, label, at=0.8, level=0.95):
    return read_at(View(ScoreStats.from_arrays(score, label), Binning()), at, 0.05, level)


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.3, 0.5, 0.97, 1.0])
@pytest.mark.parametrize(("right", "rows"), [(0, 5), (5, 5), (1, 40), (17, 30), (0, 0)])
def test_p_is_twice_the_smaller_tail(right, rows, rate):
    tails = (
        distributions.binom.cdf(right, rows, rate),
        distributions.binom.sf(right - 1, rows, rate),
    )
    assert binomial_p(right, rows, rate) == pytest.approx(min(1.0, 2 * min(tails)), abs=1e-12)


def test_p_and_interval_tell_the_same():
    for right in range(21):
        low, high = clopper_pearson(right, 20, 0.95)
        for rate in np.linspace(0.01, 0.99, 50):
            assert (binomial_p(right, 20, rate) < 0.05) == (not low <= rate <= high)


def test_one_row_is_no_fault():
    one = reading([0.78], [0])
    assert one.verdict == "over-confident"
    (one,) = judged([one], 0.05)
    assert one.beyond_chance is False
    (sure,) = judged([reading([0.78] * 40, [0] * 20 + [1] * 20)], 0.05)
    assert sure.beyond_chance is True


def test_empty_bins_and_readings_without_interval_are_not_tested():
    told = judged([reading([0.1], [0]), reading([0.78], [0], level=None)], 0.05)
    assert [one.beyond_chance for one in told] == [None, None]
    assert [one.verdict for one in told] == ["no data", "over-confident"]


def test_honest_groups_are_seldom_accused():
    """Of 20 honest groups the verdict alone accuses one in nearly every draw."""
    rng = np.random.default_rng(1)
    alone = together = 0
    for _ in range(60):
        groups = []
        for _ in range(20):
            score = rng.uniform(0.6, 0.95, 200)
            groups.append(reading(score, rng.random(200) < score))
        found = judged(groups, 0.05)
        alone += any(one.verdict.endswith("confident") for one in found)
        together += any(one.beyond_chance for one in found)
    assert alone > 50
    assert together <= 6  # 60 draws at 5 %: 3, and two standard errors
