"""Tests of the mean of bounded figures: valid whatever the distribution, and how strong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calibcli.core.decisions.promises.means import (
    betting,
    fewest,
    units_needed,
)


def of_clusters(
    rng: np.random.Generator, n: int, size: int, mean: float, spread: float
) -> np.ndarray:
    """Return the shares of right rows of n clusters, whose expected share is `mean`."""
    own = rng.beta(mean * (1 - spread) / spread, (1 - mean) * (1 - spread) / spread, n)
    return rng.binomial(size, own) / size


WORLDS = {
    "0 or 1": lambda rng, n, mean: (rng.random(n) < mean).astype(float),
    "five rows": lambda rng, n, mean: of_clusters(rng, n, 5, mean, 0.1),
    "fifty rows": lambda rng, n, mean: of_clusters(rng, n, 50, mean, 0.02),
    "one value": lambda rng, n, mean: np.full(n, mean),
    "rare disasters": lambda rng, n, mean: np.where(rng.random(n) < (1 - mean) / 0.98, 0.02, 1.0),
}


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("n", [8, 60, 300])
@pytest.mark.parametrize("target", [0.5, 0.9])
def test_a_mean_at_the_target_is_seldom_taken_for_more(world, n, target):
    rng = np.random.default_rng([n, len(world)])
    draws, level = 600, 0.1
    bad = sum(betting(WORLDS[world](rng, n, target), target, level) <= level for _ in range(draws))
    assert bad / draws <= level + 2 * math.sqrt(level * (1 - level) / draws)


def test_capital_is_that_of_the_definition():
    figures, target, level = np.array([1.0, 0.5, 1.0, 0.0, 1.0, 1.0]), 0.4, 0.05
    capital, best, total, squares = 1.0, 1.0, 0.5, 0.25
    for place, figure in enumerate(figures, 1):
        stake = math.sqrt(2 * math.log(1 / level) / (len(figures) * squares / place))
        capital *= 1 + min(stake, 0.75 / target) * (figure - target)
        total += figure
        squares += (figure - total / (place + 1)) ** 2
        best = max(best, capital)
    assert betting(figures, target, level) == pytest.approx(1 / best, rel=1e-12)


def test_the_fewest_units_are_the_fewest():
    for target in (0.3, 0.8, 0.95):
        n = fewest(target, 0.05)
        assert betting(np.ones(n), target, 0.05) <= 0.05 < betting(np.ones(n - 1), target, 0.05)
    assert fewest(0.0, 0.05) == 1


def test_an_estimate_of_the_units_is_near_what_they_certify():
    figures = of_clusters(np.random.default_rng(5), 100_000, 5, 0.95, 0.1)
    n = round(units_needed(figures.mean(), figures.var(), 0.9, 0.05))
    rng = np.random.default_rng(6)
    passed = sum(betting(rng.choice(figures, n), 0.9, 0.05) <= 0.05 for _ in range(100))
    assert 50 <= passed <= 100
    assert units_needed(0.9, 0.1, 0.9, 0.05) == math.inf


def test_nothing_and_everything():
    assert betting(np.zeros(0), 0.5, 0.05) == 1.0
    assert betting(np.ones(1000), 1.0, 0.05) == 1.0
    assert betting(np.zeros(10), 0.0, 0.05) == 0.0
    assert betting(np.zeros(100), 0.5, 0.05) == 1.0
