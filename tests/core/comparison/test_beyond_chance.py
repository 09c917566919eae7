"""Changes of one group that chance does not explain."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.comparison.beyond_chance import (
    auc_beyond,
    odds_beyond,
    psi_beyond,
    rate_beyond,
)
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats

LEVEL = 0.95
stats_of = ScoreStats.from_arrays


def sample(rng, n, *, level=0.0, slope=1.0, cluster=1):
    z = rng.normal(-0.5, 1.5, n)
    label = (rng.random(n) < expit(slope * z + level)).astype(int)
    return stats_of(np.round(expit(z), 2).repeat(cluster), label.repeat(cluster))


def test_woolf_by_hand():
    before = stats_of(np.full(100, 0.5), np.r_[np.ones(20, int), np.zeros(80, int)])
    now = stats_of(np.full(100, 0.5), np.r_[np.ones(60, int), np.zeros(40, int)])
    log = np.log(60.5 / 40.5) - np.log(20.5 / 80.5)
    error = np.sqrt(1 / 20.5 + 1 / 80.5 + 1 / 60.5 + 1 / 40.5)
    assert odds_beyond(before, now, LEVEL) == pytest.approx(np.exp(log - 1.959964 * error))
    assert odds_beyond(now, before, LEVEL) == odds_beyond(before, now, LEVEL)
    share = np.diff([20.5 / 101, 60.5 / 101])[0]
    spread = sum(p * (1 - p) / 100 for p in (20.5 / 101, 60.5 / 101))
    wanted = share - 1.959964 * np.sqrt(spread)
    assert rate_beyond(before, now, LEVEL) == pytest.approx(wanted)


@pytest.mark.parametrize("change", [auc_beyond, odds_beyond, rate_beyond, psi_beyond])
def test_chance_alone_is_no_change(change):
    """A one-sided 97.5 % end lies beyond no change in some 5 % of draws: both sides count."""
    rng = np.random.default_rng(0)
    none = 1.0 if change is odds_beyond else 0.0
    found = [change(sample(rng, 300), sample(rng, 120), LEVEL) > none for _ in range(200)]
    assert np.mean(found) <= 0.085


@pytest.mark.parametrize(
    ("change", "least", "options"),
    [
        (auc_beyond, 0.2, {"slope": -1.0}),
        (odds_beyond, 2.0, {"level": 2.0}),
        (rate_beyond, 0.1, {"level": 2.0}),
    ],
)
def test_a_change_is_seen(change, least, options):
    rng = np.random.default_rng(1)
    assert change(sample(rng, 1000), sample(rng, 400, **options), LEVEL) > least


def test_one_label_has_no_auc():
    rng = np.random.default_rng(2)
    assert auc_beyond(sample(rng, 50), stats_of(np.full(9, 0.5), np.ones(9, int)), LEVEL) is None
