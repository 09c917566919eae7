"""Small files that are easily read wrong, each with the answer that is right."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from calibcli import load

SCORE, LABEL = [0.1, 0.9, 0.1, 0.9], [0, 1, 1, 0]


@pytest.fixture
def measured(calibcli, tmp_path):
    """Run a command whose answer is JSON, and return it."""

    def run(*arguments):
        ran = calibcli(*arguments, "--format", "json")
        assert ran.code in (0, 1), ran.err
        return json.loads(ran.out)

    return run


def figures(result):
    return {name: one["value"] for name, one in result["overall"]["metrics"].items()}


# -- rows ------------------------------------------------------------------------------------------


def test_cutoffs_of_logits_above_37(measured, write):
    path = write("sat.csv", {"score": [38, 39, 40, 41, 42], "label": [0, 0, 1, 1, 1]})
    found = measured("threshold", path, "--logits", "--maximize", "recall")["thresholds"][0]
    assert (found["logit"], found["confusion"]["precision"]["value"]) == (40.0, 1.0)


def test_isotonic_parts_large_logits_that_are_one_probability(good, measured, write, tmp_path):
    path = write("sat.csv", {"score": [38, 39, 40, 41, 42] * 9, "label": [0, 0, 1, 1, 1] * 9})
    out = ("-o", tmp_path / "cal.json")
    good("fit", path, "--logits", "--method", "isotonic", *out)
    # Laplace-smoothed ends, by hand: (0 + 1) / (18 + 1) and 27 / (27 + 1).
    expected = [1 / 19] * 2 + [27 / 28] * 3
    again = load(str(tmp_path / "cal.json"))
    assert again.apply([38.0, 39.0, 40.0, 41.0, 42.0]) == pytest.approx(expected)
    code = good("apply", tmp_path / "cal.json", "--emit", "python", "--score", "z").out
    names: dict[str, Any] = {}
    exec(code, names)
    assert [names["calibrate"](z) for z in (38, 39, 40, 41, 42)] == pytest.approx(expected)
    found = measured("measure", path, "--logits", "--calibrator", tmp_path / "cal.json")["overall"]
    assert found["metrics"]["auc"]["value"] == 1.0
    assert found["calibrated"]["metrics"]["auc"]["value"] == 1.0


def test_cutoffs_of_logits_are_printed_in_logits(good, write):
    score = list(range(540, 661, 10))
    path = write("credit.csv", {"score": score, "label": [int(s >= 600) for s in score]})
    ran = good("threshold", path, "--logits", "--maximize", "youden", "--all")
    assert "(logit 600.0)" in ran.out
    assert "  logit  " in ran.out


@pytest.mark.parametrize("unit", [1 / 84, 1.0, 1e6])
@pytest.mark.parametrize(
    ("method", "low"), [("platt", 3 / 44), ("isotonic", 3 / 43), ("histogram", 2.5 / 43)]
)
def test_the_unit_of_weights_does_not_matter(unit, method, low, good, write, tmp_path):
    columns = {"score": [0.1] * 42 + [0.9] * 42, "label": [0] * 40 + [1, 1, 0, 0] + [1] * 40}
    path, out = write("w.csv", columns | {"w": [unit] * 84}), tmp_path / f"{method}.json"
    good("fit", path, "--weight", "w", "--method", method, "-o", out)
    assert load(str(out)).apply([0.1, 0.9]) == pytest.approx([low, 1 - low], abs=1e-7)


def test_weight_and_count_multiply(measured, write):
    columns = {"score": [0.9, 0.2, 0.6, 0.4], "label": [1, 0, 0, 1]}
    path = write("wc.csv", columns | {"w": [1, 2, 1, 3], "c": [10, 1, 3, 2]})
    found = figures(measured("measure", path, "--weight", "w", "--count", "c"))
    assert (found["n"], found["prevalence"]) == (21, pytest.approx(16 / 21))


def test_impossible_classes_stay_out_of_sets(good, write, tmp_path):
    rows = [(1, 0, 0, "a"), (0, 1, 0, "b"), (0, 0, 1, "c")] * 30 + [(0.6, 0.3, 0.1, "b")] * 6
    columns = dict(zip(("p_a", "p_b", "p_c", "label"), zip(*rows, strict=True), strict=True))
    path, out = write("aps.csv", columns), tmp_path / "sets.json"
    good("threshold", path, "--scores", "p_*", "--coverage", 0.9, "--sets", "aps", "-o", out)
    assert load(str(out)).decide(np.array([[1.0, 0.0, 0.0]])).tolist() == [[True, False, False]]


@pytest.mark.parametrize("p", [0.0, 0.02])
def test_twenty_right_rows_are_not_sure(p, measured, write):
    path = write("right.csv", {"score": [p] * 10 + [1 - p] * 10, "label": [0] * 10 + [1] * 10})
    metrics = measured("measure", path)["overall"]["metrics"]
    # An error of 0.1 gives such a file with probability 0.12.
    assert all(metrics[name]["high"] > 0.1 for name in ("ece", "mce", "brier", "nll"))
    assert metrics["mce"]["high"] > 0.2


def test_a_gate_is_held_against_every_figure_of_a_day(calibcli, measured, write):
    good_day, bad_day = (237, 13, 12, 238), (241, 9, 185, 65)
    cells = [(0.1, 0), (0.1, 1), (0.9, 0), (0.9, 1)]
    rows = [
        (score, label, day)
        for day, counts in (("2026-01-01", good_day), ("2026-01-02", bad_day))
        for (score, label), count in zip(cells, counts, strict=True)
        for _ in range(count)
    ]
    columns = dict(zip(("score", "label", "day"), zip(*rows, strict=True), strict=True))
    given = (write("days.csv", columns), "--no-ci", "--by", "day")
    gates = ("--fail-if", "precision<0.5", "--fail-if", "series.bad>0")
    assert measured("measure", *given, *gates)["series"]["first_bad"] == "2026-01-02"
    assert calibcli("measure", *given, *gates).code == 1


def test_ids_join_and_never_the_place(calibcli, measured, write):
    scores = write("s.csv", {"id": [3, 1, 2], "score": [0.9, 0.2, 0.7]})
    labels = write("l.csv", {"id": [1, 2, 3], "label": [0, 0, 1]})
    ran = calibcli("measure", scores, "--labels", labels)
    assert (ran.code, "--key id" in ran.err) == (3, True)
    found = figures(measured("measure", scores, "--labels", labels, "--key", "id"))
    assert (found["auc"], found["n"]) == (1.0, 3)


def test_one_hot_labels_are_one_class_a_row(measured, write):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 400)
    scores = write("z.npy", rng.normal(size=(400, 4)) + 2 * np.eye(4)[truth])
    plain = measured("measure", scores, "--labels", write("y.npy", truth), "--logits")
    hot = measured("measure", scores, "--labels", write("h.npy", np.eye(4)[truth]), "--logits")
    assert (hot["task"], hot["overall"]) == ("multiclass", plain["overall"])


def test_temperatures_follow_the_scale_of_logits(good, write, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.normal(0, 1.5, 2000)
    label = (rng.random(2000) < 1 / (1 + np.exp(-z))).astype(int)
    path, out = write("margins.csv", {"score": 300 * z, "label": label}), tmp_path / "t.json"
    good("fit", path, "--logits", "--method", "temperature", "-o", out)
    assert json.loads(out.read_text())["calibrator"]["temperature"] == pytest.approx(300, rel=0.1)


def test_beta_is_the_maximum_likelihood_of_its_authors(good, write, tmp_path):
    # betacal 1.1.0 on these rows: a 0.8100, b 0.7590.
    score = [86, 237, 801, 582, 94, 433, 479, 160, 735, 114, 391, 517, 431, 587, 738, 956, 284]
    score += [649, 696, 293, 1, 973, 298, 314, 892, 585, 471, 773, 30, 707, 374, 91, 661, 931]
    score += [207, 630, 298, 742, 722, 219]
    label = [int(bit) for bit in "0010000100010101011101000101010001111110"]
    path, out = write("b.csv", {"score": [s / 1000 for s in score], "label": label}), tmp_path / "b"
    good("fit", path, "--method", "beta", "-o", out.with_suffix(".json"))
    found = json.loads(out.with_suffix(".json").read_text())["calibrator"]
    assert (found["a"], found["b"]) == (
        pytest.approx(0.81, abs=1e-4),
        pytest.approx(0.759, abs=1e-4),
    )


# -- shapes and messages ---------------------------------------------------------------------------


def test_decimal_commas(measured, write):
    plain = measured("measure", write("p.csv", {"score": SCORE, "label": LABEL}))
    rows = [f"{str(s).replace('.', ',')};{y}" for s, y in zip(SCORE, LABEL, strict=True)]
    found = measured("measure", write("q.csv", "\n".join(["score;label", *rows])))
    assert found["overall"] == plain["overall"]


def test_three_values_ask_which_is_no_label(calibcli, measured, write):
    columns = {"score": [*SCORE, 0.5], "label": [*LABEL, -1]}
    ran = calibcli("measure", write("u.csv", columns))
    assert (ran.code, "--ignore-label -1" in ran.err, "--positive" in ran.err) == (3, True, False)


def test_columns_and_labels_of_one_name(measured, write):
    columns = {"Class_1": [0.9, 0.2], "Class_2": [0.1, 0.8], "label": ["Class_1", "Class_2"]}
    found = measured("measure", write("otto.csv", columns), "--scores", "Class_*")
    assert figures(found)["accuracy"] == 1.0


def test_lists_of_label_names(calibcli, measured, write):
    columns = {"scores": [[0.9, 0.1], [0.2, 0.7]], "labels": [["b"], ["a", "b"]]}
    path = write("lists.parquet", columns)
    ran = calibcli("measure", path)
    assert (ran.code, "a label that is none of the 2 classes" in ran.err) == (3, True)
    assert measured("measure", path, "--classes", "a,b")["task"] == "multilabel"


@pytest.mark.parametrize("gone", [None, []])
def test_a_missing_list_can_be_dropped(gone, measured, write):
    columns = {"scores": [[0.9, 0.1], gone, [0.2, 0.8]], "label": [0, 1, 1]}
    path = write("gone.parquet", columns)
    assert figures(measured("measure", path, "--drop-invalid"))["n"] == 2


def test_usual_members_of_an_archive(measured, tmp_path):
    path = tmp_path / "dump.npz"
    np.savez(path, logits=np.array([[1.0, -1.0], [-2.0, 1.0]]), labels=np.array([0, 1]))
    assert figures(measured("measure", path, "--logits"))["accuracy"] == 1.0


# -- boxes -----------------------------------------------------------------------------------------


def truth(names):
    return json.dumps(
        {
            "images": [
                {"id": i, "width": 100, "height": 100, "file_name": name}
                for i, name in enumerate(names, 1)
            ],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": 1, "bbox": [10 + 50 * i, 60, 20, 20]}
                for i in range(1, len(names) + 1)
            ],
        }
    )


def results(images, boxes):
    return json.dumps(
        [
            {"image_id": image, "category_id": 1, "bbox": box, "score": 0.9}
            for image, box in zip(images, boxes, strict=True)
        ]
    )


BOXES = [[60, 60, 20, 20], [110, 60, 20, 20]]


@pytest.mark.parametrize(
    "images",
    [(1, 2), ("1", "2"), ("a/01.jpg", "a/02.jpg"), ("01.jpg", "02.jpg"), ("01", "02")],
)
def test_images_are_named_by_id_or_by_file(images, measured, write):
    given = ("--task", "detection", "--ground-truth")
    annotated = write("gt.json", truth(["a/01.jpg", "a/02.jpg"]))
    found = measured("measure", write("dt.json", results(images, BOXES)), *given, annotated)
    assert figures(found)["ap"] == 1.0
    assert "box-form" not in found["warning_codes"]


def test_a_name_of_two_images_is_none(calibcli, write):
    annotated = write("gt.json", truth(["a/01.jpg", "b/01.jpg"]))
    path = write("dt.json", results(["01", "b/01.jpg"], BOXES))
    ran = calibcli("measure", path, "--task", "detection", "--ground-truth", annotated)
    assert (ran.code, "the image '01' is not in" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[60, 60, 80, 80], [10, 60, 30, 80]], "would not as x1, y1, x2, y2"),
        ([[0.6, 0.6, 0.2, 0.2], [0.1, 0.6, 0.2, 0.2]], "shares of an image"),
    ],
)
def test_boxes_of_another_form_are_warned_of(boxes, said, measured, write):
    given = ("--task", "detection", "--ground-truth", write("gt.json", truth(["01.jpg", "02.jpg"])))
    found = measured("measure", write("dt.json", results([1, 2], boxes)), *given)
    at = found["warning_codes"].index("box-form")
    assert said in found["warnings"][at]


@pytest.mark.parametrize(
    ("more", "again", "said"),
    [
        ([], [], None),
        ([], [0], "detections (1);"),
        ([{"id": 3, "image_id": 1, "bbox": [60, 60, 20, 20]}], [], "objects (1);"),
        ([{"id": 2, "image_id": 1, "bbox": [0, 0, 9, 9]}], [], "ids of objects (1);"),
        (
            [{"id": 1, "image_id": 1, "bbox": [60, 60, 20, 20]}],
            [0, 1],
            "detections (2), objects (1), ids of objects (1);",
        ),
    ],
)
def test_what_is_there_twice_is_warned_of(more, again, said, measured, write):
    objects = json.loads(truth(["01.jpg", "02.jpg"]))
    objects["annotations"] += [{"category_id": 1} | one for one in more]
    given = ("--task", "detection", "--ground-truth", write("gt.json", json.dumps(objects)))
    images, boxes = [1, 2, *(1 + i for i in again)], [*BOXES, *(BOXES[i] for i in again)]
    found = measured("measure", write("dt.json", results(images, boxes)), *given)
    assert ("repeated-boxes" in found["warning_codes"]) == (said is not None)
    if said is not None:
        at = found["warning_codes"].index("repeated-boxes")
        assert found["warnings"][at].startswith(f"there twice: {said}")
