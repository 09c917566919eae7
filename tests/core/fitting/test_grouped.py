from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.calibrators import Platt, Temperature, calibrator_from_dict
from calibcli.core.calibrators.classes.one_vs_rest import OneVsRest
from calibcli.core.calibrators.composed.grouped import Grouped, GroupMap
from calibcli.core.numeric.scales import softmax
from calibcli.errors import InputError


def example(**options):
    groups = {
        "a": GroupMap(Platt(-2.0, 0.0), 100, (1.0,)),
        "b": GroupMap(Platt(-3.0, 0.0), 50, (0.5,)),
        "c": GroupMap(None, 4, (0.0,), "one label only"),
    }
    return Grouped("camera", Platt(-1.0, 0.0), groups, **options)


def test_each_row_has_the_map_of_its_group():
    z = np.array([0.3, 0.3, 0.3, 0.3])
    codes, values = np.array([0, 1, 2, 3]), ["a", "b", "c", "new"]
    found = example().calibrate(z, codes, values, logits=True)
    slopes = [2.0, 0.5 * 3.0 + 0.5 * 1.0, 1.0, 1.0]
    assert found == pytest.approx([1 / (1 + np.exp(-s * 0.3)) for s in slopes])


def test_scores_are_left_as_they_were():
    from calibcli.core.calibrators import Identity

    scores = np.array([0.2, 0.9])
    one = Grouped("g", Identity(), {"a": GroupMap(Platt(-2.0, 0.0), 10, (1.0,))})
    one.calibrate(scores, np.array([0, 0]), ["a"], logits=False)
    assert scores.tolist() == [0.2, 0.9]


def test_rows_of_classes_sum_to_one_and_shrink_the_inverse_temperature():
    z = np.array([[1.0, 0.0, -1.0], [2.0, 2.0, 0.0]])
    groups = {"a": GroupMap(Temperature(0.5), 10, (0.25,))}
    one = Grouped("g", Temperature(2.0), groups, exclusive=True)
    found = one.calibrate(z, np.array([0, 0]), ["a"], logits=True)
    assert found == pytest.approx(softmax(z * (0.25 / 0.5 + 0.75 / 2.0)))


def test_each_label_has_a_weight_of_its_own():
    own = OneVsRest((Platt(-2.0, 0.0), Platt(-2.0, 0.0)), normalize=False)
    overall = OneVsRest((Platt(-1.0, 0.0), Platt(-1.0, 0.0)), normalize=False)
    one = Grouped("g", overall, {"a": GroupMap(own, 10, (1.0, 0.0))})
    found = one.calibrate(np.array([[0.5, 0.5]]), np.array([0]), ["a"], logits=True)
    assert found == pytest.approx(1 / (1 + np.exp([[-1.0, -0.5]])))


def test_unseen_values_are_counted():
    assert example().unseen(np.array([0, 3, 3, -1]), ["a", "b", "c", "new"]) == 3


def test_json_round_trip_is_exact():
    one = example(prior_rows=30.0, notes=("n",))
    again = calibrator_from_dict(json.loads(json.dumps(one.to_dict())))
    assert again.to_dict() == one.to_dict()


def test_without_groups_it_refuses():
    with pytest.raises(InputError, match="camera"):
        example().apply(np.array([0.1]))
