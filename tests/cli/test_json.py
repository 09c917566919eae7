"""The JSON is a contract: its schema, the order of its keys, no NaN, exact numbers."""

from __future__ import annotations

import json

import pytest

from calibcli._version import __version__
from tests.schemas import fits_schema

BINARY = (
    "n", "prevalence", "mean_score", "ece", "ece_debiased", "mce", "ace", "smooth_ece", "ks",
    "kuiper", "brier", "brier_miscalibration", "brier_discrimination", "brier_uncertainty", "nll",
    "auc", "average_precision", "spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p",
    "calibration_slope", "calibration_intercept", "oe_ratio", "ici", "e50", "e90",
    "over_confidence", "under_confidence", "nll_miscalibration", "nll_discrimination",
    "nll_uncertainty", "brier_skill", "nll_skill", "cllr", "cllr_min", "aurc", "miscalibration_p",
)  # fmt: skip
SEVERAL = (
    "n", "accuracy", "mean_score", "ece", "ece_debiased", "mce", "ace", "classwise_ece",
    "top_label_ece", "smooth_ece", "ks", "kuiper", "brier", "brier_miscalibration",
    "brier_discrimination", "brier_uncertainty", "nll", "auc", "average_precision",
    "spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p", "calibration_slope",
    "calibration_intercept", "oe_ratio", "ici", "e50", "e90", "over_confidence",
    "under_confidence", "brier_skill", "nll_skill", "aurc", "miscalibration_p",
)  # fmt: skip
MEASURE = (
    "schema", "version", "calibcli", "inputs", "params", "task", "overall", "classes", "groups",
    "gates", "warnings", "warning_codes",
)  # fmt: skip


def valid(result):
    kind = result["schema"].removeprefix("calibcli/")
    fits_schema(result, kind)
    assert result["version"] == 1
    assert result["calibcli"] == __version__
    return kind


def artifact(path):
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)


@pytest.fixture
def rows(write, classes):
    return write("z.npy", classes["z"]), "--labels", write("y.npy", classes["label"]), "--logits"


def test_measure_of_a_binary_score(good, scores, calibrator):
    result = good(
        "measure", scores, "--group", "camera", "--cluster", "visit", "--calibrator", calibrator,
        "--at", 0.8, "--bins", "15,10", "--fail-if", "ece>0.9", "--format", "json", "-q",
    ).json  # fmt: skip
    assert valid(result) == "measure"
    assert tuple(result) == (*MEASURE, "overlap")
    assert tuple(result["overall"]["metrics"]) == BINARY
    assert tuple(result["overall"]["calibrated"]["metrics"]) == BINARY
    assert [tuple(one["metrics"]) for one in result["groups"]] == [BINARY] * 3
    for figure in result["overall"]["metrics"].values():
        assert tuple(figure)[:3] == ("value", "low", "high")
    assert [gate["passed"] for gate in result["gates"]] == [True]


@pytest.mark.parametrize("options", [(), ("--no-ci",), ("--binning", "mass"), ("--closed", "left")])
def test_measure_of_several_classes(good, rows, options):
    result = good("measure", *rows, *options, "--format", "json").json
    assert valid(result) == "measure"
    assert tuple(result["overall"]["metrics"]) == SEVERAL
    assert [tuple(one["metrics"]) for one in result["classes"]] == [BINARY] * 3


def test_every_null_has_its_reason(calibcli, write):
    one = write("one.csv", "score,label\n0,0\n1,1\n0,0\n1,1\n")
    for path in (one, write("two.csv", "score,label\n.4,0\n.7,0\n")):
        result = calibcli("measure", path, "--group", "label", "--format", "json").json
        assert valid(result) == "measure"
        for part in (result["overall"], *result["groups"]):
            for figure in part["metrics"].values():
                assert figure["value"] is not None or figure["reason"]
            for table in part["confusion"]:
                assert all(
                    figure["value"] is not None or figure["reason"]
                    for figure in table.values()
                    if isinstance(figure, dict)
                )


def test_every_convention_is_recorded(good, scores):
    result = good("measure", scores, "--format", "json").json
    params = result["params"]
    assert params["bins"] == [15]
    assert params["binning"] == "width"
    assert params["closed"] == "right"
    assert params["confidence"] == 0.95
    assert params["seed"] == 0
    assert params["log_loss_clip"] == 1e-15
    assert params["score"] == ["score"]
    for name in ("label", "logits", "positive", "weight", "count", "groups", "cluster",
                 "drop_invalid", "edges", "thresholds", "tolerance", "at", "classes"):  # fmt: skip
        assert name in params


def test_fit_and_its_calibrator(good, scores, rows, tmp_path):
    path = tmp_path / "c.json"
    for arguments in ((scores,), rows):
        for method in ("auto", "identity", "temperature", "isotonic", "histogram"):
            result = good(
                "fit", *arguments, "--method", method, "-o", path, "--format", "json", "-q"
            ).json
            assert valid(result) == "fit"
            assert valid(artifact(path)) == "calibrator"
            assert artifact(path)["calibrator"] == result["calibrator"]
            assert result["after"]["kind"] in ("cross-fitted", "in-sample", "unchanged")


def test_threshold_and_its_thresholds(good, scores, rows, tmp_path):
    path = tmp_path / "t.json"
    for arguments in ((scores,), (scores, "--cost", "fp=1,fn=4"), rows):
        result = good("threshold", *arguments, "-o", path, "--format", "json", "-q").json
        assert valid(result) == "threshold"
        assert valid(artifact(path)) == "thresholds"
        for chosen, written in zip(result["thresholds"], artifact(path)["thresholds"], strict=True):
            assert chosen["threshold"] == written["threshold"]
            table = chosen["confusion"]
            assert table["tp"] + table["fp"] + table["fn"] + table["tn"] == chosen["n"]
            if result["objective"] == "f1":
                assert table["f1"]["value"] == chosen["value"]["value"]


def test_statistics(good, scores, rows, tmp_path):
    for arguments in (
        (scores, "--group", "camera"), (scores, "--cluster", "visit"), rows,
    ):  # fmt: skip
        path = tmp_path / "s.json"
        direct = good("measure", *arguments, "--save-stats", path, "--format", "json").json
        assert valid(artifact(path)) == "stats"
        again = good("measure", path, "--format", "json").json
        assert again["overall"] == direct["overall"]
        assert again["classes"] == direct["classes"]
        assert again["groups"] == direct["groups"]
        assert again["inputs"] == direct["inputs"]


def test_the_json_of_a_report_holds_curves(good, scores, tmp_path):
    result = good("report", scores, "--format", "json").json
    overall = result["measure"]["overall"]
    assert overall["roc"]["fpr"][0] == overall["roc"]["tpr"][0] == 0
    assert overall["roc"]["fpr"][-1] == overall["roc"]["tpr"][-1] == 1
    assert overall["pr"]["recall"][-1] == 1
    assert len(overall["pr"]["recall"]) <= 500
    good("report", scores, "-o", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == result
