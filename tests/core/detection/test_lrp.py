from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.core.detection.lrp import LrpCurve, bucket_residuals


def plain(score, right, iou, objects, tau, threshold):
    """The definition of Oksuz et al. (2021), equation 4."""
    kept = score >= threshold
    tp, fp = int((kept & right).sum()), int((kept & ~right).sum())
    fn = objects - tp
    off = sum((1 - v) / (1 - tau) for v in iou[kept & right])
    return (off + fp + fn) / (tp + fp + fn)


@given(st.integers(0, 2**32 - 1))
def test_lrp_is_its_definition_at_every_score(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 30)
    score = np.sort(rng.integers(0, 8, n) / 7)[::-1]
    right = rng.uniform(size=n) < 0.6
    iou = np.where(right, rng.uniform(0.5, 1, n), 0)
    objects = int(right.sum()) + int(rng.integers(1, 5))
    curve = LrpCurve.of(score, right, iou, objects, 0.5)
    expected = [plain(score, right, iou, objects, 0.5, t) for t in curve.score]
    assert curve.value == pytest.approx(expected)
    for t in (0.0, 0.3, 0.5, 1.0):
        found = curve.at(curve.place(t))["value"]
        assert found == pytest.approx(plain(score, right, iou, objects, 0.5, t))
    best = curve.best()
    assert curve.at(best)["value"] == pytest.approx(min([*expected, 1.0]))


def test_parts_add_up():
    score = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, True])
    iou = np.array([0.9, 0.7, 0.0, 0.6])
    curve = LrpCurve.of(score, right, iou, 5, 0.5)
    at = curve.at(3)
    assert at["localisation"] == pytest.approx((0.1 + 0.3 + 0.4) / 3)
    assert at["false"] == pytest.approx(1 / 4)
    assert at["missed"] == pytest.approx(2 / 5)
    assert at["value"] == pytest.approx((0.8 / 0.5 + 1 + 2) / 6)
    assert curve.at(None) == {"value": 1.0, "localisation": None, "false": None, "missed": 1.0}


def test_residuals_of_buckets_sum_to_nothing_and_tell_who_errs():
    right, iou = np.array([True, True, False]), np.array([1.0, 1.0, 0.0])
    bucket, objects = np.array([0, 1, 1]), np.array([1, 1, 1])
    value = (1 + 1) / 4  # one false, one missed, of four
    found = bucket_residuals(np.ones(3, bool), right, iou, bucket, objects, 0.5, value)
    assert found.sum() == pytest.approx(0)
    assert found.tolist() == pytest.approx([-0.5 / 4, (1 - 0.5 * 2) / 4, (1 - 0.5) / 4])
