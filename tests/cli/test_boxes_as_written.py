"""Boxes as tools write them: their column names, some of the classes or images, none at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.io.boxes import dataset

DETECTION = ("--task", "detection")
WIDE, HIGH = 200, 100
NAMES = {1: "cat", 2: "dog"}
TRUTH = [(1, 1, 10, 10, 20, 20), (1, 2, 60, 20, 30, 40), (2, 2, 30, 30, 20, 20)]
FOUND = [
    (1, 1, 10, 10, 20, 20, 0.9), (1, 2, 62, 22, 30, 40, 0.8), (2, 1, 5, 5, 8, 8, 0.6),
    (2, 2, 31, 30, 20, 20, 0.3),
]  # fmt: skip


def rows(values, form, *, shares=False):
    """Return boxes as columns of x, y, w, h, of corners or of centres."""
    box = np.array([one[2:6] for one in values], np.float64)
    if form == "corners":
        box[:, 2:] += box[:, :2]
    if form == "centres":
        box[:, :2] += box[:, 2:] / 2
    return (box / [WIDE, HIGH, WIDE, HIGH] if shares else box).T.tolist()


@pytest.fixture
def coco(tmp_path):
    truth = {
        "images": [{"id": i, "width": WIDE, "height": HIGH} for i in (1, 2, 3)],
        "categories": [{"id": k, "name": name} for k, name in NAMES.items()],
        "annotations": [
            {"id": i, "image_id": a, "category_id": c, "bbox": box, "iscrowd": 0}
            for i, (a, c, *box) in enumerate(TRUTH)
        ],
    }
    found = [{"image_id": a, "category_id": c, "bbox": box, "score": s} for a, c, *box, s in FOUND]
    paths = tmp_path / "found.json", tmp_path / "truth.json"
    for path, content in zip(paths, (found, truth), strict=True):
        path.write_text(json.dumps(content))
    return paths


@pytest.fixture
def measured(good):
    def run(found, truth, *more):
        return good(
            "measure", found, *DETECTION, "--ground-truth", truth, "--format", "json", "-q", *more
        ).json  # fmt: skip

    return run


WRITTEN = {
    "voc": ("filename", "class", "corners", ("xmin", "ymin", "xmax", "ymax"), {}),
    "tensorflow": ("filename", "class", "corners", ("xmin", "ymin", "xmax", "ymax"),
                   {"width": WIDE, "height": HIGH}),
    "open images": ("ImageID", "LabelName", "corners", ("XMin", "YMin", "XMax", "YMax"), {}),
    "yolo": ("image", "name", "centres", ("x_center", "y_center", "width", "height"),
             {"image_width": WIDE, "image_height": HIGH}),
    "pandas": ("image_id", "label", "sides", ("x", "y", "width", "height"), {}),
}  # fmt: skip


@pytest.mark.parametrize("tool", WRITTEN)
def test_the_column_names_of_tools(tool, coco, measured, write):
    image, label, form, names, size = WRITTEN[tool]

    def table(name, values, **more):
        columns = {
            image: [one[0] for one in values],
            label: [NAMES[one[1]] for one in values],
            **dict(zip(names, rows(values, form, shares=tool == "yolo"), strict=True)),
        }
        return write(name, columns | {key: [v] * len(values) for key, v in size.items()} | more)

    found = table("found.csv", FOUND, confidence=[one[6] for one in FOUND])
    first = measured(*coco)["overall"]["metrics"]
    second = measured(found, coco[1])["overall"]["metrics"]
    for name, figure in first.items():
        assert second[name]["value"] == (
            None if figure["value"] is None else pytest.approx(figure["value"], rel=1e-9)
        ), name
    own = measured(found, table("truth.csv", TRUTH))["overall"]["metrics"]
    assert own["ap"]["value"] == pytest.approx(first["ap"]["value"])
    assert own["ground_truth"]["value"] == 3


def test_boxes_in_two_forms_are_refused(calibcli, write, coco):
    columns = {"image_id": [1], "class": ["cat"], "score": [0.5], "x": [1], "y": [1], "w": [2],
               "h": [2], "xmin": [1], "ymin": [1], "xmax": [3], "ymax": [3]}  # fmt: skip
    ran = calibcli(
        "measure", write("two.csv", columns), *DETECTION, "--ground-truth", coco[1]
    )  # fmt: skip
    assert (ran.code, "they may differ" in ran.err) == (3, True)


def test_some_categories_alone(coco, measured):
    every = measured(*coco)
    cats = measured(*coco, "--classes", "cat")
    assert cats["overall"]["metrics"]["n"]["value"] == 2
    assert cats["classes"][0]["metrics"]["ap"] == every["classes"][0]["metrics"]["ap"]
    assert cats["overall"]["metrics"]["images"]["value"] == 3
    assert any("4 boxes are of other classes" in one for one in cats["warnings"])
    assert [one["rows"] for one in cats["inputs"]] == [4, 3]
    turned = measured(*coco, "--classes", "dog,cat")
    assert [one["slice"]["name"] for one in turned["classes"]] == ["dog", "cat"]


def test_classes_change_nothing_of_what_is_applied(coco, good, calibcli, tmp_path):
    found, truth = coco
    path, out = tmp_path / "c.json", ("-o", tmp_path / "out.json")
    good("fit", found, *DETECTION, "--ground-truth", truth, "--method", "platt", "-o", path, "-q")
    ran = calibcli("apply", path, found, "--classes", "cat", *out)
    assert (ran.code, "--classes does nothing here" in ran.err) == (2, True)


def test_boxes_of_other_images_are_left_out_where_they_may_be(coco, measured, calibcli):
    found, truth = coco
    every = json.loads(found.read_text())
    more = found.with_name("more.json")
    more.write_text(json.dumps([*every, {**every[0], "image_id": 77}]))
    ran = calibcli("measure", more, *DETECTION, "--ground-truth", truth)
    assert (ran.code, "the image '77' is not in" in ran.err) == (3, True)
    left = measured(more, truth, "--drop-invalid")
    assert left["overall"]["metrics"] == measured(found, truth)["overall"]["metrics"]
    assert any(one.startswith("1 boxes are of images that") for one in left["warnings"])


def test_no_detections_are_judged_by_what_they_miss(coco, measured, good, calibcli, write):
    _, truth = coco
    none = truth.with_name("none.json")
    none.write_text("[]")
    ran = calibcli("measure", coco[0], *DETECTION, "--ground-truth", truth, "--classes", "cow")
    assert (ran.code, "no category of" in ran.err) == (3, True)
    found = measured(none, truth)["overall"]
    assert (found["metrics"]["n"]["value"], found["metrics"]["ap"]["value"]) == (0, 0.0)
    assert (found["confusion"][0]["fn"], found["confusion"][0]["recall"]["value"]) == (3, 0.0)
    for command, more in (("fit", ("-o", none.with_name("c.json"))), ("threshold", ())):
        ran = calibcli(command, none, *DETECTION, "--ground-truth", truth, *more)
        assert ran.code == 3
        assert "bug" not in ran.err


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_of_a_header_alone_is_a_detector_that_found_nothing(
    coco, measured, good, write, suffix
):
    found, truth = coco
    none = found.with_name("none.json")
    none.write_text("[]")
    header = ["image_id", "category_id", "x", "y", "w", "h", "score"]
    empty = write(f"none.{suffix}", {name: np.zeros(0) for name in header})
    same, told = measured(none, truth), measured(empty, truth)
    assert {key for key in same if same[key] != told[key]} == {"inputs"}
    calibrator, out = found.with_name("c.json"), found.with_name(f"out.{suffix}")
    good("fit", found, *DETECTION, "--ground-truth", truth, "--method", "temperature", "-o",
         calibrator, "-q")  # fmt: skip
    good("apply", calibrator, empty, "-o", out, "-q")
    if suffix == "csv":
        assert out.read_text().splitlines() == [",".join([*header, "probability"])]


def test_objects_of_images_without_any_box_count(measured, tmp_path, monkeypatch):
    """So many images that those without a box are read by themselves."""
    monkeypatch.setattr(dataset, "_FEWEST", 10)
    n = 300
    images = [{"id": i, "width": 50, "height": 50} for i in range(2 * n)]
    box = [1, 1, 5, 5]
    objects = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": box, "iscrowd": 0} for i in range(2 * n)
    ]
    truth = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": objects}
    found = [{"image_id": i, "category_id": 1, "bbox": box, "score": 0.5} for i in range(n)]
    paths = tmp_path / "found.json", tmp_path / "truth.json"
    for path, content in zip(paths, (found, truth), strict=True):
        path.write_text(json.dumps(content))
    result = measured(*paths, "--no-ci")["overall"]
    assert result["confusion"][0]["recall"]["value"] == pytest.approx(0.5)
    assert result["metrics"]["ground_truth"]["value"] == 2 * n


MARKS = [("iscrowd", "crowd"), ("is_crowd", "crowd"), ("IsGroupOf", "crowd"), ("ignore", "ignore"),
         ("Difficult", "ignore")]  # fmt: skip


@pytest.mark.parametrize("true", [1, 1.0, True, "1", "true"])
@pytest.mark.parametrize("mark", ["iscrowd", "ignore", "difficult"])
def test_marks_of_objects_are_read_as_they_are_written(true, mark, coco, measured, write):
    # A text "0" is a false mark, though Python takes it for a true one: all objects were crowds.
    found, truth = coco
    objects = json.loads(truth.read_text())
    for one in objects["annotations"]:
        one[mark] = type(true)(0) if not isinstance(true, str) else {"1": "0"}.get(true, "false")
    plain = measured(found, write("a.json", json.dumps(objects)), "--no-ci")["overall"]["metrics"]
    assert plain["ground_truth"]["value"] == 3
    objects["annotations"][1][mark] = true
    less = measured(found, write("b.json", json.dumps(objects)), "--no-ci")["overall"]["metrics"]
    assert (less["ground_truth"]["value"], less["n"]["value"]) == (2, plain["n"]["value"] - 1)


@pytest.mark.parametrize(("mark", "kind"), MARKS)
def test_marks_of_objects_in_tables(mark, kind, measured, write):
    box = dict(zip("xywh", rows(TRUTH, "sides"), strict=True))
    table = {"image_id": [1, 1, 2], "class": ["cat", "dog", "dog"], **box, mark: [0, 1, 0]}
    # The second finds no object unless it is a crowd: its IoU with that is over its own area.
    found = write("found.csv", "image_id,class,x,y,w,h,score\n1,dog,61,21,5,5,0.9\n")
    got = measured(found, write("objects.csv", table), "--no-ci")["overall"]["metrics"]
    assert got["ground_truth"]["value"] == 2
    assert got["n"]["value"] == (0 if kind == "crowd" else 1)
