from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

PARTS = ("calibration", "test")
NAMES = {f"{part}_{kind}.npy" for part in PARTS for kind in ("probabilities", "masks")}


@pytest.fixture(scope="module")
def logs(sample_data):
    return sample_data / "well_logs"


@pytest.mark.slow
def test_remaking_writes_the_same_bytes(sample_data, logs, tmp_path):
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    told = re.search(r"well logs with scikit-learn (\S+), NumPy (\S+) and SciPy (\S+);", readme)
    assert told, "the README tells the versions that the well logs were made with"
    found = tuple(version(name) for name in ("scikit-learn", "numpy", "scipy"))
    if told.groups() != found:
        pytest.skip(f"made with {told.groups()}, here are {found}")
    script = [sys.executable, "-W", "error", str(sample_data / "make_well_logs.py")]
    run = subprocess.run([*script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
    assert {p.name for p in tmp_path.iterdir()} == NAMES == {p.name for p in logs.iterdir()}
    for name in NAMES:
        assert (tmp_path / name).read_bytes() == (logs / name).read_bytes(), name


def test_small_and_documented(sample_data, logs):
    assert sum(path.stat().st_size for path in logs.iterdir()) < 1_500_000
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    assert all(name in readme for name in NAMES)


@pytest.mark.parametrize("part", PARTS)
def test_maps_are_probabilities_of_three_structures(logs, part):
    p = np.load(logs / f"{part}_probabilities.npy")
    masks = np.load(logs / f"{part}_masks.npy")
    assert p.dtype == np.float16
    assert p.shape == (20, 3, 80, 60)
    assert masks.shape == (20, 80, 60)
    assert p.min() > 0
    assert np.abs(p.astype(np.float64).sum(axis=1) - 1).max() < 1e-3
    shares = np.bincount(masks.reshape(-1), minlength=3) / masks.size
    assert shares[0] > 0.95
    assert (shares[1:] > 0.01).all()
    assert all({1, 2} <= set(np.unique(mask)) for mask in masks)  # both curves in every strip


@pytest.mark.parametrize("part", PARTS)
def test_the_frame_looks_honest_and_the_curves_are_not(logs, part):
    p = np.load(logs / f"{part}_probabilities.npy").astype(np.float64)
    masks = np.load(logs / f"{part}_masks.npy")
    decided, sure = p.argmax(axis=1), p.max(axis=1)
    right = decided == masks
    assert abs(sure.mean() - right.mean()) < 0.02
    for k in (1, 2):
        own = decided == k
        assert sure[own].mean() - right[own].mean() > 0.1
