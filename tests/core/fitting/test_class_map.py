from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from calibcli.core.calibrators import Identity, Temperature, Vector
from calibcli.core.calibrators.classes.rows import Batches, RowBatch
from calibcli.core.fitting.class_map import SCORES, class_map
from calibcli.core.fitting.problems import cross_fit_rows

FOLDS = 5


def fitted(kind, name, seed, *, n=500, size=1, heat=1.7):
    """A fit on log-probabilities of three classes and its folds; `size` rows of a bucket agree."""
    rng = np.random.default_rng(seed)
    z = np.repeat(2 * rng.standard_normal((n // size, 3)), size, axis=0)
    y = np.repeat((z[::size] / heat + rng.gumbel(size=(n // size, 3))).argmax(axis=1), size)
    bucket = np.repeat(rng.integers(0, 60, n // size), size).astype(np.uint8)
    log_p = np.log(softmax(z, axis=1))

    rows = Batches([RowBatch(log_p, True, y, None, None, bucket)], 3, logits=True)
    return kind.fit(rows), cross_fit_rows(rows, name, folds=FOLDS)


def points(kind, name, seed, **options):
    whole, folds = fitted(kind, name, seed, **options)
    return class_map(whole, folds, 3, logits=False)


def true_map(p, heat):
    other = np.log((1 - p) / 2)
    return softmax(np.stack([np.log(p), other, other]) / heat, axis=0)[0]


def test_points_are_the_map_where_the_others_share_the_rest():
    ((name, found),) = points(Temperature, "temperature", 0)
    assert name is None
    whole, _ = fitted(Temperature, "temperature", 0)
    expected = true_map(np.array(SCORES), whole.temperature)
    assert [point.probability for point in found] == pytest.approx(expected.tolist())
    assert all(point.low < point.probability < point.high for point in found)


def test_the_interval_is_the_jackknife_of_the_folds():
    whole, folds = fitted(Temperature, "temperature", 1)
    ((_, found),) = class_map(whole, folds, 3, logits=False)
    place = SCORES.index(0.7)
    each = np.array([logit(true_map(np.array([0.7]), one.temperature))[0] for one in folds])
    error = np.sqrt((FOLDS - 1) / FOLDS * ((each - each.mean()) ** 2).sum())
    centre = logit(true_map(np.array([0.7]), whole.temperature))[0]
    assert found[place].high == pytest.approx(expit(centre + 2.7764451 * error))  # t with 4 df
    assert found[place].low == pytest.approx(expit(centre - 2.7764451 * error))


@pytest.mark.parametrize("size", [1, 5])
def test_the_true_map_is_held_nineteen_times_in_twenty(size):
    truth, held, runs = true_map(np.array([0.7]), 1.7)[0], 0, 60
    for seed in range(runs):
        ((_, found),) = points(Temperature, "temperature", seed, size=size, n=600)
        point = found[SCORES.index(0.7)]
        held += point.low <= truth <= point.high
    assert held / runs >= 0.87


def test_vector_scaling_has_a_map_for_each_class_and_logits_of_it_none():
    found = points(Vector, "vector", 0)
    assert [k for k, _ in found] == [0, 1, 2]
    assert len({tuple(point.probability for point in one) for _, one in found}) == 3
    whole, folds = fitted(Vector, "vector", 0)
    assert class_map(whole, folds, 3, logits=True) == []
    assert class_map(whole, folds, 21, logits=False) == []
    assert class_map(Identity(), (), 3, logits=False) == []


def test_without_a_level_there_are_no_intervals():
    whole, folds = fitted(Temperature, "temperature", 0)
    ((_, found),) = class_map(whole, folds, 3, logits=False, confidence=None)
    assert {(point.low, point.high) for point in found} == {(None, None)}
