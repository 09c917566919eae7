"""`apply --interval`: columns beside the probability, or the reason why there are none."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from calibcli.core.calibrators import calibrator_from_dict


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


def test_other_methods_of_several_classes_are_refused(calibcli, sample_data, tmp_path):
    digits = (sample_data / "digits_calibration_logits.npy", "--labels",
              sample_data / "digits_calibration_labels.npy", "--logits")  # fmt: skip
    fitted = tmp_path / "c.json"
    assert calibcli("fit", *digits, "--method", "temperature", "-o", fitted).code == 0
    ran = calibcli("apply", fitted, digits[0], "--logits", "--interval", "-o", tmp_path / "o.csv")
    assert ran.code == 2
    assert "--method venn-abers" in ran.err
