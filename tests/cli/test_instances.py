"""`--masks`: instances matched by the masks that COCO's JSON has."""

from __future__ import annotations

import contextlib
import io
import json
import warnings

import numpy as np
import pytest

DETECTION = ("--task", "detection")
WIDE, HIGH = 60, 40


def polygon(rng):
    x, y = rng.uniform(5, 50), rng.uniform(5, 30)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 7))
    size = rng.uniform(4, 12, 7)
    corners = np.column_stack([x + size * np.cos(angle), y + size * np.sin(angle)])
    return np.clip(corners, 0, [WIDE, HIGH]).round(2)


@pytest.fixture
def scenes(tmp_path):
    rng = np.random.default_rng(6)
    images = [{"id": i, "width": WIDE, "height": HIGH} for i in range(1, 31)]
    objects, found = [], []
    for image in images:
        for _ in range(rng.integers(0, 4)):
            corners, kind = polygon(rng), int(rng.integers(1, 3))
            low, high = corners.min(0), corners.max(0)
            objects.append({
                "id": len(objects) + 1, "image_id": image["id"], "category_id": kind,
                "segmentation": [corners.ravel().tolist()], "iscrowd": 0,
                "bbox": [*low, *(high - low)], "area": float((high - low).prod()),
            })  # fmt: skip
            for _ in range(rng.integers(0, 3)):
                moved = np.clip(corners + rng.normal(0, 1.2, corners.shape), 0, [WIDE, HIGH])
                found.append({
                    "image_id": image["id"], "category_id": kind,
                    "segmentation": [moved.round(2).ravel().tolist()],
                    "score": round(float(rng.uniform(0.05, 0.95)), 3),
                })  # fmt: skip
    truth = {"images": images, "annotations": objects,
             "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}  # fmt: skip
    paths = tmp_path / "found.json", tmp_path / "truth.json"
    for path, content in zip(paths, (found, truth), strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_average_precision_of_masks_is_that_of_coco(scenes, good):
    found, truth = scenes
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        coco = pytest.importorskip("pycocotools.coco")
        evaluation = pytest.importorskip("pycocotools.cocoeval")
        masks = pytest.importorskip("pycocotools.mask")
        known = coco.COCO(str(truth))
        items = json.loads(found.read_text())
        for item in items:
            held = masks.merge(masks.frPyObjects(item["segmentation"], HIGH, WIDE))
            item["segmentation"] = {"size": [HIGH, WIDE], "counts": held["counts"].decode()}
        texts = found.with_name("texts.json")
        texts.write_text(json.dumps(items))
        made = evaluation.COCOeval(known, known.loadRes(str(texts)), "segm")
        made.evaluate()
        made.accumulate()
    precision = made.eval["precision"][:, :, :, 0, -1]
    result = good(
        "measure", found, *DETECTION, "--ground-truth", truth, "--masks", "--format", "json", "-q"
    ).json
    figures = result["overall"]["metrics"]
    assert result["params"]["masks"] is True
    again = good(
        "measure", texts, *DETECTION, "--ground-truth", truth, "--masks", "--format", "json", "-q"
    ).json["overall"]["metrics"]
    for name in ("ap", "ap_50_95", "lrp", "ece", "nll"):
        assert again[name] == figures[name]
    assert figures["ap"]["value"] == pytest.approx(precision[0].mean(), abs=1e-9)
    assert figures["ap_50_95"]["value"] == pytest.approx(precision.mean(), abs=1e-9)


def test_fit_and_threshold_match_masks_too(scenes, good, tmp_path):
    found, truth = scenes
    given = (found, *DETECTION, "--ground-truth", truth, "--masks")
    good("fit", *given, "--method", "platt", "-o", tmp_path / "c.json", "-q")
    chosen = good("threshold", *given, "--format", "json", "-q").json["thresholds"][0]
    table = good(
        "measure", *given, "--threshold", repr(chosen["threshold"]), "--format", "json", "-q"
    ).json["overall"]["confusion"][0]
    assert {k: table[k] for k in ("tp", "fp", "fn")} == {
        k: chosen["confusion"][k] for k in ("tp", "fp", "fn")
    }


def test_masks_that_are_not_there_are_told(scenes, calibcli, write):
    found, truth = scenes
    ran = calibcli("measure", found, *DETECTION, "--ground-truth", truth)
    assert (ran.code, "--masks matches masks" in ran.err) == (3, True)
    items = json.loads(found.read_text())
    for bad, said in (
        ({"segmentation": [[1, 2]]}, "fewer than three corners"),
        ({"segmentation": {"size": [3, 3], "counts": [9]}}, "3 x 3 pixels"),
        ({"segmentation": 5, "bbox": [1, 1, 2, 2]}, "neither run lengths nor polygons"),
    ):
        other = found.with_name("bad.json")
        other.write_text(json.dumps([{**items[0], **bad}]))
        ran = calibcli("measure", other, *DETECTION, "--ground-truth", truth, "--masks")
        assert (ran.code, said in ran.err) == (3, True), ran.err
    columns = {"image_id": [1], "class": ["cat"], "score": [0.5], "x": [1], "y": [1], "w": [2],
               "h": [2]}  # fmt: skip
    table = write("t.csv", columns)
    ran = calibcli("measure", table, *DETECTION, "--ground-truth", truth, "--masks")
    assert (ran.code, "masks are in COCO's JSON" in ran.err) == (2, True)
    boxes = write("b.csv", {"score": [0.5, 0.2], "label": [1, 0]})
    assert calibcli("measure", boxes, "--masks").code == 2
