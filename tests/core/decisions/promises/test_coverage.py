"""Conformal quantiles of rows that come in units."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.conformal import conformal_quantile
from calibcli.core.decisions.promises.counts import UnitCounts
from calibcli.core.decisions.promises.coverage import UnitQuantile, keys_of, unit_quantile


def quantile(value: np.ndarray, unit: np.ndarray, coverage: float, **more) -> UnitQuantile:
    counts = UnitCounts()
    counts.add(0, unit.astype(np.uint64), keys_of(value), **more)
    return unit_quantile(counts.read(), coverage)


def clusters(rng: np.random.Generator, units: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values and units of rows; units are hard or easy, hard ones have fewer rows."""
    hard = rng.random(units)
    rows = 1 + rng.poisson((size - 1) * (1.5 - hard))
    unit = np.repeat(np.arange(units), rows)
    return rng.beta(1 + 4 * hard[unit], 3), unit


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("n", [5, 37, 200])
def test_units_of_one_row_have_the_usual_quantile(n, coverage):
    value = np.round(np.random.default_rng(n).random(n), 2)
    assert quantile(value, np.arange(n), coverage).quantile == conformal_quantile(value, coverage)


def test_a_row_that_counts_twice_is_two_rows():
    rng = np.random.default_rng(1)
    value, unit = clusters(rng, 40, 6)
    times = rng.integers(1, 4, len(value))
    twice = quantile(value.repeat(times), unit.repeat(times), 0.8)
    assert quantile(value, unit, 0.8, count=times) == twice


def covered(units: int, size: int, draws: int) -> float:
    """Return how often a row of a new unit is covered."""
    rng = np.random.default_rng([units, size])
    hit = 0
    for _ in range(draws):
        value, unit = clusters(rng, units + 1, size)
        old = unit < units
        hit += rng.choice(value[~old]) <= quantile(value[old], unit[old], 0.9).quantile
    return hit / draws


@pytest.mark.parametrize("size", [5, 50])
def test_a_row_of_a_new_unit_is_covered(size):
    assert covered(30, size, 300) >= 0.9 - 2 * math.sqrt(0.09 / 300)


@pytest.mark.slow
@pytest.mark.parametrize("units", [12, 100])
@pytest.mark.parametrize("size", [5, 50])
def test_a_row_of_a_new_unit_is_covered_over_many_draws(units, size):
    share = covered(units, size, 4000)
    assert 0.9 - 2 * math.sqrt(0.09 / 4000) <= share <= 0.9 + 1 / units + 0.02


def test_the_interval_holds_what_one_file_can_do():
    rng = np.random.default_rng(2)
    truth = clusters(rng, 30_000, 8)
    size, held = np.bincount(truth[1]), 0
    for _ in range(100):
        found = quantile(*clusters(rng, 80, 8), 0.9)
        low, high = found.interval(0.9, 0.95)
        share = (np.bincount(truth[1], truth[0] <= found.quantile) / size).mean()
        held += low <= share <= high
    assert held >= 88
    assert UnitQuantile(math.inf, 3, 9, 9, 0.0).interval(0.9, 0.95) == (1.0, 1.0)
    assert UnitQuantile(0.5, 1, 9, 9, 0.0).interval(0.4, 0.95) == (0.0, 1.0)
