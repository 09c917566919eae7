"""Whose scores a file holds, and which rows a calibrator was fitted on: by their digests."""

from __future__ import annotations

import json

import numpy as np
import pytest


def digest(path):
    return json.loads(path.read_text())["digest"]


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "csv", "csv.gz"])
def test_measure_says_whose_probabilities_they_are(
    good, scores, calibrator, cuts, tmp_path, suffix
):
    out = tmp_path / f"out.{suffix}"
    flag = [] if suffix in ("parquet", "arrow") else ["--provenance"]
    good("apply", calibrator, scores, "--thresholds", cuts, "-o", out, *flag)
    found = good("measure", out, "--score", "probability", "--format", "json").json
    applied = found["inputs"][0]["applied"]
    assert applied["calibrator"] == digest(calibrator)
    assert applied["thresholds"] == digest(cuts)
    assert applied["columns"] == ["probability", "decision"]
    text = good("measure", out, "--score", "probability").out
    first, second = (digest(one).removeprefix("sha256:")[:12] for one in (calibrator, cuts))
    assert f"calibrated by {first}, decided by {second}" in text
    raw = good("measure", out, "--score", "score", "--all").out
    assert f"scores before the calibrator {first}" in raw


def test_an_array_has_a_file_beside_it(good, scores, calibrator, tmp_path):
    out = tmp_path / "out.npy"
    told = good("apply", calibrator, scores, "-o", out, "--provenance").out
    assert f"provenance  {out}.provenance.json" in told
    found = good("measure", out, "--labels", scores, "--format", "json").json
    assert found["inputs"][0]["applied"]["calibrator"] == digest(calibrator)
    assert "calibrated by" in good("measure", out, "--labels", scores).out
    np.save(out, np.load(out) * 0.9)
    changed = good("measure", out, "--labels", scores, "--format", "json").json
    assert "applied" not in changed["inputs"][0], "it is about another content"


def test_a_side_file_that_is_none_is_told(calibcli, scores):
    scores.with_name("scores.csv.provenance.json").write_text("[1]")
    ran = calibcli("measure", scores)
    assert ran.code == 3
    assert "scores.csv.provenance.json is no side file of calibcli" in ran.err


def test_the_same_rows_are_written_as_the_same_bytes(good, scores, calibrator, tmp_path):
    for name in ("a.parquet", "b.parquet"):
        good("apply", calibrator, scores, "-o", tmp_path / name, "--provenance")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_gate_that_fails_writes_no_side_file(calibcli, scores, calibrator, tmp_path):
    out = tmp_path / "out.csv"
    ran = calibcli("apply", calibrator, scores, "-o", out, "--provenance", "--fail-if", "n>0")
    assert ran.code == 1
    assert not list(tmp_path.glob("out*"))


def test_nothing_stands_beside_standard_output(calibcli, scores, calibrator):
    ran = calibcli("apply", calibrator, scores, "-o", "-", "--provenance")
    assert ran.code == 2
    assert "--provenance: rows on standard output leave no room for a file beside" in ran.err


def classes(write, name, order):
    rng = np.random.default_rng(3)
    p = np.round(rng.dirichlet([2, 1, 1], 400), 6)
    label = np.array(list("abc"))[(p.cumsum(axis=1) < rng.random((400, 1))).sum(axis=1)]
    return write(
        name, {**{f"p_{k}": p[order, i] for i, k in enumerate("abc")}, "label": label[order]}
    )


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_a_calibration_set_is_known_by_its_rows(good, write, binary, tmp_path, kind):
    order = np.random.default_rng(0).permutation(400)
    how = ()
    if kind == "binary":
        rows = {name: column[:400] for name, column in binary.items()}
        first, other = (
            write(name, {key: column[at] for key, column in rows.items()})
            for name, at in (("first.csv", np.arange(400)), ("other.parquet", order))
        )
    else:
        how = ("--scores", "p_*", "--renormalise")
        first = classes(write, "first.csv", np.arange(400))
        other = classes(write, "other.csv", order)
    made = tmp_path / "c.json"
    good("fit", first, *how, "--method", "temperature", "-o", made)
    recorded = json.loads(made.read_text())["data"]
    named = [
        good("measure", first, *how, "--reference", one, "--format", "json").json
        for one in (made, first, other)
    ]
    assert [one["drift"]["reference"]["digest"] for one in named] == [recorded] * 3
    text = good("measure", first, *how, "--reference", made).out
    assert f"The reference rows are {recorded.removeprefix('sha256:')[:12]}." in text
    again = good("fit", other, *how, "--method", "platt" if not how else "vector", "-o", made)
    assert again.code == 0
    assert json.loads(made.read_text())["data"] == recorded
