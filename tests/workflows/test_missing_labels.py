"""Labels that are missing one by one: each label counts the rows that have it, everywhere."""

from __future__ import annotations

import json

import numpy as np
import pytest

N, K = 900, 3
RNG = np.random.default_rng(4)
P = np.round(RNG.random((N, K)), 2)
FULL = (RNG.random((N, K)) < P**1.5).astype(float)
GAPS = np.where(RNG.random((N, K)) < [0.2, 0.5, 0.0], np.nan, FULL)
GAPS[:5] = np.nan
NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The scores, and the labels with gaps: as NaN, as -1, and as a table with empty fields."""
    folder = tmp_path_factory.mktemp("gaps")
    np.save(folder / "p.npy", P)
    np.save(folder / "nan.npy", GAPS)
    np.save(folder / "minus.npy", np.nan_to_num(GAPS, nan=-1).astype(int))
    rows = ["p_a,p_b,p_c,y_a,y_b,y_c,w"]
    for p, y, w in zip(P, GAPS, RNG.integers(1, 4, N), strict=True):
        labels = ["" if np.isnan(one) else str(int(one)) for one in y]
        rows.append(",".join([*map(str, p), *labels, str(w)]))
    (folder / "t.csv").write_text("\n".join(rows) + "\n")
    return folder


def inputs(files, kind):
    if kind == "table":
        options = "--scores", "p_*", "--label", "y_*", "--drop-invalid"
        return files / "t.csv", *options
    gap = ("--drop-invalid",) if kind == "nan" else ("--ignore-label", "-1")
    return files / "p.npy", "--labels", files / f"{kind}.npy", *gap


@pytest.mark.parametrize("weight", [(), ("--weight", "w"), ("--count", "w")])
def test_each_label_is_measured_on_the_rows_that_have_it(files, calibcli, weight):
    options = *inputs(files, "table"), *weight, "--format", "json"
    several = calibcli("measure", *options).json
    total = 0
    for k, name in enumerate(NAMES):
        alone = calibcli(
            "measure", files / "t.csv", "--score", f"p_{name}", "--label", f"y_{name}",
            "--drop-invalid", *weight, "--format", "json",
        ).json["overall"]  # fmt: skip
        own = several["classes"][k]
        assert own["bins"] == alone["bins"]
        assert own["confusion"] == alone["confusion"]
        for figure in ("n", "prevalence", "ece", "brier", "nll", "auc"):
            assert own["metrics"][figure]["value"] == pytest.approx(
                alone["metrics"][figure]["value"], rel=1e-12
            ), figure
        total += alone["metrics"]["n"]["value"]
    assert several["overall"]["metrics"]["n"]["value"] == total


def test_every_way_to_write_a_gap_is_the_same(files, calibcli):
    found = {}
    for kind in ("nan", "minus", "table"):
        result = calibcli("measure", *inputs(files, kind), "--format", "json").json
        found[kind] = result["overall"], [one["metrics"] for one in result["classes"]]
    assert found["nan"] == found["minus"] == found["table"]


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 150_000], ids=["tallied", "two passes"])
def test_cut_offs_are_those_of_the_rows_that_have_the_label(files, calibcli, tmp_path, size):
    rng = np.random.default_rng(size)
    n = 2_000 * (1 if size == 1 else 90)
    p = rng.random((n, K)) if size > 1 else np.round(rng.random((n, K)), 2)
    y = np.where(rng.random((n, K)) < 0.3, -1, rng.random((n, K)) < p)
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "y.npy", y)
    options = "--labels", tmp_path / "y.npy", "--ignore-label", "-1"
    wish = "--maximize", "f1", "--format", "json", "-q", "-o"
    several = calibcli("threshold", tmp_path / "p.npy", *options, *wish, tmp_path / "t.json").json
    for k in range(K):
        there = y[:, k] >= 0
        np.save(tmp_path / "one.npy", p[there, k])
        np.save(tmp_path / "of.npy", y[there, k])
        alone = calibcli(
            "threshold", tmp_path / "one.npy", "--labels", tmp_path / "of.npy", *wish,
            tmp_path / "o.json",
        ).json  # fmt: skip
        mine, other = several["thresholds"][k], alone["thresholds"][0]
        assert mine["threshold"] == other["threshold"]
        assert {name: mine["confusion"][name] for name in ("tp", "fp", "fn", "tn")} == {
            name: other["confusion"][name] for name in ("tp", "fp", "fn", "tn")
        }


def test_a_fit_a_second_model_and_chosen_cut_offs(files, good, calibcli, tmp_path):
    fitted, cuts = tmp_path / "c.json", tmp_path / "t.json"
    table = inputs(files, "table")
    assert calibcli("fit", *table, "--method", "platt", "-o", fitted, "-q").code == 0
    alone = tmp_path / "alone.json"
    one = files / "t.csv", "--score", "p_b", "--label", "y_b", "--drop-invalid"
    assert calibcli("fit", *one, "--method", "platt", "-o", alone, "-q").code == 0
    own = json.loads(fitted.read_text())["calibrator"]["calibrators"][1]
    other = json.loads(alone.read_text())["calibrator"]
    for parameter in ("A", "B"):
        assert own[parameter] == pytest.approx(other[parameter], rel=1e-9)
    assert calibcli("threshold", *table, "--maximize", "f1", "-o", cuts, "-q").code == 0
    result = calibcli("measure", *table, "--thresholds", cuts, "--format", "json").json
    for k in range(K):
        n = sum(result["classes"][k]["confusion"][0][name] for name in ("tp", "fp", "fn", "tn"))
        assert n == (~np.isnan(GAPS[:, k])).sum()
    same = calibcli("measure", *table, "--versus", files / "t.csv", "--format", "json")
    assert same.code == 0
    assert same.json["versus"]["metrics"]["brier"]["value"] == 0
