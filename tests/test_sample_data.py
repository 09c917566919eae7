from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

PARTS = ("calibration", "test")


def cancer(folder: Path, part: str) -> dict[str, np.ndarray]:
    table = pq.read_table(folder / f"breast_cancer_{part}.parquet")
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


def digits(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.load(folder / f"digits_{part}_{kind}.npy") for kind in ("logits", "labels"))


def nll(logits: np.ndarray, labels: np.ndarray) -> float:
    shifted = logits.astype(float) - logits.max(axis=1, keepdims=True)
    picked = np.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - picked))


@pytest.fixture(scope="module")
def remade(sample_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("remade")
    script = [sys.executable, "-W", "error", str(sample_data / "make.py"), str(folder)]
    run = subprocess.run(script, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
    return folder


@pytest.mark.slow
def test_remaking_writes_the_same_bytes(sample_data, remade):
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    told = re.search(r"with\s+scikit-learn (\S+), NumPy (\S+) and pyarrow (\S+);", readme)
    assert told, "the README tells the versions that the files were made with"
    found = tuple(version(name) for name in ("scikit-learn", "numpy", "pyarrow"))
    if told.groups() != found:
        pytest.skip(f"made with {told.groups()}, here are {found}")
    kept = {p.name for p in sample_data.iterdir() if p.suffix in {".csv", ".npy", ".parquet"}}
    assert {p.name for p in remade.iterdir()} == kept
    for name in kept:
        assert (remade / name).read_bytes() == (sample_data / name).read_bytes(), name


def test_a_few_hundred_kilobytes_and_every_file_is_documented(sample_data):
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    files = [p for p in sample_data.iterdir() if p.suffix in {".csv", ".npy", ".parquet"}]
    assert sum(p.stat().st_size for p in files) < 400_000
    for path in files:
        assert path.stem in readme, path.name


@pytest.mark.parametrize("part", PARTS)
def test_csv_and_parquet_hold_the_same_rows(sample_data, part):
    table = pq.read_table(sample_data / f"breast_cancer_{part}.parquet")
    assert pa.csv.read_csv(sample_data / f"breast_cancer_{part}.csv").equals(table)
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in readme for name in table.column_names)
    assert f"| {table.num_rows:,} |" in readme


@pytest.mark.parametrize("part", PARTS)
def test_labels_and_sizes_are_those_of_the_patient(sample_data, part):
    rows, source = cancer(sample_data, part), load_breast_cancer()
    assert (rows["label"] == (source.target[rows["patient"]] == 0)).all()
    radius = source.data[rows["patient"], 0]
    limits = [
        (radius[rows["size"] == s].min(), radius[rows["size"] == s].max())
        for s in ("small", "medium", "large")
    ]
    assert limits[0][1] < limits[1][0]
    assert limits[1][1] < limits[2][0]


@pytest.mark.parametrize("part", PARTS)
def test_scores_are_probabilities_without_certainty(sample_data, part):
    score = cancer(sample_data, part)["score"]
    assert 0 < score.min() < 0.001
    assert 0.999 < score.max() < 1


def test_clusters_are_whole_and_in_one_part_only(sample_data):
    parts = [cancer(sample_data, part) for part in PARTS]
    assert not set(parts[0]["patient"]) & set(parts[1]["patient"])
    for rows in parts:
        patients, counts = np.unique(rows["patient"], return_counts=True)
        assert (counts == 8).all()
        for patient in patients:
            mine = rows["patient"] == patient
            assert sorted(rows["network"][mine]) == list(range(8))
            assert len(set(rows["label"][mine])) == len(set(rows["size"][mine])) == 1


def test_cutoffs_are_chosen_on_patients_of_no_other_file_scored_by_networks_new_to_them(
    sample_data,
):
    rows = cancer(sample_data, "choice")
    others = [set(cancer(sample_data, part)["patient"]) for part in PARTS]
    patients = set(rows["patient"])
    assert not patients & others[0]
    assert not patients & others[1]
    # A bootstrap sample of n leaves out (1 - 1/n)^n of them: 36.7 % of 148 patients.
    shares = np.bincount(rows["network"], minlength=8) / 148
    assert abs(shares.mean() - (1 - 1 / 148) ** 148) < 0.02
    assert shares.min() > 0.25
    assert shares.max() < 0.5
    # Had they been trained on, the networks would be right almost always: they are on their own.
    right = (rows["score"] >= 0.5) == rows["label"]
    assert 0.8 < right.mean() < 0.95
    csv = pa.csv.read_csv(sample_data / "breast_cancer_choice.csv")
    assert csv.equals(pq.read_table(sample_data / "breast_cancer_choice.parquet"))


def test_parts_have_the_same_share_of_malignant_tumours(sample_data):
    shares = [cancer(sample_data, part)["label"].mean() for part in PARTS]
    assert abs(shares[0] - shares[1]) < 0.005
    assert shares[0] == pytest.approx((load_breast_cancer().target == 0).mean(), abs=0.005)


@pytest.mark.parametrize("part", PARTS)
def test_binary_scores_are_over_confident_and_yet_useful(sample_data, part):
    rows = cancer(sample_data, part)
    right = (rows["score"] >= 0.5) == rows["label"]
    confidence = np.maximum(rows["score"], 1 - rows["score"])
    assert confidence.mean() - right.mean() > 0.04
    assert right.mean() > 0.85


@pytest.mark.parametrize("part", PARTS)
def test_logits_have_ten_columns_and_every_digit_occurs(sample_data, part):
    logits, labels = digits(sample_data, part)
    readme = (sample_data / "README.md").read_text(encoding="utf-8")
    assert logits.shape == (len(labels), 10)
    assert (logits.dtype, labels.dtype) == (np.float32, np.int64)
    assert np.isfinite(logits).all()
    assert f"| {len(labels):,} |" in readme
    counts = np.bincount(labels, minlength=10)
    expected = np.bincount(load_digits().target) * len(labels) / 1797
    assert np.abs(counts - expected).max() <= 1.5


@pytest.mark.parametrize("part", PARTS)
def test_a_temperature_above_one_mends_the_logits(sample_data, part):
    logits, labels = digits(sample_data, part)
    assert (logits.argmax(axis=1) == labels).mean() > 0.85
    assert nll(logits / 3, labels) < 0.6 * nll(logits, labels)
