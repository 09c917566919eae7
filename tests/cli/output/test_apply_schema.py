"""What `apply --format json` prints is what the published schema says, of each medium."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

ROWS = ("sample_data/breast_cancer_calibration.csv", "sample_data/breast_cancer_test.csv")
BOXES = ("sample_data/detection_calibration.json", "sample_data/detection_test.json")
DIGITS = ("sample_data/digits_calibration_logits.npy", "sample_data/digits_test_logits.npy")
MASKS = (
    "sample_data/well_logs/calibration_probabilities.npy",
    "sample_data/well_logs/test_probabilities.npy",
)


def of_kind(kind):
    """Return what is fitted, with its labels, and what it is applied to."""
    if kind == "boxes":
        task = ("--task", "detection")
        truth = ("--ground-truth", BOXES[0].replace(".json", "_truth.json"))
        return [BOXES[0], *task, *truth], [BOXES[1], *task], "out.json"
    if kind == "masks":
        task = ("--task", "segmentation", "--classes", "background,gamma,resistivity")
        labels = ("--labels", MASKS[0].replace("probabilities", "masks"))
        return [MASKS[0], *task, *labels], [MASKS[1], *task], "out.npy"
    if kind == "classes":
        labels = ("--labels", DIGITS[0].replace("logits", "labels"))
        return [DIGITS[0], "--logits", *labels], [DIGITS[1], "--logits"], "out.csv"
    return [ROWS[0]], [ROWS[1]], "out.parquet"


@pytest.fixture(scope="module")
def validator():
    from calibcli.io.artifacts.publish import FOLDER

    return Draft202012Validator(json.loads((FOLDER / "apply.json").read_text()))


@pytest.mark.parametrize(
    "kind", ["rows", "classes", "boxes", pytest.param("masks", marks=pytest.mark.slow)]
)
def test_the_result_is_what_the_schema_says(kind, good, tmp_path, validator):
    fitted, given, out = of_kind(kind)
    model, cuts = tmp_path / "model.json", tmp_path / "cuts.json"
    good("fit", *fitted, "--method", "temperature", "--no-ci", "-o", model)
    more = ["--provenance"]
    if kind in ("rows", "classes"):
        good("threshold", *fitted, "--no-ci", "--calibrator", model, "-o", cuts)
        more += ["--thresholds", cuts, "--fail-if", "n<1", "--tag", "model=a"]
    found = good("apply", model, *given, *more, "-o", tmp_path / out, "--format", "json").json
    assert not [error.message for error in validator.iter_errors(found)]
    assert found["rows"] > 0
    assert [gate["passed"] for gate in found.get("gates", [])] == [True] * (
        kind in ("rows", "classes")
    )


def test_the_schema_refuses_what_no_result_is(good, tmp_path, validator):
    model = tmp_path / "model.json"
    good("fit", ROWS[0], "--method", "platt", "--no-ci", "-o", model)
    found = good("apply", model, ROWS[1], "-o", tmp_path / "o.csv", "--format", "json").json
    for key in ("schema", "method", "rows", "output", "warnings"):
        assert not validator.is_valid({k: v for k, v in found.items() if k != key}), key
    assert not validator.is_valid({**found, "rows": "many"})
    assert validator.is_valid({**found, "later": 1})
