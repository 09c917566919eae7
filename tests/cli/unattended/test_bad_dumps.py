"""Dumps that a job may find in the morning: one line of JSON, a known code, the same file."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nights import SURE


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"score,label\n", None], ids=str)
def test_cut_offs_after_a_calibrator_tell_of_a_file_that_cannot_be_read(
    content, calibcli, good, current, dump, tmp_path, valid
):
    cuts = tmp_path / "cuts.json"
    after = ("--calibrator", current)
    good("threshold", dump("chosen.csv", seed=3), *after, "-o", cuts)
    before, night = cuts.read_bytes(), tmp_path / "bad.csv"
    if content is not None:
        night.write_bytes(content)
    ran = calibcli("threshold", night, *after, "--promote-over", cuts, "--format", "json")
    assert (ran.code, valid(ran.out)["code"]) == (3, "input")
    assert ran.err.startswith("calibcli: error: ")
    assert cuts.read_bytes() == before


def test_the_file_in_use_as_a_dump_is_told_too(calibcli, current, valid):
    ran = calibcli("fit", current, *SURE, "--promote-over", current, "--format", "json")
    assert (ran.code, valid(ran.out)["code"]) == (3, "input")


@pytest.mark.parametrize("bad", ["constant", "turned"])
@pytest.mark.parametrize("command", ["fit", "threshold"])
def test_a_first_run_needs_scores_that_rank(bad, command, calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(0)
    score = rng.random(1500).round(3)
    label = (rng.random(1500) < score).astype(int)
    columns = {
        "constant": {"score": np.full(1500, 0.5), "label": label},
        "turned": {"score": score, "label": 1 - label},
    }[bad]
    path = tmp_path / "first.json"
    method = SURE if command == "fit" else ()
    night = write("tonight.csv", columns)
    run = (command, night, *method, "--promote-over", path, "--format", "json")
    ran = calibcli(*run)
    told = valid(ran.out)
    assert (ran.code, told["code"]) == (1, "shift")
    assert "do not rank the labels" in told["reason"]
    assert not path.exists()
    assert calibcli(*run, "--max-shift", "auc=inf", "--dry-run").code in (0, 1)


def test_a_first_run_of_labels_needs_one_that_is_ranked(calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(0)
    score = rng.random((1500, 2)).round(3)
    label = (rng.random((1500, 2)) < score).astype(int)
    codes = []
    for turned in ([1, 1], [1, 0]):
        own = np.where(turned, 1 - label, label)
        columns = {f"p_{k}": score[:, k] for k in range(2)}
        night = write("tonight.csv", columns | {f"y_{k}": own[:, k] for k in range(2)})
        ran = calibcli(
            "fit", night, "--scores", "p_*", "--label", "y_*", "--task", "multilabel", *SURE,
            "--promote-over", tmp_path / "first.json", "--dry-run", "--format", "json",
        )  # fmt: skip
        codes.append(valid(ran.out)["code"])
    assert codes == ["shift", "promoted"]
