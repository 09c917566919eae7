"""Detections from fit to decision: what is chosen is what is applied is what is measured."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

import calibcli as package
from calibcli.tasks.detection.matching import iou
from tests.schemas import fits_schema

DETECTION = ("--task", "detection")
SEARCH = ("--search", "nms-iou=0.2,0.5,0.8")


def valid(path, kind):
    payload = json.loads(path.read_text())
    fits_schema(payload, kind)
    return payload


def counts(part):
    return tuple(part["confusion"][-1][key] for key in ("tp", "fp", "fn"))


def plain_counts(found, truth, kind, nms, threshold, at=0.5):
    """Suppress, cut and match with loops."""
    tp = fp = 0
    objects = [a for a in truth["annotations"] if a["category_id"] == kind]
    for image in truth["images"]:
        own = [d for d in found if (d["image_id"], d["category_id"]) == (image["id"], kind)]
        boxes, kept = sorted(own, key=lambda d: -d["score"]), []
        for d in boxes:
            if all(one(d, k) <= nms for k in kept):
                kept.append(d)
        here = [a for a in objects if a["image_id"] == image["id"]]
        taken = set()
        for d in kept:
            if d["score"] < threshold:
                continue
            free = [a for a in here if a["iscrowd"] or a["id"] not in taken]
            near = [a for a in free if one(d, a, a["iscrowd"]) >= at]
            real = [a for a in near if not a["iscrowd"]]
            if real:
                taken.add(max(real, key=lambda a: one(d, a))["id"])
                tp += 1
            elif not near:
                fp += 1
    return tp, fp, sum(not a["iscrowd"] for a in objects) - tp


def one(a, b, crowd=False):
    first, second = (np.array([x["bbox"]], float) for x in (a, b))
    return float(iou(first, second, np.array([bool(crowd)]))[0])


def test_the_search_is_that_of_every_cut_off_and_nms(good, scene, tmp_path):
    results, annotations = scene(images=25, classes=2, seed=4)
    found, truth = json.loads(results.read_text()), json.loads(annotations.read_text())
    path = tmp_path / "t.json"
    result = good(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--maximize", "recall",
        "--subject-to", "precision>=0.8", "--per-class", *SEARCH, "-o", path, "--format", "json",
        "-q",
    ).json  # fmt: skip
    for item, kind in zip(result["thresholds"], (5, 15), strict=True):
        best = 0.0
        for nms in (0.2, 0.5, 0.8):
            for cut in {d["score"] for d in found if d["category_id"] == kind}:
                tp, fp, fn = plain_counts(found, truth, kind, nms, cut)
                if tp / max(tp + fp, 1) >= 0.8:
                    best = max(best, tp / (tp + fn))
        assert item["value"]["value"] == pytest.approx(best)
        table = item["confusion"]
        expected = plain_counts(found, truth, kind, item["nms_iou"], item["threshold"])
        assert (table["tp"], table["fp"], table["fn"]) == expected
        assert len(item["searched"]) == 3
    valid(path, "thresholds")
    fits_schema(result, "threshold")


@pytest.mark.parametrize("suffix", [".json", ".csv", ".parquet"])
@pytest.mark.parametrize("per_class", [(), ("--per-class",)])
def test_what_is_chosen_is_what_is_applied(good, scene, tables, tmp_path, suffix, per_class):
    results, annotations = scene(seed=2)
    truth = ("--ground-truth", annotations)
    path, out = tmp_path / "t.json", tmp_path / f"kept{suffix}"
    chosen = good(
        "threshold", results, *DETECTION, *truth, "--maximize", "f1", *per_class, *SEARCH, "-o",
        path, "--format", "json", "-q", "--no-ci",
    ).json["thresholds"]  # fmt: skip
    wanted = [tuple(one["confusion"][key] for key in ("tp", "fp", "fn")) for one in chosen]
    source = results if suffix == ".json" else tables(results, annotations)[0]
    good("apply", "--thresholds", path, source, "-o", out)
    after = good(
        "measure", out, *DETECTION, *truth, "--threshold", "0", "--format", "json", "-q", "--no-ci"
    ).json
    before = good(
        "measure", results, *DETECTION, *truth, "--thresholds", path, "--format", "json", "-q",
        "--no-ci",
    ).json  # fmt: skip
    for result, place in ((after, -1), (before, 0)):
        parts = result["classes"] if per_class else [result["overall"]]
        found = [
            tuple(part["confusion"][place][key] for key in ("tp", "fp", "fn")) for part in parts
        ]
        assert found == wanted


def test_a_calibrator_goes_before(good, calibcli, scene, tmp_path):
    held_out, new = scene("a", seed=1, images=150, sure=3.0), scene("b", seed=2, sure=3.0)
    fitted, path, out = (tmp_path / name for name in ("c.json", "t.json", "out.json"))
    result = good(
        "fit", held_out[0], *DETECTION, "--ground-truth", held_out[1], "--per-class", "-o", fitted,
        "--format", "json", "-q",
    ).json  # fmt: skip
    assert result["after"]["kind"] == "cross-fitted"
    assert result["after"]["metrics"]["ece"]["value"] < result["before"]["metrics"]["ece"]["value"]
    assert [one["slice"]["value"] for one in result["groups"]] == ["kind 0", "kind 1", "kind 2"]
    valid(fitted, "calibrator")
    both = (new[0], *DETECTION, "--ground-truth", new[1])
    chosen = good(
        "threshold", *both, "--calibrator", fitted, "--maximize", "f1", "--per-class", *SEARCH,
        "-o", path, "--format", "json", "-q", "--no-ci",
    ).json["thresholds"]  # fmt: skip
    good("apply", fitted, new[0], "--thresholds", path, "-o", out)
    kept = json.loads(out.read_text())
    assert all({"score", "raw_score"} < set(one) for one in kept)
    after = good(
        "measure", out, *DETECTION, "--ground-truth", new[1], "--threshold", "0", "--format",
        "json", "-q", "--no-ci",
    ).json  # fmt: skip
    wanted = [tuple(one["confusion"][key] for key in ("tp", "fp", "fn")) for one in chosen]
    assert [counts(part) for part in after["classes"]] == wanted
    shown = good(
        "measure", *both, "--calibrator", fitted, "--thresholds", path, "--format", "json", "-q",
        "--no-ci",
    ).json  # fmt: skip
    own = [
        tuple(part["calibrated"]["confusion"][0][key] for key in ("tp", "fp", "fn"))
        for part in shown["classes"]
    ]
    assert own == wanted
    assert calibcli("apply", "--thresholds", path, new[0], "-o", out).code == 3
    assert calibcli("apply", fitted, out, "-o", tmp_path / "twice.json").code == 3


def test_rescoring_keeps_everything_and_is_the_map_of_the_class(good, scene, write, tmp_path):
    results, annotations = scene(images=150, sure=2.0)
    fitted = tmp_path / "c.json"
    good("fit", results, *DETECTION, "--ground-truth", annotations, "--per-class", "--method",
         "platt", "-o", fitted, "--format", "json", "-q")  # fmt: skip
    items = json.loads(results.read_text())
    names = {5: "kind 0", 15: "kind 1", 25: "kind 2"}
    for i, item in enumerate(items):
        item["note"] = f"n{i}"
    source = write("noted.json", json.dumps(items))
    expected = package.load(fitted).apply(
        [one["score"] for one in items], groups=[names[one["category_id"]] for one in items]
    )
    good("apply", fitted, source, "-o", tmp_path / "o.json")
    written = json.loads((tmp_path / "o.json").read_text())
    assert [one["score"] for one in written] == expected.tolist()
    for before, after in zip(items, written, strict=True):
        assert {**after, "score": after["raw_score"]} == {**before, "raw_score": before["score"]}
    good("apply", fitted, source, "-o", tmp_path / "o.csv")
    with (tmp_path / "o.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["probability"]) for row in rows] == expected.tolist()
    assert [row["note"] for row in rows] == [one["note"] for one in items]
    # A table that names its classes, to a table and to COCO.
    table = write("t.csv", {
        "image_id": [one["image_id"] for one in items],
        "class": [names[one["category_id"]] for one in items],
        **{side: [one["bbox"][k] for one in items] for k, side in enumerate("xywh")},
        "score": [one["score"] for one in items],
        "note": [one["note"] for one in items],
    })  # fmt: skip
    good("apply", fitted, table, "-o", tmp_path / "p.parquet")
    from pyarrow import parquet

    columns = parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert columns["probability"] == expected.tolist()
    assert columns["image_id"] == [one["image_id"] for one in items]
    assert columns["note"] == [one["note"] for one in items]
    good("apply", fitted, table, "-o", tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text()) == written


def test_a_promise_by_image(good, calibcli, scene, tmp_path):
    results, annotations = scene(images=400, classes=1)
    run = ("threshold", results, *DETECTION, "--ground-truth", annotations, "-q")
    path = tmp_path / "t.json"
    result = good(
        *run, "--subject-to", "precision>=0.6", "--guarantee", "0.9", *SEARCH, "-o", path,
        "--format", "json",
    ).json  # fmt: skip
    assert result["kind"] == "certified"
    promise = result["thresholds"][0]["guarantee"]
    assert promise["unit"] == "image"
    assert promise["mean_precision"] > 0.6
    assert promise["low"] <= result["thresholds"][0]["threshold"] <= promise["high"]
    few = scene("few", images=10, classes=1)
    ran = calibcli(
        "threshold", few[0], *DETECTION, "--ground-truth", few[1], "--subject-to",
        "precision>=0.95", "--guarantee", "0.95", "-o", tmp_path / "none.json",
    )  # fmt: skip
    assert ran.code == 1
    assert "on 10 images: " in ran.err
    assert not (tmp_path / "none.json").exists()


def test_false_boxes_an_image_are_bounded(good, scene):
    results, annotations = scene(images=400, classes=1)
    run = ("threshold", results, *DETECTION, "--ground-truth", annotations, "-q", *SEARCH)
    bound = ("--subject-to", "fp_per_image<=0.8", "--format", "json")
    loose = good(*run, *bound).json
    shown = loose["decision"]["metrics"]["fp_per_image"]["value"]
    table = loose["thresholds"][0]["confusion"]
    assert shown == table["fp"] / 400 <= 0.8
    crossed = loose["thresholds"][0]["cross_fitted"]["fp_per_image"]
    assert crossed["low"] < shown < crossed["high"]
    assert crossed["value"] == pytest.approx(shown, rel=0.2)
    sure = good(*run, *bound, "--guarantee", "0.9")
    promise = sure.json["thresholds"][0]["guarantee"]
    assert promise["units"] == 400
    assert promise["most"] == 10
    assert promise["means"]["fp_per_image"] < shown
    if not promise["clipped"]:
        told = sure.json["decision"]["metrics"]["fp_per_image"]["value"]
        assert promise["means"]["fp_per_image"] == pytest.approx(told)
    few = good(*run, *bound, "--guarantee", "0.9", "--max-detections", "5").json
    assert few["thresholds"][0]["guarantee"]["most"] == 5
    words = good(*run, *bound[:2], "--guarantee", "0.9").out
    assert "an image counts at most 10 false boxes" in words


def test_images_of_a_patient_are_one_unit(good, scene, write):
    results, annotations = scene(images=400, classes=1)
    named = json.loads(annotations.read_text())["images"]
    lines = [f"{one['id']},{place // 2}" for place, one in enumerate(named)]
    images = write("p.csv", "\n".join(["id,patient", *lines, ""]))
    found = good(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--images", images,
        "--cluster", "patient", "--subject-to", "fp_per_image<=1.5", "--guarantee", "0.8",
        "--no-ci", "--format", "json", "-q",
    ).json  # fmt: skip
    promise = found["thresholds"][0]["guarantee"]
    assert (promise["unit"], promise["units"]) == ("patient", 200)
    shown = found["decision"]["metrics"]["fp_per_image"]["value"]
    assert promise["clipped"] or promise["means"]["fp_per_image"] == pytest.approx(shown)


def test_a_guarantee_of_boxes_refuses_weights(calibcli, scene, write):
    results, annotations = scene(images=20, classes=1)
    named = json.loads(annotations.read_text())["images"]
    images = write("w.csv", "id,w\n" + "".join(f"{one['id']},2\n" for one in named))
    run = ("threshold", results, *DETECTION, "--ground-truth", annotations)
    weights = ("--images", images, "--weight", "w")
    ran = calibcli(*run, *weights, "--subject-to", "recall>=0.1", "--guarantee", "0.9")
    assert ran.code == 2
    assert "carry weights" in ran.err


def test_a_target_that_a_class_cannot_meet_is_an_answer(calibcli, scene, tmp_path):
    results, annotations = scene()
    ran = calibcli(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--per-class",
        "--maximize", "precision", "--subject-to", "recall>=0.999", "-o", tmp_path / "t.json",
    )  # fmt: skip
    assert ran.code == 1
    assert "class 'kind 0'" in ran.err
    assert "recall is at most" in ran.err
    assert not (tmp_path / "t.json").exists()


def test_the_trade_off_is_written(good, scene, tmp_path):
    results, annotations = scene(images=30, classes=1)
    path = tmp_path / "c.csv"
    result = good(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--maximize", "recall",
        "--subject-to", "precision>=0.7", *SEARCH, "--candidates", path, "--format", "json", "-q",
    ).json["thresholds"][0]  # fmt: skip
    with path.open() as file:
        rows = list(csv.DictReader(file))
    points = [(float(r["precision"] or -1), float(r["recall"])) for r in rows]
    for row, (p, r) in zip(rows, points, strict=True):
        beaten = any(a >= p and b >= r and (a, b) != (p, r) for a, b in points)
        assert (row["front"] == "1") == (not beaten and p >= 0), row
    best = [row for row in rows if float(row["threshold"]) == result["threshold"]]
    assert any(float(row["nms_iou"]) == result["nms_iou"] for row in best)


def test_a_cut_off_for_every_box(good, scene, tmp_path):
    results, annotations = scene(images=30, classes=1)
    items = json.loads(results.read_text())
    for item in items[:3]:
        item["score"] = 0.0
    results.write_text(json.dumps(items))
    path, out = tmp_path / "t.json", tmp_path / "o.json"
    chosen = good(
        "threshold", results, *DETECTION, "--ground-truth", annotations, "--maximize", "recall",
        "-o", path, "--format", "json", "-q",
    ).json["thresholds"][0]  # fmt: skip
    assert chosen["confusion"]["fn"] > 0  # what no box has found no cut-off finds
    good("apply", "--thresholds", path, results, "-o", out)
    after = good("measure", out, *DETECTION, "--ground-truth", annotations, "--threshold", "0",
                 "--format", "json", "-q").json  # fmt: skip
    assert counts(after["overall"])[0] == chosen["confusion"]["tp"]


def test_wrong_usage(calibcli, scene, scores, calibrator, tmp_path):
    results, annotations = scene(images=20)
    run = ("threshold", results, *DETECTION, "--ground-truth", annotations)
    for options, said in (
        (("--maximize", "youden"), "true negatives"),
        (("--subject-to", "fpr<=0.1"), "true negatives"),
        (("--search", "nms=0.5"), "did you mean 'nms-iou'?"),
        (("--search", "nms-iou"), "names no values"),
        (("--search", "nms-iou=2"), "from 0 to 1"),
        (("--search", "nms-iou=0.5", "--search", "nms-iou=0.6"), "twice"),
        (("--prior", "0.5"), "--prior"),
        (("--coverage", "0.9"), "--coverage"),
        (("--cost", "fp=1,fn=4,refer=0.5"), "true negatives"),
        (("--subject-to", "f1>=0.5", "--guarantee", "0.9"), "cannot be certified"),
        (("--subject-to", "fp_per_image>=1", "--guarantee", "0.9"), "cannot be certified"),
        (("--subject-to", "fp_per_image<=-1"), "0 or more"),
        (("--maximize", "fp_per_image"), "to limit"),
    ):
        ran = calibcli(*run, *options)
        assert ran.code == 2, ran.err
        assert said in ran.err
    assert calibcli("threshold", scores, "--search", "nms-iou=0.5").code == 2
    assert calibcli(*run, "--calibrator", calibrator).code == 3
    path = tmp_path / "t.json"
    assert calibcli(*run, "-o", path).code == 0
    for arguments in (
        ("apply", calibrator, scores, "--thresholds", path, "-o", tmp_path / "o.csv"),
        ("measure", scores, "--thresholds", path),
        ("apply", "--thresholds", path, scores, "-o", tmp_path / "o.csv"),
    ):
        ran = calibcli(*arguments)
        assert ran.code == 3, ran.err
        assert "Traceback" not in ran.err
    ran = calibcli("apply", "--thresholds", path, results, "-o", tmp_path / "o.npy")
    assert ran.code == 2


def test_ids_that_are_names_of_other_classes(good, sample_data, write, tmp_path):
    # Category 1 of the sample is called "0", category 2 "1".
    results, truth = (sample_data / f"detection_test{part}.json" for part in ("", "_truth"))
    items = [one for one in json.loads(results.read_text()) if one["category_id"] < 10]
    source = write("found.json", json.dumps(items))
    table = write("found.csv", {
        "image_id": [one["image_id"] for one in items],
        "class": [one["category_id"] - 1 for one in items],
        **{side: [one["bbox"][k] for one in items] for k, side in enumerate("xywh")},
        "score": [one["score"] for one in items],
    })  # fmt: skip
    run = (*DETECTION, "--ground-truth", truth, "--format", "json", "-q", "--no-ci")
    first, second = (good("measure", path, *run).json for path in (source, table))
    assert first["overall"] == second["overall"]
    assert first["classes"] == second["classes"]
    assert first["overall"]["metrics"]["ap"]["value"] > 0.4
    path = tmp_path / "t.json"
    good("threshold", source, *run, "--per-class", *SEARCH, "-o", path)
    for found in (source, table):
        out = tmp_path / f"out_{found.suffix[1:]}.json"
        good("apply", "--thresholds", path, found, "-o", out)
    kept = [json.loads((tmp_path / f"out_{kind}.json").read_text()) for kind in ("json", "csv")]
    assert len(kept[0]) == len(kept[1]) > 100
    for a, b in zip(*kept, strict=True):
        assert (a["image_id"], a["category_id"], a["bbox"], a["score"]) == (
            b["image_id"], b["category_id"], b["bbox"], b["score"]
        )  # fmt: skip


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_the_report_of_detections(good, scene, tmp_path, form):
    results, annotations = scene(images=120)
    truth = ("--ground-truth", annotations)
    fitted, path, page = (tmp_path / name for name in ("c.json", "t.json", f"r.{form}"))
    good("fit", results, *DETECTION, *truth, "-o", fitted, "--format", "json", "-q")
    good("threshold", results, *DETECTION, *truth, "--calibrator", fitted, "--per-class", "-o",
         path, "--format", "json", "-q")  # fmt: skip
    for more in ((), ("--calibrator", fitted, "--thresholds", path)):
        good("report", results, *DETECTION, *truth, *more, "--no-ci", "-o", page, "-q")
        text = page.read_text()
        assert "ap_50_95" in text
        assert "kind 2" in text
        assert "None" not in text
