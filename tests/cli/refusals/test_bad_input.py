"""Input that cannot be used: one line, a hint, its exit code, and everything left as it was."""

from __future__ import annotations

import json
import os
import pickle
import re

import numpy as np
import pytest

SECRET = "hunter2"


@pytest.fixture
def fails(calibcli):
    """Run; expect this exit code, one error line, an empty line and a hint; return both."""

    def run(*arguments, code=3):
        ran = calibcli(*arguments)
        assert ran.code == code, ran.err
        assert ran.out == ""
        assert SECRET not in ran.err
        assert "Traceback" not in ran.err
        lines = ran.err.splitlines()
        word = "no" if code == 1 else "error"
        assert len(lines) == 3, ran.err
        assert lines[0].startswith(f"calibcli: {word}: ")
        assert lines[1] == ""
        assert lines[2].startswith("hint: ")
        return lines[0], lines[2].removeprefix("hint: ")

    return run


def test_missing_file(fails, scores, tmp_path):
    error, hint = fails("measure", tmp_path / "score.csv")
    assert "score.csv: no such file" in error
    assert "scores.csv" in hint


def test_folder_without_data(fails, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty holds no Parquet files" in fails("measure", tmp_path / "empty")[0]


def test_glob_without_a_match(fails, tmp_path):
    assert "no file matches" in fails("measure", tmp_path / "*.csv")[0]


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.npy"])
def test_empty_file(fails, write, name):
    assert name in fails("measure", write(name, b""))[0]


def test_empty_standard_input(fails, monkeypatch, tmp_path):
    (tmp_path / "nothing").write_text("")
    with (tmp_path / "nothing").open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        fails("measure", "-")


def test_header_only(fails, write):
    assert "holds no rows" in fails("measure", write("x.csv", "score,label\n"))[0]


def test_truncated_parquet(fails, write, binary):
    path = write("x.parquet", binary)
    path.write_bytes(path.read_bytes()[:-100])
    assert "x.parquet" in fails("measure", path)[0]


def test_pickle_in_npy(fails, write, tmp_path):
    path = write("x.npy", np.zeros(1))
    path.write_bytes(_npy("|O", "(1,)", pickle.dumps(np.array([SECRET], dtype=object))))
    labels = write("y.npy", np.ones(1))
    assert "pickle" in fails("measure", path, "--labels", labels)[0]


def test_npy_header_of_a_quadrillion_elements(fails, write):
    path = write("x.npy", _npy("<f8", f"({10**15},)", b"\0" * 64))
    error, _ = fails("measure", path, "--labels", write("y.npy", np.ones(8)))
    assert "8,000,000,000,000,000 bytes" in error


def _npy(kind, shape, data):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(header) + 1).to_bytes(2, "little") + header + b"\n" + data


def test_wrong_column(fails, scores):
    error, hint = fails("measure", scores, "--score", "scor")
    assert "'scor'" in error
    assert hint.endswith(" --score score")
    assert "label" in fails("measure", scores, "--label", "lable")[1]
    assert "camera" in fails("measure", scores, "--group", "camra")[1]
    assert "visit" in fails("measure", scores, "--cluster", "visits")[1]


def test_ambiguous_column(fails, write):
    error, hint = fails("measure", write("x.csv", "prob,score,label\n.5,.5,1\n"))
    assert "prob, score" in error
    assert "--score" in hint
    _, hint = fails("measure", write("y.csv", "score,label,target\n.5,1,1\n"))
    assert "--label" in hint


def test_no_label_column(fails, write):
    assert "label" in fails("measure", write("x.csv", "score,bought\n.5,1\n"))[0]


def test_text_in_a_score_column(fails, write):
    path = write("x.csv", f"score,label\n.5,1\n{SECRET},0\n")
    assert "column 'score'" in fails("measure", path)[0]
    assert "row 2" in fails("measure", path)[0]


def test_nan_gives_the_count_and_the_first_row(fails, write):
    path = write("x.csv", "score,label\n.5,1\nnan,0\n.3,1\n,1\n")
    error, hint = fails("measure", path)
    assert re.search(r"\b2 rows\b.*\brow 2\b", error)
    assert "--drop-invalid" in hint


def test_missing_label_gives_the_count_and_the_first_row(fails, write):
    error, hint = fails("measure", write("x.csv", "score,label\n.5,1\n.2,\n.3,1\n.1,\n"))
    assert re.search(r"\b2 rows\b.*\brow 2\b", error)
    assert "--drop-invalid" in hint


@pytest.mark.parametrize("value", ["inf", "1.2", "-0.1", "1e300", "-inf"])
def test_no_probability(fails, write, value):
    error, hint = fails("measure", write("x.csv", f"score,label\n.5,1\n{value},0\n"))
    assert "column 'score'" in error
    assert "row 2" in error
    # As a logit, a value that is as good as certain and wrong is none.
    assert ("--logits" in hint) == (value not in ("inf", "1e300"))


@pytest.mark.parametrize("weight", ["-1", "nan", "inf", "x", "1e101"])
def test_no_weight(fails, write, weight):
    path = write("x.csv", f"score,label,w\n.5,1,1\n.2,0,{weight}\n")
    assert "weight" in fails("measure", path, "--weight", "w")[0]


@pytest.mark.parametrize("count", ["-1", "1.5", "nan", "x"])
def test_no_count(fails, write, count):
    path = write("x.csv", f"score,label,k\n.5,1,1\n.2,0,{count}\n")
    assert "column 'k'" in fails("measure", path, "--count", "k")[0]


def test_nothing_but_rows_of_weight_zero(fails, write):
    path = write("x.csv", "score,label,w\n.5,1,0\n.2,0,0\n")
    for option in ("--weight", "--count"):
        assert "no usable rows" in fails("measure", path, option, "w")[0]


def test_nothing_but_invalid_rows(fails, write):
    path = write("x.csv", "score,label\nnan,1\n,0\n")
    assert "no usable rows" in fails("measure", path, "--drop-invalid")[0]


def test_class_rows_that_do_not_sum_to_one(fails, write):
    path = write("x.csv", "a,b,c,label\n.5,.4,.1,a\n.5,.2,.1,b\n")
    error, hint = fails("measure", path, "--scores", "a,b,c")
    assert "row 2" in error
    assert "give probabilities" in hint


def test_class_rows_may_be_rounded(calibcli, write):
    """1.00001 is what a float32 softmax may leave; its row sums to 1 within the tolerance."""
    rows = np.array([[1.00001, -1e-6], [0.5, 0.5], [0.2, 0.8]], np.float32)
    path, labels = write("x.npy", rows), write("y.npy", np.array([0, 1, 1]))
    ran = calibcli("measure", path, "--labels", labels, "-q", "--format", "json")
    assert ran.code == 0
    assert ran.json["overall"]["metrics"]["n"]["value"] == 3


def test_labels_of_three_values_in_a_binary_file(fails, write):
    error, hint = fails("measure", write("x.csv", "score,label\n.5,1\n.2,2\n.3,0\n.1,2\n"))
    assert "2 rows, the first is row 2" in error
    assert "--positive" in hint


def test_labels_beyond_the_classes(fails, write):
    path = write("x.csv", "a,b,c,label\n.5,.4,.1,1\n.5,.4,.1,7\n")
    error, hint = fails("measure", path, "--scores", "a,b,c")
    assert "row 2" in error
    assert "a, b, c" in hint


def test_scores_and_labels_of_different_length(fails, write):
    error, _ = fails(
        "measure", write("x.npy", np.full(4, 0.5)), "--labels", write("y.npy", np.ones(3))
    )
    assert "4 rows" in error
    assert "3 labels" in error


def test_duplicate_column_names(fails, write):
    assert "score" in fails("measure", write("x.csv", "score,score,label\n.5,.5,1\n"))[0]


def test_one_class_only(calibcli, fails, write, tmp_path):
    path = write("x.csv", "score,label\n.5,1\n.2,1\n.9,1\n")
    fails("fit", path, "-o", tmp_path / "c.json")
    assert not (tmp_path / "c.json").exists()
    ran = calibcli("measure", path, "--format", "json")
    metrics = ran.json["overall"]["metrics"]
    assert ran.code == 0
    assert metrics["auc"]["value"] is None
    assert metrics["auc"]["reason"]
    assert any("auc is undefined" in warning for warning in ran.json["warnings"])
    assert metrics["ece"]["value"] is not None


def test_all_scores_equal(calibcli, write, tmp_path):
    path = write("x.csv", "score,label\n" + ".5,1\n.5,0\n" * 20)
    ran = calibcli("measure", path, "--format", "json")
    assert ran.code == 0
    assert "all scores are equal" in ran.json["warnings"]
    assert ran.json["overall"]["metrics"]["auc"]["value"] == 0.5
    assert calibcli("fit", path, "-o", tmp_path / "c.json").code == 0


@pytest.mark.parametrize("option", ["-o", "--save-stats"])
def test_output_folder_missing(fails, scores, tmp_path, option):
    error, hint = fails("measure", scores, option, tmp_path / "no" / "x.json")
    assert "the folder" in error
    assert "mkdir" in hint


@pytest.mark.parametrize("option", ["-o", "--save-stats"])
def test_output_is_a_folder(fails, scores, tmp_path, option):
    (tmp_path / "x.json").mkdir()
    fails("measure", scores, option, tmp_path / "x.json")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_permissions(fails, scores, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    fails("measure", scores, "-o", tmp_path / "closed" / "x.txt")
    scores.chmod(0)
    fails("measure", scores)


def test_a_folder_where_a_file_is_meant(fails, scores, tmp_path):
    fails("measure", scores, "--calibrator", tmp_path)
    fails("measure", scores, "--thresholds", tmp_path)
    fails("measure", scores, "--labels", tmp_path)


# -- outputs ---------------------------------------------------------------------------------------


def test_an_output_is_never_an_input(fails, scores, calibrator, tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(scores)
    (tmp_path / "hard.csv").hardlink_to(scores)
    before = scores.read_bytes(), calibrator.read_bytes()
    for arguments in (
        ("measure", scores, "-o", scores),
        ("measure", scores, "-o", link),
        ("measure", link, "-o", scores),
        ("measure", tmp_path / "s*.csv", "-o", scores),
        ("measure", scores, "--save-stats", tmp_path / "hard.csv"),
        ("measure", scores, "--calibrator", calibrator, "-o", calibrator),
        ("fit", scores, "-o", scores),
        ("apply", calibrator, scores, "-o", scores),
        ("threshold", scores, "--calibrator", calibrator, "-o", calibrator),
        ("threshold", scores, "--candidates", scores),
        ("report", scores, "-o", scores),
    ):
        error, _ = fails(*arguments)
        assert "is an input of this run" in error
    assert (scores.read_bytes(), calibrator.read_bytes()) == before


def test_two_outputs_have_two_paths(fails, scores, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for one, other in (("x", "x"), ("x", "folder/../x"), ("folder/y", "link/y")):
        outputs = "-o", tmp_path / one, "--save-stats", tmp_path / other
        error, _ = fails("measure", scores, *outputs, code=2)
        assert "two outputs are one file" in error
        assert not (tmp_path / one).exists()


def test_an_artifact_needs_a_file(fails, scores, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fails("measure", scores, "--save-stats", "-", code=2)
    fails("fit", scores, "-o", "-", code=2)
    fails("threshold", scores, "-o", "-", code=2)
    assert not (tmp_path / "-").exists()


def test_a_failed_run_leaves_the_old_output(fails, write, scores, calibrator, tmp_path):
    old = write("old.csv", SECRET)
    bad = write("bad.csv", "score,label\n" + ".5,1\n.4,0\n" * 50 + "x,1\n")
    fails("measure", bad, "-o", old)
    fails("measure", bad, "--save-stats", old)
    fails("fit", bad, "-o", old)
    fails("apply", calibrator, bad, "-o", old)
    fails("threshold", bad, "-o", old)
    fails("report", bad, "--format", "md", "-o", old)
    fails("threshold", scores, "--subject-to", "precision>=1", "--subject-to", "recall>=.99",
          "-o", old, code=1)  # fmt: skip
    assert old.read_text() == SECRET
    assert [path.name for path in tmp_path.iterdir() if ".tmp" in path.name] == []


# -- artifacts -------------------------------------------------------------------------------------


def test_scores_where_an_artifact_is_meant(fails, scores, calibrator, tmp_path):
    error, hint = fails("measure", scores, "--calibrator", scores)
    assert "is not JSON" in error
    assert "calibcli fit" in hint
    error, _ = fails("measure", scores, "--thresholds", calibrator)
    assert "is a calibrator file, not a thresholds file" in error
    error, _ = fails("measure", calibrator)
    assert "calibrator" in error


def test_an_edited_artifact(fails, scores, calibrator):
    text = calibrator.read_text()
    number = str(json.loads(text)["calibrator"]["temperature"])
    calibrator.write_text(text.replace(number, f"1{number}"))
    error, _ = fails("measure", scores, "--calibrator", calibrator)
    assert "was changed after it was written" in error


def test_edited_statistics(calibcli, fails, scores, tmp_path):
    stats = tmp_path / "stats.json"
    assert calibcli("measure", scores, "--save-stats", stats).code == 0
    payload = json.loads(stats.read_text())
    pairs = payload["families"]["overall"]["pairs"]
    name = next(key for key, value in pairs.items() if isinstance(value, list) and value)
    pairs[name][0] = 12345
    stats.write_text(json.dumps(payload))
    fails("measure", stats)
    payload.pop("digest")  # as the hint says, for those who mean it
    stats.write_text(json.dumps(payload))
    assert calibcli("measure", stats).code in (0, 3)


@pytest.mark.parametrize("damage", ["", "{", "[1, 2]", '{"schema": 3}', '{"a": NaN}', "[" * 5000])
def test_damaged_artifacts(fails, scores, write, damage):
    path = write("c.json", damage)
    fails("measure", scores, "--calibrator", path)
    fails("measure", scores, "--thresholds", path)
    fails("measure", path)
    fails("apply", path, scores, "-o", path.with_name("out.csv"))


@pytest.mark.parametrize("kind", ["calibrator", "thresholds", "stats"])
def test_unknown_version(calibcli, fails, scores, calibrator, tmp_path, kind):
    path = tmp_path / f"{kind}.json"
    if kind == "stats":
        calibcli("measure", scores, "--save-stats", path)
    elif kind == "thresholds":
        calibcli("threshold", scores, "-o", path)
    payload = json.loads(path.read_text())
    path.write_text(json.dumps({**payload, "version": 2}))
    arguments = ("measure", path) if kind == "stats" else ("measure", scores, f"--{kind}", path)
    error, hint = fails(*arguments)
    assert f"{kind} version 2, this calibcli reads version 1" in error
    assert "upgrade" in hint


def test_a_calibrator_of_another_task_or_other_classes(
    calibcli, fails, scores, calibrator, write, classes, tmp_path
):
    rows, labels = write("p.npy", classes["p"]), write("y.npy", classes["label"])
    three = tmp_path / "three.json"
    fitted = calibcli(
        "fit", rows, "--labels", labels, "--classes", "cat,dog,eel", "--method", "temperature",
        "-o", three,
    )  # fmt: skip
    assert fitted.code == 0
    assert "for multiclass scores" in fails("measure", scores, "--calibrator", three)[0]
    assert (
        "for binary scores"
        in fails("measure", rows, "--labels", labels, "--calibrator", calibrator)[0]
    )
    error, hint = fails(
        "measure", rows, "--labels", labels, "--classes", "cat,eel,dog", "--calibrator", three
    )
    assert "other classes: 'dog' and 'eel'" in error
    assert "--classes" in hint
    two = write("two.npy", np.full((4, 2), 0.5))
    fails("apply", three, two, "-o", tmp_path / "out.npy")
    fails("apply", calibrator, rows, "-o", tmp_path / "out.npy")


def test_a_calibrator_of_logits_and_scores_that_are_not(calibcli, fails, write, binary, tmp_path):
    z = np.log(np.clip(binary["score"], 1e-4, 1 - 1e-4) / np.clip(1 - binary["score"], 1e-4, 1))
    table = write("z.csv", {"logit": z, "label": binary["label"]})
    fitted = tmp_path / "z.json"
    arguments = ("--logits", "--method", "temperature", "-o", fitted)
    assert calibcli("fit", table, *arguments).code == 0
    scores = write("p.csv", {"score": binary["score"], "label": binary["label"]})
    error, hint = fails("measure", scores, "--calibrator", fitted)
    assert "fitted on logits" in error
    assert "--logits" in hint


def test_thresholds_of_another_calibrator(calibcli, fails, scores, calibrator, tmp_path):
    other, cuts, plain = (tmp_path / f"{name}.json" for name in ("other", "cuts", "plain"))
    assert calibcli("fit", scores, "--method", "platt", "-o", other).code == 0
    assert calibcli("threshold", scores, "--calibrator", other, "-o", cuts).code == 0
    assert calibcli("threshold", scores, "-o", plain).code == 0
    out = ("-o", tmp_path / "out.csv")
    error, _ = fails("apply", calibrator, scores, "--thresholds", cuts, *out)
    assert "after another calibrator" in error
    error, hint = fails("apply", calibrator, scores, "--thresholds", plain, *out)
    assert "uncalibrated" in error
    assert "--calibrator" in hint
    assert not (tmp_path / "out.csv").exists()


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bins", "0"),
        ("--bins", "abc"),
        ("--bins", "-3"),
        ("--bins", ""),
        ("--bins", "1.5"),
        ("--bins", "1000000000"),
        ("--edges", "0,.5,.3,1"),
        ("--edges", "0,nan,1"),
        ("--edges", "0.1,1"),
        ("--edges", "0,x,1"),
        ("--threshold", "nan"),
        ("--threshold", "1.5"),
        ("--threshold", "-1"),
        ("--at", "2"),
        ("--at", "nan"),
        ("--confidence", "1"),
        ("--confidence", "95"),
        ("--confidence", "nan"),
        ("--tolerance", "-1"),
        ("--tolerance", "nan"),
        ("--seed", "-1"),
        ("--seed", "x"),
        ("--threads", "0"),
        ("--binning", "masss"),
        ("--closed", "both"),
        ("--format", "jsn"),
        ("--task", "binry"),
        ("--input-format", "exel"),
        ("--fail-if", "garbage"),
        ("--fail-if", "eec>0.1"),
        ("--fail-if", "ece>"),
        ("--fail-if", "ece>nan"),
        ("--fail-if", "group.camera.front.ece>0.1"),
        ("--fail-if", "worst(group.camera).ece>0.1"),
        ("--fail-if", "calibrated.ece>0.1"),
        ("--fail-if", "drift.psi>0.2"),
        ("--nosuch",),
        ("--bin", "3"),
    ],
)
def test_wrong_usage(fails, scores, arguments):
    fails("measure", scores, *arguments, code=2)


def test_near_misses_are_suggested(fails, scores, tmp_path):
    out = ("-o", tmp_path / "x.json")
    assert "isotonic" in fails("fit", scores, "--method", "isotnic", *out, code=2)[1]
    assert "ece" in fails("measure", scores, "--fail-if", "eec>0.1", code=2)[1]
    assert "f1" in fails("threshold", scores, "--maximize", "f1x", code=2)[1]
    assert "--bins" in fails("measure", scores, "--bin", "3", code=2)[0]
    assert "measure" in fails("mesure", scores, code=2)[0]


def test_a_gate_that_cannot_be_evaluated_fails_closed(fails, write):
    one = write("one.csv", "score,label\n.5,1\n.2,1\n.9,1\n")
    error, _ = fails("measure", one, "--quiet", "--fail-if", "auc<0.9", code=2)
    assert "auc" in error


def test_no_arguments(calibcli):
    for arguments in ((), ("measure",)):
        ran = calibcli(*arguments)
        assert ran.code == 2
        assert ran.out == ""
        assert "Usage:" in ran.err or "hint:" in ran.err


def test_unreachable_target(fails, calibcli, scores, write):
    old = write("old.json", SECRET)
    target = ("--subject-to", "precision>=1", "--subject-to", "recall>=0.99")
    error, _ = fails("threshold", scores, *target, "-o", old, code=1)
    assert "precision>=1 and recall>=0.99" in error
    assert "at most" in error
    assert old.read_text() == SECRET


def test_a_target_beyond_reach_for_any_scores_is_wrong_usage(fails, scores):
    fails("threshold", scores, "--subject-to", "recall>=1.1", code=2)
    fails("threshold", scores, "--subject-to", "recal>=0.9", code=2)
    fails("threshold", scores, "--cost", "fp=1,fm=4", code=2)
    fails("threshold", scores, "--prior", "1.5", code=2)
    fails("threshold", scores, "--prior", "nan", code=2)


# -- bugs, interrupts, memory ----------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch):
    def run(error):
        def gather(*_, **__):
            raise error

        monkeypatch.setattr("calibcli.workflows.measure.measure.gather", gather)

    return run


def test_a_crash_is_one_line_and_exit_code_4(calibcli, scores, broken):
    broken(KeyError(SECRET))
    ran = calibcli("measure", scores)
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "calibcli: bug: KeyError: please report it with the output of --debug\n"


@pytest.mark.parametrize("way", ["option", "CALIBCLI_DEBUG", "CALIBCLI_MEASURE_DEBUG"])
def test_a_traceback_only_with_debug(calibcli, scores, broken, monkeypatch, way):
    broken(KeyError("where"))
    if way != "option":
        monkeypatch.setenv(way, "1")
    ran = calibcli("measure", scores, *(["--debug"] if way == "option" else []))
    assert (ran.code, ran.out) == (4, "")
    assert "Traceback" in ran.err
    assert ran.err.endswith("--debug\n")


def test_an_interrupt_is_130(calibcli, scores, broken):
    broken(KeyboardInterrupt())
    ran = calibcli("measure", scores)
    assert (ran.code, ran.out, ran.err) == (130, "", "calibcli: interrupted\n")


def test_out_of_memory_is_no_bug(fails, scores, broken):
    broken(MemoryError())
    assert "memory" in fails("measure", scores)[0]


def test_an_interrupt_leaves_the_old_output(calibcli, scores, calibrator, write, monkeypatch):
    from calibcli.io.output.writers import TableSink

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(TableSink, "write", interrupted)
    old = write("old.csv", SECRET)
    assert calibcli("apply", calibrator, scores, "-o", old).code == 130
    assert old.read_text() == SECRET
    assert sorted(old.parent.glob(".*")) == []


def test_thresholds_of_other_scores(calibcli, fails, scores, calibrator, write, classes, tmp_path):
    rows, labels = write("p.npy", classes["p"]), ("--labels", write("y.npy", classes["label"]))
    other, cuts, three = (tmp_path / f"{name}.json" for name in ("other", "cuts", "three"))
    assert calibcli("threshold", rows, *labels, "-o", three, "-q").code == 0
    assert "multiclass of 3 classes" in fails("measure", scores, "--thresholds", three)[0]
    assert calibcli("fit", scores, "--method", "platt", "-o", other, "-q").code == 0
    assert calibcli("threshold", scores, "--calibrator", other, "-o", cuts, "-q").code == 0
    error, _ = fails("measure", scores, "--calibrator", calibrator, "--thresholds", cuts)
    assert "after another calibrator" in error
    for command in ("measure", "report"):
        ran = calibcli(command, scores, "--thresholds", cuts, "--format", "json")
        assert ran.code == 0
        assert "--calibrator" in "".join(ran.json["warnings"])
