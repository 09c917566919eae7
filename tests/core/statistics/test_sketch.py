"""Merging against one pass, estimates against known overlaps, and rates of both kinds of error."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from calibcli.core.numeric.mixing import mixed
from calibcli.core.statistics.sketch import (
    ALARM,
    CURRENT_CAPACITY,
    FittedRows,
    RowSketch,
    chance_of,
    least_matches,
    overlap,
    poisson_sf,
)
from calibcli.io.content import low_hashes, row_hashes


def sketch(values, capacity=CURRENT_CAPACITY, counts=None):
    one = RowSketch(capacity)
    one.add(mixed(np.asarray(values)), counts)
    return one


def fitted(values, capacity=8192):
    return FittedRows.of(sketch(values, capacity), 64)


@given(
    st.lists(st.integers(0, 60), max_size=200),
    st.lists(st.integers(0, 3), min_size=200, max_size=200),
    st.integers(1, 30),
)
@settings(max_examples=80, deadline=None)
def test_any_partition_in_any_order_is_the_same_sketch(values, parts, capacity):
    values = np.array(values, np.int64)
    part = np.array(parts[: len(values)], np.int64)
    whole = sketch(values, capacity)
    total = RowSketch(capacity)
    for p in (2, 0, 3, 1):
        total.merge(sketch(values[part == p], capacity))
    for a, b in zip(whole.sample(), total.sample(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (whole.rows, whole.limit) == (total.rows, total.limit)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), st.integers(1, 50))
@settings(max_examples=80, deadline=None)
def test_sketch_is_the_smallest_hashes_with_their_counts(values, capacity):
    hashes, counts = np.unique(mixed(np.array(values)), return_counts=True)
    one = RowSketch(capacity)
    for value in values:  # row by row, so that it is cut many times
        one.add(mixed(np.array([value])))
    found = one.sample()
    np.testing.assert_array_equal(found[0], hashes[:capacity])
    np.testing.assert_array_equal(found[1], counts[:capacity])
    assert one.rate == pytest.approx(1.0 if len(hashes) <= capacity else found[0][-1] / 2**64)


def test_counts_are_rows():
    a = sketch([1, 2, 3], 10, np.array([2, 1, 3]))
    b = sketch([1, 1, 2, 3, 3, 3], 10)
    for x, y in zip(a.sample(), b.sample(), strict=True):
        np.testing.assert_array_equal(x, y)
    assert a.rows == b.rows == 6


def test_survives_json():
    one = fitted(np.arange(50_000))
    again = FittedRows.from_dict(json.loads(json.dumps(one.to_dict())))
    np.testing.assert_array_equal(one.once, again.once)
    assert again.to_dict() == one.to_dict()
    assert len(json.dumps(one.to_dict())) < 45_000


@pytest.mark.parametrize(
    "damage", [{"once": "*"}, {"limit": "-1"}, {"digits": 7}, {"salt": "xyz"}, {"once": None}]
)
def test_a_damaged_sketch_is_refused(damage):
    payload = fitted(np.arange(100)).to_dict() | damage
    with pytest.raises(ValueError, match=r".+"):
        FittedRows.from_dict(payload)


def test_salts_keep_two_artifacts_apart():
    a, b = fitted(np.arange(5000)), fitted(np.arange(5001))
    shared = len(np.intersect1d(a.once, b.once))
    assert a.salt != b.salt
    assert shared < 10


@pytest.mark.parametrize("share", [1.0, 0.3, 0.02])
@pytest.mark.parametrize(("n", "m"), [(3000, 2000), (200_000, 30_000), (30_000, 200_000)])
def test_share_of_leaked_rows_is_held(share, n, m):
    held = []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        fit = rng.integers(1 << 62, size=n)
        old = rng.choice(fit, round(share * m), replace=share * m > n)
        current = np.concatenate([old, rng.integers(1 << 62, size=m - len(old))])
        found = overlap(fitted(fit), sketch(current))
        held.append(found.low <= share <= found.high)
        if found.value:
            assert found.p < ALARM
    assert np.mean(held) >= 0.78


@pytest.mark.slow
@pytest.mark.parametrize("distinct", [1 << 62, 200_000, 20_000, 5_000])
def test_rows_that_repeat_by_chance_raise_no_alarm(distinct):
    """Scores of few decimals: many fresh rows equal rows of the fit, and that is no leak."""
    alarms, expected, seen = 0, 0.0, 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = overlap(
            fitted(rng.integers(distinct, size=10_000), 2048),
            sketch(rng.integers(distinct, size=10_000)),
        )
        if found.reason is None:
            alarms += found.value > 0
            expected += found.by_chance
            seen += found.matches
    assert alarms <= 1  # one in a thousand is allowed
    assert seen <= 1.02 * expected + 20


def test_scores_of_one_decimal_cannot_tell():
    rng = np.random.default_rng(0)
    found = overlap(fitted(rng.integers(11, size=5000)), sketch(rng.integers(11, size=5000)))
    assert found.value is None
    assert "same scores" in found.reason


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "distinct"), [(20_000, 3000, 1 << 62), (5000, 5000, 200_000)])
def test_misses_are_as_rare_as_is_said(n, m, distinct):
    rng = np.random.default_rng(1)
    fit = rng.integers(distinct, size=n)
    one = fitted(fit, 4096)
    share = overlap(one, sketch(rng.integers(distinct, size=m))).detectable
    caught = 0
    for _ in range(150):
        old = rng.choice(fit, round(share * m))
        caught += (
            overlap(
                one, sketch(np.concatenate([old, rng.integers(distinct, size=m - len(old))]))
            ).value
            > 0
        )
    assert caught / 150 >= 0.88  # 0.95, four standard errors below


def test_a_row_that_comes_a_thousand_times_is_one_match():
    rng = np.random.default_rng(2)
    fit = rng.integers(1 << 62, size=5000)
    current = np.concatenate([np.repeat(fit[:1], 1000), rng.integers(1 << 62, size=4000)])
    found = overlap(fitted(fit), sketch(current))
    assert (found.matches, found.value) == (1, 0.0)
    assert found.high > 0.1


def test_few_rows_against_many_say_what_they_can_find():
    one = fitted(np.random.default_rng(3).integers(1 << 62, size=500_000))
    rng = np.random.default_rng(4)
    found = overlap(one, sketch(rng.integers(1 << 62, size=500)))
    assert found.value == 0.0
    assert found.detectable > 0.2
    assert found.high > 0.2
    none = overlap(one, sketch([]))
    assert none.value is None


@pytest.mark.parametrize(("k", "mean"), [(0, 1.0), (1, 0.016), (7, 1.0), (30, 3.0), (3, 40.0)])
def test_poisson_tails(k, mean):
    assert poisson_sf(k, mean) == pytest.approx(poisson.sf(k - 1, mean), rel=1e-9)


def test_large_poisson_tails():
    assert poisson_sf(5200, 5000.0) == pytest.approx(poisson.sf(5199, 5000.0), rel=0.1)


def test_chance_of_matches_is_the_conditional_binomial():
    one = fitted(np.random.default_rng(6).integers(100_000, size=20_000), 2048)
    ratio = 2 * 900 / one.sampled
    for matches in (1, 100, 300):
        oracle = binom.sf(matches - 1, matches + one.twice, ratio / (1 + ratio))
        assert chance_of(matches, one, 900) == pytest.approx(oracle, rel=1e-9)
    k = least_matches(one, 900)
    assert chance_of(k, one, 900) < ALARM <= chance_of(k - 1, one, 900)


@pytest.mark.parametrize("distinct", [5, 90, 3000])
def test_many_rows_at_once_are_the_same_as_few_after_another(distinct):
    values = np.random.default_rng(distinct).integers(0, distinct, 5000)
    whole, parts = sketch(values, 40), RowSketch(40)
    for some in np.split(values, 200):
        parts.add(mixed(some))
    hashes, counts = np.unique(mixed(values), return_counts=True)
    for one in (whole, parts):
        np.testing.assert_array_equal(one.sample()[0], hashes[:40])
        np.testing.assert_array_equal(one.sample()[1], counts[:40])


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16])
def test_hashes_up_to_a_limit_are_those_of_all_rows(kind):
    scores = np.random.default_rng(3).random(70_000).astype(kind)
    scores[:3] = 0.0, -0.0, 1.0
    for limit in (0, 2**60, 2**64 - 1):
        found = row_hashes(scores)
        np.testing.assert_array_equal(low_hashes(scores, limit), found[found <= np.uint64(limit)])
    assert len(low_hashes(scores[:0], 2**64 - 1)) == 0
