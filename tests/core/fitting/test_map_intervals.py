from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import Identity, Isotonic, Platt, Temperature
from calibcli.core.fitting.map_intervals import FINE_CELLS, map_points
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats


def sample(rng, n, slope=1.6, shift=0.4):
    z = rng.normal(0, 1.5, n)
    return z, rng.random(n) < expit(slope * z + shift)


def test_points_are_the_map_inside_its_interval():
    z, y = sample(np.random.default_rng(0), 1000)
    stats = ScoreStats.from_arrays(z, y, logits=True)
    one = Platt.fit(stats)
    points = map_points(one, stats)
    scores = [point.score for point in points]
    assert scores == sorted(set(scores))
    assert {0.0, 0.1, 0.5, 1.0} <= set(scores)
    assert 20 <= len(points) <= 25
    for point in points:
        assert point.low <= point.probability <= point.high


def test_width_is_that_of_the_delta_method():
    # Platt without smoothing is logistic regression, whose covariance is the inverse information.
    rng = np.random.default_rng(1)
    z, y = sample(rng, 4000)
    stats = ScoreStats.from_arrays(z, y, logits=True)
    one = Platt.fit(stats)
    p = one.apply(z)
    x = np.column_stack([z, np.ones_like(z)])
    covariance = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x)
    for point in map_points(one, stats, draws=400):
        if not 0.05 < point.score < 0.95:
            continue
        at = np.array([np.log(point.score / (1 - point.score)), 1.0])
        error = np.sqrt(at @ covariance @ at) * point.probability * (1 - point.probability)
        assert point.high - point.low == pytest.approx(2 * 1.96 * error, rel=0.25)


@pytest.mark.slow
def test_coverage_of_the_true_map():
    hits = total = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z, y = sample(rng, 500)
        stats = ScoreStats.from_arrays(z, y, logits=True)
        for point in map_points(Platt.fit(stats), stats, draws=80, seed=seed):
            if 0.1 <= point.score <= 0.9:
                truth = expit(1.6 * np.log(point.score / (1 - point.score)) + 0.4)
                hits += point.low <= truth <= point.high
                total += 1
    assert 0.89 < hits / total < 0.99


def test_clusters_are_drawn_whole():
    # Every row four times: as independent rows the interval would be half as wide.
    z, y = sample(np.random.default_rng(2), 600)
    again = ScoreStats.from_arrays(
        np.repeat(z, 4), np.repeat(y, 4), logits=True, cluster=np.repeat(np.arange(600), 4)
    )
    once = ScoreStats.from_arrays(z, y, logits=True)
    apart = [p.high - p.low for p in map_points(Platt.fit(once), once)]
    whole = [p.high - p.low for p in map_points(Platt.fit(again), again)]
    assert np.mean(whole) == pytest.approx(np.mean(apart), rel=0.3)


def test_weights_of_two_are_as_wide_as_the_rows_they_are():
    z, y = sample(np.random.default_rng(3), 800)
    plain = ScoreStats.from_arrays(z, y, logits=True)
    heavy = ScoreStats.from_arrays(z, y, np.full(800, 2.0), logits=True)
    widths = [
        np.mean([p.high - p.low for p in map_points(Temperature.fit(s), s)]) for s in (plain, heavy)
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.2)


def test_same_seed_gives_the_same_interval_and_no_level_none():
    z, y = sample(np.random.default_rng(4), 500)
    stats = ScoreStats.from_arrays(expit(z), y)
    one = Isotonic.fit(stats)
    assert map_points(one, stats, seed=7) == map_points(one, stats, seed=7)
    assert all(point.low is None for point in map_points(one, stats, confidence=None))
    assert all(point.low is None for point in map_points(Identity(), stats))


def test_many_cells_are_coarsened_and_say_the_same():
    z, y = sample(np.random.default_rng(5), 20_000)
    stats = ScoreStats.from_arrays(z, y, logits=True)
    assert len(stats.key) > FINE_CELLS
    points = map_points(Platt.fit(stats), stats)
    # A width of 2 * 1.96 standard errors falls with the root of the rows.
    few = ScoreStats.from_arrays(z[:1250], y[:1250], logits=True)
    wide = np.mean([p.high - p.low for p in map_points(Platt.fit(few), few)])
    assert np.mean([p.high - p.low for p in points]) == pytest.approx(wide / 4, rel=0.35)
