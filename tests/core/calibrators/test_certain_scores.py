from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from calibcli.core.calibrators import CALIBRATORS, calibrate
from calibcli.core.calibrators.evidence import certain_limits
from calibcli.core.statistics.stats import ScoreStats

LIMITED = sorted(m for m, kind in CALIBRATORS.items() if "limits" in kind.__dataclass_fields__)


def test_certain_scores_are_half_way_to_the_most_certain_score_that_is_not():
    low, high = certain_limits(ScoreStats.from_arrays([0.0, 0.02, 0.5, 0.9, 1.0], [0, 1, 0, 1, 1]))
    assert low == pytest.approx(logit(0.01), rel=1e-15)
    assert high == pytest.approx(logit(0.95), rel=1e-14)


def test_a_side_without_certain_scores_has_no_limit():
    stats = ScoreStats.from_arrays([0.0, 0.02, 0.5, 0.9], [0, 1, 0, 1])
    assert certain_limits(stats)[1] is None
    assert certain_limits(ScoreStats.from_arrays([0.1, 0.9], [0, 1])) == (None, None)


def test_a_side_with_nothing_between_takes_the_other_sides_limit():
    low, high = certain_limits(ScoreStats.from_arrays([0.0, 0.9, 0.98, 1.0], [0, 1, 0, 1]))
    assert low == pytest.approx(logit(0.01), rel=1e-12)
    assert high == pytest.approx(logit(0.99), rel=1e-12)


def test_certain_scores_alone_and_logits_keep_the_clip():
    assert certain_limits(ScoreStats.from_arrays([0.0, 1.0, 1.0], [0, 1, 0])) == (None, None)
    logits = ScoreStats.from_arrays([-np.inf, 1.0, np.inf], [0, 1, 0], logits=True)
    assert certain_limits(logits) == (None, None)


def test_scores_of_weight_zero_set_no_limit():
    stats = ScoreStats.from_arrays([0.0, 1e-9, 0.3, 0.8], [0, 0, 1, 0], np.array([0, 0, 2, 1]))
    assert certain_limits(stats) == (None, None)


@pytest.mark.parametrize("method", LIMITED)
def test_the_limit_holds_at_fit_and_at_apply(method):
    rng = np.random.default_rng(0)
    p = np.round(rng.beta(0.3, 0.3, 3000), 2)
    y = rng.random(3000) < 0.1 + 0.8 * p
    fitted = CALIBRATORS[method].fit(ScoreStats.from_arrays(p, y))
    moved = np.where(p == 0, 0.005, np.where(p == 1, 0.995, p))
    same = CALIBRATORS[method].fit(ScoreStats.from_arrays(moved, y))
    grid = np.linspace(0.005, 0.995, 199)
    assert calibrate(fitted, grid, logits=False) == pytest.approx(
        calibrate(same, grid, logits=False), rel=1e-9
    )
    ends = calibrate(fitted, np.array([0.0, 0.005, 0.995, 1.0]), logits=False)
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)
    assert ends[2] == pytest.approx(ends[3], rel=1e-12)


@pytest.mark.parametrize("method", ["temperature", "platt"])
def test_two_decimals_cost_next_to_nothing(method):
    """Rounding to two decimals moves a probability by 0.005, not a fit by the clip's 34.5."""
    rng = np.random.default_rng(1)
    z = 4 * rng.standard_normal(20_000)
    p = 1 / (1 + np.exp(-z))
    y = rng.random(20_000) < 1 / (1 + np.exp(-z / 2))
    losses = []
    for scores in (p, np.round(p, 2)):
        fitted = CALIBRATORS[method].fit(ScoreStats.from_arrays(scores, y))
        q = calibrate(fitted, scores, logits=False)
        losses.append(-np.mean(np.log(np.where(y, q, 1 - q))))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
