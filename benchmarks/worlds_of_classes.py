"""Worlds of several classes and of several labels a row, for `benchmarks.coverage`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, softmax

from calibcli.core.metrics import multiclass
from calibcli.core.metrics.binary import View
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats
from calibcli.tasks.pairs import pairs_of
from calibcli.tasks.population import Layout, Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

POPULATION = 40_000
BINNING = Binning()


@dataclass(frozen=True)
class WorldOfClasses:
    """Rows of several classes whose scores are `sharpness` times the true logits.

    Attributes:
        n: rows.
        classes: their number.
        sharpness: 1 for honest scores.
        rare: how much less likely each further class is, in logits.
        cluster: rows of a cluster, which have most of their logits and labels in common.
        whole: rows that are kept whole, fewer than a run would keep where a sample is tried.
        by_bucket: whether rows are counted by bucket instead, as for saved statistics.
    """

    title: str
    n: int
    classes: int
    sharpness: float = 1.0
    rare: float = 0.0
    cluster: int = 1
    whole: int = 1 << 20
    by_bucket: bool = False

    @property
    def honest(self) -> bool:
        """Whether the scores are the probabilities."""
        return self.sharpness == 1.0

    def _rows(self, rng: np.random.Generator, n: int, size: int) -> tuple[Array, Array, Array]:
        """Return (true probabilities, scores, uniform numbers that draw the labels)."""
        home = np.arange(n) // size
        groups = int(home[-1]) + 1
        part = 0.0 if size == 1 else 0.3
        own = np.sqrt(1.0 - part)
        z = np.sqrt(part) * rng.normal(size=(groups, self.classes))[home]
        z += own * rng.normal(size=(n, self.classes))
        z = 1.3 * z - self.rare * np.arange(self.classes)
        u = ndtr(np.sqrt(part) * rng.normal(size=groups)[home] + own * rng.normal(size=n))
        return softmax(z, axis=1), softmax(self.sharpness * z, axis=1), u

    def measured(self, rng: np.random.Generator, seed: int) -> dict:
        """Return the figures of one sample."""
        q, p, u = self._rows(rng, self.n, self.cluster)
        label = np.minimum((u[:, None] > q.cumsum(axis=1)).sum(axis=1), self.classes - 1)
        names = tuple(map(str, range(self.classes)))
        layout = Layout("multiclass", names, clustered=self.cluster > 1, by_bucket=self.by_bucket)
        scope = Scope(layout, grouped=False, hopeless=set())
        bucket = (np.arange(self.n) // self.cluster) % 64
        pairs = pairs_of("multiclass", p, label, logits=False)
        scope.add(pairs, None, bucket)
        if scope.rows is not None:
            scope.rows.most = self.whole
            scope.rows.add(np.arange(self.n, dtype=np.uint64), p, label, None)
        rows = scope.population()
        top, classes = ([View(one, BINNING) for one in s] for s in (rows.top, rows.classes))
        view = View(rows.pairs, BINNING)
        return multiclass.measure(view, top, classes, seed=seed, rows=rows.rows)

    def truth(self) -> dict[str, float]:
        """Return the figures of a large sample that has probabilities in place of labels."""
        q, p, _ = self._population
        best = p.argmax(axis=1)
        rows = np.arange(len(p))
        confidence, right = p[rows, best], q[rows, best]
        top = [_pairs(confidence[best == k], right[best == k]) for k in range(self.classes)]
        classes = [_pairs(p[:, k], q[:, k]) for k in range(self.classes)]
        whole = _pairs(confidence, right)
        found = multiclass.measure(whole, top, classes, confidence=None)
        known = {name: one[0] for name, one in found.items() if one[0] is not None}
        known["ece_debiased"] = float(np.sqrt(whole.bins.weight @ whole.bins.gap**2))
        return known

    @cached_property
    def _population(self) -> tuple[Array, Array, Array]:
        return self._rows(np.random.default_rng(1), POPULATION, 1)


def _pairs(score: Array, probability: Array) -> View:
    weight = np.stack([probability, 1.0 - probability], axis=1).ravel()
    label = np.tile([1, 0], len(score))
    return View(ScoreStats.from_arrays(np.repeat(score, 2), label, weight), BINNING)


WORLDS_OF_CLASSES = {
    world.title: world
    for world in (
        WorldOfClasses("3 classes, honest, 50", 50, 3),
        WorldOfClasses("3 classes, honest, 200", 200, 3),
        WorldOfClasses("3 classes, over-confident, 200", 200, 3, sharpness=2.0),
        WorldOfClasses("10 classes, honest, 200", 200, 10),
        WorldOfClasses("10 classes, over-confident, 1000", 1000, 10, sharpness=2.0),
        WorldOfClasses("3 classes, one of 1 %, honest, 500", 500, 3, rare=1.8),
        WorldOfClasses("10 classes, rare ones, over-confident, 1000", 1000, 10, 2.0, rare=0.6),
        WorldOfClasses("the same, of which 300 rows are kept", 1000, 10, 2.0, rare=0.6, whole=300),
        WorldOfClasses("50 classes, honest, 1000", 1000, 50),
        WorldOfClasses("3 classes, 40 clusters of 10, over-confident", 400, 3, 2.0, cluster=10),
    )
}
