"""Net benefit with intervals: by its definition, beside the bootstrap, and that they hold."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.metrics.further.net_benefit import Benefit, net_benefit, over_all, useful
from calibcli.core.statistics.stats import ScoreStats

AT = np.array([0.0, 0.05, 0.2, 0.5, 0.8])


def rows(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    p = rng.beta(0.6, 2.0, n)
    return np.round(p, 2), (rng.random(n) < p).astype(int)


def plain(score: np.ndarray, label: np.ndarray, t: float, *, everyone: bool = False) -> float:
    on = np.ones(len(score), bool) if everyone else score >= t
    return float((on & (label == 1)).mean() - (on & (label == 0)).mean() * t / (1 - t))


def test_values_are_those_of_vickers_and_elkin():
    score, label = rows(np.random.default_rng(0), 500)
    stats = ScoreStats.from_arrays(score, label)
    model, over = net_benefit(stats, AT, 0.95), over_all(stats, AT, 0.95)
    for k, t in enumerate(AT.tolist()):
        mine = plain(score, label, t)
        assert model.value[k] == pytest.approx(mine, abs=1e-12)
        assert over.value[k] == pytest.approx(
            mine - plain(score, label, t, everyone=True), abs=1e-12
        )
    assert over.value[0] == 0.0  # at 0 the scores act on every row too


@pytest.mark.parametrize("size", [1, 8])
def test_intervals_are_about_those_of_the_bootstrap(size):
    rng = np.random.default_rng(1)
    unit = np.repeat(np.arange(60), 8) if size > 1 else np.arange(480)
    hard = rng.normal(0, 0.8, 480)[unit]
    logit = rng.normal(-1, 1.5, 480)
    label = (rng.random(480) < 1 / (1 + np.exp(-logit - hard))).astype(int)
    score = 1 / (1 + np.exp(-logit))
    cluster = unit if size > 1 else None
    stats = ScoreStats.from_arrays(score, label, cluster=cluster)
    found = net_benefit(stats, np.array([0.3]), 0.95), over_all(stats, np.array([0.3]), 0.95)
    units = np.unique(unit)
    members = [np.flatnonzero(unit == one) for one in units]
    drawn = []
    for _ in range(800):
        at = np.concatenate([members[one] for one in rng.integers(0, len(units), len(units))])
        mine = plain(score[at], label[at], 0.3)
        drawn.append((mine, mine - plain(score[at], label[at], 0.3, everyone=True)))
    for k, one in enumerate(found):
        width = float(one.high[0] - one.low[0])
        low, high = np.quantile([pair[k] for pair in drawn], [0.025, 0.975])
        assert width == pytest.approx(high - low, rel=0.2)
        assert one.low[0] < one.value[0] < one.high[0]


def test_the_intervals_hold_the_truth():
    rng = np.random.default_rng(2)
    score, label = rows(rng, 400_000)
    truth = [plain(score, label, t) for t in AT[1:]]
    gain = [
        true - plain(score, label, t, everyone=True) for true, t in zip(truth, AT[1:], strict=True)
    ]
    held = np.zeros((2, len(truth)))
    for _ in range(300):
        stats = ScoreStats.from_arrays(*rows(rng, 300))
        for k, (one, true) in enumerate(((net_benefit, truth), (over_all, gain))):
            found = one(stats, AT[1:], 0.95)
            held[k] += (found.low <= true) & (true <= found.high)
    assert (held / 300 >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 300)).all()


def test_useful_ranges():
    low = np.array([-1.0, 1.0, 1.0, -1.0, 1.0])
    one = Benefit(low, low, low)
    ones = Benefit(*(np.ones(5) for _ in range(3)))
    assert useful(one, ones, AT) == [(0.05, 0.2), (0.8, 0.8)]
    assert useful(ones, ones, AT) == [(0.0, 0.8)]
    assert useful(Benefit(-low, -low, -low), one, AT) == []
