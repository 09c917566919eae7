from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.tasks.detection.matching import by_rank, iou
from calibcli.tasks.detection.nms import keep, rivals


def plain_nms(box, score, group, limit):
    """Greedy, in the order of the scores, equal ones in the order of the input."""
    kept = []
    for i in sorted(range(len(box)), key=lambda i: -score[i]):
        rivals_ = [j for j in kept if group[j] == group[i]]
        if all(iou(box[[i]], box[[j]])[0] <= limit for j in rivals_):
            kept.append(i)
    return sorted(kept)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.9, 1.0]))
def test_nms_is_the_plain_one_on_random_boxes_with_ties(seed, limit):
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 45)
    group = rng.integers(0, 3, n)
    box = np.c_[rng.integers(0, 8, (n, 2)), rng.integers(0, 8, (n, 2))].astype(float)
    score = rng.integers(0, 6, n) / 5
    order = by_rank(group, score)
    found = rivals(group[order], box[order], above=min(limit, 0.2))
    stays = keep(found, limit, n)
    assert sorted(order[stays].tolist()) == plain_nms(box, score, group, limit)


def test_each_box_may_have_a_limit_of_its_own():
    box = np.array([[0, 0, 10, 10], [0, 0, 10, 8]] * 2, float)
    pairs = rivals(np.array([0, 0, 1, 1]), box, above=0.5)
    assert pairs.iou.tolist() == [pytest.approx(0.8)] * 2
    assert keep(pairs, np.array([0.5, 0.5, 0.9, 0.9]), 4).tolist() == [True, False, True, True]


def test_a_chain_of_overlaps_keeps_every_second_box():
    box = np.array([[i * 4, 0, 10, 10] for i in range(60)], float)
    stays = keep(rivals(np.zeros(60, int), box, above=0.3), 0.3, 60)
    assert stays.tolist() == [True, False] * 30
