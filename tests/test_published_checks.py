"""Published figures, through the command line: worked examples, and score files of other people."""

from __future__ import annotations

import json

import numpy as np
import pytest

EIGHT = ([0.95, 0.80, 0.60, 0.55, 0.52, 0.40, 0.35, 0.20], [1, 1, 0, 1, 0, 0, 1, 0])
TWELVE = (
    [0.93, 0.82, 0.74, 0.58, 0.41, 0.88, 0.63, 0.52, 0.37, 0.22, 0.18, 0.07],
    [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
)
LOGITS = ([2.2, 1.0, 0.2, -0.2, -1.0, -2.0], [1, 1, 1, 0, 0, 0])
THIRDS = ("--edges", "0,.33,.66,1", "--closed", "left")


@pytest.fixture
def table(tmp_path):
    def write(scores, labels, name="score"):
        path = tmp_path / f"{name}.csv"
        lines = [f"{name},label", *(f"{s},{y}" for s, y in zip(scores, labels, strict=True))]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def counts(confusion):
    return tuple(confusion[name] for name in ("tp", "fp", "fn", "tn"))


# -- worked examples -------------------------------------------------------------------------------


def test_f1_of_eight_scores_is_best_at_055(good, table, tmp_path):
    ran = good("threshold", table(*EIGHT), "--format", "json", "-o", tmp_path / "t.json")
    (chosen,) = ran.json["thresholds"]
    assert chosen["threshold"] == 0.55
    assert chosen["value"]["value"] == 0.75
    assert counts(chosen["confusion"]) == (3, 1, 1, 3)
    assert chosen["confusion"]["f1"]["value"] == 0.75
    assert json.loads((tmp_path / "t.json").read_text())["thresholds"][0]["threshold"] == 0.55


def test_twelve_scores_at_070(good, table):
    ran = good(
        "measure", table(*TWELVE), "--threshold", 0.7, "--edges", "0,.25,.5,.75,1",
        "--format", "json", "--quiet",
    )  # fmt: skip
    overall = ran.json["overall"]
    assert counts(overall["confusion"][0]) == (3, 1, 2, 6)
    assert round(overall["metrics"]["brier"]["value"], 3) == 0.191
    assert round(overall["metrics"]["ece"]["value"], 3) == 0.149
    assert [row["count"] for row in overall["bins"]] == [3, 2, 4, 3]


def test_the_best_of_four_temperatures_is_one_half(good, table, tmp_path):
    path, out = table(*LOGITS, name="logit"), tmp_path / "c.json"
    ran = good(
        "fit", path, "--logits", "--temperatures", ".5,1,1.5,2", *THIRDS, "-o", out, "--format=json"
    )  # fmt: skip
    assert ran.json["method"] == "temperature"
    assert ran.json["calibrator"]["temperature"] == 0.5
    assert round(ran.json["before"]["metrics"]["ece"]["value"], 3) == 0.126
    assert ran.json["after"]["kind"] == "in-sample"  # six rows are too few for folds
    assert round(ran.json["after"]["metrics"]["ece"]["value"], 3) == 0.045

    shown = good("measure", path, "--logits", "--calibrator", out, *THIRDS, "--all").out
    assert shown.startswith("ECE 0.1261 ")
    assert " to 0.0448 " in shown.splitlines()[0]


def test_unrestricted_the_temperature_runs_to_its_bound_and_says_so(calibcli, table, tmp_path):
    ran = calibcli(
        "fit", table(*LOGITS, name="logit"), "--logits", "--method", "temperature",
        "-o", tmp_path / "c.json", "--format", "json",
    )  # fmt: skip
    found = ran.json["calibrator"]
    assert ran.code == 0
    assert found["temperature"] == 0.01
    assert ran.json["warnings"] == [
        "temperature stopped at its bound 0.01: the scores separate the labels"
    ]
    assert ran.json["warnings"][0] in ran.err


def test_cost_of_one_and_four_cuts_at_a_fifth(good, table):
    path = table(*TWELVE)
    ran = good("threshold", path, "--cost", "fp=1,fn=4", "--format", "json")
    cost = ran.json["thresholds"][0]["cost"]
    assert cost["closed_form_threshold"] == 0.2
    scores, labels = (np.array(column) for column in TWELVE)
    spent = {
        t: (((scores >= t) & (labels == 0)).sum() + 4 * ((scores < t) & (labels == 1)).sum()) / 12
        for t in [*scores, 2.0]
    }
    assert cost["expected"] == pytest.approx(min(spent.values()), abs=1e-15)
    assert spent[ran.json["thresholds"][0]["threshold"]] == min(spent.values())
    assert cost["closed_form_cost"] == pytest.approx(5 / 12, abs=1e-15)  # five negatives above .2
    assert "0.2" in good("threshold", path, "--cost", "fp=1,fn=4").out


# -- score files of other people -------------------------------------------------------------------


@pytest.fixture
def figures(calibcli, shared_data):
    """Measure a published file; return the figures asked for, rounded as they are published."""

    def measure(path, *arguments, group=None):
        ran = calibcli(
            "measure", shared_data / path, *arguments, "--no-ci", "--quiet", "--format", "json"
        )
        assert (ran.code, ran.err) == (0, "")
        found = ran.json["overall"]
        if group is not None:
            (found,) = (g for g in ran.json["groups"] if g["slice"]["value"] == group)
        return {name: figure["value"] for name, figure in found["metrics"].items()}

    return measure


@pytest.fixture
def temperature(calibcli, shared_data, tmp_path):
    def fit(path, *arguments):
        ran = calibcli(
            "fit", shared_data / path, *arguments, "--method", "temperature", "--no-ci",
            "-o", tmp_path / "c.json", "--quiet", "--format", "json",
        )  # fmt: skip
        assert (ran.code, ran.err) == (0, "")
        return ran.json

    return fit


def agree(found, **published):
    """Compare to all the digits that were published, given as text."""
    for name, text in published.items():
        digits = len(text.partition(".")[2])
        assert f"{found[name]:.{digits}f}" == text, name


TWO_CLASS = ("--score", "Class1", "--label", "truth", "--positive", "Class1")


def test_two_class_example(figures, temperature):
    path = "two_class_example/two_class_example.csv"
    agree(
        figures(path, *TWO_CLASS), n="500", auc="0.939314", nll="0.328310", brier="0.105619",
        ece="0.064699",
    )  # fmt: skip
    assert round(temperature(path, *TWO_CLASS)["calibrator"]["temperature"], 4) == 1.3433


EMPLOYMENT = ("--score", "predicted_probability", "--label", "employed")


@pytest.mark.parametrize(
    ("path", "arguments", "published"),
    [
        (
            "employment/reference_2015.parquet",
            EMPLOYMENT,
            {"n": "68785", "ece": "0.006311", "brier": "0.122893", "auc": "0.903361"},
        ),
        (
            "employment/production_2016_2018.parquet",
            EMPLOYMENT,
            {"n": "208892", "ece": "0.011382", "brier": "0.122216"},
        ),
        (
            "car_loan/reference.parquet",
            ("--score", "y_pred_proba", "--label", "repaid"),
            {"n": "50000", "auc": "0.970982", "brier": "0.045572", "ece": "0.022580"},
        ),
        (
            "car_loan/production.parquet",
            ("--score", "y_pred_proba", "--label", "repaid"),
            {"n": "50000", "brier": "0.057546", "ece": "0.030353"},
        ),
        (
            "fivethirtyeight/all_forecasts.parquet",
            ("--score", "prob", "--label", "outcome"),
            {
                "n": "1224752",
                "brier": "0.075466",
                "nll": "0.234726",
                "auc": "0.953419",
                "ece": "0.003523",
            },
        ),
    ],
)
def test_binary_files(figures, path, arguments, published):
    agree(figures(path, *arguments), **published)


def test_groups_of_employment_are_its_values(calibcli, shared_data):
    ran = calibcli(
        "measure", shared_data / "employment" / "reference_2015.parquet", *EMPLOYMENT,
        "--group", "RAC1P", "--no-ci", "--quiet", "--format", "json",
    )  # fmt: skip
    rows = [group["metrics"]["n"]["value"] for group in ran.json["groups"]]
    values = [group["slice"]["value"] for group in ran.json["groups"]]
    assert sum(rows) == 68785
    assert values == [str(k) for k in range(1, 10)]


def test_one_file_has_two_figures_called_ece(figures, shared_data):
    """Frequency of label 1 against the score, or accuracy against the confidence."""
    path = "pcam_pycalib/AdaBoost_probs.npy"
    labels = ("--labels", shared_data / "pcam_pycalib" / "AdaBoost_labels.npy")
    agree(figures(path, *labels, "--task", "binary"), ece="0.0027")
    agree(figures(path, *labels), ece="0.2527")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published", "fitted", "after"),
    [
        ("wideresnet-16-4-cifar-10", {"ece": "0.053716", "nll": "0.378170"}, 2.0517, "0.0062"),
        ("densenet-bc-100-cifar-100", {"ece": "0.142153"}, 2.1165, None),
        ("lenet-5-cifar-10", {"ece": "0.107888"}, 1.3968, None),
    ],
)
def test_cifar(figures, temperature, shared_data, name, published, fitted, after):
    path = f"cifar_netcal/{name}_probs.npy"
    labels = ("--labels", shared_data / "cifar_netcal" / f"{name}_labels.npy")
    agree(figures(path, *labels), **published)
    result = temperature(path, *labels)
    assert round(result["calibrator"]["temperature"], 4) == fitted
    if after is not None:  # published in-sample, here cross-fitted: one parameter of 10,000 rows
        assert result["after"]["kind"] == "cross-fitted"
        assert result["after"]["metrics"]["ece"]["value"] == pytest.approx(float(after), abs=2e-3)


@pytest.mark.parametrize(
    ("name", "ece", "fitted"),
    [("20news", "0.201136", 0.7596), ("imdb", "0.040377", 1.7182), ("mnist", "0.002976", None)],
)
def test_label_errors(figures, temperature, shared_data, name, ece, fitted):
    path = f"label_errors/{name}_probs.npy"
    labels = ("--labels", shared_data / "label_errors" / f"{name}_labels.npy")
    # The rows of imdb sum to 1.00002, and were divided by that before they were published.
    off = 2e-5 if name == "imdb" else 6e-7
    assert figures(path, *labels)["ece"] == pytest.approx(float(ece), abs=off)
    if fitted is not None:
        assert round(temperature(path, *labels)["calibrator"]["temperature"], 4) == fitted


@pytest.mark.slow
def test_mnist4(figures, temperature, shared_data):
    folder = shared_data / "mnist4_splinecalib"
    agree(
        figures("mnist4_splinecalib/calib_probs.npy", "--labels", folder / "calib_labels.npy"),
        n="30596", ece="0.287416",
    )  # fmt: skip
    agree(
        figures("mnist4_splinecalib/test_probs.npy", "--labels", folder / "test_labels.npy"),
        n="5139", ece="0.285495",
    )  # fmt: skip
    found = temperature(
        "mnist4_splinecalib/calib_probs.npy", "--labels", folder / "calib_labels.npy"
    )
    assert round(found["calibrator"]["temperature"], 6) == 0.351359


def test_hpc_cv(figures):
    path, columns = "hpc_cv/hpc_cv.csv", ("--scores", "VF,F,M,L", "--label", "obs")
    agree(figures(path, *columns), ece="0.071205")
    fold = figures(path, *columns, "--group", "Resample", group="Fold01")
    agree({"nll": fold["nll"], "half": fold["brier"] / 2}, nll="0.73384", half="0.20203")


@pytest.mark.slow
def test_coco_multilabel(calibcli, shared_data):
    folder = shared_data / "coco_multilabel"
    ran = calibcli(
        "measure", folder / "probs.npy", "--labels", folder / "labels.npy", "--no-ci", "--quiet",
        "--format", "json",
    )  # fmt: skip
    assert ran.json["task"] == "multilabel"
    assert len(ran.json["classes"]) == 80
    precision = [one["metrics"]["average_precision"]["value"] for one in ran.json["classes"]]
    assert f"{np.mean(precision):.4f}" == "0.9128"
    assert f"{ran.json['overall']['metrics']['prevalence']['value']:.3f}" == "0.037"


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "mozilla4_1046_rf",
            {"raw": 0.13687, "platt": 0.12816, "beta": 0.12781, "isotonic": 0.13630},
        ),
        (
            "airlines_42493_rf",
            {"raw": 0.89035, "platt": 0.67798, "beta": 0.67812, "isotonic": 0.67712},
        ),
        (
            "2dplanes_727_cb3",
            {"raw": 0.23947, "platt": 0.18155, "beta": 0.18161, "isotonic": 0.16476},
        ),
    ],
)
def test_splinecalib(calibcli, shared_data, tmp_path, name, published):
    folder, columns = shared_data / "splinecalib", ("--score", "y_pred", "--label", "y_true")
    quiet = ("--no-ci", "--quiet", "--format", "json")
    for method in ("platt", "beta", "isotonic"):
        out = tmp_path / f"{method}.json"
        calibset, testset = (folder / f"{kind}set_{name}.csv" for kind in ("calib", "test"))
        assert calibcli("fit", calibset, *columns, "--method", method, *quiet, "-o", out).code == 0
        overall = calibcli(
            "measure", testset, *columns, "--calibrator", out, *quiet
        ).json["overall"]  # fmt: skip
        raw, after = overall["metrics"]["nll"], overall["calibrated"]["metrics"]["nll"]["value"]
        # Published with certain errors clipped at 2.2e-16, here at 1e-15.
        clip = raw.get("certain_errors", 0) * np.log(1e-15 / 2.2204e-16)
        rows = overall["metrics"]["n"]["value"]
        assert raw["value"] + clip / rows == pytest.approx(published["raw"], abs=6e-6)
        assert after <= published[method] + 5e-6
        if name.startswith("2dplanes") and method != "isotonic":  # no score of exactly 0 or 1
            assert after == pytest.approx(published[method], abs=6e-6)
