"""Evidence over nights: no bet gains on average while a promise is kept; a break is found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.comparison.evidence import (
    BETS,
    ODDS,
    YEAR,
    Evidence,
    Promise,
    ece_gains,
    rate_gains,
    unspent,
)
from calibcli.core.statistics.curves import Binning, reliability
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import UsageError

BINNING = Binning("width", 5, "right")


@pytest.mark.parametrize("text", ["precision>=0.9", "recall>=0.5", "fpr<=0.02", "ece<=0.05"])
def test_promises_are_read_and_written(text):
    assert str(Promise.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["precision<=0.9", "ece>=0.1", "auc>=0.9", "ece<=0", "ece<=x", "precision", "recall>=1"],
)
def test_what_is_no_promise_is_refused(text):
    with pytest.raises(UsageError):
        Promise.parse(text)


def test_the_capital_of_all_nights_is_one():
    spent = [unspent(night) - unspent(night + 1) for night in range(5 * YEAR)]
    assert min(spent) > 0
    assert unspent(0) == 1
    assert unspent(YEAR) == pytest.approx(1 / 2)
    assert unspent(2 * YEAR) == pytest.approx(1 / 3)
    assert sum(spent) + unspent(5 * YEAR) == pytest.approx(1)


@given(
    st.sampled_from(["precision>=0.9", "recall>=0.3", "fpr<=0.02"]),
    st.integers(1, 12),
    st.floats(0, 1),
)
def test_no_bet_on_a_rate_gains_while_it_is_kept(text, n, more):
    promise = Promise.parse(text)
    least = promise.bound if ">" in text else 1 - promise.bound
    rate = least + more * (1 - least)
    mean = np.zeros(len(ODDS))
    for kept in range(n + 1):
        chance = math.comb(n, kept) * rate**kept * (1 - rate) ** (n - kept)
        mean += chance * np.exp(rate_gains(kept, n - kept, promise))
    assert np.all(mean <= 1 + 1e-9)
    if more == 0:
        assert mean == pytest.approx(np.ones(len(ODDS)))


@pytest.mark.parametrize("sides", [(0.0,) * 5, (-1.0, 1.0, -1.0, 1.0, -1.0)])
def test_no_bet_on_an_ece_gains_while_it_is_kept(sides):
    # The mean over all labels of a few rows, whose ECE in these bins is the tolerance.
    score = np.array([0.1, 0.35, 0.5, 0.7, 0.95])
    tolerance, true = 0.05, score + np.array([0.05, -0.05, 0.05, -0.05, -0.05])
    past = Evidence((0.0,) * 3 * len(BETS), 1, 0.0, sides)
    mean = np.zeros(3 * len(BETS))
    for at in range(2**5):
        label = np.array([at >> i & 1 for i in range(5)])
        stats = ScoreStats.from_arrays(score, label)
        home = reliability(stats, BINNING).index
        gains, off = ece_gains(stats, home, past, tolerance)
        mean += np.where(label, true, 1 - true).prod() * np.exp(gains)
        assert off.sum() == pytest.approx((label - score).sum())
    assert np.all(mean <= 1 + 1e-9)


def test_a_grid_claims_no_more_than_its_rows():
    rng = np.random.default_rng(1)
    score = rng.random(4000) ** 3
    label = rng.random(4000) < np.clip(score + 0.1, 0, 1)
    fine = ScoreStats.from_arrays(score, label)
    past = Evidence((0.0,) * 3 * len(BETS), 0, 0.0, (0.0,) * 5)
    gains = [
        ece_gains(stats, reliability(stats, BINNING).index, past, 0.03)[0]
        for stats in (fine, fine.coarsened(8))
    ]
    assert np.all(gains[1] <= gains[0] + 1e-9)
    assert gains[1] == pytest.approx(gains[0], abs=0.1)


def nights(rng, promise, rate, n=200, many=200):
    """Whether the evidence was ever enough at 5 %, and after how many nights."""
    kept = rng.binomial(n, rate, many)
    found = Evidence.none(promise, 0)
    for night, count in enumerate(kept, start=1):
        found = found.after(rate_gains(int(count), int(n - count), promise))
        if found.p < 0.05:
            return night
    return None


def test_a_kept_promise_is_seldom_called_broken():
    promise = Promise.parse("precision>=0.9")
    rng = np.random.default_rng(3)
    alarms = [nights(rng, promise, 0.9, many=120) is not None for _ in range(150)]
    assert sum(alarms) <= 10  # 5 % is at most 7.5 on average; P(more than 12) < 0.05


def test_good_nights_do_not_hide_a_bad_one():
    promise = Promise.parse("precision>=0.9")
    found = Evidence.none(promise, 0)
    for _ in range(300):
        found = found.after(rate_gains(195, 5, promise))
    assert found.p == 1
    assert found.after(rate_gains(150, 50, promise)).p < 0.05


def test_the_p_value_never_rises():
    promise = Promise.parse("recall>=0.8")
    rng = np.random.default_rng(0)
    found, before = Evidence.none(promise, 0), 1.0
    for count in rng.binomial(100, 0.78, 60):
        found = found.after(rate_gains(int(count), int(100 - count), promise))
        assert found.p <= before
        before = found.p
