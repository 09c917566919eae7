from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.detection.box_calibration import BINS, COLUMNS, box_calibration


def plain(score, right, place, columns, side):
    """Kuppers et al. (2020), equation 9, bins of fewer than eight left out."""
    at = np.column_stack([score, *(place[:, c] for c in columns)])
    index = np.clip(np.ceil(at * side) - 1, 0, side - 1).astype(int)
    total = kept = 0.0
    for cell in {tuple(row) for row in index.tolist()}:
        mine = (index == cell).all(axis=1)
        if mine.sum() >= 8:
            kept += mine.sum()
            total += mine.sum() * abs(right[mine].mean() - score[mine].mean())
    return total / kept, kept / len(score)


@pytest.mark.parametrize("name", BINS)
def test_d_ece_is_its_definition(name):
    rng = np.random.default_rng(5)
    n = 6000
    score, place = rng.beta(2, 2, n), rng.beta(2, 2, (n, 4))
    right = rng.uniform(size=n) < np.clip(score * (0.6 + 0.6 * place[:, 0]), 0, 1)
    made = box_calibration(name, score, right, place, np.arange(n) % 64, confidence=0.95)
    value, share = plain(score, right, place, COLUMNS[name], BINS[name])
    assert made.value == pytest.approx(value)
    assert made.share == pytest.approx(share)
    assert made.low <= made.value <= made.high


def test_scores_that_lie_only_left_and_right_are_caught_by_position_alone():
    rng = np.random.default_rng(6)
    n = 20_000
    score, place = np.full(n, 0.5), rng.uniform(size=(n, 4))
    right = rng.uniform(size=n) < np.where(place[:, 0] < 0.5, 0.2, 0.8)
    found = {
        name: box_calibration(name, score, right, place, np.arange(n) % 64, confidence=0.9)
        for name in BINS
    }
    assert abs(right.mean() - 0.5) < 0.02
    assert found["ece_position"].low > 0.25
    assert found["ece_size"].low < 0.05


def test_an_interval_of_calibrated_boxes_reaches_down_to_nothing():
    rng = np.random.default_rng(7)
    n, low = 3000, []
    for _ in range(20):
        score, place = rng.beta(2, 2, n), rng.uniform(size=(n, 4))
        right = rng.uniform(size=n) < score
        made = box_calibration("ece_size", score, right, place, np.arange(n) % 64, confidence=0.95)
        low.append(made.low)
    assert np.mean(np.array(low) == 0.0) >= 0.85


def test_few_boxes_have_no_bin():
    few = np.full(7, 0.5)
    made = box_calibration(
        "ece_box", few, few > 0, np.tile(few[:, None], 4), np.arange(7), confidence=0.95
    )
    assert (made.value, made.share) == (None, 0.0)
