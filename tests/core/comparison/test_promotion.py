from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from calibcli.core.comparison.promotion import (
    Check,
    Rule,
    best_step,
    class_psi,
    compared,
    odds_ratio,
)
from calibcli.core.fitting.held_out import HeldOut, cell_losses
from calibcli.core.results.base import plain
from calibcli.core.results.promotion import Step
from calibcli.core.statistics.buckets import buckets_of
from calibcli.core.statistics.stats import ScoreStats
from calibcli.errors import UsageError


def drawn(n=400, seed=0):
    rng = np.random.default_rng(seed)
    score = np.round(rng.beta(1, 2, n), 3).clip(0.001, 0.999)
    return score, (rng.random(n) < score**1.3).astype(int)


def nll(p, y):
    return -np.log(np.where(y == 1, p, 1 - p))


def added(stats, maps):
    held = HeldOut(len(maps))
    held.add_cells(stats, [cell_losses(one(stats.score), "nll") for one in maps])
    return held


MAPS = (lambda p: p, lambda p: p**1.2, lambda p: 0.9 * p)


def test_difference_and_interval_are_those_of_the_rows():
    score, label = drawn()
    sums = added(ScoreStats.from_arrays(score, label), MAPS)
    found = compared(sums, (1.0, 0.5), 0.9)
    for step, one in zip(found, MAPS[1:], strict=True):
        difference = nll(one(score), label) - nll(score, label)
        error = difference.std() / math.sqrt(len(score))
        # Two intervals that hold together with 90 %: each holds with 95 %.
        quantile = scipy_stats.norm.ppf(0.975)
        assert step.difference == pytest.approx(difference.mean())
        assert step.loss == pytest.approx(nll(one(score), label).mean())
        assert step.low == pytest.approx(difference.mean() - quantile * error)
        assert step.high == pytest.approx(difference.mean() + quantile * error)


def test_rows_added_one_by_one_give_the_same():
    score, label = drawn()
    cells = added(ScoreStats.from_arrays(score, label), MAPS)
    rows = HeldOut(3)
    losses = np.column_stack([nll(one(score), label) for one in MAPS])
    for part in np.array_split(np.arange(len(score)), 7):
        bucket = buckets_of(part)
        weight = np.ones(len(part))
        rows.add_rows(losses[part], weight, weight, bucket)
    for a, b in zip(
        compared(cells, (1.0, 0.5), 0.95),
        compared(rows, (1.0, 0.5), 0.95),
        strict=True,
    ):
        assert plain(a) == pytest.approx(plain(b))


def test_a_count_is_so_many_rows_and_a_weight_is_one_heavy_row():
    score, label = drawn(200)
    times = np.random.default_rng(1).integers(1, 5, 200)
    many = added(ScoreStats.from_arrays(score.repeat(times), label.repeat(times)), MAPS[:2])
    counted = added(ScoreStats.from_arrays(score, label, times), MAPS[:2])
    weighted = added(ScoreStats.from_arrays(score, label, times.astype(float)), MAPS[:2])
    one, same, wide = (compared(sums, (1.0,), 0.95)[0] for sums in (many, counted, weighted))
    assert plain(one) == pytest.approx(plain(same))
    difference = nll(MAPS[1](score), label) - nll(score, label)
    mean = np.average(difference, weights=times)
    error = math.sqrt((times**2 * (difference - mean) ** 2).sum()) / times.sum()
    assert wide.difference == pytest.approx(mean)
    assert wide.high - wide.difference == pytest.approx(scipy_stats.norm.ppf(0.975) * error)


def test_clusters_stay_whole():
    score, label = drawn(600)
    cluster = np.arange(600) // 6
    stats = ScoreStats.from_arrays(score, label, cluster=cluster)
    (step,) = compared(added(stats, MAPS[:2]), (1.0,), 0.95)
    difference = nll(MAPS[1](score), label) - nll(score, label)
    home = buckets_of(cluster)
    sums = np.array([(difference - difference.mean())[home == b].sum() for b in np.unique(home)])
    size = len(sums)
    error = math.sqrt((sums**2).sum() * size / (size - 1)) / 600
    quantile = scipy_stats.t.ppf(0.975, size - 1)
    assert step.high == pytest.approx(difference.mean() + quantile * error)


def test_copies_of_rows_in_clusters_are_no_evidence():
    """Eight copies of every row in its cluster leave the interval about where it was."""
    score, label = drawn(800)
    one, many = (
        compared(
            added(
                ScoreStats.from_arrays(
                    score.repeat(k), label.repeat(k), cluster=np.arange(800).repeat(k)
                ),
                MAPS[:2],
            ),
            (1.0,),
            0.95,
        )[0]
        for k in (1, 8)
    )
    assert plain(many) == pytest.approx(plain(one))


def step(size, loss, difference, high):
    return Step(size, loss, difference, 2 * difference - high, high)


def test_the_best_of_the_sure_ones_is_taken():
    sure, better, unsure = step(0.25, 0.49, -0.01, -0.001), step(0.5, 0.48, -0.02, -0.002), None
    unsure = step(1.0, 0.40, -0.1, 0.01)
    assert best_step([unsure, better, sure]) is better
    assert best_step([unsure]) is unsure
    assert not unsure.better
    assert not step(1.0, 0.5, 0.0, 0.0).better  # the same is not better


def test_odds_ratio():
    assert odds_ratio((200, 800), (100, 900)) == pytest.approx((200.5 / 800.5) / (100.5 / 900.5))
    assert odds_ratio((100, 900), (200, 800)) == odds_ratio((200, 800), (100, 900))
    assert odds_ratio((5, 5), (5, 5)) == 1.0
    assert math.isfinite(odds_ratio((0, 10), (10, 0)))


def test_class_psi_is_nothing_where_nothing_changed():
    rng = np.random.default_rng(0)
    share = np.full(50, 1 / 50)
    found = [class_psi(*rng.multinomial(2000, share, 2).astype(float)) for _ in range(200)]
    assert np.quantile(found, 0.95) < 0.03
    before, now = np.array([900.0, 100.0]), np.array([600.0, 400.0])
    psi = (0.6 - 0.9) * math.log(0.6 / 0.9) + (0.4 - 0.1) * math.log(0.4 / 0.1)
    assert class_psi(now, before) == pytest.approx(psi - 2 / 1000)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_rows": 0},
        {"min_positives": -1},
        {"psi": 0.0},
        {"psi": math.nan},
        {"odds": 0.5},
        {"steps": ()},
        {"steps": (0.0,)},
        {"steps": (1.5,)},
        {"steps": (0.5, 0.5)},
    ],
)
def test_limits_that_cannot_be(wrong):
    with pytest.raises(UsageError):
        Rule(**wrong)


def test_a_limit_that_is_switched_off_is_null():
    assert Check("psi", 0.3, math.inf, True, "").result.limit is None
