from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.metrics.binary import View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.registry import METRICS
from calibcli.core.statistics.counting import tally
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

# Crowded around a few places, so that cells hold many distinct scores, in an order that matters.
scores = st.tuples(st.sampled_from([1e-12, 0.01, 0.3, 0.5, 0.9, 1 - 1e-9]), st.integers(0, 30)).map(
    lambda at: at[0] + min(at[0], 1 - at[0]) * at[1] * 1e-5
)
rows = st.lists(
    st.tuples(scores | st.sampled_from([0.0, 0.2, 1.0]), st.booleans()), min_size=8, max_size=80
)
BINNING = Binning(bins=10)


def both(score: Any, label: Any, weight: Any = None) -> tuple[ScoreStats, ScoreStats]:
    """The same rows on distinct scores and in a grid."""
    found = []
    for limit in (10**6, 3):
        with mock.patch.object(tally, "EXACT_CELLS", limit):
            found.append(ScoreStats.from_arrays(score, label, weight, edges=BINNING.edges))
    return found[0], found[1]


def differences(exact: ScoreStats, rough: ScoreStats) -> dict[str, float]:
    a, b = View(exact, BINNING), View(rough, BINNING)
    return {name: abs(METRICS[name](a) - METRICS[name](b)) for name in grid_error(rough)}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@given(data=rows, seed=st.integers(0, 999))
def test_no_metric_is_further_off_than_its_bound(
    data: list[Any], seed: int, weighted: bool
) -> None:
    score, label = zip(*data, strict=True)
    weight = np.random.default_rng(seed).random(len(data)) + 0.1 if weighted else None
    exact, rough = both(score, label, weight)
    bound = grid_error(rough)
    for name, found in differences(exact, rough).items():
        assert found <= bound[name] + 1e-12, name


def test_bounds_on_the_best_order_are_reached() -> None:
    # Two cells, in each of which the positives are tied above the negatives.
    inside = np.repeat([0, 1], 200)
    exact, rough = both(
        np.concatenate([0.31 + 1e-6 * inside, 0.71 + 1e-6 * inside]), np.tile(inside, 2)
    )
    bound, found = grid_error(rough), differences(exact, rough)
    for name in ("auc", "average_precision"):
        assert 0.99 * bound[name] <= found[name] <= bound[name] + 1e-12, name


def test_bounds_on_the_worst_order_are_reached() -> None:
    # Two cells, in each of which the positives come one by one below the negatives.
    inside, spread = np.repeat([1, 0], 200), 1e-9 * np.arange(400)
    exact, rough = both(
        np.concatenate([0.31 + spread, 0.71 + spread]), np.concatenate([inside, inside])
    )
    bound, found = grid_error(rough), differences(exact, rough)
    for name in ("auc", "ks"):
        assert 0.95 * bound[name] <= found[name] <= bound[name] + 1e-12, name


def test_bounds_are_small_on_many_rows() -> None:
    rng = np.random.default_rng(0)
    score = rng.beta(0.7, 1.2, 200_000)
    exact, rough = both(score, rng.random(200_000) < score)
    bound = grid_error(rough)
    assert bound["auc"] < 1e-3
    assert bound["average_precision"] < 3e-3
    assert bound["ks"] < 1e-3
    assert bound["ece"] < 1e-8
    found = differences(exact, rough)
    assert all(found[name] <= bound[name] + 1e-12 for name in bound)


def test_distinct_scores_have_no_error() -> None:
    exact, _ = both([0.1, 0.2, 0.3, 0.9], [0, 1, 0, 1])
    assert set(grid_error(exact).values()) == {0.0}


def test_rows_at_kept_edges_add_no_error() -> None:
    score = np.repeat([0.0, *BINNING.edges, 1.0], 20)
    _, rough = both(score, np.arange(len(score)) % 2)
    assert not rough.exact
    bound = grid_error(rough)
    assert (bound["auc"], bound["average_precision"]) == (0.0, 0.0)


def test_metrics_without_a_value_have_no_bound() -> None:
    _, rough = both(np.linspace(0.3, 0.31, 10), np.zeros(10))
    assert {"auc", "average_precision"}.isdisjoint(grid_error(rough))
    assert grid_error(ScoreStats.from_arrays([], [])).keys() >= {"ece", "ks"}
