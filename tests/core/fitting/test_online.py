"""Platt scaling online: against the update as the paper has it, and the line that it nears."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import CALIBRATORS
from calibcli.core.fitting.online import GAMMA, RADIUS, RHO, OnlinePlatt, _inside, _rows
from calibcli.core.numeric.scales import expit
from calibcli.core.statistics.stats import ScoreStats


def pairs(seed, n, slope=0.6, level=0.4):
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.5, 1.5, n)
    label = rng.random(n) < expit(slope * z + level)
    return np.round(expit(z), 3), label


def test_the_steps_are_those_of_the_paper():
    stats = ScoreStats.from_arrays(*pairs(0, 300))
    theta, matrix = np.array([1.0, 0.0]), RHO * np.eye(2)
    for z, label, weight in zip(*_rows(stats, 5), strict=True):
        assert weight == 1
        x = np.array([z, 1.0])
        gradient = (expit(theta @ x) - label) * x
        matrix += np.outer(gradient, gradient)
        theta = theta - np.linalg.solve(matrix, gradient) / GAMMA
    found = OnlinePlatt().after(stats, 5)
    assert (found.slope, found.level) == pytest.approx(tuple(theta), rel=1e-9)
    assert [found.a, found.b, found.c] == pytest.approx([matrix[0, 0], matrix[0, 1], matrix[1, 1]])


def test_every_row_is_one_step_whatever_the_cells():
    score, label = pairs(1, 400)
    logits, labels, _ = _rows(ScoreStats.from_arrays(score, label), 0)
    assert sorted(zip(np.round(expit(np.array(logits)), 3), labels, strict=True)) == sorted(
        zip(score, label.astype(float), strict=True)
    )
    weight = np.random.default_rng(0).uniform(0.1, 3.0, 400)
    _, _, weights = _rows(ScoreStats.from_arrays(score, label, weight), 0)
    assert 0 < sum(weights) < 400, "as many rows as the weights are worth"


def test_what_it_costs_comes_near_to_the_best_line():
    """The regret of the paper grows with the logarithm of the rows."""
    score, label = pairs(2, 20_000)
    line, loss = OnlinePlatt(), 0.0
    for part in np.array_split(np.arange(20_000), 200):
        p = line.calibrator.apply(np.log(score[part] / (1 - score[part])))
        loss -= np.log(np.where(label[part], p, 1 - p)).sum()
        line = line.after(ScoreStats.from_arrays(score[part], label[part]), int(part[0]))
    best = CALIBRATORS["platt"].fit(ScoreStats.from_arrays(score, label))
    p = best.apply(np.log(score / (1 - score)))
    regret = loss + np.log(np.where(label, p, 1 - p)).sum()
    assert 0 < regret < 60
    assert line.slope == pytest.approx(0.6, abs=0.08)
    assert line.level == pytest.approx(0.4, abs=0.08)


def test_a_line_stays_in_the_ball():
    theta, matrix = np.array([120.0, 30.0]), np.array([[400.0, 30.0], [30.0, 90.0]])
    found = np.array(_inside(*theta, 400.0, 30.0, 90.0))
    assert np.linalg.norm(found) == pytest.approx(RADIUS)

    def far(x):
        return (x - theta) @ matrix @ (x - theta)

    around = [RADIUS * np.array([np.cos(t), np.sin(t)]) for t in np.linspace(0, 2 * np.pi, 2000)]
    assert far(found) <= min(far(x) for x in around) + 1e-6


def test_separable_and_certain_scores_break_nothing():
    stats = ScoreStats.from_arrays([0.0, 0.0, 1.0, 1.0] * 200, [0, 0, 1, 1] * 200)
    found = OnlinePlatt().after(stats)
    assert np.isfinite([found.slope, found.level]).all()
    wrong = found.after(ScoreStats.from_arrays([0.0, 1.0] * 200, [1, 0] * 200))
    assert np.hypot(wrong.slope, wrong.level) <= RADIUS + 1e-6
    assert wrong.slope < found.slope
