"""Structures judged where they are decided: against NumPy on the masks themselves."""

from __future__ import annotations

import numpy as np
import pytest

from calibcli.core.segmentation.overlap import overlap
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.measure.measure import measure
from tests.schemas import fits_schema

NAMES = ("background", "gamma", "resistivity")


@pytest.fixture(scope="module")
def logs(sample_data):
    folder = sample_data / "well_logs"
    spec = InputSpec(
        (str(folder / "test_probabilities.npy"),),
        labels=str(folder / "test_masks.npy"),
        task="segmentation",
        cluster="image",
        classes=NAMES,
    )
    p = np.load(folder / "test_probabilities.npy").astype(np.float64)
    return spec, p, np.load(folder / "test_masks.npy")


@pytest.fixture(scope="module")
def result(logs):
    return measure(logs[0], Conventions(at=(0.8,)))


def binned_ece(score, right):
    edges = np.ceil(np.round(score * 15, 9)).astype(int).clip(1, 15)
    rows = [edges == b for b in range(1, 16)]
    return sum(abs((right[r] - score[r]).sum()) for r in rows) / len(score)


def test_figures_of_each_structure(logs, result):
    _, p, masks = logs
    decided, sure = p.argmax(axis=1), p.max(axis=1)
    for k, told in enumerate(result["segmentation"]["structures"]):
        own, truth = decided == k, masks == k
        tp, fp, fn = (own & truth).sum(), (own & ~truth).sum(), (~own & truth).sum()
        assert (told["name"], told["tp"], told["fp"], told["fn"]) == (NAMES[k], tp, fp, fn)
        score, right = sure[own], truth[own].astype(float)
        wanted = {
            "score": score.mean(),
            "gap": right.mean() - score.mean(),
            "ece": binned_ece(score, right),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "dice": 2 * tp / (2 * tp + fp + fn),
            "iou": tp / (tp + fp + fn),
        }
        both = (own & truth).sum(axis=(1, 2)), own.sum(axis=(1, 2)) + truth.sum(axis=(1, 2))
        wanted["mean_dice"] = np.mean(2 * both[0] / both[1])
        for name, value in wanted.items():
            assert told[name]["value"] == pytest.approx(value, rel=1e-9), (NAMES[k], name)
            assert told[name]["low"] < value < told[name]["high"], (NAMES[k], name)
        metrics = result["classes"][k]["metrics"]
        assert metrics["decided_ece"] == told["ece"]
        assert metrics["dice"] == told["dice"]


def test_the_average_hides_the_curves_and_it_is_said(result):
    assert result["task"] == "segmentation"
    assert result["segmentation"]["hidden"] == ["gamma", "resistivity"]
    assert any("hides 2 of 3 structures" in said for said in result["warnings"])


def test_reading_at_a_confidence(logs, result):
    _, p, masks = logs
    decided, sure = p.argmax(axis=1), p.max(axis=1)
    held = (sure > 11 / 15) & (sure <= 12 / 15)
    for k, told in enumerate(result["segmentation"]["structures"]):
        own = held & (decided == k)
        (item,) = told["at"]
        assert item["count"] == own.sum()
        gap = (masks[own] == k).mean() - sure[own].mean()
        assert item["gap"] == pytest.approx(gap)
        wanted = "over-confident" if gap < -0.05 else "under-confident"
        assert item["verdict"] == ("within tolerance" if abs(gap) <= 0.05 else wanted)


def test_result_fits_its_schema(result):
    fits_schema(result, "measure")


def test_gates_know_the_structures(logs):
    found = measure(
        logs[0],
        Conventions(confidence=None),
        fail_if=("worst(class).decided_ece>0.4", "class.gamma.dice<0.5"),
    )
    assert [gate["passed"] for gate in found["gates"]] == [False, True]


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "mean_dice"])
def test_intervals_over_images_hold_the_truth(name):
    """Images differ in how well they are decided; 95 % intervals hold the population's figure."""
    rng = np.random.default_rng(0)

    def images(n):
        size = rng.integers(50, 400, n)
        found = rng.binomial(size, rng.beta(8, 3, n))
        wrong = rng.poisson(0.3 * size * rng.gamma(2.0, 0.5, n))
        return np.stack([found, wrong, size - found], axis=1)

    truth = overlap(images(400_000), None)[name][0]
    held = 0
    for _ in range(600):
        _, low, high, _ = overlap(images(40), 0.95)[name]
        held += low <= truth <= high
    assert 0.92 <= held / 600 <= 0.98


def test_a_structure_that_is_nowhere_has_reasons_and_no_figures():
    found = overlap(np.zeros((3, 3), np.int64), 0.95)
    assert all(value is None and reason for value, _, _, reason in found.values())
    present = overlap(np.array([[0, 0, 5], [0, 0, 7]]), 0.95)
    assert present["precision"][0] is None
    assert present["dice"][0] == 0.0
