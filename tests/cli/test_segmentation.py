"""Images through the command line: every form of output, and options that do not fit."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

SHAPE = (5, 12, 14)


@pytest.fixture
def stack(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    p = rng.random(SHAPE)
    np.save("p.npy", (p * 255).astype(np.uint8))
    np.save("y.npy", (rng.random(SHAPE) < p).astype(np.uint8))
    return ("--task", "segmentation", "p.npy", "--labels", "y.npy", "--scale", "255")


@pytest.mark.parametrize("form", ["table", "json", "csv", "md"])
def test_every_form_shows_structures_and_mask_rules(calibcli, stack, form):
    whole = ("--classes", "curve", "--at", "0.8", "--all", "--format", form)
    shown = calibcli("measure", *stack, *whole)
    assert shown.code == 0, shown.err
    for word in ("curve", "mean dice") if form in ("table", "md") else ("decided_ece", "iou"):
        assert word in shown.out
    chosen = calibcli("threshold", *stack, "--search", "min-area=0,4", "--search",
                      "fill-holes=yes,no", "--maximize", "mean-dice", "--all",
                      "--format", form)  # fmt: skip
    assert chosen.code == 0, chosen.err
    if form == "csv":
        rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(chosen.out))}
        assert rows["min_area"]["value"] in ("0", "4")
        assert rows["fill_holes"]["value"] in ("0", "1")
        assert float(rows["mean_dice"]["low"]) < float(rows["mean_dice"]["value"])
    else:
        assert ("mean dice" if form != "json" else "mean_dice") in chosen.out


def test_fit_apply_and_masks_of_one_structure(calibcli, stack):
    assert calibcli("fit", *stack, "--method", "platt", "-o", "c.json").code == 0
    chosen = calibcli("threshold", *stack, "--calibrator", "c.json", "--maximize", "dice",
                      "--search", "min-area=3", "-o", "t.json")  # fmt: skip
    assert chosen.code == 0, chosen.err
    images = ("p.npy", "--task", "segmentation", "--scale", "255")
    named = calibcli("apply", "c.json", *images, "--classes", "a,b", "-o", "m.npy")
    assert named.code == 2
    assert "one score a pixel has no classes to name" in named.err
    done = calibcli("apply", "c.json", *images, "--thresholds", "t.json", "-o", "m.npy")
    assert done.code == 0, done.err
    masks = np.load("m.npy")
    assert masks.shape == SHAPE
    assert masks.dtype == np.uint8
    assert set(np.unique(masks)) <= {0, 1}
    again = calibcli("report", *stack, "--calibrator", "c.json", "--thresholds", "t.json",
                     "--no-ci", "-o", "r.html")  # fmt: skip
    assert again.code == 0, again.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--search", "min-area=few"), "min-area=0,20"),
        (("--search", "area=3"), "did you mean 'min-area'?"),
        (("--search", "fill-holes=maybe"), "fill-holes=yes,no"),
        (("--connectivity", "6"), "8: over corners too"),
        (("--background", "structure", "--maximize", "dice"), "leave it out"),
        (("--search", "min-area=2", "--cost", "fp=1,fn=4"), "leave out --cost"),
    ],
)
def test_searches_that_cannot_be_read(calibcli, stack, words, hint):
    run = calibcli("threshold", *stack, *words)
    assert run.code == 2
    assert run.out == ""
    assert hint in run.err


def test_masks_need_images(calibcli, stack, tmp_path):
    (tmp_path / "rows.csv").write_text("score,label\n0.2,0\n0.7,1\n")
    for words in (("--search", "min-area=2"), ("--connectivity", "4"), ("--maximize", "mean-dice")):
        run = calibcli("threshold", "rows.csv", *words)
        assert run.code == 2
        assert "--task segmentation" in run.err


def test_a_target_that_no_mask_reaches_is_an_answer(calibcli, stack, tmp_path):
    run = calibcli("threshold", *stack, "--search", "min-area=0,3", "--maximize", "dice",
                   "--subject-to", "precision>=0.99", "--subject-to", "recall>=0.9",
                   "-o", "t.json")  # fmt: skip
    assert run.code == 1, run.err
    assert "no cut-off meets precision>=0.99 and recall>=0.9 together" in run.err
    assert not (tmp_path / "t.json").exists()
