"""Guarantees by patient, prompt and image, from files to the promise."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from calibcli.errors import AnswerNoError
from calibcli.io.rows.dataset import InputSpec
from calibcli.workflows.input.conventions import Conventions
from calibcli.workflows.threshold.kinds.abstain import abstention
from calibcli.workflows.threshold.threshold import Wish, threshold
from tests.flood import cleaned

QUIET = Conventions(confidence=None)
PATIENTS, VISITS = 120, 8


def visits(seed=0, classes=1, patients=PATIENTS, size=VISITS):
    """Return patients, scores and labels; each patient is harder or easier than the others."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), size)
    hard = rng.normal(0, 0.6, (patients, classes))[patient]
    z = rng.normal(0, 2, (len(patient), classes)) - 0.5
    return patient, 1 / (1 + np.exp(-z)), (rng.random(z.shape) < 1 / (1 + np.exp(-z - hard)))


@pytest.fixture
def save(tmp_path):
    def write(name="scores.csv", **columns):
        path = tmp_path / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*(c.tolist() for c in columns.values()), strict=True))
        return str(path)

    return write


def mean_share(patient, part, whole):
    """Return over how many patients, and the mean over them of part / whole."""
    rows = np.bincount(patient, whole)
    some = rows > 0
    return int(some.sum()), float((np.bincount(patient, part)[some] / rows[some]).mean())


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("wanted", ["recall>=0.8", "precision>=0.7", "fpr<=0.4"])
def test_what_is_promised_is_the_mean_over_patients(save, wanted, logits):
    patient, p, label = (one[..., 0] if one.ndim == 2 else one for one in visits())
    score = np.log(p / (1 - p)) if logits else p
    path = save(score=score, label=label.astype(int), patient=patient)
    wish = Wish.parse(subject_to=(wanted,), guarantee=0.9)
    spec = InputSpec(paths=(path,), cluster="patient", logits=logits)
    result = threshold(spec, QUIET, wish)
    item = result["thresholds"][0]
    on = score >= (item["logit"] if logits else item["threshold"])
    name = wanted[:-5]
    units, mean = mean_share(
        patient,
        on & ~label if name == "fpr" else on & label,
        {"recall": label, "precision": on, "fpr": ~label}[name],
    )
    promise = item["guarantee"]
    assert result["kind"] == "certified"
    assert (promise["unit"], promise["units"]) == ("patient", units)
    assert promise["means"][name] == pytest.approx(mean, abs=1e-12)
    assert mean > 0.8 if name == "recall" else mean > 0.7 if name == "precision" else mean < 0.4


def test_patients_of_one_row_have_the_exact_guarantee_of_rows(save):
    patient, p, label = visits(1, patients=300, size=1)
    path = save(score=p[:, 0], label=label[:, 0].astype(int), patient=patient)
    wish = Wish.parse(subject_to=("precision>=0.6",), guarantee=0.95)
    plain = threshold(InputSpec(paths=(path,)), QUIET, wish)["thresholds"][0]
    own = threshold(InputSpec(paths=(path,), cluster="patient"), QUIET, wish)["thresholds"][0]
    assert own["threshold"] == plain["threshold"]
    assert own["guarantee"]["units"] <= 300


def test_each_label_and_each_group_has_a_promise_of_its_own(save):
    patient, p, label = visits(2, classes=2, patients=200)
    site = np.where(patient % 2, "a", "b")
    path = save(s_x=p[:, 0], s_y=p[:, 1], y_x=label[:, 0].astype(int), y_y=label[:, 1].astype(int),
                patient=patient, site=site)  # fmt: skip
    spec = InputSpec(
        paths=(path,), scores=("s_x", "s_y"), label="y_x,y_y", task="multilabel",
        cluster="patient",
    )  # fmt: skip
    wish = Wish.parse(subject_to=("recall>=0.7",), guarantee=0.9, per_group="site")
    result = threshold(spec, QUIET, wish)
    assert len(result["thresholds"]) == 6
    for item in result["thresholds"]:
        where = item["slice"]
        k = 1 if "y" in (where.get("name"), where.get("class")) else 0
        own = np.ones(len(site), bool) if where["kind"] == "class" else site == where["value"]
        on = p[:, k] >= item["threshold"]
        units, mean = mean_share(patient, on & label[:, k] & own, label[:, k] & own)
        assert item["guarantee"]["units"] == units
        assert item["guarantee"]["means"]["recall"] == pytest.approx(mean, abs=1e-12)
        assert mean > 0.7


def test_classes_are_promised_as_they_are_decided(save):
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(150), 6)
    truth = rng.integers(0, 3, len(patient))
    z = rng.normal(size=(len(patient), 3)) + rng.normal(0, 0.3, (150, 3))[patient]
    z[np.arange(len(z)), truth] += 2.5
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    path = save(p_0=p[:, 0], p_1=p[:, 1], p_2=p[:, 2], label=truth, patient=patient)
    spec = InputSpec(
        paths=(path,), scores=("p_0", "p_1", "p_2"), label="label", cluster="patient",
        renormalise=True,
    )  # fmt: skip
    wish = Wish.parse(subject_to=("recall>=0.6",), guarantee=0.9)
    result = threshold(spec, QUIET, wish)
    weights = np.array([one["weight"] for one in result["thresholds"]])
    winner = (p / weights).argmax(axis=1)
    for k, item in enumerate(result["thresholds"]):
        on = (winner == k) & (p[:, k] >= item["threshold"] - 1e-12)
        units, mean = mean_share(patient, on & (truth == k), truth == k)
        assert item["guarantee"]["units"] == units
        assert item["guarantee"]["means"]["recall"] == pytest.approx(mean, abs=1e-9)


def test_kept_rows_are_right_in_the_mean_over_patients(save):
    patient, p, label = visits(4)
    path = save(score=p[:, 0], label=label[:, 0].astype(int), patient=patient)
    spec = InputSpec(paths=(path,), cluster="patient")
    entry = abstention(spec, QUIET, "accuracy>=0.85", guarantee=0.9)["abstain"]
    sure = np.maximum(p[:, 0], 1 - p[:, 0]) >= entry["threshold"]
    right = (p[:, 0] >= 0.5) == label[:, 0]
    units, mean = mean_share(patient, sure & right, sure)
    assert (entry["unit"], entry["units"]) == ("patient", units)
    assert entry["mean_accuracy"] == pytest.approx(mean, abs=1e-12)
    assert mean > 0.85


def test_saved_statistics_do_not_tell_patients_apart(save, calibcli, tmp_path):
    patient, p, label = visits(5, patients=100)
    path = save(score=p[:, 0], label=label[:, 0].astype(int), patient=patient)
    stats = str(tmp_path / "stats.json")
    assert calibcli("measure", path, "--cluster", "patient", "--save-stats", stats).code == 0
    ran = calibcli("threshold", stats, "--subject-to", "recall>=0.5", "--guarantee", "0.9")
    assert ran.code == 2
    assert "do not tell them apart" in ran.err


def test_too_few_patients_are_told(save):
    patient, p, label = visits(6, patients=10, size=50)
    path = save(score=p[:, 0], label=label[:, 0].astype(int), patient=patient)
    wish = Wish.parse(subject_to=("recall>=0.9",), guarantee=0.95)
    with pytest.raises(AnswerNoError, match="on 10 values of patient: about"):
        threshold(InputSpec(paths=(path,), cluster="patient"), QUIET, wish)


@pytest.mark.parametrize("structures", [1, 2])
def test_images_are_units(calibcli, tmp_path, monkeypatch, structures):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(7)
    z = rng.normal(0, 2, (60, structures, 9, 8)) + rng.normal(0, 0.5, (60, structures, 1, 1))
    p = 1 / (1 + np.exp(-z))
    truth = (rng.random(p.shape) < p)[:, 0].astype(np.uint8)
    if structures > 1:
        p = p / p.sum(axis=1, keepdims=True)
        truth = (rng.random((60, 9, 8)) < p[:, 1]).astype(np.uint8)
    np.save("p.npy", p if structures > 1 else p[:, 0])
    np.save("y.npy", truth)
    ran = calibcli("threshold", "p.npy", "--labels", "y.npy", "--task", "segmentation",
                   "--subject-to", "recall>=0.6", "--guarantee", "0.9", "--no-ci",
                   "--format", "json")  # fmt: skip
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert result["kind"] == "certified"
    for item in result["thresholds"]:
        assert (item["guarantee"]["unit"], item["guarantee"]["units"]) == ("image", 60)
        assert item["guarantee"]["means"]["recall"] > 0.6
    if structures == 1:
        on, true = p[:, 0] >= result["thresholds"][0]["threshold"], truth == 1
        own = (on & true).sum(axis=(1, 2)) / true.sum(axis=(1, 2))
        promise = result["thresholds"][0]["guarantee"]
        assert promise["means"]["recall"] == pytest.approx(own.mean(), abs=1e-12)


def test_masks_are_certified_as_they_are_written(calibcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(8)
    truth = np.zeros((60, 12, 12), np.uint8)
    truth[:, 3:9, 2:8] = 1
    z = 3.0 * (2.0 * truth - 1) + rng.normal(0, 2, truth.shape) + rng.normal(0, 0.4, (60, 1, 1))
    np.save("p.npy", np.round(1 / (1 + np.exp(-z)), 2))
    np.save("y.npy", truth)
    read = ("--task", "segmentation")
    fit = ("fit", "p.npy", "--labels", "y.npy", *read, "--method", "identity", "-o", "c.json")
    assert calibcli(*fit).code == 0
    options = ("threshold", "p.npy", "--labels", "y.npy", *read, "--search", "min-area=0,5",
               "--search", "fill-holes=yes,no", "--guarantee", "0.9")  # fmt: skip
    ran = calibcli(*options, "--subject-to", "recall>=0.9", "--format", "json")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    item = result["thresholds"][0]
    assert (result["kind"], result["params"]["guarantee"]) == ("certified", 0.9)
    area, fill = item["min_area"], item["fill_holes"]
    masks = np.stack([
        cleaned(one >= item["threshold"], area, fill, connectivity=8) for one in np.load("p.npy")
    ])  # fmt: skip
    own = (masks & (truth == 1)).sum(axis=(1, 2)) / truth.sum(axis=(1, 2))
    assert item["guarantee"]["units"] == 60
    assert item["guarantee"]["means"]["recall"] == pytest.approx(own.mean(), abs=1e-12)
    no = calibcli(*options, "--subject-to", "recall>=0.9999")
    assert no.code == 1
    assert "no rule of masks can be certified" in no.err


def test_masks_that_compete_are_not_certified(calibcli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(9)
    p = rng.dirichlet([1.0, 1.0], (20, 6, 6)).transpose(0, 3, 1, 2)
    np.save("p.npy", p)
    np.save("y.npy", (rng.random((20, 6, 6)) < p[:, 1]).astype(np.uint8))
    ran = calibcli("threshold", "p.npy", "--labels", "y.npy", "--task", "segmentation", "--search",
                   "min-area=0,2", "--subject-to", "recall>=0.5", "--guarantee", "0.9")  # fmt: skip
    assert ran.code == 2
    assert "lose pixels to the others" in ran.err
