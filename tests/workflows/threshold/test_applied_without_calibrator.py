"""`apply --thresholds FILE SCORES`: cut-offs of scores as they are, counted from the output."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

N = 300


@pytest.fixture
def rows(write):
    """Scores as probabilities, logits that are 1.0 as one, points; classes; labels; a site."""
    rng = np.random.default_rng(3)
    z = rng.normal(38, 2, N)
    p = rng.uniform(size=(N, 3))
    kinds = p**2 / (p**2).sum(axis=1, keepdims=True)
    return write("s.csv", {
        "score": p[:, 0], "logit": z, "points": np.round(540 + 120 * p[:, 0]),
        "label": (rng.uniform(size=N) < p[:, 0]).astype(int),
        "late": (rng.normal(z, 1) > 38).astype(int),
        "site": rng.choice(["a", "b"], N),
        **{f"p_{k}": kinds[:, k] for k in range(3)},
        "kind": [int(rng.choice(3, p=one)) for one in kinds],
        **{f"q_{k}": p[:, k] for k in range(3)},
        **{f"y_{k}": (rng.uniform(size=N) < p[:, k]).astype(int) for k in range(3)},
    })  # fmt: skip


def decided(good, scores, cuts, out, *options):
    """Return the rows that `apply` writes."""
    good("apply", "--thresholds", cuts, scores, *options, "-o", out, "-q")
    with Path(out).open(newline="") as file:
        return list(csv.DictReader(file))


def counts(said, true):
    said, true = np.asarray(said, bool), np.asarray(true, bool)
    return [int((said & true).sum()), int((said & ~true).sum()), int((~said & true).sum())]


BINARY = {
    "probabilities": (("--score", "score", "--label", "label"), "label"),
    "logits": (("--score", "logit", "--label", "late", "--logits"), "late"),
    "points": (("--score", "points", "--label", "label", "--raw"), "label"),
}


@pytest.mark.parametrize("scores", BINARY)
@pytest.mark.parametrize("group", [(), ("--per-group", "site")])
def test_one_score(scores, group, rows, calibcli, good, tmp_path):
    options, label = BINARY[scores]
    cuts = tmp_path / "t.json"
    chosen = calibcli(
        "threshold", rows, *options, *group, "--maximize", "youden", "-o", cuts, "-q",
        "--format", "json",
    ).json  # fmt: skip
    found = decided(good, rows, cuts, tmp_path / "o.csv")
    assert list(found[0])[-1] == "decision"
    assert "probability" not in found[0]
    for one in chosen["thresholds"]:
        where = one["slice"]
        own = [row for row in found if where["kind"] != "group" or row["site"] == where["value"]]
        if where["kind"] != "group" and group:
            continue
        got = counts([row["decision"] == "1" for row in own], [row[label] == "1" for row in own])
        assert got == [one["confusion"][key] for key in ("tp", "fp", "fn")]


def test_classes_and_labels(rows, calibcli, good, tmp_path):
    cuts = tmp_path / "t.json"
    for options, truth, name in (
        (("--scores", "p_*", "--label", "kind"), lambda r, k: r["kind"] == k, None),
        (("--scores", "q_*", "--label", "y_*", "--task", "multilabel"),
         lambda r, k: r[f"y_{k}"] == "1", "decision_{}"),
    ):  # fmt: skip
        chosen = calibcli(
            "threshold", rows, *options, "-o", cuts, "-q", "--format", "json"
        ).json  # fmt: skip
        found = decided(good, rows, cuts, tmp_path / "o.csv")
        for one in chosen["thresholds"]:
            k = one["slice"]["name"]
            said = [row[name.format(k)] == "1" if name else row["decision"] == k for row in found]
            got = counts(said, [truth(row, k) for row in found])
            assert got == [one["confusion"][key] for key in ("tp", "fp", "fn")]


@pytest.mark.parametrize("planes", [1, 3])
def test_masks(planes, calibcli, good, tmp_path):
    rng = np.random.default_rng(planes)
    p = rng.dirichlet(np.ones(max(planes, 2)), (4, 12, 13)).transpose(0, 3, 1, 2)
    label = (p.cumsum(axis=1) < rng.uniform(size=(4, 1, 12, 13))).sum(axis=1).astype(np.uint8)
    p, label = (p[:, 1], label) if planes == 1 else (p, label)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", label)
    scores, cuts, out = (tmp_path / name for name in ("p.npy", "t.json", "m.npy"))
    chosen = calibcli(
        "threshold", scores, "--labels", tmp_path / "y.npy", "--task", "segmentation",
        "--search", "min-area=0,3", "--maximize", "dice", "-o", cuts, "-q", "--format", "json",
    ).json  # fmt: skip
    good("apply", "--thresholds", cuts, scores, "--task", "segmentation", "-o", out, "-q")
    masks = np.load(out)
    for one in chosen["thresholds"]:
        k = int(one["slice"].get("name", 1))
        got = counts(masks == k, label == k)
        assert got == [one["confusion"][key] for key in ("tp", "fp", "fn")]


def test_masks_by_group_of_images(calibcli, good, tmp_path):
    rng = np.random.default_rng(5)
    p = rng.random((6, 12, 13))
    label = (rng.random(p.shape) < p).astype(np.uint8)
    label[::2] &= p[::2] > 0.6
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", label)
    scores, cuts, out, images = (tmp_path / n for n in ("p.npy", "t.json", "m.npy", "i.csv"))
    images.write_text("image_id,site\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(6)))
    task = ("--task", "segmentation")
    chosen = calibcli(
        "threshold", scores, "--labels", tmp_path / "y.npy", *task, "--images", images,
        "--per-group", "site", "-o", cuts, "-q", "--format", "json",
    ).json  # fmt: skip
    run = ("apply", "--thresholds", cuts, scores, *task, "-o", out, "-q")
    ran = calibcli(*run)
    assert (ran.code, "--images FILE" in ran.err) == (2, True)
    good(*run, "--images", images)
    groups = [one for one in chosen["thresholds"] if one["slice"]["kind"] == "group"]
    assert [one["slice"]["value"] for one in groups] == ["a", "b"]
    for place, one in enumerate(groups):
        got = counts(np.load(out)[place::2] == 1, label[place::2] == 1)
        assert got == [one["confusion"][key] for key in ("tp", "fp", "fn")]


def test_what_needs_a_calibrator_says_so(rows, calibcli, good, tmp_path):
    cuts, cal = tmp_path / "t.json", tmp_path / "c.json"
    data = (rows, "--score", "score", "--label", "label")
    calibcli("threshold", *data, "-o", cuts, "-q")
    run = ("apply", "--thresholds", cuts, rows, "-o", tmp_path / "o.csv")
    for more in (("--prior", "0.2"), ("--interval",)):
        ran = calibcli(*run, *more)
        assert (ran.code, "no calibrator is given" in ran.err) == (2, True)
    ran = calibcli(*run, "--fail-if", "decision.positive-rate>=0")
    assert (ran.code, (tmp_path / "o.csv").exists()) == (1, False)
    good("fit", *data, "--method", "platt", "-o", cal, "-q")
    ran = calibcli("apply", cal, rows, "--thresholds", cuts, "-o", tmp_path / "o.csv")
    assert (ran.code, "leave the calibrator out" in ran.err) == (3, True)
    calibcli("threshold", *data, "--calibrator", cal, "-o", cuts, "-q")
    ran = calibcli(*run)
    assert (ran.code, "give the calibrator too" in ran.err) == (3, True)
