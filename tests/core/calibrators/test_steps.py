from __future__ import annotations

import itertools

import numpy as np
import pytest

from calibcli.core.calibrators import (
    Beta,
    Dirichlet,
    Identity,
    Isotonic,
    Matrix,
    OneVsRest,
    Platt,
    Temperature,
    Vector,
    calibrate,
)
from calibcli.core.calibrators.composed.pooling import log_pool, log_pool_rows
from calibcli.core.statistics.stats import ScoreStats

BINARY = [Identity(), Temperature(2.0), Platt(-0.7, 0.4), Beta(0.5, 1.5, -0.3)]
ROWS = [
    Identity(),
    Temperature(1.7),
    Vector(np.array([0.5, 1.0, 1.5]), np.array([0.3, -0.2, 0.0])),
    Matrix(np.array([[1.0, 0.1, 0, 0.2], [0, 0.9, 0.2, 0], [-0.1, 0, 0.8, -0.3]]), 1.0),
]
LOGS = [ROWS[0], ROWS[1], Dirichlet(ROWS[3].theta, 1.0)]


@pytest.mark.parametrize("step", [0.25, 0.5, 0.9])
@pytest.mark.parametrize(("old", "new"), list(itertools.product(BINARY, BINARY)))
def test_a_step_is_the_weighted_mean_of_the_logits(old, new, step):
    z = np.linspace(-6, 6, 41)
    between = old.toward(new, step)
    ends = [calibrate(one, z, logits=True) for one in (new, old)]
    wanted = log_pool(ends, (step, 1 - step))
    assert calibrate(between, z, logits=True) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(
    ("old", "new"), [*itertools.product(ROWS, ROWS), *itertools.product(LOGS, LOGS)]
)
def test_of_several_classes_too(old, new):
    z = np.random.default_rng(0).normal(0, 2, (50, 3))
    between = old.toward(new, 0.3)
    ends = [calibrate(one, z, logits=True) for one in (new, old)]
    wanted = log_pool_rows(ends, (0.3, 0.7))
    assert calibrate(between, z, logits=True) == pytest.approx(wanted, rel=1e-9)


def test_the_whole_way_is_the_new_map_whatever_it_is():
    new = Isotonic.fit(ScoreStats.from_arrays([0.1, 0.2, 0.7, 0.8], [0, 1, 0, 1]))
    assert Platt(-1.0, 0.0).toward(new, 1.0) is new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (Isotonic.fit(ScoreStats.from_arrays([0.1, 0.7], [0, 1])), Platt(-1.0, 0.0)),
        (Platt(-1.0, 0.0), Isotonic.fit(ScoreStats.from_arrays([0.1, 0.7], [0, 1]))),
        (ROWS[2], Dirichlet(ROWS[3].theta, 1.0)),
        (ROWS[3], Dirichlet(ROWS[3].theta, 1.0)),
        (Vector(np.ones(4), np.zeros(4)), ROWS[2]),
        (Platt(-1.0, 0.0), ROWS[2]),
        # Half way between these, probabilities would fall with the score on one side only.
        (Platt(3.0, 0.0), Beta(0.5, 1.0, 0.0)),
    ],
)
def test_maps_without_common_parameters_have_no_half_way(old, new):
    assert old.toward(new, 0.5) is None


def test_one_map_a_class():
    old = OneVsRest((Platt(-1.0, 0.0), Temperature(2.0)), normalize=False)
    new = OneVsRest((Platt(-2.0, 1.0), Temperature(4.0)), normalize=False)
    first, second = old.toward(new, 0.5).calibrators
    assert (first.a, first.b) == (-1.5, 0.5)
    assert second.temperature == pytest.approx(1 / 0.375)
    assert old.toward(OneVsRest(new.calibrators, normalize=True), 0.5) is None
    free = Isotonic.fit(ScoreStats.from_arrays([0.1, 0.7], [0, 1]))
    assert old.toward(OneVsRest((free, Temperature(2.0)), normalize=False), 0.5) is None


def test_certain_scores_are_read_as_the_new_map_reads_them():
    new = Platt(-2.0, 0.0, limits=(-5.0, 5.0))
    assert Platt(-1.0, 0.0, limits=(-9.0, 9.0)).toward(new, 0.5).limits == (-5.0, 5.0)
