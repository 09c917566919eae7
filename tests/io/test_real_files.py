"""Score files that others published, where they are at hand: read here, known figures there.

Brier score and log loss see every row, so they come out right only if all rows, columns and
labels were read as they should be. The figures are those published beside the files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the published score files are not here")


def brier(rows):
    p = rows.scores.astype(np.float64)
    y = np.eye(p.shape[1])[rows.labels] if p.ndim == 2 else rows.labels
    squares = (p - y) ** 2
    return (squares.sum(axis=1) if p.ndim == 2 else squares).mean()


def nll(rows, eps=1e-15):
    p = np.clip(rows.scores.astype(np.float64), eps, 1 - eps)
    if p.ndim == 2:
        return -np.log(p[np.arange(len(p)), rows.labels]).mean()
    return -np.where(rows.labels == 1, np.log(p), np.log1p(-p)).mean()


def test_two_class_example(read):
    rows = read(
        DATA / "two_class_example" / "two_class_example.csv",
        score="Class1",
        label="truth",
        positive="Class1",
    )
    assert brier(rows) == pytest.approx(0.105619, abs=5e-7)
    assert nll(rows) == pytest.approx(0.328310, abs=5e-7)


def test_hpc_cv(read, opened):
    path = DATA / "hpc_cv" / "hpc_cv.csv"
    options = {"scores": ("VF", "F", "M", "L"), "label": "obs", "groups": ("Resample",)}
    assert opened(path, **options).classes == ("VF", "F", "M", "L")
    rows = read(path, **options)
    fold = np.array(rows.groups[0]) == "Fold01"
    rows.scores, rows.labels = rows.scores[fold], rows.labels[fold]
    assert nll(rows) == pytest.approx(0.73384, abs=5e-6)
    assert brier(rows) / 2 == pytest.approx(0.20203, abs=5e-6)


def test_employment(read):
    reference = read(
        DATA / "employment" / "reference_2015.parquet",
        score="predicted_probability",
        label="employed",
        groups=("RAC1P",),
    )
    assert reference.scores.size == 68_785
    assert brier(reference) == pytest.approx(0.122893, abs=5e-7)
    production = read(
        DATA / "employment" / "production_2016_2018.parquet",
        score="predicted_probability",
        label="employed",
    )
    assert brier(production) == pytest.approx(0.122216, abs=5e-7)


def test_car_loan(read):
    for name, expected in (("reference", 0.045572), ("production", 0.057546)):
        rows = read(DATA / "car_loan" / f"{name}.parquet", score="y_pred_proba", label="repaid")
        assert brier(rows) == pytest.approx(expected, abs=5e-7)


def test_fivethirtyeight(read):
    rows = read(
        DATA / "fivethirtyeight" / "all_forecasts.parquet",
        label="outcome",
        groups=("project",),
        cluster="event",
    )
    assert rows.scores.size == 1_224_752
    assert brier(rows) == pytest.approx(0.075466, abs=5e-7)
    assert nll(rows) == pytest.approx(0.234726, abs=5e-7)
    assert (rows.scores == 0).sum() == 301_122
    assert (rows.scores == 1).sum() == 53_715


@pytest.mark.parametrize("data", ["mozilla4_1046_rf", "airlines_42493_rf", "2dplanes_727_cb3"])
def test_splinecalib(data, read):
    expected = {
        "mozilla4_1046_rf": 0.13687,
        "airlines_42493_rf": 0.89035,
        "2dplanes_727_cb3": 0.23947,
    }
    rows = read(DATA / "splinecalib" / f"testset_{data}.csv", score="y_pred", label="y_true")
    # Published with scikit-learn, which clips at the spacing of doubles.
    assert nll(rows, eps=2**-52) == pytest.approx(expected[data], abs=5e-6)


def test_pcam_two_columns_as_one_score(read):
    folder = DATA / "pcam_pycalib"
    labels = str(folder / "AdaBoost_labels.npy")
    rows = read(folder / "AdaBoost_probs.npy", labels=labels, task="binary")
    np.testing.assert_array_equal(rows.scores, np.load(folder / "AdaBoost_probs.npy")[:, 1])
    np.testing.assert_array_equal(rows.labels, np.load(labels))


def test_cifar(read):
    stem = DATA / "cifar_netcal" / "wideresnet-16-4-cifar-10"
    rows = read(f"{stem}_probs.npy", labels=f"{stem}_labels.npy")
    assert rows.scores.dtype == np.float32
    assert nll(rows) == pytest.approx(0.378170, abs=5e-7)


def test_coco_multilabel(opened):
    folder = DATA / "coco_multilabel"
    data = opened(folder / "probs.npy", labels=str(folder / "labels.npy"))
    batches = list(data.batches())
    assert (data.task, len(data.classes)) == ("multilabel", 80)
    labels = np.concatenate([batch.labels for batch in batches])
    assert labels.shape == (4_952, 80)
    assert labels.mean() == pytest.approx(0.037, abs=5e-4)
