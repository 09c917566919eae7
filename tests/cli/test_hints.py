"""A hint is a command that works on the file that it is about, and gives no wrong number."""

from __future__ import annotations

import json
import shlex
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

N = 400
RNG = np.random.default_rng(11)
P = np.round(RNG.beta(1, 1.5, N), 4)
Y = (RNG.random(N) < P).astype(int)
ODDS = np.round(np.log((P + 1e-4) / (1 - P + 1e-4)), 4)
ANIMALS = np.array(["cat", "dog", "horse"])
Q = RNG.dirichlet(np.ones(3) * 0.6, N)
K = np.array([RNG.choice(3, p=row) for row in Q])
OTHER = {"id": range(N), "age": RNG.integers(20, 60, N), "region": RNG.choice(["n", "s"], N)}


T = RNG.integers(0, 2, N)
SAID = np.where(Y == 1, T, 1 - T)


def several(prefix, rows=Q):
    return {f"{prefix}{name}": rows[:, k] for k, name in enumerate(ANIMALS)}


def words(labels, *names):
    return np.array(names)[labels].tolist()


CASES = {
    "names of its own": (
        {**OTHER, "fraud_v3": P, "is_fraud": Y}, (), "--score fraud_v3 --label is_fraud"),
    "a label alone": ({**OTHER, "score": P, "is_fraud": Y}, (), "--label is_fraud"),
    "two scores": ({"proba": P, "y_hat": (P > 0.5) * 1, "target": Y}, (), "--score proba"),
    "a slip": ({"my_score": P, "label": Y}, ("--score", "my_scor"), "--score my_score"),
    "classes as labels": (
        {**OTHER, **several(""), "species": ANIMALS[K]},
        (), "--scores cat,dog,horse --label species"),
    "a prefix": ({**OTHER, **several("prob_"), "species": ANIMALS[K]},
                 (), "--scores 'prob_*' --label species"),
    "a wrong prefix": (
        {**several("p_"), "label": ANIMALS[K]}, ("--scores", "prob_*"), "--scores 'p_*'"),
    "words": ({"score": P, "label": words(Y, "ham", "spam")}, (), "--positive spam"),
    "a positive that is not there": (
        {"score": P, "label": words(Y, "ham", "spam")}, ("--positive", "Spam"), "--positive spam"),
    "a mark for no label": (
        {"score": P, "label": np.where(np.arange(N) % 9 == 0, "?", words(Y, "no", "yes"))},
        (), "--positive yes --ignore-label '?'"),
    "a word for no label": (
        {"score": P, "label": np.where(np.arange(N) % 9 == 0, "unknown", words(Y, "no", "yes"))},
        (), "--positive yes --ignore-label unknown"),
    "percentages": ({"score": np.round(100 * P, 2), "label": Y}, (), "--scale 100"),
    "percentages and a label by another name": (
        {"confidence": np.round(100 * P).astype(int), "correct": Y},
        (), "--label correct --scale 100"),
    "percentages of answers": (
        {"answer": words(SAID, "no", "yes"), "target": words(T, "no", "yes"),
         "confidence": np.round(100 * P).astype(int)},
        (), "--predicted answer --scale 100"),
    "bytes": ({"score": np.round(255 * P).astype(int), "label": Y}, (), "--scale 255"),
    "logits": ({"score": ODDS, "label": Y}, (), "--logits"),
    "logits of classes": (
        {**several("z_", np.round(np.log(Q + 1e-6), 3)), "label": ANIMALS[K]},
        ("--scores", "z_*"), "--logits"),
    "rounded": (
        {**several("p_", np.round(Q, 2)), "label": ANIMALS[K]},
        ("--scores", "p_*"), "--renormalise"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_hint_is_a_command_that_works(case, suffix, calibcli, write):
    columns, given, options = CASES[case]
    if suffix == "parquet":
        columns = {name: np.asarray(values) for name, values in columns.items()}
    path = write(f"x.{suffix}", columns)
    ran = calibcli("measure", path, "--bins", "10", *given)
    assert ran.code == 3
    hint = ran.err.splitlines()[-1].removeprefix("hint: ")
    typed = " ".join(["calibcli measure", str(path), "--bins 10", options])
    kept = [word for word in given if word.startswith("--") and word not in options]
    if kept:  # options that are not replaced stay
        typed = f"calibcli measure {path} --bins 10 {shlex.join(given)} {options}"
    assert hint.split("; or ")[0] == typed
    for other in hint.split("; or "):
        command = other if other.startswith("calibcli") else f"{typed} {other}"
        again = calibcli(*shlex.split(command)[1:]) if command == other else None
        assert again is None or again.code == 0, again.err


@pytest.mark.parametrize(
    ("columns", "given"),
    [
        ({"score": 540 + 120 * P, "label": Y}, ()),
        ({"score": 300 * ODDS, "label": Y}, ()),
        ({"score": 1000 * P, "label": Y}, ()),
        ({"score": -100 * P, "label": Y}, ()),
    ],
    ids=["points", "margins", "thousands", "negative"],
)
def test_logits_are_not_named_where_they_give_wrong_numbers(columns, given, calibcli, write):
    ran = calibcli("measure", write("x.csv", columns), *given)
    assert ran.code == 3
    assert "--logits" not in ran.err
    assert "--scale" not in ran.err


def test_shares_of_votes_are_no_positive_label(calibcli, write):
    ran = calibcli("measure", write("x.csv", {"score": P, "label": np.round(3 * P) / 3}))
    assert ran.code == 3
    assert "--positive" not in ran.err
    assert "shares of votes" in ran.err


def test_a_key_is_tried_before_it_is_named(calibcli, write):
    order = RNG.permutation(N)
    scores = write("p.csv", {"id": order, "site": order % 7, "score": P[order]})
    labels = write("y.csv", {"id": range(N), "site": np.arange(N) % 7, "label": Y})
    ran = calibcli("measure", scores, "--labels", labels)
    assert ran.code == 3
    assert ran.err.splitlines()[-1] == f"hint: calibcli measure {scores} --labels {labels} --key id"


def test_probabilities_that_miss_1_are_no_logits(calibcli, write):
    rows = np.round(np.column_stack([Q[:, 0], Q[:, 1] / 2, Q[:, 2]]), 2)
    path = write("x.csv", {**several("p_", rows), "label": ANIMALS[K]})
    ran = calibcli("measure", path, "--scores", "p_*")
    assert ran.code == 3
    assert "--logits" not in ran.err


@pytest.mark.parametrize("missing", ["", "0"])
def test_a_hint_for_several_labels_in_columns(missing, calibcli, good, write):
    right = (RNG.random(Q.shape) < Q).astype(int).astype(str)
    right[0, 1] = missing
    path = write("x.csv", {**several("p_"), **several("y_", right)})
    ran = calibcli("measure", path)
    hint = ran.err.splitlines()[-1].split("; or ")[0]
    more = "" if missing else " --drop-invalid"
    assert hint == f"hint: calibcli measure {path} --scores 'p_*' --label 'y_*'{more}"
    good(*shlex.split(hint.removeprefix("hint: calibcli ")))


def test_a_hint_for_rows_without_labels(calibcli, good, write, calibrator):
    path = write("new.csv", {"id": range(N), "fraud_v3": P})
    ran = calibcli("apply", calibrator, path, "-o", path.with_name("out.csv"))
    assert ran.err.splitlines()[-1].endswith("--score fraud_v3")
    good(*shlex.split(ran.err.splitlines()[-1].removeprefix("hint: calibcli ")))


def test_arrays_and_lists(calibcli, write):
    logits = write("z.npy", np.log(Q + 1e-6))
    labels = write("y.npy", K)
    ran = calibcli("measure", logits, "--labels", labels)
    assert ran.err.splitlines()[-1].endswith("--logits")
    path = write("x.parquet", {"probs_v2": pa.array(Q.tolist()), "species": K})
    ran = calibcli("measure", path)
    assert ran.err.splitlines()[-1].endswith("--scores probs_v2 --label species")


def test_nothing_is_left_out_where_nothing_is_missing(calibcli, tmp_path):
    labels = (RNG.random((N, 3)) < Q).astype(int)
    path = tmp_path / "rows.csv"
    columns = {**several("s_"), **several("y_", labels)}
    pa.csv.write_csv(pa.table(columns), path)
    hint = calibcli("measure", path).err
    assert "--scores 's_*' --label 'y_*'" in hint
    assert "--drop-invalid" not in hint


def test_logarithms_of_probabilities_are_no_logits(calibcli, write):
    log = np.log(np.maximum(P, 1e-4))
    ran = calibcli("measure", write("s.csv", {"score": log, "label": Y}))
    assert (ran.code, "write exp(score) into the file" in ran.err) == (3, True)
    # Logits of a rare event are below 0 too, so that nothing is told as if it were sure.
    rare = np.full(N, -4.0) + np.arange(N) / N
    ran = calibcli(
        "measure", write("r.csv", {"score": rare, "label": Y & (np.arange(N) % 40 == 0)})
    )
    assert (ran.code, "--logits" in ran.err) == (3, True)


@pytest.mark.parametrize(
    ("row", "names"),
    [
        ("0.93,1", "score,label"), ("1,0.93", "label,score"), ("7,.93,1", "id,score,label"),
        ("0.2,0.8,1", "score_0,score_1,label"), ("0.93,cat", "score,label"),
    ],
)  # fmt: skip
def test_a_file_without_names_of_columns(row, names, calibcli, write):
    ran = calibcli("measure", write("s.csv", f"{row}\n{row}\n"))
    assert ran.code == 3
    assert "begins with numbers" in ran.err
    assert f"a first line such as: {names}\n" in ran.err


def test_texts_that_are_read_as_labels_and_as_percentages(calibcli, good, write):
    """A column that was a key once came as distinct texts, which ended in exit 4."""
    shares = [f"{round(100 * p)}%" for p in P]
    ran = calibcli("measure", write("s.csv", {"confidence": shares, "correct": Y}))
    assert (ran.code, "--label correct" in ran.err) == (3, True)
    good("measure", write("t.csv", {"confidence": shares, "correct": Y}),
         "--label", "correct", "--group", "confidence", "--no-ci", "-q")  # fmt: skip


def test_files_of_yolo_become_tables_by_the_command_of_the_hint(calibcli, write, tmp_path):
    boxes = {
        "a": ("0 .5 .5 .2 .2", "0 .5 .5 .2 .21 .9"), "b": ("1 .3 .3 .1 .1", "1 .7 .7 .1 .1 .4"),
        "c": ("", ""), "d": ("0 .5 .5 .2 .2", ""),
    }  # fmt: skip
    for name, (truth, found) in boxes.items():
        write(f"gt/labels/{name}.txt", f"{truth}\n" if truth else "")
        write(f"pred/labels/{name}.txt", f"{found}\n" if found else "")
    for folder in ("pred", "gt"):
        for path in (tmp_path / folder / "labels", f"{tmp_path / folder / 'labels'}/*.txt"):
            ran = calibcli("measure", path, "--task", "detection", "--ground-truth", "x.json")
            assert ran.code == 3
            assert "as YOLO writes them" in ran.err
        hint = ran.err.partition("hint: ")[2]
        subprocess.run(["sh", "-c", hint], cwd=tmp_path, check=True)
    ran = calibcli(
        "measure", tmp_path / "found.csv", "--task", "detection", "--ground-truth",
        tmp_path / "truth.csv", "--format", "json", "-q", "--no-ci",
    )  # fmt: skip
    shown = ran.json["overall"]
    assert [shown["metrics"][k]["value"] for k in ("images", "ground_truth", "n")] == [4, 3, 2]
    assert [shown["confusion"][0][k] for k in ("tp", "fp", "fn")] == [1, 0, 2]


def test_the_choices_of_an_evaluation_harness(calibcli, write):
    lines = [
        json.dumps({"doc_id": i, "target": int(k), "acc": 1.0,
                    "filtered_resps": [[float(np.log(v + 1e-9)), False] for v in row]})
        for i, (row, k) in enumerate(zip(Q, K, strict=True))
    ]  # fmt: skip
    path = write("a.jsonl", "\n".join(lines))
    ran = calibcli("measure", path, "--no-ci")
    assert ran.code == 3
    hint = ran.err.splitlines()[-1].removeprefix("hint: ")
    assert hint == f"calibcli measure {path} --no-ci --scores 'filtered_resps.*.0' --logits"
    again = calibcli(*shlex.split(hint)[1:], "--format", "json", "-q").json["overall"]["metrics"]
    assert again["accuracy"]["value"] == pytest.approx((Q.argmax(axis=1) == K).mean())
