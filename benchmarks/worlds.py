"""Worlds with a known truth, in which `benchmarks.coverage` draws samples.

A world says how a sample of pairs comes about, and holds the population that it comes from: the
quantiles of its scores with both labels, weighted by the true probability of each. So the truth of
every figure is the figure itself, of that population.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr
from scipy.stats import beta

from calibcli.core.numeric.scales import expit, logit
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from collections.abc import Callable

POPULATION = 100_000
CORRELATION = 0.3


def honest(p):
    return p


def over_confident(p):
    return expit(0.5 * logit(p))


def one_bump(p):
    return p - 0.15 * ((p > 0.8) & (p < 0.9))


def wrong_in_ten(p):
    return 0.1 + 0.8 * p


@dataclass(frozen=True)
class World:
    """How pairs come about.

    n: rows, or clusters where `size` is given. quantile: scores from uniform numbers. curve: the
    probability of label 1 at a score. size: of the clusters, whose rows share a Gaussian copula in
    scores and labels; "heavy" sizes are Pareto's. weight: whether rows are weighted, those of
    higher scores more on average. shared: whether all rows of a cluster share the copula's labels
    only (the labels of one row).
    """

    title: str
    n: int
    quantile: Callable
    curve: Callable
    size: int | str = 1
    weight: bool = False
    honest: bool = False

    @cached_property
    def population(self) -> ScoreStats:
        u = (np.arange(POPULATION) + 0.5) / POPULATION
        p = self.quantile(u)
        kept, back = np.unique(p, return_inverse=True)
        mass = np.bincount(back).astype(np.float64)
        if self.weight:
            mass *= 0.5 + kept
        q = self.curve(kept)
        both = np.stack([q, 1.0 - q], axis=1) * mass[:, None] / mass.sum()
        return ScoreStats.from_arrays(np.repeat(kept, 2), np.tile([1, 0], len(kept)), both.ravel())

    def draw(self, rng: np.random.Generator) -> ScoreStats:
        if self.size == 1:
            p = self.quantile(rng.random(self.n))
            label = rng.random(self.n) < self.curve(p)
            weight = None
            if self.weight:
                weight = (0.5 + p) * rng.lognormal(0.0, 0.8, self.n)
            return ScoreStats.from_arrays(p, label, weight)
        sizes = np.full(self.n, self.size) if self.size != "heavy" else heavy(rng, self.n)
        home = np.repeat(np.arange(self.n), sizes)
        u, v = (
            ndtr(
                np.sqrt(CORRELATION) * rng.standard_normal(self.n)[home]
                + np.sqrt(1.0 - CORRELATION) * rng.standard_normal(len(home))
            )
            for _ in range(2)
        )
        p = self.quantile(u)
        cluster = rng.integers(0, 1 << 62, self.n)[home]
        return ScoreStats.from_arrays(p, v < self.curve(p), cluster=cluster)


def heavy(rng, n):
    """Sizes of clusters: Pareto's with infinite variance, cut at 200."""
    return np.minimum(np.ceil(3.0 * rng.random(n) ** (-1.0 / 1.5)), 200).astype(np.int64)


def uniform(u):
    return u


def rare(u):
    """Scores of 1 % positives: Beta(0.25, 24.75)."""
    return np.maximum(beta.ppf(u, 0.25, 24.75), 1e-12)


def hard(u):
    """0 or 1, even."""
    return (u > 0.5).astype(np.float64)


def hard_rare(u):
    return (u > 0.99).astype(np.float64)


def sharp(u):
    """Scores near 0 and 1, as of a good classifier: Beta(0.2, 0.2)."""
    return np.clip(beta.ppf(u, 0.2, 0.2), 1e-12, 1.0 - 1e-12)


def worlds():
    made = []
    for n in (20, 50, 200, 1000):
        made.append(World(f"honest, {n}", n, uniform, honest, honest=True))
    for n in (20, 50, 200, 1000):
        made.append(World(f"over-confident, {n}", n, uniform, over_confident))
    made.append(World("one bad bin, 1000", 1000, uniform, one_bump))
    for n in (20, 50, 200, 1000, 5000):
        made.append(World(f"1 % positives, honest, {n}", n, rare, honest, honest=True))
    for n in (200, 1000, 5000):
        made.append(World(f"1 % positives, over-confident, {n}", n, rare, over_confident))
    for n in (20, 200, 1000):
        made.append(World(f"sharp, honest, {n}", n, sharp, honest, honest=True))
    for n in (20, 50, 200, 1000):
        made.append(World(f"0/1 scores, {n}", n, hard, wrong_in_ten))
    made.append(World("weights, honest, 200", 200, uniform, honest, weight=True, honest=True))
    made.append(World("weights, over-confident, 200", 200, uniform, over_confident, weight=True))
    made.append(World("weights, over-confident, 1000", 1000, uniform, over_confident, weight=True))
    made.append(World("weights, 1 % positives, 5000", 5000, rare, honest, weight=True, honest=True))
    for n in (8, 12):
        made.append(World(f"{n} clusters of 50, honest", n, uniform, honest, size=50, honest=True))
        made.append(
            World(f"{n} clusters of 50, over-confident", n, uniform, over_confident, size=50)
        )
    made.append(World("100 clusters of 5, over-confident", 100, uniform, over_confident, size=5))
    made.append(World("200 clusters of 10, 1 % positives", 200, rare, honest, size=10, honest=True))
    made.append(World("60 heavy clusters, honest", 60, uniform, honest, size="heavy", honest=True))
    made.append(
        World("60 heavy clusters, over-confident", 60, uniform, over_confident, size="heavy")
    )
    made.append(
        World("400 heavy clusters, over-confident", 400, uniform, over_confident, size="heavy")
    )
    made.append(World("200 rows of 5 labels, honest", 200, uniform, honest, size=5, honest=True))
    return made


WORLDS = {world.title: world for world in worlds()}
