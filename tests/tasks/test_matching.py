from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibcli.tasks.detection.matching import NEAR_ONE, by_rank, iou, match, overlaps, ranks


def plain_iou(a, b, crowd=False):
    wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    inside = wide * high
    union = a[2] * a[3] if crowd else a[2] * a[3] + b[2] * b[3] - inside
    return inside / union


def plain_matching(boxes, scores, truth, ignore, crowd, threshold):
    """COCOeval.evaluateImg, line by line, for one image and class."""
    order = sorted(range(len(boxes)), key=lambda i: -scores[i])
    objects = sorted(range(len(truth)), key=lambda g: ignore[g])
    taken, found = {}, {}
    for d in order:
        best, home = min(threshold, NEAR_ONE), -1
        for g in objects:
            if g in taken and not crowd[g]:
                continue
            if home > -1 and not ignore[home] and ignore[g]:
                break
            value = plain_iou(boxes[d], truth[g], crowd[g])
            if value < best:
                continue
            best, home = value, g
        if home > -1:
            taken[home] = d
            found[d] = home
    return found


@st.composite
def images(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n, g = rng.integers(0, 14), rng.integers(0, 9)
    box, truth = (
        np.c_[rng.integers(0, 6, (m, 2)), rng.integers(1, 6, (m, 2))].astype(float) for m in (n, g)
    )
    crowd = rng.uniform(size=g) < 0.2
    ignore = crowd | (rng.uniform(size=g) < 0.2)
    score = rng.integers(0, 5, n) / 4
    return (
        rng.integers(0, 3, n), box, score, rng.integers(0, 3, g), truth, ignore, crowd,
        float(rng.choice([0.1, 1 / 3, 0.5, 0.75, 1.0])),
    )  # fmt: skip


@given(images())
def test_matching_is_that_of_coco_on_random_boxes_with_ties(case):
    group, box, score, own, truth, ignore, crowd, threshold = case
    order, sort = by_rank(group, score), np.argsort(own, kind="stable")
    pairs = overlaps(
        group[order], box[order], own[sort], truth[sort], crowd[sort], least=min(threshold, 0.3)
    )
    found = match(pairs, ranks(group[order]), ignore[sort], crowd[sort], threshold)
    for one in range(3):
        mine, objects = np.flatnonzero(group == one), np.flatnonzero(own == one)
        expected = plain_matching(
            box[mine], score[mine], truth[objects], ignore[objects], crowd[objects], threshold
        )
        for place, i in enumerate(order):
            if group[i] != one:
                continue
            d = list(mine).index(i)
            if d not in expected:
                assert found.truth[place] == -1
                assert not found.right[place]
                continue
            home = objects[expected[d]]
            assert sort[found.truth[place]] == home
            assert found.dropped[place] == ignore[home]
            assert found.iou[place] == plain_iou(box[i], truth[home], crowd[home])


def test_iou_of_known_boxes():
    a = np.array([[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 1, 1], [3, 3, 0, 4]], float)
    b = np.array([[1, 0, 2, 2], [0, 0, 2, 2], [1, 0, 1, 1], [3, 3, 0, 4]], float)
    assert iou(a, b).tolist() == [pytest.approx(1 / 3), 1.0, 0.0, 0.0]
    assert iou(a[:1], b[:1], np.array([True])).tolist() == [0.5]


def test_overlaps_are_the_same_in_pieces(monkeypatch):
    rng = np.random.default_rng(3)
    group, own = np.sort(rng.integers(0, 20, 500)), np.sort(rng.integers(0, 20, 90))
    box, truth = (np.c_[rng.uniform(0, 9, (n, 2)), rng.uniform(1, 9, (n, 2))] for n in (500, 90))
    crowd = np.zeros(90, bool)
    whole = overlaps(group, box, own, truth, crowd, least=0.2)
    monkeypatch.setattr("calibcli.tasks.detection.matching._MOST_PAIRS", 7)
    pieces = overlaps(group, box, own, truth, crowd, least=0.2)
    for name in ("found", "truth", "iou"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name))
    assert len(whole.iou) > 100
