"""`fit --ensemble --promote-over`: the pool of several models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit, softmax

POOL = ("--ensemble", "first,second", "--method", "platt")


@pytest.fixture
def night(write):
    """Write a night of two models that see the truth through noise of their own."""

    def run(name, seed, *, n=2500, level=0.0, slope=1.0, stuck="", shuffled=""):
        rng = np.random.default_rng(seed)
        z = rng.normal(-0.5, 1.4, n)
        label = (rng.random(n) < expit(slope * z + level)).astype(int)
        columns = {
            name: np.round(expit(1.5 * (z + rng.normal(0, 0.8, n))), 4)
            for name in ("first", "second")
        }
        if stuck:
            columns[stuck] = np.full(n, float(np.median(columns[stuck])))
        if shuffled:
            columns[shuffled] = rng.permutation(columns[shuffled])
        return write(name, {**columns, "label": label})

    return run


@pytest.fixture
def current(tmp_path, night, good):
    path = tmp_path / "pool.json"
    good("fit", night("first.csv", 0, n=3000), *POOL, "-o", path)
    return path


@pytest.fixture
def promote(calibcli, current, valid):
    def run(dump, *more):
        ran = calibcli("fit", dump, *POOL, "--promote-over", current, "--format", "json", *more)
        return ran.code, valid(ran.out)

    return run


def test_an_ordinary_night_changes_nothing(promote, current, night):
    before = current.read_bytes()
    code, told = promote(night("tonight.csv", 1))
    assert (code, told["code"]) == (1, "not-better")
    assert {"psi[first]", "auc[second]"} < {one["name"] for one in told["checks"]}
    assert current.read_bytes() == before


def test_a_drift_is_followed(promote, current, night, good, tmp_path):
    code, told = promote(night("tonight.csv", 1, level=0.6, slope=0.8))
    assert (code, told["decision"]) == (0, "promoted")
    assert json.loads(current.read_text())["calibrator"]["models"] == ["first", "second"]
    good("apply", current, night("new.csv", 2, n=200), "-o", tmp_path / "out.csv")
    good("fit", "--rollback", current)


@pytest.mark.parametrize("fault", ["stuck", "shuffled"])
def test_one_bad_model_keeps_the_dump_out(fault, promote, current, night):
    before = current.read_bytes()
    bad = night("tonight.csv", 1, **{fault: "second"})
    code, told = promote(bad)
    assert (code, told["code"]) == (1, "shift")
    failed = {one["name"] for one in told["checks"] if not one["passed"]}
    assert "auc[second]" in failed
    assert not [name for name in failed if name.endswith("[first]")]
    assert current.read_bytes() == before


def test_the_first_pool_is_held_against_the_plain_average(calibcli, night, tmp_path, valid):
    path = tmp_path / "first.json"
    run = ("fit", night("tonight.csv", 1), *POOL, "--promote-over", path, "--format", "json")
    ran = calibcli(*run)
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["champion"]) == (0, "promoted", None)
    assert set(json.loads(path.read_text())["model_stats"]) == {"first", "second"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--score", "first", "--method", "platt"), "add --ensemble first,second"),
        (("--ensemble", "second,first"), "add --ensemble first,second"),
        ((*POOL, "--thresholds", "cuts.json"), "threshold --calibrator CAL --promote-over THR"),
        ((*POOL, "--per-group", "label"), "--ensemble is one map for all rows"),
    ],
)
def test_other_models_are_refused(more, said, calibcli, current, night):
    ran = calibcli("fit", night("tonight.csv", 1), *more, "--promote-over", current)
    assert ran.code in (2, 3)
    assert said in ran.err


def test_a_pool_is_no_step_from_one_model(calibcli, good, night, tmp_path):
    path = tmp_path / "one.json"
    good("fit", night("a.csv", 0), "--score", "first", "--method", "platt", "-o", path)
    ran = calibcli("fit", night("b.csv", 1), *POOL, "--promote-over", path)
    assert ran.code == 3
    assert "is of one model" in ran.err


def test_cut_offs_after_a_pool_follow_it(promote, current, night, good, calibcli, tmp_path, valid):
    cuts = tmp_path / "cuts.json"
    good("threshold", night("c.csv", 3), "--calibrator", current, "-o", cuts)
    dump = night("tonight.csv", 1, level=0.6, slope=0.8)
    assert promote(dump)[0] == 0
    ran = calibcli(
        "threshold", dump, "--calibrator", current, "--promote-over", cuts, "--format", "json"
    )
    told = valid(ran.out)
    assert (ran.code, told["code"]) == (0, "stale-thresholds"), told["reason"]


@pytest.mark.slow
def test_pools_of_several_classes(calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(4)
    path = tmp_path / "live.json"

    def run(name, temperature, *more, shuffled=False):
        z = rng.normal(0, 2, (2500, 3))
        true = softmax(z / temperature)
        label = (true.cumsum(axis=1) < rng.random((2500, 1))).sum(axis=1)
        columns = {}
        for model in "pq":
            p = softmax(z + rng.normal(0, 0.7, z.shape))
            p = rng.permutation(p) if shuffled and model == "q" else p
            columns |= {f"{model}_{k}": p[:, k] for k in range(3)}
        ran = calibcli(
            "fit", write(f"{name}.csv", {**columns, "label": label}), "--ensemble", "p_*,q_*",
            "--method", "temperature", "--promote-over", path, "--format", "json", *more,
        )  # fmt: skip
        return valid(ran.out)

    assert run("a", 1.5)["decision"] == "promoted"
    run("b", 1.5)  # the order of averaging may be chosen better on more rows
    assert run("b", 1.5)["decision"] == "kept"
    assert run("c", 2.5, "--dry-run", "--max-shift", "auc=0.3")["decision"] == "would-promote"
    assert "q_*: the accuracy" in run("d", 1.5, shuffled=True)["reason"]
