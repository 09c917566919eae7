"""Boxes that cannot be used: exit 3, one line that says where, and a hint."""

from __future__ import annotations

import json

import pytest

DETECTION = ("--task", "detection")
TRUTH = {
    "images": [{"id": 1, "width": 9, "height": 9}, {"id": 2}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}],
}
FOUND = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], "score": 0.5}
ROW = "image_id,class,x,y,w,h,score\n1,cat,0,0,4,4,0.5\n"


@pytest.fixture
def refused(calibcli, write):
    def run(found, truth=TRUTH, *options, name="found.json", truth_name="truth.json"):
        def text(content):
            return content if isinstance(content, str | bytes) else json.dumps(content)

        ran = calibcli(
            "measure", write(name, text(found)), *DETECTION, "--ground-truth",
            write(truth_name, text(truth)), "-q", *options,
        )  # fmt: skip
        assert "Traceback" not in ran.err
        assert ran.out == ""
        error, blank, hint = ran.err.rstrip("\n").split("\n")
        assert error.startswith("calibcli: error: ")
        assert blank == ""
        assert hint.startswith("hint: ")
        return ran.code, error + " | " + hint

    return run


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bbox": [0, 0, -4, 4]}, "detection 2: the box has a negative width or height"),
        ({"bbox": [0, 0, float("nan"), 4]}, "detection 2: a score or coordinate is NaN"),
        ({"bbox": [0, 0, float("inf"), 4]}, "detection 2: a coordinate is infinite"),
        ({"bbox": [0, 0, 4]}, "detection 2: 'bbox' is not four numbers"),
        ({"bbox": "0 0 4 4"}, "detection 2: 'bbox' is not four numbers"),
        ({"score": "high"}, "detection 2: 'score' is no number"),
        ({"score": None}, "detection 2: a score or coordinate is NaN"),
        ({"score": 1.5}, "--logits"),
        ({"score": [0.5]}, "detection 2: 'score' is no number"),
        ({"image_id": 7}, "the image '7' is not in"),
        ({"image_id": [1]}, "'image_id' is no id"),
        ({"category_id": 9}, "the class '9' is not in"),
        ({"category_id": None}, "'category_id' is no id"),
        ({"category_id": 1.5}, "'category_id' is no id"),
    ],
)
def test_a_bad_entry_of_results(refused, change, said):
    code, err = refused([FOUND, {**FOUND, **change}])
    assert code == 3
    assert said in err
    assert "found.json" in err


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", "is empty"),
        ("[{", "is not JSON: line 1"),
        ('"text"', "no list of detections"),
        ({"a": 1}, "has no column 'image_id'"),
        ({"a": 1, "annotation": []}, "has no column 'image_id'"),
        ([1], "detection 1: no object"),
        ([{"image_id": 1}], "no column 'class'"),
        ([{"image_id": 1, "bbox": [0, 0, 1, 1]}], "no 'category_id'"),
        ([{**FOUND, "bbox": None}], "'bbox' is not four numbers"),
        (TRUTH, "were the two files swapped?"),
        ("[" * 100_000, "nested too deep"),
        ("[1" + "0" * 10_000 + "]", "too long"),
        (b"\xff\xfe[", "not JSON"),
        ([{k: v for k, v in FOUND.items() if k != "bbox"} | {"segmentation": {}}], "masks"),
    ],
)
def test_results_that_are_none(refused, found, said):
    code, err = refused(found)
    assert code == 3
    assert said in err


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ([FOUND], "were the two files swapped?"),
        ({"annotations": []}, "no list of images"),
        ({**TRUTH, "categories": []}, "no list of categories"),
        ({**TRUTH, "images": [{"id": 1}, {"id": 1}]}, "more than one image 1"),
        ({**TRUTH, "categories": [{"name": "cat"}]}, "category 1: no id"),
        ({**TRUTH, "annotations": [{**TRUTH["annotations"][0], "image_id": 9}]}, "no image has"),
        (
            {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "category_id": 9}]},
            "no category has",
        ),
        (
            {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "bbox": [0, 0, -1, 2]}]},
            "annotation 1: the box has a negative",
        ),
        ({"images": 3, "annotations": [], "categories": []}, "no list of images"),
    ],
)
def test_annotations_that_are_none(refused, truth, said):
    code, err = refused([FOUND], truth)
    assert code == 3
    assert said in err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("image_id,class,x,y,w,score\n", "no column h"),
        ("image_id,class,x,y,w,score\n1,cat,0,0,4,0.5\n", "no column h"),
        ("image_id,class,x,y,w,h\n1,cat,0,0,4,4\n", "were the two files swapped?"),
        ("class,x,y,w,h,score\ncat,0,0,4,4,0.5\n", "no column 'image_id'"),
        (ROW + "1,cat,0,0,x,4,0.5\n", "row 2: not a number"),
        (ROW + "1,cat,0,0,,4,0.5\n", "row 2: a score or coordinate is NaN"),
        (ROW + "1,cat,0,0,-4,4,0.5\n", "row 2: the box has a negative"),
        (ROW + ",cat,0,0,4,4,0.5\n", "row 2: no image"),
        (ROW + "1,,0,0,4,4,0.5\n", "row 2: no class"),
        (ROW + "1,cats,0,0,4,4,0.5\n", "did you mean 'cat'?"),
        (ROW + "8,cat,0,0,4,4,0.5\n", "row 2: the image '8' is not in"),
        ("image_id,class,x1,y1,x2,y2,score\n1,cat,5,5,4,9,0.5\n", "negative width"),
        ("image_id,class,x,y,w,h,x1,y1,x2,y2,score\n1,cat,0,0,4,4,0,0,4,4,.5\n", "leave one"),
        ("image_id,class,x,y,w,h,score,prob\n1,cat,0,0,4,4,.5,.5\n", "--score score"),
    ],
)
def test_a_table_of_bad_boxes(refused, table, said):
    code, err = refused(table, name="found.csv")
    assert code == 3
    assert said in err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"iscrowd": "maybe"}, "annotation 1: 'iscrowd' is neither 0 nor 1"),
        ({"ignore": 2}, "annotation 1: 'ignore' is neither 0 nor 1"),
        ({"category_id": 7}, "add it to the list of categories"),
        ({"image_id": 7}, "add it to the list of images"),
    ],
)
def test_a_bad_entry_of_annotations(refused, change, said):
    code, err = refused([FOUND], {**TRUTH, "annotations": [{**TRUTH["annotations"][0], **change}]})
    assert code == 3
    assert said in err


def test_objects_in_a_table(refused):
    objects = "image_id,class,x,y,w,h\n1,cat,0,0,4,4\n"
    for truth, options, said in (
        ("image_id,class,x,y,w,h\n", (), "holds no rows"),
        (objects.replace("\n1,", "\n5,"), (), "no image of the detections is in"),
        (objects.replace("cat", "dog"), (), "the class 'cat' is not in"),
        (objects, ("--classes", "dog,fish"), "does not name"),
        ("image_id,class,x,y,w,h,iscrowd\n1,cat,0,0,4,4,maybe\n", (), "neither 0 nor 1"),
    ):
        code, err = refused(ROW, truth, *options, name="found.csv", truth_name="truth.csv")
        assert code == 3
        assert said in err


def test_bad_boxes_can_be_left_out(calibcli, write):
    found = write("found.csv", ROW + "1,cat,0,0,,4,0.5\n1,dog,0,0,4,4,\n2,dog,0,0,4,4,0.1\n")
    ran = calibcli(
        "measure", found, *DETECTION, "--ground-truth", write("truth.json", json.dumps(TRUTH)),
        "--drop-invalid", "--format", "json", "-q", "--no-ci",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.json["overall"]["metrics"]["n"]["value"] == 2
    assert ran.json["warnings"][0].startswith("2 boxes")


def test_wrong_usage(calibcli, write):
    found, truth = write("f.json", json.dumps([FOUND])), write("t.json", json.dumps(TRUTH))
    full = (found, *DETECTION, "--ground-truth", truth)
    for arguments, said in (
        ((found, *DETECTION), "--ground-truth FILE"),
        ((found, "--ground-truth", truth), "add --task detection"),
        ((*full, "--iou", "0"), "--iou"),
        ((*full, "--max-detections", "0"), "--max-detections"),
        ((*full, "--label", "y"), "--label"),
        ((*full, "--cluster", "image_id"), "--cluster"),
        ((*full, "--group", "camera"), "--group"),
    ):
        ran = calibcli("measure", *arguments)
        assert ran.code == 2, ran.err
        assert said in ran.err


def test_a_file_that_is_not_there(calibcli, write):
    found, truth = write("f.json", json.dumps([FOUND])), write("t.json", json.dumps(TRUTH))
    ran = calibcli("measure", "none.json", *DETECTION, "--ground-truth", truth)
    assert ran.code == 3
    ran = calibcli("measure", found, *DETECTION, "--ground-truth", "none.json")
    assert ran.code == 3
    ran = calibcli("measure", found, *DETECTION, "--ground-truth", found)
    assert ran.code == 3


def test_a_detection_alone_and_no_object_at_all(calibcli, write):
    truth = {**TRUTH, "annotations": []}
    ran = calibcli(
        "measure", write("f.json", json.dumps([FOUND])), *DETECTION, "--ground-truth",
        write("t.json", json.dumps(truth)), "--format", "json", "-q",
    )  # fmt: skip
    assert ran.code == 0
    assert ran.json["overall"]["metrics"]["ap"]["value"] is None
    assert ran.json["overall"]["confusion"][0]["fp"] == 1
