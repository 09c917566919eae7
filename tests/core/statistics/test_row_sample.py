"""Whole rows tell how far the classes of a row go together: exactly where all of them are kept."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.joint import Joint
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.row_sample import RowSample
from calibcli.tasks.pairs import pairs_of
from calibcli.tasks.population import Layout, Scope

K, ROWS = 4, 600
rng = np.random.default_rng(5)
P = rng.dirichlet(np.ones(K) * 0.7, ROWS)
LABEL = (rng.random((ROWS, 1)) > P.cumsum(axis=1)).sum(axis=1).clip(max=K - 1)


def population(rows=slice(None), most=None, mass=None, units=None, *, weighted=False):
    layout = Layout("multiclass", tuple(map(str, range(K))), weighted=weighted)
    scope = Scope(layout, grouped=False, hopeless=set())
    pairs = pairs_of("multiclass", P[rows], LABEL[rows], logits=False)
    scope.add(pairs, mass, None)
    units = np.arange(ROWS, dtype=np.uint64) if units is None else units
    scope.rows.most = scope.rows.most if most is None else most
    scope.rows.add(units[rows], P[rows], LABEL[rows], mass)
    return scope


def brier_variance(found):
    views = [View(stats, Binning()) for stats in found.classes]
    gradients = [intervals.gradient("brier", v, intervals.measure(v, names=["brier"])["brier"][0])
                 for v in views]  # fmt: skip
    alone = sum(
        intervals.variance(view.stats, one) for view, one in zip(views, gradients, strict=True)
    )
    return alone * Joint(False, found.rows).effect(views, gradients)


def by_hand(weight=None):
    w = np.ones(ROWS) if weight is None else weight
    loss = ((P - np.eye(K)[LABEL]) ** 2).sum(axis=1)
    return float(((w * (loss - w @ loss / w.sum()) / w.sum()) ** 2).sum())


def test_all_rows_give_the_variance_of_a_sum_over_classes_exactly():
    assert brier_variance(population().population()) == pytest.approx(by_hand(), rel=1e-10)


def test_weights_count_squared_and_counts_as_rows():
    weight = rng.random(ROWS) + 0.5
    found = population(mass=weight, weighted=True).population()
    assert brier_variance(found) == pytest.approx(by_hand(weight), rel=1e-10)
    twice = population(mass=np.full(ROWS, 2)).population()
    assert brier_variance(twice) == pytest.approx(by_hand() / 2.0, rel=1e-10)


def test_a_sample_is_near_and_corrected_by_what_is_known_of_all_rows():
    ratio = [
        brier_variance(
            population(most=200, units=np.random.default_rng(k).permutation(ROWS).astype(np.uint64))
            .population()
        )
        / by_hand()
        for k in range(20)
    ]  # fmt: skip
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.05)
    assert np.std(ratio) < 0.15


def test_order_and_parts_are_nothing_to_the_sample():
    whole = population(most=100).population()
    order = np.random.default_rng(1).permutation(ROWS)
    parts = [population(part, most=100) for part in np.split(order, [50, 300, 310])]
    first, *others = parts
    for other in others:
        first.merge(other)
    assert brier_variance(first.population()) == brier_variance(whole)


def test_memory_is_of_the_rows_that_are_kept():
    sample = RowSample(K, weighted=False)
    sample.most = 50
    for first in range(0, 5000, 100):
        p = np.zeros((100, K))
        units = np.arange(first, first + 100, dtype=np.uint64)
        sample.add(units, p, np.zeros(100, np.int64), None)
    assert sum(len(part[0]) for part in sample._parts) <= 2 * sample.most
    assert sample.rows == 5000
