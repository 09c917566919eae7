"""`apply --interval`: columns beside the probability, or the reason why there are none."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy.special import softmax

from calibcli.core.calibrators import CALIBRATORS, calibrate, calibrator_from_dict
from calibcli.core.calibrators.classes.rows import Batches, RowBatch
from calibcli.core.fitting.problems import cross_fit_rows
from calibcli.core.fitting.row_intervals import OfFolds
from calibcli.core.numeric.scales import logit


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    z = rng.normal(0, 2, 400)
    y = rng.random(400) < 1 / (1 + np.exp(-0.6 * z))
    with (tmp_path / "x.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["score", "logit", "label", "site"])
        p = 1 / (1 + np.exp(-z))
        sites = np.where(z > 0, "a", "b")
        writer.writerows(zip(p.tolist(), z.tolist(), y.astype(int).tolist(), sites, strict=True))
    return tmp_path


def columns(path):
    with open(path, newline="") as file:  # noqa: PTH123
        rows = list(csv.DictReader(file))
    return {
        name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "site"
    }


READ = {"p": ("--score", "score"), "logits": ("--score", "logit", "--logits")}


@pytest.mark.parametrize("kind", READ)
@pytest.mark.parametrize("method", ["platt", "isotonic", "venn-abers"])
def test_each_row_has_an_interval(calibcli, files, kind, method):
    read = READ[kind]
    assert calibcli("fit", "x.csv", *read, "--method", method, "-o", "c.json").code == 0
    ran = calibcli("apply", "c.json", "x.csv", *read, "--interval", "-o", "out.csv")
    assert ran.code == 0, ran.err
    found = columns("out.csv")
    low, p, high = (found[f"probability{end}"] for end in ("_low", "", "_high"))
    assert (low <= p).all()
    assert (p <= high).all()
    assert (low < high).all()
    assert list(found)[-3:] == ["probability", "probability_low", "probability_high"]
    if method == "venn-abers":
        payload = json.loads((files / "c.json").read_text())
        one = calibrator_from_dict(payload["calibrator"])
        p0, p1 = one.interval(1 / (1 + np.exp(-found["logit"])) if kind == "logits"
                              else found["score"])  # fmt: skip
        np.testing.assert_allclose(low, p0, atol=1e-12)
        np.testing.assert_allclose(high, p1, atol=1e-12)


def test_raw_scores_have_one_too(calibcli, files):
    read = ("--score", "logit", "--raw")
    assert calibcli("fit", "x.csv", *read, "--method", "platt", "-o", "c.json").code == 0
    ran = calibcli("apply", "c.json", "x.csv", "--score", "logit", "--interval", "-o", "raw.csv")
    assert ran.code == 0, ran.err
    assert calibcli("fit", "x.csv", *READ["logits"], "--method", "platt", "-o", "d.json").code == 0
    calibcli("apply", "d.json", "x.csv", *READ["logits"], "--interval", "-o", "logits.csv")
    raw, plain = columns("raw.csv"), columns("logits.csv")
    inner = np.abs(plain["logit"]) < 3
    for name in ("probability_low", "probability_high"):
        np.testing.assert_allclose(raw[name][inner], plain[name][inner], atol=0.02)


@pytest.mark.parametrize(
    ("fit", "more", "said"),
    [
        (("--method", "identity"), (), "identity has nothing that was fitted"),
        (("--method", "platt", "--no-ci"), (), "written without the interval of its map"),
        (("--method", "platt", "--per-group", "site"), (), "venn-abers, which has one of each"),
        (("--method", "platt"), ("--prior", "0.1"), "--prior moves what it returns"),
    ],
)
def test_where_there_is_none_the_reason_is_told(calibcli, files, fit, more, said):
    assert calibcli("fit", "x.csv", "--score", "score", *fit, "-o", "c.json").code == 0
    ran = calibcli("apply", "c.json", "x.csv", "--interval", *more, "-o", "out.csv")
    assert ran.code == 2
    assert said in ran.err
    assert not (files / "out.csv").exists()


def test_it_is_of_rows(calibcli, files):
    assert (
        calibcli("fit", "x.csv", "--score", "score", "--method", "platt", "-o", "c.json").code == 0
    )
    assert calibcli("apply", "c.json", "--emit", "sql", "--interval").code == 2
    assert calibcli("apply", "c.json", "x.csv", "--interval", "-o", "o.npy").code == 2


def by_hand(one, x):
    """Return p0 and p1 of the maps of all labels, column by column."""
    ends = [single.interval(column) for single, column in zip(one, x.T, strict=True)]
    return [np.stack(end, axis=1) for end in zip(*ends, strict=True)]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
@pytest.mark.parametrize("group", [False, True])
def test_each_class_has_one_of_venn_abers(calibcli, tmp_path, monkeypatch, task, group):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    z = rng.normal(0, 1.5, (900, 3))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    if task == "multilabel":
        p = 1 / (1 + np.exp(-z))
        labels = (rng.random(p.shape) < p).astype(int)
    else:
        labels = (rng.random((900, 1)) > p.cumsum(axis=1)).sum(axis=1, keepdims=True)
    names = [f"y{k}" for k in range(labels.shape[1])]
    with open("x.csv", "w", newline="") as file:  # noqa: PTH123
        writer = csv.writer(file)
        writer.writerow(["s_a", "s_b", "s_c", *names, "site"])
        rows = zip(p.tolist(), labels.tolist(), rng.integers(0, 2, 900).tolist(), strict=True)
        writer.writerows([*scores, *truth, f"site{one}"] for scores, truth, one in rows)
    read = ("--scores", "s_*", "--task", task)
    of_fit = ("--label", ",".join(names), "--method", "venn-abers", "--no-ci")
    by = ("--per-group", "site") if group else ()
    ran = calibcli("fit", "x.csv", *read, *of_fit, *by, "-o", "c.json")
    assert ran.code == 0, ran.err
    ran = calibcli("apply", "c.json", "x.csv", *read, "--interval", "-o", "out.csv")
    assert ran.code == 0, ran.err
    found = columns("out.csv")
    low, middle, high = (
        np.stack([found[f"probability_{name}{end}"] for name in "abc"], axis=1)
        for end in ("_low", "", "_high")
    )
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert (low < high).mean() > 0.9
    assert (high - low).mean() < 0.2
    if not group:
        one = calibrator_from_dict(json.loads((tmp_path / "c.json").read_text())["calibrator"])
        p0, p1 = by_hand(one.calibrators, p)
        if task == "multiclass":
            p0, p1 = (
                end / (end + other.sum(axis=1, keepdims=True) - other)
                for end, other in ((p0, p1), (p1, p0))
            )
        # A score at a step may fall to its other side by the last bit of a logit.
        assert np.isclose(low, p0, atol=1e-9).mean() > 0.99
        assert np.isclose(high, p1, atol=1e-9).mean() > 0.99


def test_a_map_by_group_has_that_of_its_pool(calibcli, files):
    fit = ("fit", "x.csv", "--score", "score", "--method", "venn-abers", "--per-group", "site")
    assert calibcli(*fit, "-o", "c.json").code == 0
    ran = calibcli("apply", "c.json", "x.csv", "--score", "score", "--interval", "-o", "out.csv")
    assert ran.code == 0, ran.err
    found = columns("out.csv")
    low, p, high = (found[f"probability{end}"] for end in ("_low", "", "_high"))
    assert (low <= p).all()
    assert (p <= high).all()
    assert (low < high).all()


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix"])
def test_parametric_maps_of_several_classes_have_that_of_their_folds(
    calibcli, sample_data, tmp_path, method
):
    digits = (sample_data / "digits_calibration_logits.npy", "--labels",
              sample_data / "digits_calibration_labels.npy", "--logits")  # fmt: skip
    fitted = tmp_path / "c.json"
    assert calibcli("fit", *digits, "--method", method, "-o", fitted).code == 0
    ran = calibcli("apply", fitted, digits[0], "--logits", "--interval", "-o", tmp_path / "o.csv")
    assert ran.code == 0, ran.err
    found = columns(tmp_path / "o.csv")
    low, p, high = (
        np.stack([found[f"probability_{k}{end}"] for k in range(10)], axis=1)
        for end in ("_low", "", "_high")
    )
    assert (low <= p).all()
    assert (p <= high).all()
    folds = json.loads(fitted.read_text())["folds"]
    assert len(folds) == 5
    z = np.load(digits[0]).astype(np.float64)
    without = logit(np.array([calibrator_from_dict(one).apply(z) for one in folds]))
    error = np.sqrt(4 / 5 * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    reach = 2.7764451 * error  # t with 4 degrees of freedom
    inside = (low > 1e-7) & (high < 1 - 1e-7)
    assert inside.any()
    for far in (logit(high) - logit(p), logit(p) - logit(low)):
        np.testing.assert_allclose(far[inside], reach[inside], atol=1e-5)


@pytest.mark.parametrize(
    "of_fit", [("--method", "histogram"), ("--method", "temperature", "--no-ci")]
)
def test_other_fits_of_several_classes_are_refused(calibcli, sample_data, tmp_path, of_fit):
    digits = (sample_data / "digits_calibration_logits.npy", "--labels",
              sample_data / "digits_calibration_labels.npy", "--logits")  # fmt: skip
    fitted = tmp_path / "c.json"
    assert calibcli("fit", *digits, *of_fit, "-o", fitted).code == 0
    assert "folds" not in json.loads(fitted.read_text())
    ran = calibcli("apply", fitted, digits[0], "--logits", "--interval", "-o", tmp_path / "o.csv")
    assert ran.code == 2
    assert "--method venn-abers" in ran.err


def centred(z):
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows", "copies"),
    [("temperature", 300, 1), ("temperature", 600, 5), ("vector", 400, 1), ("vector", 1500, 5),
     ("matrix", 500, 1), ("dirichlet", 2000, 1), ("sms", 2000, 1)],
)  # fmt: skip
def test_they_hold_the_true_probabilities(name, rows, copies):
    """Of a true map of the method's form, also where rows come in clusters of copies."""
    rng = np.random.default_rng(1)
    slope, shift = (1 / 1.7, 0.0)
    if name != "temperature":
        slope, shift = np.linspace(0.5, 1.2, 3), np.linspace(-0.4, 0.4, 3)
    at = centred(2 * rng.standard_normal((40, 3)))
    truth, held = softmax(at * slope + shift, axis=1), []
    for _ in range(100):
        z = centred(2 * rng.standard_normal((rows // copies, 3)))
        y = (z * slope + shift + rng.gumbel(size=z.shape)).argmax(axis=1)
        bucket = rng.integers(0, 60, len(z)).astype(np.uint8)
        z, y, bucket = (np.repeat(one, copies, axis=0) for one in (z, y, bucket))
        source = Batches([RowBatch(z, True, y, None, None, bucket)], 3, logits=True)
        whole = CALIBRATORS[name].fit(source)
        folds = OfFolds(tuple(cross_fit_rows(source, name, folds=5)), 0.95)
        low, high = folds(at, calibrate(whole, at, logits=True), logits=True)
        held.append(((low <= truth) & (truth <= high)).mean())
    assert np.mean(held) >= 0.91
