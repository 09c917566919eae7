"""The ends of a probability that is made of several maps, where each map knows its own exactly."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.calibrators import Grouped, OneVsRest, VennAbers
from calibcli.core.calibrators.composed.grouped import GroupMap
from calibcli.core.calibrators.evidence import array
from calibcli.core.fitting.both_labels import both_by_group

SCORES = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
CODES = np.array([0, 0])


def constant(low: float, high: float | None = None) -> VennAbers:
    top = low if high is None else high
    return VennAbers(array([0.0]), array([low]), array([1.0]), array([top]))


def grouped(own: OneVsRest, weight: float) -> Grouped:
    overall = OneVsRest(tuple(map(constant, (0.5, 0.3, 0.2))))
    return Grouped("site", overall, {"a": GroupMap(own, 100.0, (weight,))}, exclusive=True)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_exact_maps_of_classes_by_group_leave_no_interval(weight):
    one = grouped(OneVsRest(tuple(map(constant, (0.8, 0.1, 0.1)))), weight)
    p = one.calibrate(SCORES, CODES, ("a",), logits=False)
    low, high = both_by_group(one, SCORES, CODES, ("a",), logits=False)
    np.testing.assert_allclose(low, p, rtol=1e-12)
    np.testing.assert_allclose(high, p, rtol=1e-12)


def test_a_group_whose_map_is_all_its_own_has_the_ends_of_that_map():
    own = OneVsRest((constant(0.7, 0.9), constant(0.1, 0.2), constant(0.05, 0.1)))
    low, high = both_by_group(grouped(own, 1.0), SCORES, CODES, ("a",), logits=False)
    np.testing.assert_allclose(low[:, 0], 0.7 / (0.7 + 0.2 + 0.1), rtol=1e-12)
    np.testing.assert_allclose(high[:, 0], 0.9 / (0.9 + 0.1 + 0.05), rtol=1e-12)
