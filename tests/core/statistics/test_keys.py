from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.keys import (
    HALF_KEY,
    ONE_KEY,
    key_logits,
    key_places,
    key_probabilities,
    logit_keys,
    probability_keys,
)

SMALLEST = 5e-324  # the smallest subnormal
BELOW_ONE = math.nextafter(1.0, 0.0)
CORNERS = [0.0, SMALLEST, 2.2e-308, 1e-300, 1e-16, 0.1, 0.3, math.nextafter(0.5, 0), 0.5]
CORNERS += [math.nextafter(0.5, 1), 0.7, 0.9, 1 - 1e-15, BELOW_ONE, 1.0]

probabilities = st.floats(0.0, 1.0) | st.sampled_from(CORNERS)
logits = st.floats(allow_nan=False) | st.sampled_from([-math.inf, -0.0, 0.0, SMALLEST, math.inf])


@given(st.lists(probabilities, min_size=1, max_size=50))
def test_keys_order_probabilities_and_lose_none(values: list[float]) -> None:
    p = np.array(sorted(values))
    key = probability_keys(p)
    assert np.array_equal(np.sign(np.diff(key)), np.sign(np.diff(p)))
    assert np.array_equal(key_probabilities(key), p)


def test_keys_of_corners_are_fixed_points() -> None:
    key = probability_keys(np.array([-0.0, 0.0, 0.5, 1.0]))
    assert key.tolist() == [0, 0, HALF_KEY, ONE_KEY]
    assert probability_keys(np.array([SMALLEST])).tolist() == [1]
    assert not np.signbit(key_probabilities(probability_keys(np.array([-0.0]))))


def test_neighbouring_floats_have_different_keys_on_both_sides_of_one_half() -> None:
    for p in CORNERS[:-1]:
        here, after = probability_keys(np.array([p, math.nextafter(p, 2.0)]))
        assert here < after


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_narrow_floats_are_promoted_before_anything_else(dtype: type) -> None:
    p = np.random.default_rng(0).random(500).astype(dtype)
    assert np.array_equal(probability_keys(p), probability_keys(p.astype(np.float64)))
    z = (20 * p - 10).astype(dtype)
    assert np.array_equal(logit_keys(z), logit_keys(z.astype(np.float64)))


def test_keys_do_not_change_their_input() -> None:
    p = np.array([-0.0, 0.25, 1.0])
    probability_keys(p)
    logit_keys(p)
    assert np.signbit(p[0])
    assert p.tolist() == [0.0, 0.25, 1.0]


@given(st.lists(logits, min_size=1, max_size=50))
def test_keys_order_logits_and_lose_none(values: list[float]) -> None:
    z = np.array(sorted(values))
    key = logit_keys(z)
    assert np.array_equal(key[1:] > key[:-1], z[1:] > z[:-1])
    assert np.array_equal(key_logits(key), z)


@given(st.lists(st.floats(-745, 745).map(lambda z: round(z, 12)), min_size=2, max_size=50))
def test_places_of_logits_keep_their_order_far_beyond_40(values: list[float]) -> None:
    z = np.array(sorted(set(values)))
    assert (np.diff(key_places(logit_keys(z), logits=True)) > 0).all()


def test_places_of_logits_are_those_of_their_probabilities() -> None:
    z = np.array([-np.inf, 0.0, np.inf])
    ends = probability_keys(np.array([0.0, 0.5, 1.0]))
    assert np.array_equal(key_places(logit_keys(z), logits=True), ends)
    z = np.linspace(-30, 30, 1001)
    place = key_places(logit_keys(z), logits=True)
    assert np.array_equal(key_probabilities(place), expit(z))
    assert np.allclose(key_probabilities(place), 1 / (1 + np.exp(-z)), rtol=1e-15, atol=0)


def test_logits_are_parted_where_their_probabilities_are_all_one_or_all_zero() -> None:
    z = np.array([37.5, 40.0, 41.0, 100.0, 700.0, 746.0, 800.0, 1e300, np.inf])
    assert (expit(z) == 1.0).all()
    key, other = logit_keys(z), logit_keys(-z)
    assert (key[1:] > key[:-1]).all()
    assert (other[1:] < other[:-1]).all()
