"""What messages call things, and what they advise: each of these was wrong once."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats


@pytest.fixture
def piped(calibcli, monkeypatch):
    """Run the program with bytes on its standard input; return (code, out, err)."""

    def run(content, *arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        ran = calibcli(*arguments)
        return ran.code, ran.out, ran.err

    return run


@pytest.mark.parametrize(
    "content",
    [
        b"score,label\n0.5,1\nx,0\n",
        b"score,label\n0.5,1\n1.5,0\n",
        b"score,label\n0.5,1\n,0\n",
        b"score,label\n0.5,1\n0.5,7\n",
        b"score,label\n0.5,1\n0.5,0,1\n",
        b"score,label\n0.5,1\n\xff,0\n",
        b"points,label\n0.5,1\n",
        b"score,score\n0.5,1\n",
        b"",
        b'{"schema": "calibcli/stats", "version": 9}',
    ],
)
def test_standard_input_is_called_by_its_name(piped, content):
    code, out, err = piped(content, "measure", "-")
    assert (code, out) == (3, "")
    assert "standard input" in err.splitlines()[0]
    told = err.replace("calibcli measure - ", "")  # what to type, where a dash is the name
    assert re.search(r"(?<!\S)-(?!\S)", told) is None, "a bare dash is no name"


def test_results_keep_the_dash(piped):
    code, out, _ = piped(b"score,label\n0.5,1\n0.5,0\n", "measure", "-", "--format", "json")
    assert code == 0
    assert json.loads(out)["inputs"][0]["path"] == "-"


def test_a_closed_standard_input_is_no_terminal(tmp_path):
    line = f"{sys.executable} -m calibcli measure - <&-"
    ran = subprocess.run(["bash", "-c", line], capture_output=True, check=False, cwd=tmp_path)
    assert ran.returncode == 2
    assert b"standard input is closed" in ran.stderr


@pytest.mark.parametrize("names", [("score", "label"), ("p", "target"), ("a", "b")])
@pytest.mark.parametrize("lengths", [(20, 10), (10, 20)])
def test_arrays_of_different_length(calibcli, tmp_path, names, lengths):
    np.savez(tmp_path / "x.npz", **{n: np.zeros(k) for n, k in zip(names, lengths, strict=True)})
    options = ("--score", "a", "--label", "b") if names == ("a", "b") else ()
    ran = calibcli("measure", tmp_path / "x.npz", *options)
    assert ran.code == 3
    for name, length in zip(names, lengths, strict=True):
        assert f"{name} has {length} rows" in ran.err


def test_other_arrays_may_have_another_length(good, tmp_path, binary):
    arrays = {"score": binary["score"], "label": binary["label"], "names": np.array(["no", "yes"])}
    np.savez(tmp_path / "x.npz", **arrays)
    good("measure", tmp_path / "x.npz")


def test_one_score_is_singular(calibcli, write, binary):
    scores, labels = write("x.npy", binary["score"]), write("y.npy", binary["label"])
    given = (scores, "--labels", labels)
    for wrong in (("--classes", "a,b"), ("--task", "multiclass")):
        ran = calibcli("measure", *given, *wrong)
        assert ran.code in (2, 3)
        assert "1 scores" not in ran.err
        assert re.search(r"\b(1|one) score in each row|each row has 1 score\b", ran.err)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "arrow"])
def test_a_file_under_a_name_that_is_not_utf8(good, calibcli, write, binary, tmp_path, suffix):
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / (b"\xff\xfe." + suffix.encode()).decode("utf-8", "surrogateescape")
    if suffix == "arrow":
        table = pyarrow.table(binary)
        with Path(path).open("wb") as file, pyarrow.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        os.rename(write(f"plain.{suffix}", binary), path)  # noqa: PTH104, surrogates
    same = good("measure", write("same.csv", binary), "--format", "json").json["overall"]
    assert good("measure", path, "--format", "json").json["overall"] == same
    path.write_bytes(b"")
    ran = calibcli("measure", path)
    assert ran.code == 3
    assert "is empty" in ran.err


def test_many_scores_for_a_calibrator_of_one(calibcli, write, classes, calibrator, tmp_path):
    path = write("p.npy", classes["p"])
    ran = calibcli("apply", calibrator, path, "-o", tmp_path / "o.csv")
    assert ran.code == 3
    assert "for one score in each row, the input has 3" in ran.err
    assert "--score" in ran.err
    assert "--task" not in ran.err
    # Who says --task binary is told about it.
    ran = calibcli("apply", calibrator, path, "--task", "binary", "-o", tmp_path / "o.csv")
    assert "leave out --task" in ran.err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="script(1) of util-linux makes the terminal")
def test_a_page_is_not_printed_on_a_terminal(scores, tmp_path):
    line = f"script -qec '{sys.executable} -m calibcli report {{}}' /dev/null; echo code $?"

    def run(text):
        shell = ["bash", "-c", line.format(text)]
        return subprocess.run(shell, capture_output=True, check=False, text=True).stdout

    if "code 0" not in run("--help"):
        pytest.skip("no script(1)")
    page = run(scores)
    assert "<html" not in page
    assert "-o report.html" in page
    assert "code 2" in page
    assert "# Calibration report" in run(f"{scores} --format md")
    assert "code 0" in run(f"{scores} -o {tmp_path / 'r.html'}")


def test_markdown_leaves_numbers_readable(good, scores, calibrator):
    text = good("measure", scores, "--calibrator", calibrator, "--format", "md").out
    assert re.search(r"\| -0\.\d+ \|", text)
    assert re.search(r"\| \+0\.\d+ \|", text)
    assert "&#45;" not in text
    assert "&#43;" not in text


@pytest.mark.parametrize(
    ("kind", "slices"),
    [("python", "--per-group"), ("sql", "--ensemble"), ("python", "--ensemble")],
)
def test_maps_of_several_inputs_are_not_written_as_one(
    calibcli, write, binary, tmp_path, kind, slices
):
    columns = {**binary, "other": np.clip(1 - binary["score"], 0.1, 0.9)}
    given = ("--per-group", "camera") if slices == "--per-group" else ("--ensemble", "score,other")
    path = write("x.csv", columns)
    assert calibcli("fit", path, *given, "-o", tmp_path / "c.json", "-q").code == 0
    ran = calibcli("apply", tmp_path / "c.json", "--emit", kind)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[2].startswith("hint: ")


def test_one_interval_for_one_figure(calibcli, scores):
    for figure, name in (("f1", "f1"), ("dice", "f1"), ("precision", "precision")):
        options = ("--maximize", figure, "--subject-to", "recall>=0.5", "--format", "json")
        item = calibcli("threshold", scores, *options).json["thresholds"][0]
        assert item["value"] == item["confusion"][name]


@pytest.mark.parametrize("where", ["measure", "fit"])
def test_tests_of_independent_rows_say_nothing_of_clusters(good, scores, tmp_path, where):
    tests = ("spiegelhalter_z", "spiegelhalter_p", "hosmer_lemeshow_p", "miscalibration_p")
    more = ("-o", tmp_path / "c.json") if where == "fit" else ()
    for clusters in ((), ("--cluster", "visit")):
        result = good(where, scores, *clusters, "--format", "json", *more).json
        metrics = result["before" if where == "fit" else "overall"]["metrics"]
        for name in tests:
            assert (metrics[name]["value"] is None) == bool(clusters), name
            assert ("clusters" in metrics[name].get("reason", "")) == bool(clusters)


def test_tests_of_several_labels_a_row(good, write, binary):
    """Ten copies of one label column are one label, not ten times the evidence."""
    rng = np.random.default_rng(3)
    p = rng.uniform(size=(200, 1)).repeat(10, axis=1)
    y = (rng.uniform(size=(200, 1)) < p).astype(int)
    given = (write("p.npy", p), "--labels", write("y.npy", y), "--task", "multilabel")
    for more in ((), ("--no-ci",)):
        result = good("measure", *given, "--format", "json", *more).json
        assert result["overall"]["metrics"]["spiegelhalter_p"]["value"] is None
        one = result["classes"][0]["metrics"]["spiegelhalter_p"]["value"]
        lean, spread = 1 - 2 * p[:, 0], p[:, 0] * (1 - p[:, 0])
        z = ((y[:, 0] - p[:, 0]) @ lean) / np.sqrt(lean**2 @ spread)
        assert one == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), rel=1e-6)


def test_candidates_say_what_their_standard_error_is_of(good, scores, tmp_path):
    text = good("fit", scores, "--all", "-o", tmp_path / "c.json").out
    assert "se of difference to best" in text
    assert re.search(r"\bstandard error\b", text) is None


def test_help_tells_the_rule_of_the_environment_once(good):
    for command in ("measure", "fit", "apply", "threshold", "report"):
        text = " ".join(good(command, "--help").out.split())
        assert "env var" not in text
        assert text.count(f"CALIBCLI_{command.upper()}_") == 1
