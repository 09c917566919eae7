"""Boxes that are suppressed before a fit, and every place that does otherwise says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.test_detection_decisions import DETECTION, SEARCH, plain_counts


@pytest.fixture
def files(scene, tmp_path):
    results, annotations = scene(images=60, seed=5)
    truth = ("--ground-truth", annotations)
    return results, annotations, truth, tmp_path / "c.json", tmp_path / "t.json"


def fitted(path):
    return json.loads(path.read_text())


def codes(run):
    return run.json["warning_codes"]


def test_fit_suppresses_first_and_the_artifact_holds_it(good, files):
    results, annotations, truth, cal, _ = files
    for nms in (None, 0.3):
        option = () if nms is None else ("--nms-iou", str(nms))
        good("fit", results, *DETECTION, *truth, *option, "--method", "platt", "-o", cal, "-q")
        assert fitted(cal)["input"]["nms_iou"] == nms
        found, told = json.loads(results.read_text()), json.loads(annotations.read_text())
        kinds = {one["category_id"] for one in told["annotations"]}
        pairs = [
            plain_counts(found, told, kind, 2.0 if nms is None else nms, 0.0) for kind in kinds
        ]
        after = good(
            "measure", results, *DETECTION, *truth, *option, "--calibrator", cal, "--format",
            "json", "-q", "--no-ci",
        )  # fmt: skip
        assert after.json["overall"]["metrics"]["n"]["value"] == sum(tp + fp for tp, fp, _ in pairs)
        assert after.json["overall"]["calibrated"]["metrics"]["ece"]["value"] < 0.15
        assert "other-matching" not in codes(after)


def test_a_calibrator_of_other_boxes_is_told_of_everywhere(good, files, tmp_path):
    results, _, truth, cal, cuts = files
    show = ("--format", "json", "-q", "--no-ci")
    good("fit", results, *DETECTION, *truth, "--method", "platt", "-o", cal, "-q")
    both = (results, *DETECTION, *truth, "--calibrator", cal)
    chosen = good("threshold", *both, "--search", "nms-iou=0.3", "-o", cuts, *show)
    assert "other-matching" in codes(chosen)
    assert any("fit with --nms-iou 0.3" in text for text in chosen.json["warnings"])
    assert "other-matching" in codes(good("measure", *both, "--thresholds", cuts, *show))
    assert "other-matching" in codes(good("measure", *both, "--nms-iou", "0.5", *show))
    assert "other-matching" not in codes(good("measure", *both, *show))
    out = tmp_path / "out.json"
    written = good("apply", cal, results, "--thresholds", cuts, "-o", out)
    assert "suppressed at IoU 0.3: fit with --nms-iou 0.3" in written.out
    good("fit", results, *DETECTION, *truth, "--nms-iou", "0.3", "-o", cal, "-q")
    again = good("threshold", *both, "--nms-iou", "0.3", "-o", cuts, *show)
    assert again.json["thresholds"][0]["nms_iou"] == 0.3
    assert "other-matching" not in codes(again)
    assert "other-matching" not in codes(good("measure", *both, "--thresholds", cuts, *show))


def test_two_places_that_say_where_to_suppress_are_refused(calibcli, good, files):
    results, _, truth, _, cuts = files
    both = (results, *DETECTION, *truth, "--nms-iou", "0.5")
    run = calibcli("threshold", *both, *SEARCH)
    assert run.code == 2
    assert "--search nms-iou" in run.err
    good("threshold", results, *DETECTION, *truth, *SEARCH, "-o", cuts, "-q")
    assert calibcli("measure", *both, "--thresholds", cuts).code == 2
    assert calibcli("measure", results, "--nms-iou", "0.5").code == 2
    assert calibcli("measure", *both[:-1], "1.5").code == 2


def test_kept_boxes_are_judged_in_threshold_and_measure(good, files, tmp_path):
    results, annotations, truth, _, cuts = files
    show = ("--format", "json", "-q")
    chosen = good(
        "threshold", results, *DETECTION, *truth, "--per-class", *SEARCH, "-o", cuts, *show
    ).json
    measured = good("measure", results, *DETECTION, *truth, "--thresholds", cuts, *show).json
    assert measured["decision"] == chosen["decision"]
    found, told = json.loads(results.read_text()), json.loads(annotations.read_text())
    kinds = sorted({one["category_id"] for one in told["annotations"]})
    tables = [
        plain_counts(found, told, kind, item["nms_iou"], item["threshold"])
        for kind, item in zip(kinds, chosen["thresholds"], strict=True)
    ]
    decision = chosen["decision"]
    for part, expected in zip(decision["classes"], tables, strict=True):
        assert tuple(part[key] for key in ("tp", "fp", "fn")) == expected
    tp, fp, fn = np.sum(tables, axis=0)
    metrics = decision["metrics"]
    assert metrics["precision"]["value"] == pytest.approx(tp / (tp + fp))
    assert metrics["recall"]["value"] == pytest.approx(tp / (tp + fn))
    assert metrics["fp_per_image"]["value"] == pytest.approx(fp / len(told["images"]))
    assert metrics["fp_per_image"]["low"] < fp / len(told["images"])
    for item in chosen["thresholds"]:
        crossed = item["cross_fitted"]
        assert crossed["precision"]["low"] <= crossed["precision"]["value"]
        assert item["confusion"]["precision"]["low"] == crossed["precision"]["low"]
        assert "specificity" not in crossed


def test_every_class_out_of_reach_is_named_and_the_others_are_written(calibcli, good, files):
    results, _, truth, _, cuts = files
    both = (results, *DETECTION, *truth, "--per-class")
    show = ("--format", "json", "-q", "--no-ci")
    most = good("threshold", *both, "--maximize", "recall", *show).json["thresholds"]
    reached = sorted(item["value"]["value"] for item in most)
    wish = (*both, "--subject-to", f"recall>={(reached[0] + reached[2]) / 2}")
    run = calibcli("threshold", *wish, "-o", cuts)
    assert run.code == 1
    assert "--unreachable never" in run.err
    assert not cuts.exists()
    missed = run.err.count("class 'kind")
    assert 0 < missed < 3
    chosen = good("threshold", *wish, "--unreachable", "never", "-o", cuts, *show).json
    above = [item for item in chosen["thresholds"] if item["threshold"] > 1]
    assert len(above) == missed
    assert all(item["confusion"]["tp"] == 0 for item in above)
    assert "unreachable" in chosen["warning_codes"]
