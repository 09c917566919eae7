"""`--task detection` from end to end: COCO's numbers, one answer for every kind of file."""

from __future__ import annotations

import contextlib
import io
import json
import warnings

import numpy as np
import pytest

from tests.schemas import fits_schema

DETECTION = ("--task", "detection")


def evaluated(results, annotations, **params):
    """What pycocotools says: precision (ious, recalls, classes)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        coco = pytest.importorskip("pycocotools.coco")
        cocoeval = pytest.importorskip("pycocotools.cocoeval")
        with contextlib.redirect_stdout(io.StringIO()):
            truth = coco.COCO(str(annotations))
            made = cocoeval.COCOeval(truth, truth.loadRes(str(results)), "bbox")
            for name, value in params.items():
                setattr(made.params, name, value)
            made.evaluate()
            made.accumulate()
    precision = made.eval["precision"][:, :, :, 0, -1]
    return np.where(precision > -1, precision, np.nan)


def mean(values):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.nanmean(values)


def compare(result, precision):
    found = result["overall"]["metrics"]
    assert found["ap"]["value"] == pytest.approx(mean(precision[0]), abs=1e-9)
    assert found["ap_50_95"]["value"] == pytest.approx(mean(precision), abs=1e-9)
    for k, part in enumerate(result["classes"]):
        own = precision[:, :, k]
        if np.isnan(own).all():
            assert part["metrics"]["ap"]["value"] is None
            assert "no object" in part["metrics"]["ap"]["reason"]
        else:
            assert part["metrics"]["ap"]["value"] == pytest.approx(mean(own[0]), abs=1e-9)
            assert part["metrics"]["ap_50_95"]["value"] == pytest.approx(mean(own), abs=1e-9)


@pytest.mark.slow
def test_average_precision_of_published_boxes_is_that_of_coco(good, shared_data):
    folder = shared_data / "coco_sample_detection"
    results, annotations = folder / "dets.json", folder / "gt.json"
    result = good(
        "measure", results, *DETECTION, "--ground-truth", annotations, "--format", "json", "-q"
    ).json
    figures = result["overall"]["metrics"]
    assert figures["ap_50_95"]["value"] == pytest.approx(0.503647, abs=1e-6)
    assert figures["ap"]["value"] == pytest.approx(0.696973, abs=1e-6)
    compare(result, evaluated(results, annotations))


@pytest.mark.parametrize("seed", range(2))
def test_average_precision_of_scattered_boxes_is_that_of_coco(good, scene, seed):
    results, annotations = scene(seed=seed, images=80)
    result = good(
        "measure", results, *DETECTION, "--ground-truth", annotations, "--format", "json", "-q",
        "--no-ci",
    ).json  # fmt: skip
    compare(result, evaluated(results, annotations))


def test_at_another_iou_and_with_a_limit(good, scene):
    results, annotations = scene(images=80)
    result = good(
        "measure", results, *DETECTION, "--ground-truth", annotations, "--iou", "0.8",
        "--max-detections", "1", "--no-ci", "--format", "json", "-q",
    ).json  # fmt: skip
    expected = evaluated(results, annotations, iouThrs=np.array([0.8]), maxDets=[1])
    assert result["overall"]["metrics"]["ap"]["value"] == pytest.approx(mean(expected), abs=1e-9)
    assert any("beyond the best 1 of" in text for text in result["warnings"])


@pytest.mark.parametrize(("suffix", "corners"), [(".csv", False), (".parquet", True)])
def test_the_same_boxes_as_coco_and_as_a_table(good, scene, tables, suffix, corners):
    results, annotations = scene()
    found, objects = tables(results, annotations, suffix, corners=corners)

    def numbers(detections, truth):
        result = good(
            "measure", detections, *DETECTION, "--ground-truth", truth, "--format", "json", "-q",
            "--at", "0.8", "--threshold", "0.5", "--threshold", "0",
        ).json  # fmt: skip
        return [result["overall"], *result["classes"]]

    first = numbers(results, annotations)
    for pair in ((found, objects), (results, annotations), (found, annotations)):
        second = numbers(*pair)
        if corners:  # x2 - x1 is not w to the last bit
            again = json.loads(json.dumps(second))
            for a, b in zip(first, again, strict=True):
                for name, figure in a["metrics"].items():
                    expected = figure["value"]
                    assert b["metrics"][name]["value"] == (
                        expected if expected is None else pytest.approx(expected, rel=1e-9)
                    )
        else:
            assert second == first


def test_counts_are_those_of_hand_made_boxes(good, write):
    truth = {
        "images": [{"id": i, "width": 100, "height": 100} for i in (1, 2, 3, 4)],
        "categories": [{"id": 7, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 7, "bbox": [50, 50, 10, 10], "iscrowd": 0},
            {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 90, 90], "iscrowd": 1},
        ],
    }
    found = [
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 10, 10], "score": 0.9},
        {"image_id": 1, "category_id": 7, "bbox": [1, 0, 10, 10], "score": 0.8},  # a double
        {"image_id": 2, "category_id": 7, "bbox": [5, 5, 10, 10], "score": 0.7},  # in the crowd
        {"image_id": 3, "category_id": 7, "bbox": [5, 5, 10, 10], "score": 0.0},  # no object
    ]
    result = good(
        "measure", write("d.json", json.dumps(found)), *DETECTION, "--ground-truth",
        write("t.json", json.dumps(truth)), "--threshold", "0.85", "--threshold", "0", "--format",
        "json", "-q",
    ).json  # fmt: skip
    high, low = result["classes"][0]["confusion"]
    assert [high[key] for key in ("tp", "fp", "fn", "tn")] == [1, 0, 1, None]
    assert [low[key] for key in ("tp", "fp", "fn", "tn")] == [1, 2, 1, None]
    assert high["recall"]["value"] == 0.5
    assert low["precision"]["value"] == pytest.approx(1 / 3)
    assert low["specificity"]["reason"] == low["fpr"]["reason"] != ""
    assert low["lrp"]["value"] == pytest.approx((0 + 2 + 1) / 4)
    metrics = result["overall"]["metrics"]
    assert metrics["n"]["value"] == 3
    assert metrics["ground_truth"]["value"] == 2
    assert metrics["images"]["value"] == 4
    assert metrics["brier"]["value"] == pytest.approx((0.01 + 0.64 + 0) / 3)
    assert metrics["lrp"]["value"] == pytest.approx(1 / 2)


def test_the_json_keeps_to_its_schema_and_its_order(good, scene):
    results, annotations = scene()
    run = ("measure", results, *DETECTION, "--ground-truth", annotations, "--format", "json", "-q")
    result = good(*run).json
    fits_schema(result, "measure")
    assert tuple(result) == (
        "schema", "version", "calibcli", "inputs", "params", "task", "overall", "classes",
        "groups", "gates", "warnings", "warning_codes",
    )  # fmt: skip
    assert result["params"]["iou"] == 0.5
    assert result["params"]["max_detections"] == 100
    for part in (result["overall"], *result["classes"]):
        for figure in part["metrics"].values():
            assert figure["value"] is not None or figure["reason"]
    for name in ("ap", "ap_50_95", "lrp", "ece", "brier", "auc", "ece_size"):
        figure = result["overall"]["metrics"][name]
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert good(*run).out == good(*run).out


@pytest.mark.parametrize("form", ["table", "md", "csv"])
def test_every_form_is_written(good, calibcli, scene, form):
    results, annotations = scene()
    whole = ("--format", form, "--all")
    ran = calibcli("measure", results, *DETECTION, "--ground-truth", annotations, *whole)
    assert ran.code == 0
    assert "ap_50_95" in ran.out
    assert "kind 2" in ran.out
    assert "None" not in ran.out


def test_gates_reach_what_detections_have(calibcli, scene):
    results, annotations = scene()
    run = ("measure", results, *DETECTION, "--ground-truth", annotations, "-q", "--no-ci")
    assert calibcli(*run, "--fail-if", "worst(class).ap<0.01").code == 0
    assert calibcli(*run, "--fail-if", "recall<1.1", "--fail-if", "ap>2").code == 1
    ran = calibcli(*run, "--fail-if", "specificity<1")
    assert ran.code == 2
    assert "no true negatives" in ran.err


def test_logits_are_the_same_pairs(good, scene, write):
    results, annotations = scene()
    items = json.loads(results.read_text())
    for one in items:
        one["score"] = float(np.log(one["score"] / (1 - one["score"])))
    logits = write("logits.json", json.dumps(items))
    run = (*DETECTION, "--ground-truth", annotations, "--no-ci", "--format", "json", "-q")
    plain = good("measure", results, *run).json["overall"]["metrics"]
    moved = good("measure", logits, "--logits", *run).json["overall"]["metrics"]
    for name, figure in plain.items():
        expected = figure["value"]
        if expected is not None:
            assert moved[name]["value"] == pytest.approx(expected, rel=1e-6), name
