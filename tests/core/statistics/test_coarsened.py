from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.statistics.stats import ScoreStats
from calibcli.io.artifacts.stats import stats_from_dict, stats_to_dict

EDGES = (0.1, 0.5, 0.9)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    p = rng.beta(0.5, 0.5, 5000)
    return p, rng.random(5000) < p


def made(rows, **options):
    return ScoreStats.from_arrays(*rows, edges=EDGES, **options)


def test_counts_losses_and_edges_stay_exact(rows):
    fine = made(rows)
    coarse = fine.coarsened(3)
    assert len(coarse.key) < 700 < len(fine.key)
    assert (coarse.n, coarse.positives) == (fine.n, fine.positives)
    assert coarse.log_loss_sum == fine.log_loss_sum
    assert coarse.squared_loss_sum == fine.squared_loss_sum
    p, y = rows
    for edge in EDGES:
        below = coarse.floor < edge
        assert coarse.pos[below].sum() == np.count_nonzero(y[p < edge])


def test_mean_score_stays_near(rows):
    fine = made(rows)
    coarse = fine.coarsened(2)
    mean = [float(s.total @ s.score) / s.n for s in (fine, coarse)]
    assert mean[1] == pytest.approx(mean[0], rel=1e-6)


def test_in_two_steps_is_the_same_as_at_once(rows):
    once, twice = made(rows).coarsened(3), made(rows).coarsened(6).coarsened(3)
    assert (once.key == twice.key).all()
    assert (once.pos == twice.pos).all()
    assert once.score == pytest.approx(twice.score, rel=1e-6)


def test_a_coarser_one_comes_back_as_it_is(rows):
    coarse = made(rows).coarsened(3)
    assert coarse.coarsened(5) is coarse


def test_clusters_and_weights_come_along(rows):
    cluster = np.arange(5000) // 10
    weight = np.linspace(0.5, 2.0, 5000)
    fine = made(rows, weight=weight, cluster=cluster)
    coarse = fine.coarsened(3)
    assert coarse.n == pytest.approx(fine.n)
    assert coarse.table.pos_sq.sum() == pytest.approx(fine.table.pos_sq.sum())
    assert coarse.parts.pos.sum() == pytest.approx(fine.pos.sum())
    assert len(coarse.parts) < len(fine.parts)


def test_json_round_trip(rows):
    coarse = made(rows).coarsened(2)
    again = stats_from_dict(stats_to_dict(coarse))
    assert again.digest() == coarse.digest()
