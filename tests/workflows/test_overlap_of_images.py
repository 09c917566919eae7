"""Images and boxes that a calibrator was fitted on are known again under other names and types."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

SEGMENTATION = ("--task", "segmentation")


@pytest.fixture
def stacks(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("old", "new"):
        z = rng.normal(size=(6, 40, 50)).astype(np.float32)
        p = 1 / (1 + np.exp(-z))
        p[0] = 0.0  # a blank image is like any other
        np.save(tmp_path / f"{name}.npy", p)
        np.save(tmp_path / f"{name}_masks.npy", (rng.random(p.shape) < p).astype(np.uint8))
    old, masks = (np.load(tmp_path / f"old{end}.npy") for end in ("", "_masks"))
    np.save(tmp_path / "turned.npy", old[::-1].astype(np.float64))
    np.save(tmp_path / "turned_masks.npy", masks[::-1])
    half = np.concatenate([old[3:], np.load(tmp_path / "new.npy")[1:]])
    np.save(tmp_path / "half.npy", half)
    other = np.concatenate([masks[3:], np.load(tmp_path / "new_masks.npy")[1:]])
    np.save(tmp_path / "half_masks.npy", other)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "share"), [("old", 1.0), ("turned", 1.0), ("half", 3 / 8), ("new", 0.0)]
)
def test_images(calibcli, stacks, name, share):
    def labels(which):
        return ("--labels", stacks / f"{which}_masks.npy", *SEGMENTATION, "-q")

    fitted = stacks / "c.json"
    calibcli(
        "fit", stacks / "old.npy", *labels("old"), "--method", "platt", "-o", fitted, "--format",
        "json",
    )  # fmt: skip
    ran = calibcli(
        "measure", stacks / f"{name}.npy", *labels(name), "--calibrator", fitted, "--format", "json"
    )
    result = json.loads(ran.out)
    assert result["overlap"]["value"] == pytest.approx(share, abs=1e-6)
    said = [text for text in result["warnings"] if "of these images" in text]
    assert bool(said) == (share > 0)


def boxes(path, seed, types=None):
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 50, (400, 2)), rng.uniform(5, 20, (400, 2))
    found = pd.DataFrame(np.c_[corner, size], columns=["x", "y", "w", "h"])
    found.insert(0, "class", "cat")
    found.insert(0, "image_id", np.arange(400) // 4)
    truth = found[rng.random(400) < 0.6]
    found["score"] = rng.random(400)
    if types is not None:
        found = found.astype(types)
    (found.to_parquet if path.suffix == ".parquet" else found.to_csv)(path, index=False)
    truth.to_csv(path.with_suffix(".truth.csv"), index=False)
    return str(path)


def test_boxes(calibcli, tmp_path):
    single = dict.fromkeys(["x", "y", "w", "h", "score"], np.float32)
    old, copy = boxes(tmp_path / "old.csv", 1), boxes(tmp_path / "copy.parquet", 1, single)
    new = boxes(tmp_path / "new.csv", 2)
    fitted = tmp_path / "c.json"

    def run(command, path, *options):
        truth = path.rsplit(".", 1)[0] + ".truth.csv"
        return calibcli(
            command, path, "--task", "detection", "--ground-truth", truth, "-q", *options,
            "--format", "json",
        )  # fmt: skip

    assert run("fit", old, "--method", "platt", "-o", fitted).code == 0
    for path, leaked in ((old, True), (copy, True), (new, False)):
        result = json.loads(run("measure", path, "--calibrator", fitted).out)
        assert any("100 % of these boxes" in one for one in result["warnings"]) == leaked
    certain = ("--subject-to", "precision>=0.2", "--maximize", "recall", "--guarantee", "0.9")
    ran = run("threshold", copy, "--calibrator", fitted, *certain)
    result = json.loads(ran.out)
    assert result["kind"] == "empirical"
