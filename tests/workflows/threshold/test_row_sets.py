"""`threshold --subject-to 'row-recall>=0.9'`: one cut-off for all labels, by the set of a row."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import recall_score

from calibcli.cli.main import main


def run(capsys, *arguments, code=0):
    capsys.readouterr()
    assert main([*map(str, arguments), "--format", "json"]) == code
    told = capsys.readouterr()
    return json.loads(told.out) if code == 0 else told.err


@pytest.fixture
def labels(tmp_path):
    rng = np.random.default_rng(1)
    z = rng.normal(-0.5, 1.5, (700, 4)) + rng.normal(0, 1, (700, 1))
    p = (1 / (1 + np.exp(-z))).round(3)
    y = (rng.random(p.shape) < p).astype(int)
    y[y.sum(axis=1) == 0, 0] = 1  # so that scikit-learn averages over the same rows
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y)
    np.save(tmp_path / "z.npy", np.log(p / (1 - p)))
    files = (tmp_path / "p.npy", "--labels", tmp_path / "y.npy", "--task", "multilabel")
    return p, y, files


def test_a_bound_of_the_set_of_a_row(capsys, labels, tmp_path):
    p, y, files = labels
    bound = ("--subject-to", "row-recall>=0.8")
    curve = tmp_path / "c.csv"
    found = run(
        capsys, "threshold", *files, *bound, "-o", tmp_path / "t.json", "--candidates", curve
    )
    assert curve.read_text().splitlines()[0] == "slice,threshold,tp,fp,fn,tn,precision,recall,fpr"
    common = found["common"]
    cut = common["threshold"]
    assert (common["unit"], common["units"]) == ("row", 700)
    recall = recall_score(y, p >= cut, average="samples")
    assert common["rows"]["row-recall"]["value"] == pytest.approx(recall, abs=1e-12)
    higher = np.unique(p[p > cut])
    assert all(recall_score(y, p >= one, average="samples") < 0.8 for one in higher[:5])
    crossed = common["cross_fitted"]["rows"]["row-recall"]
    assert crossed["low"] < recall < crossed["high"]
    assert {item["threshold"] for item in found["thresholds"]} == {cut}
    kept = json.loads((tmp_path / "t.json").read_text())
    assert [item["threshold"] for item in kept["thresholds"]] == [cut] * 4


def test_a_promise_of_the_set_of_a_row(capsys, labels, tmp_path):
    _, _, files = labels
    bound = ("--subject-to", "row-recall>=0.7", "--subject-to", "row-precision>=0.5")
    sure = (*bound, "--guarantee", "0.9", "--no-ci")
    found = run(capsys, "threshold", *files, *sure, "-o", tmp_path / "t.json")
    kept = json.loads((tmp_path / "t.json").read_text())
    assert [one["guarantee"]["unit"] for one in kept["thresholds"]] == ["row"] * 4
    assert found["kind"] == "certified"
    promise = found["common"]["guarantee"]
    assert (promise["unit"], promise["units"]) == ("row", 700)
    assert promise["means"]["row-recall"] > 0.7
    assert promise["low"] <= found["common"]["threshold"] <= promise["high"]
    said = run(capsys, "threshold", *files, "--subject-to", "row-recall>=0.999", "--guarantee",
               "0.95", code=1)  # fmt: skip
    assert "on 700 rows" in said
    assert main([*map(str, ("threshold", *files, *sure))]) == 0
    assert "holds in the mean over new rows like these" in capsys.readouterr().out


def test_a_label_that_never_occurs_is_named(capsys, labels, tmp_path):
    _, y, files = labels
    y[:, 3] = 0
    np.save(tmp_path / "y.npy", y)
    one = "class '3': only label 0 occurs: the cut-off says nothing about the other label"
    for objective in ("macro-f1", "row-f1"):
        found = run(capsys, "threshold", *files, "--maximize", objective, "--no-ci")
        assert found["warnings"] == [one]


def test_logits_are_cut_as_they_are(capsys, labels, tmp_path):
    _, _, files = labels
    bound = ("--subject-to", "row-precision>=0.6")
    plain = run(capsys, "threshold", *files, *bound)["common"]
    logits = (tmp_path / "z.npy", *files[1:], "--logits")
    found = run(capsys, "threshold", *logits, *bound)["common"]
    assert found["threshold"] == pytest.approx(plain["threshold"])
    assert found["value"] == pytest.approx(plain["value"])
    sure = (*bound, "--guarantee", "0.9", "--no-ci")
    plain = run(capsys, "threshold", *files, *sure)["common"]
    found = run(capsys, "threshold", *logits, *sure)["common"]
    assert found["threshold"] == pytest.approx(plain["threshold"])


def test_clusters_are_units(capsys, labels, tmp_path):
    p, y, _ = labels
    names = [f"s{k}" for k in range(4)] + [f"y{k}" for k in range(4)] + ["patient"]
    lines = [",".join(names)]
    lines += [
        ",".join(map(str, (*scores, *truth, place // 7)))
        for place, (scores, truth) in enumerate(zip(p, y, strict=True))
    ]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    found = run(
        capsys, "threshold", path, "--scores", "s*", "--label", "y0,y1,y2,y3",
        "--task", "multilabel", "--cluster", "patient",
        "--subject-to", "row-recall>=0.7", "--guarantee", "0.8", "--no-ci",
    )  # fmt: skip
    common = found["common"]
    assert (common["unit"], common["units"]) == ("patient", 100)
    chosen = (p >= common["threshold"]).reshape(100, 28)
    truth = y.reshape(100, 28) == 1
    recall = ((chosen & truth).sum(axis=1) / truth.sum(axis=1)).mean()
    assert common["guarantee"]["means"]["row-recall"] == pytest.approx(recall, abs=1e-12)


def test_what_makes_no_sense_is_refused(capsys, labels, sample_data, tmp_path):
    _, _, files = labels
    digits = (sample_data / "digits_calibration_logits.npy", "--labels",
              sample_data / "digits_calibration_labels.npy", "--logits")  # fmt: skip
    one = sample_data / "breast_cancer_calibration.csv"
    stats = tmp_path / "s.json"
    run(capsys, "measure", *files, "--save-stats", stats)
    recall = ("--subject-to", "row-recall>=0.8")
    for arguments, said in (
        ((*files, *recall, "--maximize", "f1"), "all labels one cut-off"),
        ((*files, *recall, "--subject-to", "recall>=0.5"), "all labels one cut-off"),
        ((*files, *recall, "--cost", "fp=1,fn=2"), "--cost"),
        ((*files, *recall, "--unreachable", "never"), "--unreachable"),
        ((*files, "--subject-to", "row-f1>=0.1", "--guarantee", "0.9"), "cannot be certified"),
        ((*files, *recall, "--promote-over", tmp_path / "t.json"), "--promote-over"),
        ((*digits, *recall), "several labels a row"),
        ((one, *recall), "several classes or labels"),
        ((stats, *recall), "score files"),
    ):
        ran = run(capsys, "threshold", *arguments, code=2)
        assert said in ran, ran
