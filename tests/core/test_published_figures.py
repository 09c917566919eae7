"""Figures that others published for score files that others published."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from calibcli.core.metrics.binary import View
from calibcli.core.metrics.registry import METRICS
from calibcli.core.statistics.curves import Binning
from calibcli.core.statistics.stats import ScoreStats

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Rows = tuple[Any, Any]


def two_class_example(folder: Path) -> Rows:
    with (folder / "two_class_example/two_class_example.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    score = [float(row["Class1"]) for row in rows]
    return np.array(score), np.array([row["truth"] == "Class1" for row in rows])


def parquet(name: str, score: str, label: str) -> Callable[[Path], Rows]:
    def read(folder: Path) -> Rows:
        table = pq.read_table(folder / name, columns=[score, label])
        return table[score].to_numpy(), table[label].to_numpy()

    return read


def pcam(model: str) -> Callable[[Path], Rows]:
    def read(folder: Path) -> Rows:
        probabilities = np.load(folder / f"pcam_pycalib/{model}_probs.npy")
        return probabilities[:, 1], np.load(folder / f"pcam_pycalib/{model}_labels.npy")

    return read


def employment(name: str) -> Callable[[Path], Rows]:
    return parquet(f"employment/{name}.parquet", "predicted_probability", "employed")


def car_loan(name: str) -> Callable[[Path], Rows]:
    return parquet(f"car_loan/{name}.parquet", "y_pred_proba", "repaid")


PUBLISHED: dict[str, tuple[Callable[[Path], Rows], dict[str, float]]] = {
    "two_class_example": (
        two_class_example,
        {"n": 500, "auc": 0.939314, "nll": 0.328310, "brier": 0.105619, "ece": 0.064699},
    ),
    "employment reference": (
        employment("reference_2015"),
        {"n": 68_785, "ece": 0.006311, "brier": 0.122893, "auc": 0.903361},
    ),
    "employment production": (
        employment("production_2016_2018"),
        {"n": 208_892, "ece": 0.011382, "brier": 0.122216},
    ),
    "car_loan reference": (
        car_loan("reference"),
        {"n": 50_000, "auc": 0.970982, "brier": 0.045572, "ece": 0.022580},
    ),
    "car_loan production": (
        car_loan("production"),
        {"n": 50_000, "brier": 0.057546, "ece": 0.030353},
    ),
    "fivethirtyeight": (
        parquet("fivethirtyeight/all_forecasts.parquet", "prob", "outcome"),
        {"n": 1_224_752, "brier": 0.075466, "nll": 0.234726, "auc": 0.953419, "ece": 0.003523},
    ),
    "pcam AdaBoost": (pcam("AdaBoost"), {"n": 10_000, "ece": 0.0027}),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_metrics_of(name: str, shared_data: Path) -> None:
    read, expected = PUBLISHED[name]
    score, label = read(shared_data)
    stats = ScoreStats.from_arrays(score, label, edges=Binning().edges)
    found = {metric: METRICS[metric](View(stats, Binning())) for metric in expected}
    digits = 5e-5 if name.startswith("pcam") else 5.5e-7
    assert found == pytest.approx(expected, abs=digits)


def test_the_top_label_of_two_classes_is_another_question(shared_data: Path) -> None:
    score, label = pcam("AdaBoost")(shared_data)
    confidence = np.maximum(score, 1 - score)
    right = (score > 0.5) == label
    view = View(ScoreStats.from_arrays(confidence, right), Binning())
    assert METRICS["ece"](view) == pytest.approx(0.2527, abs=5e-5)


def test_certain_forecasts_are_counted(shared_data: Path) -> None:
    score, label = PUBLISHED["fivethirtyeight"][0](shared_data)
    stats = ScoreStats.from_arrays(score, label)
    assert stats.total[0] == 301_122
    assert stats.total[-1] == 53_715
    wrong = ((score == 0) & (label == 1)) | ((score == 1) & (label == 0))
    assert stats.certain_errors == wrong.sum()
