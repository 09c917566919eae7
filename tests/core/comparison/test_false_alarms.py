"""How often chance looks like a difference, where 200 draws of docs/reliability.md show much.

Shares of 200 draws are 1.5 % off by chance alone, and some of sixty are by more.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.false_alarms import binary, sample
from calibcli.core.comparison.change import recalibration_changes
from calibcli.core.comparison.drift import jensen_shannon, ks, psi
from calibcli.core.comparison.paired import influences
from calibcli.core.metrics import intervals
from calibcli.core.metrics.binary import View
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.keys import probability_keys
from calibcli.core.statistics.stats import ScoreStats

pytestmark = pytest.mark.slow
DRAWS, MOST = 600, 0.07
BINNING = Binning("width", 15, "right")
NAMES = ("calibration_slope", "calibration_intercept", "oe_ratio")


def judged(scores, label):
    """Return the figures of a model, and what each row adds to them."""
    view = View(ScoreStats.from_arrays(scores, label), BINNING)
    found = intervals.measure(view, confidence=None, seed=0, names=NAMES)
    rows = influences(view, NAMES).at(probability_keys(scores), label.astype(bool))
    return np.array([found[name][0] for name in NAMES]), rows


def test_two_honest_models_differ_as_often_as_is_promised():
    rng, apart = np.random.default_rng(7), np.zeros(len(NAMES))
    for _ in range(DRAWS):
        first, second, label = binary(rng, 1000, 1.5, 1.5)
        (a, on_a), (b, on_b) = judged(first, label), judged(second, label)
        apart += np.abs(b - a) > 1.96 * np.sqrt(((on_b - on_a) ** 2).sum(axis=0))
    assert np.all(apart <= MOST * DRAWS), dict(zip(NAMES, apart / DRAWS, strict=True))


@pytest.mark.parametrize(("n", "level"), [(1000, -5.5), (2000, 0.0)])
def test_scores_of_one_population_have_moved_as_often_as_is_promised(n, level):
    rng, moved, turned = np.random.default_rng(7), np.zeros(3), 0
    for _ in range(DRAWS):
        sides = [ScoreStats.from_arrays(*sample(rng, n, level)[:2]) for _ in range(2)]
        moved += [measure(*sides).p < 0.05 for measure in (psi, jensen_shannon, ks)]
        slope = recalibration_changes(*sides, 0.95)["slope"]
        turned += not slope.low <= 0.0 <= slope.high
    assert np.all(moved <= MOST * DRAWS), moved / DRAWS
    assert turned <= MOST * DRAWS, turned / DRAWS
