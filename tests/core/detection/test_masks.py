from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.detection.masks import Masks, box_of, decoded, mask_iou

WIDE, HIGH = 53, 37


def drawn(runs):
    pixels = np.zeros(WIDE * HIGH, bool)
    for start, stop in zip(*runs, strict=True):
        pixels[start:stop] = True
    return pixels.reshape(WIDE, HIGH).T


def lengths(mask):
    """Return COCO's uncompressed run lengths of a drawn mask, by looking at every pixel."""
    flat = mask.T.ravel()
    counts, value = [0], False
    for pixel in flat.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return {"size": [HIGH, WIDE], "counts": counts}


def test_run_lengths_are_pixels_down_the_columns():
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = rng.random((HIGH, WIDE)) < rng.random()
        runs = decoded(lengths(mask), WIDE, HIGH)
        assert (drawn(runs) == mask).all()
        y, x = np.nonzero(mask)
        box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
        found = box_of(lengths(mask))
        assert found[0] == box[0]
        assert found[2] == box[2]
        assert (found[1], found[3]) in {(box[1], box[3]), (0, HIGH)}


def test_a_polygon_along_pixels_is_their_box():
    runs = decoded([[10, 5, 20, 5, 20, 15, 10, 15]], WIDE, HIGH)
    mask = drawn(runs)
    assert mask.sum() == 100
    assert mask[5:15, 10:20].all()
    assert box_of([[10, 5, 20, 5, 20, 15, 10, 15]]) == [10, 5, 10, 10]
    two = decoded([[10, 5, 20, 5, 20, 15, 10, 15], [15, 5, 30, 5, 30, 15, 15, 15]], WIDE, HIGH)
    assert drawn(two).sum() == 200


def test_overlaps_are_those_of_pixels():
    rng = np.random.default_rng(2)
    masks = [rng.random((HIGH, WIDE)) < share for share in rng.random(12)]
    masks.append(np.zeros((HIGH, WIDE), bool))
    held = Masks.of([decoded(lengths(one), WIDE, HIGH) for one in masks])
    assert held.area.tolist() == [int(one.sum()) for one in masks]
    i, j = (one.ravel() for one in np.indices((13, 13)))
    crowd = (i + j) % 3 == 0
    expected = [
        (masks[a] & masks[b]).sum() / max((masks[a] if c else masks[a] | masks[b]).sum(), 1)
        for a, b, c in zip(i, j, crowd, strict=True)
    ]
    assert mask_iou(held, i, held, j, crowd) == pytest.approx(expected, abs=1e-15)
    some = np.array([3, 12, 0])
    part = held.take(some)
    assert part.area.tolist() == held.area[some].tolist()
    assert mask_iou(part, np.arange(3), held, some, np.zeros(3, bool)).tolist() == [1, 0, 1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_polygons_and_texts_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(3)
    for _ in range(150):
        polygons = [
            rng.uniform(-4, 60, 2 * rng.integers(3, 9)).round(2).tolist()
            for _ in range(rng.integers(1, 3))
        ]
        held = coco.merge(coco.frPyObjects(polygons, HIGH, WIDE))
        mask = coco.decode(held).astype(bool)
        assert (drawn(decoded(polygons, WIDE, HIGH)) == mask).all()
        text = {"size": [HIGH, WIDE], "counts": held["counts"].decode()}
        assert (drawn(decoded(text, WIDE, HIGH)) == mask).all()
        assert box_of(text) == coco.toBbox(held).tolist()


@pytest.mark.parametrize(
    "segmentation",
    [
        None, [], "x", 7, {}, {"size": [HIGH, WIDE]}, {"size": [3, 3], "counts": [9]},
        {"size": [HIGH, WIDE], "counts": [-1, 2]}, {"size": [HIGH, WIDE], "counts": [10**9]},
        {"size": [HIGH, WIDE], "counts": "\x7f"}, {"size": [HIGH, WIDE], "counts": ["a"]},
        [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [["a", 1, 2, 3, 4, 5]],
        [[np.nan, 1, 2, 3, 4, 5]], {"size": "ab", "counts": [1]},
    ],
)  # fmt: skip
def test_what_is_no_mask_is_a_value_error(segmentation):
    with pytest.raises((ValueError, TypeError, OverflowError)):
        decoded(segmentation, WIDE, HIGH)
