from __future__ import annotations

import pickle
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.metrics.grid_error import grid_error
from calibcli.core.metrics.registry import METRICS
from calibcli.core.statistics.counting import ranks, tally
from calibcli.core.statistics.counting.ranks import Ranks
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.keys import ONE_KEY, logit_places, probability_keys
from calibcli.core.statistics.stats import ScoreStats

RANKED = ("auc", "average_precision")


def of(score: Any, label: Any, *, exact: bool = False, **options: Any) -> ScoreStats:
    with mock.patch.object(tally, "EXACT_CELLS", 10**7 if exact else 100):
        return ScoreStats.from_arrays(score, label, **options)


def figures(stats: ScoreStats) -> dict[str, float]:
    view = View(stats, Binning())
    return {name: METRICS[name](view) for name in RANKED}


def drawn(rng: Any, rows: int, low: float, high: float) -> tuple[Any, Any]:
    """Scores in a band, of which the higher ones are more often positive."""
    share = rng.random(rows)
    return low + (high - low) * share, rng.random(rows) < 0.3 + 0.4 * share


@pytest.mark.parametrize(
    ("low", "high", "logits"),
    [
        (0.0, 1.0, False),
        (0.5, 0.5001, False),
        (0.4999, 0.5001, False),
        (1e-9, 1.001e-9, False),
        (1 - 1e-9, 1 - 0.999e-9, False),
        (-2.0, 2.0, True),
        (540.0, 660.0, True),
        (740.0, 760.0, True),
        (-1e9, -0.9e9, True),
        (1e-9, 2e-9, True),
    ],
)
def test_a_narrow_band_of_scores_is_ranked_as_exactly_as_a_wide_one(
    low: float, high: float, logits: bool
) -> None:
    score, label = drawn(np.random.default_rng(0), 50_000, low, high)
    rough = of(score, label, logits=logits)
    assert not rough.exact
    found, wanted = figures(rough), figures(of(score, label, exact=True, logits=logits))
    error = grid_error(rough)
    for name in RANKED:
        assert error[name] < 5e-4, name
        assert abs(found[name] - wanted[name]) <= error[name], name


@pytest.mark.parametrize("weighted", [False, True])
def test_tied_scores_at_edges_are_told_from_their_neighbours(weighted: bool) -> None:
    rng = np.random.default_rng(1)
    score = rng.beta(2, 2, 30_000)
    score[::3], score[1::9] = 0.5, 0.0
    score[2::9] = 0.5 + 1e-2 * rng.random(len(score[2::9]))
    label = rng.random(30_000) < score
    weight = rng.random(30_000) + 0.5 if weighted else None
    rough = of(score, label, weight=weight, edges=(0.5,))
    exact = of(score, label, weight=weight, exact=True)
    found, wanted, error = figures(rough), figures(exact), grid_error(rough)
    for name in RANKED:
        assert error[name] < 1e-4, name
        assert abs(found[name] - wanted[name]) <= error[name] + 1e-12, name


places = st.integers(1, ONE_KEY - 1) | st.sampled_from([0, 1, ONE_KEY // 2, ONE_KEY - 1, ONE_KEY])


@pytest.mark.slow
@pytest.mark.parametrize("cells", [4, 1 << 19])
@given(
    rows=st.lists(st.tuples(places, st.booleans(), st.integers(0, 2)), min_size=1, max_size=40),
    cut=st.integers(0, 40),
)
def test_any_split_of_the_rows_gives_the_same_cells(rows: list[Any], cut: int, cells: int) -> None:
    place, label, slot = (np.array(column) for column in zip(*rows, strict=True))

    def counted(part: slice, weight: Any = None) -> Ranks:
        found = Ranks(1, weighted=False)
        found.make_room(3)
        if len(place[part]):
            found.add(place[part], label[part], slot[part], weight)
        return found

    with mock.patch.object(ranks, "CELLS", cells), mock.patch.object(ranks, "LEAST_BITS", 2):
        whole, halves = counted(slice(None)), counted(slice(cut))
        halves.merge(counted(slice(cut, None)))
        swapped = Ranks(3, weighted=False)
        swapped.merge(whole, np.array([2, 1, 0]))
        for k in range(3):
            one, other, mirror = whole.cells(k), halves.cells(k), swapped.cells(2 - k)
            for a in (other, mirror):
                assert a.start.tolist() == one.start.tolist()
                assert a.stop.tolist() == one.stop.tolist()
                assert a.pos.tolist() == one.pos.tolist()
                assert a.neg.tolist() == one.neg.tolist()
            assert one.pos.sum() == label[slot == k].sum()
            inside = (place[slot == k][:, None] >= one.start) & (
                place[slot == k][:, None] < one.stop
            )
            assert (inside.sum(axis=1) == 1).all()
            assert inside.sum(axis=0).tolist() == (one.pos + one.neg).tolist()


def test_merged_statistics_keep_their_finer_cells() -> None:
    rng = np.random.default_rng(2)
    score, label = drawn(rng, 40_000, 0.6, 0.6002)
    whole = of(score, label, edges=(0.6001,))
    parts = [of(score[i::3], label[i::3], edges=(0.6001,)) for i in range(3)]
    merged = parts[2].merge(parts[0]).merge(parts[1])
    assert figures(merged) == figures(whole)
    assert grid_error(merged) == grid_error(whole)
    travelled = tally.Tally(start_exact=False, ranked=True)
    travelled.add(probability_keys(score), label)
    function, arguments = travelled.__reduce__()
    assert figures(ScoreStats.from_tally(function(*arguments), 0)) == figures(of(score, label))


def test_logits_that_have_no_tail_keep_their_places_in_order() -> None:
    z = np.array([-np.inf, -1e300, -1e4, -745.5, -745.2, -709.0, -708.0, -700.0, 0.0, 708.5, 1e9])
    assert (np.diff(logit_places(z)) > 0).all()
    assert np.array_equal(logit_places(-z), ONE_KEY - logit_places(z))


def test_intervals_allow_for_the_error_of_the_grid() -> None:
    rng = np.random.default_rng(3)
    score = np.append(rng.random(4000) * 1e-9 + 0.5, [1e-12, 1 - 1e-12])  # too narrow, too wide
    label = rng.random(4002) < 0.5 + (score - 0.5) * 4e8
    rough, exact = of(score, label), of(score, label, exact=True)
    assert grid_error(rough)["auc"] > 0.2
    for name in RANKED:
        value, low, high, _ = intervals.measure(View(rough, Binning()), names=(name,))[name]
        wanted = METRICS[name](View(exact, Binning()))
        assert low is not None
        assert high is not None
        assert value is not None
        assert low < wanted < high
        assert high - low > grid_error(rough)[name]


@pytest.mark.parametrize(
    "later",
    [
        "more slots",
        "far more slots",
        "cells of a grid",
        "nothing, in a grid",
        "a coarser grid",
        "pickled",
    ],
)
def test_no_row_is_lost_whatever_comes_after_the_grid(later: str) -> None:
    rng = np.random.default_rng(2)
    score, label = drawn(rng, 2000, 0.0, 1.0)
    with mock.patch.object(tally, "EXACT_CELLS", 100):
        counted, other = tally.Tally(ranked=True), tally.Tally()
        for one in (counted, other):
            one.add(probability_keys(score), label)
        if later == "more slots":
            counted.add(probability_keys(score), label, np.full(len(score), 40))
        elif later == "far more slots":
            counted.add(probability_keys(score), label, np.full(len(score), 400))
        elif later == "nothing, in a grid":
            counted.add(probability_keys(score), label)
            counted.merge(tally.Tally(start_exact=False), np.array([0]))
        elif later == "cells of a grid":
            counted.merge(other, np.array([0]))
        elif later == "a coarser grid":
            other.coarsen_to(6)
            counted.merge(other)
        else:
            counted = pickle.loads(pickle.dumps(counted))
            counted.merge(other)
        table = counted.table()
    assert (table.pos.sum(), table.neg.sum()) == (2 * label.sum(), 2 * (~label).sum())


@pytest.mark.parametrize("ranked", [True, False])
@pytest.mark.parametrize("kind", ["heavy tails", "by label", "by score"])
def test_a_weighted_positive_counts_itself_by_its_own_weight(kind: str, ranked: bool) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    score = rng.beta(0.3, 3, 40_000)
    label = rng.random(len(score)) < score
    weight = {
        "heavy tails": rng.lognormal(0.0, 1.5, len(score)),
        "by label": np.where(label, 20.0, 1.0) * rng.random(len(score)),
        "by score": rng.lognormal(0.0, 1.0, len(score)) * (0.01 + score**2),
    }[kind]
    wanted = metrics.average_precision_score(label, score, sample_weight=weight)
    exact = of(score, label, weight=weight, exact=True)
    assert figures(exact)["average_precision"] == pytest.approx(wanted, abs=1e-12)
    rough = of(score, label, weight=weight) if ranked else exact.coarsened(10)
    assert not rough.exact
    assert (rough.ranks is not None) == ranked
    found = figures(rough)["average_precision"]
    assert abs(found - wanted) < (1e-5 if ranked else 4e-5)
    assert abs(found - wanted) <= grid_error(rough)["average_precision"]
