"""Intervals of rows, from the few scores at which an artifact knows them."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import Beta, Platt, Temperature, calibrate
from calibcli.core.fitting.map_intervals import map_points, redrawn
from calibcli.core.fitting.row_intervals import Margins
from calibcli.core.numeric.scales import expit, logit
from calibcli.core.results.parts.stored import MapPoint
from calibcli.core.statistics.stats import ScoreStats


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    z = rng.normal(0, 2, n)
    return expit(z), (rng.random(n) < expit(0.7 * z - 0.3)).astype(int)


def test_at_the_points_of_the_map_it_is_theirs_and_between_it_lies_between():
    score, label = draw(np.random.default_rng(0), 500)
    stats = ScoreStats.from_arrays(score, label)
    one = Platt.fit(stats)
    points = map_points(one, stats, draws=40)
    margins = Margins.of(points)
    z = logit(np.array([point.score for point in points]))
    p = np.array([point.probability for point in points])
    low, high = margins(z, p, None, logits=True)
    np.testing.assert_allclose(low, [point.low for point in points], atol=1e-12)
    np.testing.assert_allclose(high, [point.high for point in points], atol=1e-12)
    between = np.linspace(-4, 4, 200)
    p = calibrate(one, between, logits=True)
    low, high = margins(between, p, None, logits=True)
    assert (low < p).all()
    assert (p < high).all()


@pytest.mark.parametrize("method", [Platt, Temperature, Beta])
def test_it_is_not_narrower_than_the_bootstrap_and_hardly_wider(method):
    score, label = draw(np.random.default_rng(1), 500)
    stats = ScoreStats.from_arrays(score, label)
    one = method.fit(stats)
    z = np.linspace(-3.5, 3.5, 60)
    rng = np.random.default_rng(0)
    curves = [method.fit(drawn) for drawn in redrawn(stats, 60, rng)]
    spread = np.std([logit(calibrate(own, z, logits=True)) for own in curves], axis=0, ddof=1)
    margins = Margins.of(map_points(one, stats, seed=0, draws=60))
    p = calibrate(one, z, logits=True)
    low, high = margins(z, p, None, logits=True)
    width = (logit(high) - logit(low)) / (2 * 1.959964)
    assert (width >= spread * 0.98).all()
    assert np.median(width / spread) < 1.1


@pytest.mark.slow
def test_the_interval_holds_the_true_probability_of_a_row():
    rng, held = np.random.default_rng(2), []
    z = np.linspace(-4, 4, 41)
    for _ in range(150):
        score, label = draw(rng, 400)
        stats = ScoreStats.from_arrays(score, label)
        one = Platt.fit(stats)
        p = calibrate(one, z, logits=True)
        low, high = Margins.of(map_points(one, stats))(z, p, None, logits=True)
        held.append((low <= expit(0.7 * z - 0.3)) & (expit(0.7 * z - 0.3) <= high))
    assert np.mean(held) >= 0.92


def test_no_interval_is_none():
    assert Margins.of([MapPoint(0.1, 0.2, None, None), MapPoint(0.3, 0.4, None, None)]) is None
