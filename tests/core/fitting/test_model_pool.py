from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit

from calibcli.core.calibrators import Identity, Platt, Temperature, calibrator_from_dict
from calibcli.core.calibrators.composed.model_pool import ModelPool, averaged
from calibcli.errors import InputError

SCORES = np.array([[0.2, 0.6], [0.9, 0.7], [0.5, 0.01]])


def test_averages_of_probabilities_and_of_logits():
    assert averaged(SCORES, "linear", logits=False) == pytest.approx(SCORES.mean(axis=1))
    expected = logit(SCORES).mean(axis=1)
    assert averaged(SCORES, "logit", logits=False) == pytest.approx(expected)
    assert averaged(logit(SCORES), "logit", logits=True) == pytest.approx(expected)
    assert averaged(logit(SCORES), "linear", logits=True) == pytest.approx(SCORES.mean(axis=1))


def test_average_first_is_one_map_of_the_average():
    one = ModelPool(("a", "b"), False, "average", "logit", (Platt(-2.0, 0.3),))
    expected = expit(2.0 * logit(SCORES).mean(axis=1) - 0.3)
    assert one.combine(SCORES, logits=False) == pytest.approx(expected)


def test_calibrate_first_is_the_average_of_maps():
    maps = (Platt(-2.0, 0.3), Temperature(0.5))
    one = ModelPool(("a", "b"), False, "calibrate", "linear", maps)
    first, second = logit(SCORES).T
    expected = (expit(2.0 * first - 0.3) + expit(2.0 * second)) / 2
    assert one.combine(SCORES, logits=False) == pytest.approx(expected)


def test_logits_give_the_same_as_probabilities():
    for first, maps in (("average", (Platt(-2.0, 0.3),)), ("calibrate", (Platt(-1.0, 0.1),) * 2)):
        for pool in ("linear", "logit"):
            one = ModelPool(("a", "b"), False, first, pool, maps)
            found = one.combine(logit(SCORES), logits=True)
            assert found == pytest.approx(one.combine(SCORES, logits=False), rel=1e-9)


def test_infinite_logits_of_opposite_sign_are_no_nan():
    one = ModelPool(("a", "b"), False, "average", "logit", (Platt(-1.0, 0.0),))
    assert one.combine(np.array([[np.inf, -np.inf]]), logits=True).tolist() == [0.5]


def test_json_round_trip_is_exact():
    one = ModelPool(("a", "b"), True, "calibrate", "logit", (Platt(-1 / 3, 0.1), Identity()))
    assert calibrator_from_dict(json.loads(json.dumps(one.to_dict()))) == one


@pytest.mark.parametrize(
    "change", [{"first": "guess"}, {"pool": "median"}, {"first": "calibrate"}, {"models": 3}]
)
def test_entries_that_do_not_fit_are_refused(change):
    one = ModelPool(("a", "b"), False, "average", "logit", (Identity(),))
    with pytest.raises(InputError):
        calibrator_from_dict(one.to_dict() | change)


def test_another_number_of_models_is_refused():
    one = ModelPool(("a", "b"), False, "average", "logit", (Identity(),))
    with pytest.raises(InputError, match="is needed"):
        one.combine(SCORES[:, :1], logits=False)
