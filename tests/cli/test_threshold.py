"""`calibcli threshold` and the decisions of `apply`, as a script meets them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest


def decisions(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_unreachable_guarantee_is_exit_1_and_writes_nothing(calibcli, scores, tmp_path):
    out = tmp_path / "thresholds.json"
    bound = ("--subject-to", "precision>=0.999", "--guarantee", "0.99")
    ran = calibcli("threshold", scores, *bound, "-o", out)
    assert ran.code == 1
    assert ran.out == ""
    assert "no cut-off can be certified for precision>=0.999" in ran.err
    assert "hint: no thresholds were written" in ran.err
    assert not out.exists()
    out.write_text("old")
    assert calibcli("threshold", scores, *bound, "-o", out).code == 1
    assert out.read_text() == "old"


def test_certified_and_empirical_are_named(calibcli, scores, tmp_path):
    out = tmp_path / "thresholds.json"
    for more, kind in (((), "empirical"), (("--guarantee", "0.9"), "certified")):
        bound = ("--subject-to", "recall>=0.7", *more)
        ran = calibcli("threshold", scores, *bound, "-o", out, "--format", "json")
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["kind"] == kind
        assert json.loads(out.read_text())["kind"] == kind


@pytest.mark.parametrize("form", ["table", "csv", "md", "json"])
@pytest.mark.parametrize(
    "options",
    [
        ("--group", "camera", "--subject-to", "precision>=0.6"),
        ("--per-group", "camera", "--equal", "fpr"),
        ("--cost", "fp=1,fn=4,refer=0.2"),
        ("--abstain", "accuracy>=0.8", "--group", "camera"),
        ("--coverage", "0.9", "--group", "camera"),
        ("--coverage", "0.9", "--sets", "aps"),
    ],
)
def test_every_decision_renders_in_every_form(calibcli, scores, options, form):
    ran = calibcli("threshold", scores, *options, "--format", form)
    assert ran.code == 0, ran.err
    assert ran.out.endswith("\n")
    if form == "json":
        json.loads(ran.out)
    else:
        assert "front" in ran.out or "camera" not in options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--coverage", "0.9", "--abstain", "accuracy>=0.9"), "two kinds of decision"),
        (("--coverage", "0.9", "--guarantee", "0.9"), "two kinds of decision"),
        (("--abstain", "accuracy>=0.9", "--cost", "fp=1,fn=1"), "two kinds of decision"),
        (("--sets", "aps"), "--coverage"),
        (("--coverage", "90"), "between 0 and 1"),
        (("--equal", "recall"), "--per-group"),
        (("--prior", "0.2,0.3"), "2 values"),
        (("--abstain", "recall>=0.9"), "accuracy"),
    ],
)
def test_options_that_do_not_fit_are_exit_2(calibcli, scores, options, said):
    ran = calibcli("threshold", scores, *options)
    assert ran.code == 2
    assert said in ran.err


@pytest.fixture
def apply(calibcli, scores, calibrator, tmp_path):
    """Choose on the scores after the calibrator, apply, and return both artifact and rows."""

    def run(*options, suffix=".csv"):
        cuts, out = tmp_path / "cuts.json", tmp_path / f"out{suffix}"
        ran = calibcli("threshold", scores, "--calibrator", calibrator, *options, "-o", cuts)
        assert ran.code == 0, ran.err
        ran = calibcli("apply", calibrator, scores, "--thresholds", cuts, "-o", out)
        assert ran.code == 0, ran.err
        return json.loads(cuts.read_text()), out

    return run


def test_referred_rows_have_no_decision(apply):
    cuts, out = apply("--cost", "fp=1,fn=2,refer=0.2")
    band = cuts["thresholds"][0]["cost"]["band"]
    for row in decisions(out):
        p = float(row["probability"])
        referred = band["low"] <= p < band["high"]
        assert row["referred"] == str(int(referred))
        assert row["decision"] == ("" if referred else str(int(p >= band["high"])))


def test_groups_are_decided_by_their_own_cut_off(apply):
    cuts, out = apply("--per-group", "camera")
    own = {
        one["slice"]["value"]: one["threshold"]
        for one in cuts["thresholds"]
        if one["slice"]["kind"] == "group"
    }
    for row in decisions(out):
        assert row["decision"] == str(int(float(row["probability"]) >= own[row["camera"]]))


def test_prediction_sets_are_lists_in_parquet_and_json_in_csv(apply):
    from pyarrow import parquet

    cuts, out = apply("--coverage", "0.8")
    limit = cuts["sets"]["quantiles"][""]
    found = [json.loads(row["prediction_set"]) for row in decisions(out)]
    for row, inside in zip(decisions(out), found, strict=True):
        p = float(row["probability"])
        assert inside == [name for name, q in (("0", 1 - p), ("1", p)) if 1 - q <= limit]
    _, out = apply("--coverage", "0.8", suffix=".parquet")
    assert parquet.read_table(out)["prediction_set"].to_pylist() == found


def test_several_classes_are_decided_kept_and_put_into_sets(calibcli, classes, write, tmp_path):
    z, y = write("z.npy", classes["z"]), write("y.npy", classes["label"])
    data = (z, "--labels", y, "--logits")
    fitted, cuts, out = (tmp_path / name for name in ("c.json", "t.json", "out.csv"))
    assert calibcli("fit", *data, "--method", "temperature", "-o", fitted).code == 0
    matrix = write("m.csv", "0,1,1,0.3\n1,0,1,0.3\n4,4,0,0.3\n")
    for options, columns in (
        ((), {"decision"}),
        (("--abstain", "accuracy>=0.6"), {"decision", "referred"}),
        (("--cost-matrix", matrix), {"decision", "referred"}),
        (("--coverage", "0.9", "--per-class"), {"prediction_set"}),
    ):
        ran = calibcli("threshold", *data, "--calibrator", fitted, *options, "-o", cuts)
        assert ran.code == 0, ran.err
        ran = calibcli("apply", fitted, z, "--logits", "--thresholds", cuts, "-o", out)
        assert ran.code == 0, ran.err
        rows = decisions(out)
        assert len(rows) == len(classes["label"])
        assert {"decision", "referred", "prediction_set"} & set(rows[0]) == columns


def test_the_report_counts_the_cut_off_on_its_own_rows(calibcli, scores, write, binary, tmp_path):
    cuts = tmp_path / "t.json"
    assert calibcli("threshold", scores, "-o", cuts).code == 0
    at = json.loads(cuts.read_text())["thresholds"][0]["threshold"]
    half = {name: column[:200] for name, column in binary.items()}
    other = write("other.csv", half)
    ran = calibcli("report", other, "--thresholds", cuts, "--format", "md")
    assert ran.code == 0, ran.err
    here = ran.out.split("On the rows of this report")[1].split("On the rows that it was chosen")[0]
    on = half["score"] >= at
    counts = [int((on & (half["label"] == 1)).sum()), int((on & (half["label"] == 0)).sum())]
    assert f"| {counts[0]} | {counts[1]} |" in here
    page = calibcli("report", other, "--thresholds", cuts)
    assert f"TP {counts[0]}" in page.out
    assert "Net benefit" in page.out
    assert "Risk and coverage" in page.out


def test_candidates_and_the_scores_are_never_one_file(calibcli, scores):
    before = scores.read_bytes()
    assert calibcli("threshold", scores, "--candidates", scores).code == 3
    assert scores.read_bytes() == before


def test_decide_in_python_needs_no_other_tool(calibcli, scores, binary, tmp_path):
    import calibcli as package

    cuts = tmp_path / "t.json"
    assert calibcli("threshold", scores, "-o", cuts).code == 0
    loaded = package.load(str(cuts))
    decided = loaded.decide(binary["score"])
    assert decided.dtype == np.bool_
    assert (decided == (binary["score"] >= loaded.values[0])).all()


def test_costs_stand_in_every_form_of_the_cut_off_that_was_chosen_by_them(good, scores, tmp_path):
    """Also after they were kept, and where nothing is referred."""
    cuts, page = tmp_path / "cuts.json", tmp_path / "page.html"
    chosen = ("threshold", scores, "--cost", "fp=1,fn=4", "-o", cuts)
    assert "closed form threshold" in good(*chosen, "--all").out
    assert "closed_form_cost" in good(*chosen, "--format", "csv", "-q").out
    good("report", scores, "--thresholds", cuts, "-o", page, "-q")
    assert "closed form threshold" in page.read_text()
