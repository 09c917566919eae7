"""Evidence by unit: no bet gains on average while a promise is kept, however much rows agree."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.comparison.evidence import (
    BETS,
    MEMORY,
    Evidence,
    Family,
    Promise,
    rate_gains,
    unspent,
)
from calibcli.core.comparison.evidence_by_unit import Cut, after_unit_pairs, after_units
from calibcli.core.statistics.buckets import buckets_of
from calibcli.core.statistics.curves import Binning, reliability
from calibcli.core.statistics.stats import ScoreStats

BINNING = Binning("width", 5, "right")


def outcomes(rates):
    """Yield each outcome of units that are wholly right or wholly wrong, and its chance."""
    for right in itertools.product((0, 1), repeat=len(rates)):
        chance = np.where(right, rates, 1 - np.array(rates)).prod()
        yield np.array(right), chance


def gained(before, after):
    """Return what each bet of a night has gained, of a capital that was all at stake."""
    fresh = np.log(unspent(before.nights) - unspent(before.nights + 1))
    return np.exp(np.array(after.logs) - np.logaddexp(np.array(before.logs), fresh))


@pytest.mark.parametrize("text", ["precision>=0.6", "fpr<=0.4"])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 5, 5, 5), (1, 3, 9, 20), (0, 2, 2, 50)])
@pytest.mark.parametrize("limit", [8.0, 200.0])
def test_no_bet_by_unit_on_a_rate_gains_while_it_is_kept(text, sizes, limit):
    promise = Promise.parse(text)
    past = replace(Evidence.none(promise, 0), logs=(0.0,) * len(BETS), largest=(limit,))
    sizes, off = np.array(sizes), np.array([0.2, -0.2, 0.1, 0.0])
    # A unit counts for as much as the largest before: so weighted the night keeps its promise.
    weight = sizes * np.minimum(1.0, limit / np.maximum(0.4 * sizes, 1e-9))
    rates = 0.6 + off - (weight @ off) / weight.sum()
    mean = sum(
        chance * gained(past, after_units(past, decided(right, sizes), promise))
        for right, chance in outcomes(rates)
    )
    assert np.all(mean <= 1 + 1e-9)
    assert np.all(mean > 0.8)


def decided(right, sizes):
    return np.stack([right, 1 - right], 1) * np.asarray(sizes, float)[:, None]


def test_nothing_is_bet_before_it_is_known_how_large_units_are():
    promise = Promise.parse("precision>=0.6")
    first = after_units(Evidence.none(promise, 0), decided(np.zeros(4), [5, 9, 2, 1]), promise)
    assert first.p == 1.0
    assert first.largest == (pytest.approx(0.4 * 9),)
    assert after_units(first, decided(np.zeros(60), [9] * 60), promise).p < 1e-6


def test_bets_on_rows_gain_where_rows_of_a_unit_agree():
    promise = Promise.parse("precision>=0.6")
    mean = sum(
        chance * np.exp(rate_gains(9.0 * right[0], 9.0 * (1 - right[0]), promise))
        for right, chance in outcomes([0.6])
    )
    assert mean.max() > 2, "what the test by unit is for"


@given(st.integers(1, 6), st.floats(0.001, 0.2), st.booleans())
def test_no_bet_by_unit_on_an_ece_gains_while_it_is_kept(rows, tolerance, learnt):
    # Each unit has so many rows of one score and one label; the ECE of the night is the tolerance.
    score = np.array([0.1, 0.35, 0.5, 0.75])
    sides = np.array([1, -1, 1, -1])
    true = np.clip(score + tolerance * sides, 0, 1)
    tolerance = float(np.abs(true - score).mean())
    sides = (1.0, -1.0, 1.0, -1.0, 1.0) if learnt else (0.0,) * 5
    past = Evidence((0.0,) * 3 * len(BETS), 1, 0.0, sides, (float(rows),) * 3)
    unit = np.repeat([1, 2, 3, 5], rows)
    mean = np.zeros(3 * len(BETS))
    for label, chance in outcomes(true):
        stats = ScoreStats.from_arrays(np.repeat(score, rows), np.repeat(label, rows), cluster=unit)
        now = after_unit_pairs(past, stats, reliability(stats, BINNING).index, tolerance)
        mean += chance * gained(past, now)
        off = np.array(now.sides) - MEMORY * np.array(past.sides)
        assert off.sum() == pytest.approx(rows * (label - score).sum())
    assert np.all(mean <= 1 + 1e-9)


def ece_year(rng, gap, size):
    """Return the night of the alarm; units have one score, and their rows labels of their own."""
    found = Evidence.none(Promise.parse("ece<=0.05"), 15)
    binning = Binning("width", 15, "right")
    for night in range(1, 60):
        score = np.round(np.repeat(rng.beta(2, 4, 1000 // size), size), 2)
        side = np.where(score < 7 / 15, 1, -1)
        label = rng.random(len(score)) < score + gap * side
        unit = np.repeat(rng.integers(0, 1 << 30, 1000 // size), size)
        stats = ScoreStats.from_arrays(score, label, cluster=unit)
        home = reliability(stats, binning).index
        found = after_unit_pairs(found, stats, home, 0.05)
        if found.p < 0.05:
            return night
    return None


@pytest.mark.parametrize("size", [1, 5])
def test_an_ece_above_the_promise_is_found_by_unit(size):
    rng = np.random.default_rng(0)
    assert ece_year(rng, 0.15, size) <= 6
    assert ece_year(rng, 0.05, size) is None


@pytest.mark.parametrize("figure", ["precision>=0.5", "recall>=0.5", "fpr<=0.5", "npv>=0.5"])
def test_decisions_are_counted_by_unit(figure):
    rng = np.random.default_rng(0)
    score, unit = np.round(rng.random(500), 2), rng.integers(0, 30, 500)
    label, promise = rng.random(500) < score, Promise.parse(figure)
    stats = ScoreStats.from_arrays(score, label, cluster=unit)
    cut = Cut(stats, int(np.searchsorted(stats.score, 0.4)))
    alert, of = score >= 0.4, {"precision": 1, "recall": 1, "fpr": 0, "npv": 0}
    right = of[promise.figure]
    some = {"precision": alert, "recall": label, "fpr": ~label, "npv": ~alert}[promise.figure]
    good = {"precision": label, "recall": alert, "fpr": ~alert, "npv": ~label}[promise.figure]
    assert right in (0, 1)
    bucket = buckets_of(unit)
    wanted = [np.bincount(bucket[some & side], minlength=64) for side in (good, ~good)]
    assert cut.by_unit(promise).T == pytest.approx(np.array(wanted))
    assert cut.decisions(promise) == tuple(one.sum() for one in wanted)


def test_wider_cells_of_units_claim_no_more():
    rng = np.random.default_rng(1)
    score, unit = rng.random(4000) ** 3, rng.integers(0, 200, 4000)
    label = rng.random(4000) < np.clip(score + 0.1, 0, 1)
    fine = ScoreStats.from_arrays(score, label, cluster=unit, edges=BINNING.edges[1:-1])
    past = Evidence((0.0,) * 3 * len(BETS), 0, 0.0, (0.0,) * 5, (40.0,) * 3)
    gains = [
        np.log(gained(past, after_unit_pairs(past, stats, reliability(stats, BINNING).index, 0.03)))
        for stats in (fine, fine.coarsened(8))
    ]
    assert np.all(gains[1] <= gains[0] + 1e-9)
    assert gains[1] == pytest.approx(gains[0], abs=0.6)
    assert gains[1].max() > 1, "and find what is wrong"


@given(st.integers(1, 40), st.integers(0, 400))
def test_groups_share_one_level(first, later):
    family = Family(first)
    spent = first * family.share(0) + sum(family.share(n) for n in range(1, later + 1))
    assert spent <= 1 + 1e-12
    assert family.p(0.001, 0) == pytest.approx(min(1, 0.001 * 2 * first))


PRECISION = Promise.parse("precision>=0.9")


def year(draw, *, nights=365):
    """Return the first night with an alarm; `draw` makes rows and right ones of a night's units."""
    found, rng = Evidence.none(PRECISION, 0), np.random.default_rng(3)
    for night in range(1, nights + 1):
        size, kept = draw()
        sums = np.zeros((64, 2))
        np.add.at(sums, rng.integers(0, 64, len(size)), np.stack([kept, size - kept], 1))
        found = after_units(found, sums, PRECISION)
        if found.p < 0.05:
            return night
    return None


def agreeing(rng, rate, spread, units=150):
    """Units that agree with themselves and differ from others: the less, the larger the spread."""
    size = rng.geometric(0.25, units) + np.where(rng.random(units) < 0.05, 40, 0)
    return size, rng.binomial(size, rng.beta(rate * spread, (1 - rate) * spread, units))


def of_two_kinds(rng, share, large, units=150):
    """A few units of 60 rows, whose rate is another; of all rows together it is 0.9."""
    part = 60 * share / (60 * share + 1 - share)
    big = rng.random(units) < share
    size = np.where(big, 60, 1)
    return size, rng.binomial(size, np.where(big, large, (0.9 - part * large) / (1 - part)))


def of_labels(rng, rate, labels=5, rows=400):
    """Rows of several labels whose alerts are right or wrong together; a row has some alerts."""
    size = rng.binomial(labels, 0.4, rows)
    return size, size * (rng.random(rows) < rate)


def test_a_fault_is_found_by_unit():
    rng = np.random.default_rng(2)
    found = [year(lambda: agreeing(rng, 0.75, 1.0), nights=40) for _ in range(5)]
    assert all(one is not None and one <= 30 for one in found), found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("draw", "more"),
    [
        (agreeing, (0.9, 0.2)),
        (agreeing, (0.9, 5.0)),
        (of_labels, (0.9,)),
        (of_two_kinds, (0.004, 1.0)),
        (of_two_kinds, (0.03, 0.95)),
    ],
)
def test_fewer_than_one_year_in_twenty_has_a_false_alarm(draw, more):
    """At just what is promised; of two kinds, a night that has none of the large units is worse."""
    rng = np.random.default_rng(3)
    assert sum(year(lambda: draw(rng, *more)) is not None for _ in range(200)) <= 10
