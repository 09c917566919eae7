"""What images cannot be, said in one line with its place and a hint."""

from __future__ import annotations

import json

import numpy as np
import pytest

K, H, W = 3, 6, 5


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(K), size=(4, H, W)).transpose(0, 3, 1, 2).astype(np.float32)
    y = rng.integers(0, K, (4, H, W)).astype(np.uint8)
    np.save("p.npy", p)
    np.save("y.npy", y)
    return p, y


def refused(calibcli, *words, code=3):
    run = calibcli("measure", "--task", "segmentation", *words)
    assert run.code == code, run.err
    assert run.out == ""
    lines = run.err.splitlines()
    assert len(lines) == 3, run.err
    assert lines[0].startswith("calibcli: error: ")
    assert lines[2].startswith("hint: ")
    return lines[0] + "\n" + lines[2]


def test_shapes_that_do_not_match(calibcli, images):
    p, y = images
    np.save("few.npy", y[:3])
    said = refused(calibcli, "p.npy", "--labels", "few.npy")
    assert "(4, 3, 6, 5)" in said
    assert "(3, 6, 5)" in said
    np.save("last.npy", np.ascontiguousarray(p.transpose(0, 2, 3, 1)))
    assert "--layout NHWC" in refused(calibcli, "last.npy", "--labels", "y.npy")
    assert "--layout NCHW" in refused(calibcli, "p.npy", "--labels", "y.npy", "--layout", "NHWC")
    np.save("five.npy", p[None])
    assert "(1, 4, 3, 6, 5)" in refused(calibcli, "five.npy", "--labels", "y.npy")


def test_labels_beyond_the_classes_with_their_place(calibcli, images):
    y = images[1].copy()
    y[2, 3, 4] = 7
    np.save("y.npy", y)
    said = refused(calibcli, "p.npy", "--labels", "y.npy")
    assert "y.npy[2, 3, 4]: the label 7" in said
    assert "--ignore-label 7" in said


def test_masks_of_0_and_255_need_to_be_told(calibcli, images):
    p, y = images
    np.save("one.npy", p[:, 0])
    np.save("y.npy", np.where(y == 0, 255, 0).astype(np.uint8))
    said = refused(calibcli, "one.npy", "--labels", "y.npy")
    assert "--positive 255" in said
    run = calibcli("measure", "--task", "segmentation", "one.npy", "--labels", "y.npy",
              "--positive", "255", "--format", "json")  # fmt: skip
    assert run.code == 0, run.err


def test_masks_that_are_probabilities(calibcli, images):
    p, _ = images
    np.save("one.npy", p[:, 0])
    said = refused(calibcli, "one.npy", "--labels", "one.npy")
    assert "no whole number" in said
    assert "swapped" in said


def test_scores_that_are_masks(calibcli, images):
    assert "--scale 255" in refused(calibcli, "y.npy", "--labels", "y.npy")


def test_probabilities_that_do_not_sum_to_one(calibcli, images):
    p = images[0].copy()
    p[1, :, 2, 3] = 0.5
    np.save("p.npy", p)
    said = refused(calibcli, "p.npy", "--labels", "y.npy")
    assert "p.npy[1, 2, 3]" in said
    assert "1.5" in said
    assert "--logits" in said


def test_probabilities_beyond_0_and_1_with_their_plane(calibcli, images):
    p = images[0].copy()
    p[1, 2, 3, 4] = -2.5
    np.save("p.npy", p)
    assert "p.npy[1, 2, 3, 4]: -2.5" in refused(calibcli, "p.npy", "--labels", "y.npy")
    np.save("last.npy", np.ascontiguousarray(p.transpose(0, 2, 3, 1)))
    last = refused(calibcli, "last.npy", "--labels", "y.npy", "--layout", "NHWC")
    assert "last.npy[1, 3, 4, 2]: -2.5" in last


def test_pixels_without_a_score(calibcli, images):
    p = images[0].copy()
    p[0, 1, 5, 0] = np.nan
    np.save("p.npy", p)
    said = refused(calibcli, "p.npy", "--labels", "y.npy")
    assert "p.npy[0, 5, 0]" in said
    assert "--drop-invalid" in said
    run = calibcli("measure", "--task", "segmentation", "p.npy", "--labels", "y.npy",
              "--drop-invalid", "--format", "json")  # fmt: skip
    assert run.code == 0
    assert "1 rows without a usable score" in run.err


def test_values_beyond_the_scale(calibcli, images):
    np.save("q.npy", np.full((4, H, W), 200, np.uint8))
    np.save("y.npy", np.zeros((4, H, W), np.uint8))
    said = refused(calibcli, "q.npy", "--labels", "y.npy", "--scale", "100")
    assert "q.npy[0, 0, 0]: 200" in said
    assert "--scale" in said


def test_empty_stacks(calibcli, images):
    p, y = images
    np.save("p.npy", p[:0])
    np.save("y.npy", y[:0])
    assert "no pixels" in refused(calibcli, "p.npy", "--labels", "y.npy")


def test_nothing_but_ignored_pixels(calibcli, images):
    np.save("y.npy", np.full_like(images[1], 255))
    refused(calibcli, "p.npy", "--labels", "y.npy", "--ignore-label", "255")


def test_globs_that_do_not_pair(calibcli, images, tmp_path):
    p, y = images
    for folder in ("s", "m"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        np.save(f"s/{i}.npy", p[i])
        np.save(f"m/{i + 1}.npy", y[i])
    said = refused(calibcli, "s/*.npy", "--labels", "m/*.npy")
    assert "1 of 3 files of scores have no labels of the same name: 0" in said
    assert "no file matches" in refused(calibcli, "s/*.npy", "--labels", "none/*.npy")


def test_names_that_differ_by_an_end_are_a_pattern(calibcli, images, tmp_path):
    import shlex

    p, y = images
    (tmp_path / "my masks").mkdir()
    for i in range(3):
        np.save(f"case_{i}_prob.npy", p[i])
        np.save(f"my masks/{i}.npy", y[i])
    said = refused(calibcli, "case_*.npy", "--labels", "my masks/*.npy")
    hint = said.splitlines()[-1]
    typed = "'case_{id}_prob.npy' --labels 'my masks/{id}.npy'"
    assert hint == f"hint: the key is a part of the names: {typed}"
    ran = calibcli("measure", *shlex.split(typed), "--task", "segmentation", "-q")
    assert ran.code == 0, ran.err
    np.save("my masks/9.npy", y[0])  # one more: no pattern, and that is said plainly
    assert "matched by file name" in refused(calibcli, "case_*.npy", "--labels", "my masks/*.npy")


def test_one_volume_names_its_layout(calibcli, tmp_path):
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], (4, 5, 6))
    np.save("v.npy", np.moveaxis(p, -1, 0))
    np.save("vy.npy", p.argmax(-1))
    said = refused(calibcli, "v.npy", "--labels", "vy.npy")
    assert said.rstrip().endswith("hint: one volume of 3 classes: --layout CDHW")
    line = ("measure", "v.npy", "--labels", "vy.npy", "--task", "segmentation")
    assert calibcli(*line, "--layout", "CDHW", "-q").code == 0


def test_files_of_other_classes_are_no_data_set(calibcli, images, tmp_path):
    p, y = images
    for folder in ("s", "m"):
        (tmp_path / folder).mkdir()
    np.save("s/a.npy", p[0])
    np.save("s/b.npy", p[1, :2])
    np.save("m/a.npy", y[0])
    np.save("m/b.npy", y[1])
    assert "s/b.npy has the shape (2, 6, 5)" in refused(calibcli, "s/*.npy", "--labels", "m/*.npy")


def test_labels_that_are_missing(calibcli, images):
    assert "--labels" in refused(calibcli, "p.npy")


def test_tables_are_no_images(calibcli, images, tmp_path):
    (tmp_path / "t.csv").write_text("score,label\n0.5,1\n")
    assert "leave out --task" in refused(calibcli, "t.csv")


@pytest.mark.parametrize(
    "words",
    [
        ("--layout", "HWC"),
        ("--classes", "a,b"),
        ("--classes", "a,a,b"),
        ("--cluster", "patient"),
        ("--weight", "w"),
        ("--count", "c"),
        ("--group", "g"),
        ("--score", "s"),
        ("--positive", "1"),
        ("--scale", "0"),
    ],
)
def test_options_that_images_do_not_have(calibcli, images, words):
    refused(calibcli, "p.npy", "--labels", "y.npy", *words, code=2)


def test_options_that_only_images_have(calibcli, images):
    np.save("flat.npy", np.array([0.1, 0.9]))
    np.save("truth.npy", np.array([0, 1]))
    for words in (("--layout", "NCHW"), ("--images", "t.csv")):
        run = calibcli("measure", "flat.npy", "--labels", "truth.npy", *words)
        assert run.code == 2
        assert "--task segmentation" in run.err


@pytest.mark.parametrize("words", [("--predicted", "c"), ("--key", "id"), ("--renormalise",)])
def test_options_that_only_rows_have(calibcli, images, words):
    error = refused(calibcli, "p.npy", "--labels", "y.npy", *words, code=2)
    assert f"{words[0]} is not for --task segmentation" in error


def test_labels_of_pixels_are_numbers(calibcli, images):
    error = refused(calibcli, "p.npy", "--labels", "y.npy", "--ignore-label", "void", code=2)
    assert "labels of pixels are numbers" in error


def test_a_damaged_archive(calibcli, images):
    p, y = images
    np.savez_compressed("a.npz", probs=p, masks=y)
    with open("a.npz", "r+b") as file:  # noqa: PTH123
        file.seek(300)
        file.write(b"\0" * 200)
    refused(calibcli, "a.npz")


def test_a_reference_of_maps_alone(calibcli, images):
    """Maps without masks tell whether the scores have moved, on either side."""
    words = ("measure", "p.npy", "--task", "segmentation", "--no-ci", "--format", "json")
    run = calibcli(*words, "--labels", "y.npy", "--reference", "p.npy")
    assert run.code == 0, run.err
    drift = json.loads(run.out)["drift"]
    assert drift["labelled"] is False
    assert drift["metrics"]["psi"]["value"] == 0
    run = calibcli(*words, "--reference", "p.npy")
    assert run.code == 0, run.err
    found = json.loads(run.out)
    assert found["overall"]["metrics"]["ece"]["reason"] == "no labels"
    assert found["task"] == "segmentation"
