"""`fit --promote-over CAL --thresholds THR`: the pair is replaced together, or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.numeric.scales import softmax
from tests.nights import SURE, left

TARGET = ("--subject-to", "precision>=0.7")
NAMES = ["cal.json", "cuts.json"]
BOTH = [*NAMES, "cal.json.previous", "cuts.json.previous"]


@pytest.fixture
def pair(good, dump, tmp_path, made):
    """A calibrator and cut-offs after it, of an ordinary night."""
    cal, cuts = (tmp_path / name for name in NAMES)
    if "calibrator of a pair" not in made:
        night = dump("first.csv", seed=0, n=4000, slope=1.0, level=0.0)
        good("fit", night, *SURE, "-o", cal)
        fresh = dump("second.csv", seed=9, n=4000, slope=1.0, level=0.0)
        good("threshold", fresh, "--calibrator", cal, *TARGET, "-o", cuts)
        made["calibrator of a pair"] = cal.read_bytes()
        made["cut-offs of a pair"] = cuts.read_bytes()
    cal.write_bytes(made["calibrator of a pair"])
    cuts.write_bytes(made["cut-offs of a pair"])
    return cal, cuts


@pytest.fixture
def night(calibcli, pair):
    def run(*arguments):
        form = ("--promote-over", pair[0], "--thresholds", pair[1], "--format", "json")
        return calibcli("fit", *arguments, *SURE, *form)

    return run


def together(pair):
    cal, cuts = (json.loads(path.read_text()) for path in pair)
    return cuts["calibrator"] == cal["digest"]


def state(pair):
    return [path.read_bytes() for path in pair]


def tonight(dump, **options):
    return dump("tonight.csv", **{"seed": 5, "n": 4000, "slope": 1.0, "level": 0.0, **options})


def test_a_better_pair_takes_the_place_of_both(night, pair, dump, valid, good):
    before = state(pair)
    ran = night(tonight(dump, slope=0.6, level=0.5))
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["code"]) == (0, "promoted", "promoted")
    assert left(pair[0].parent) == sorted(BOTH)
    assert [path.with_name(f"{path.name}.previous").read_bytes() for path in pair] == before
    assert together(pair)
    now = json.loads(pair[1].read_text())
    assert (now["objective"], now["constraints"]) == ("recall", ["precision>=0.7"])
    assert told["thresholds"]["challenger"]["digest"] == now["digest"]
    out = pair[0].with_name("out.csv")
    good("apply", pair[0], dump("new.csv"), "--thresholds", pair[1], "-o", out)


def test_both_are_put_back(night, pair, dump, calibcli, valid):
    before = state(pair)
    assert night(tonight(dump, slope=0.6, level=0.5)).code == 0
    ran = calibcli("fit", "--rollback", pair[0], "--thresholds", pair[1], "--format", "json")
    assert (ran.code, valid(ran.out)["code"]) == (0, "rolled-back")
    assert state(pair) == before
    ran = calibcli("fit", "--rollback", pair[0], "--thresholds", pair[1])
    assert ran.code == 0
    assert together(pair)


KEPT = {
    "ordinary": ({}, "not-better"),
    "few rows": ({"n": 300}, "few-rows"),
    "shifted": ({"shift": 2.0}, "shift"),
    "random labels": ({"slope": 0.0, "level": -0.6}, "shift"),
}


@pytest.mark.parametrize("what", KEPT)
def test_both_are_kept(what, night, pair, dump, valid):
    before, (options, code) = state(pair), KEPT[what]
    told = valid(night(tonight(dump, **options)).out)
    assert (told["decision"], told["code"]) == ("kept", code)
    assert state(pair) == before
    assert left(pair[0].parent) == NAMES


@pytest.mark.slow
def test_a_gate_on_the_decisions_keeps_both(night, pair, dump, valid):
    before = state(pair)
    dumped = tonight(dump, slope=0.6, level=0.5)
    told = valid(night(dumped, "--fail-if", "decision.precision<0.99").out)
    assert (told["code"], told["gates"][0]["passed"]) == ("gate", False)
    told = valid(night(dumped, "--fail-if", "calibrated.ece>0.5", "--dry-run").out)
    assert (told["decision"], told["code"]) == ("would-promote", "promoted")
    assert state(pair) == before


@pytest.mark.slow
def test_a_pair_that_is_apart_is_mended(night, pair, dump, good, valid):
    """A job that was killed between fit and threshold has left cut-offs of another calibrator."""
    good("fit", dump("other.csv", seed=3, n=4000, slope=1.0), *SURE, "-o", pair[0])
    assert not together(pair)
    before = state(pair)
    ran = night(tonight(dump))
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["code"]) == (0, "promoted", "stale-thresholds")
    assert together(pair)
    assert (pair[0].read_bytes(), told["challenger"]) == (before[0], None)


@pytest.mark.slow
@pytest.mark.parametrize("alone", ["fit", "threshold", "rollback", "dry run"])
def test_one_file_alone_knows_that_the_pair_is_unfinished(
    night, pair, dump, calibcli, monkeypatch, alone
):
    """The run dies once the change is decided and before either file is replaced."""

    class KilledError(BaseException):
        pass

    def killed(paths):
        raise KilledError

    before = state(pair)
    with monkeypatch.context() as patched:
        patched.setattr("calibcli.io.output.pair._finish", killed)
        patched.setattr("calibcli.io.output.pair._undecide", lambda paths: None)
        with pytest.raises(KilledError):
            night(tonight(dump, slope=0.6, level=0.5))
    assert state(pair) == before
    fresh = tonight(dump, slope=0.6, level=0.5)
    ran = {
        "fit": lambda: calibcli("fit", fresh, *SURE, "--promote-over", pair[0]),
        "threshold": lambda: calibcli("threshold", fresh, "--promote-over", pair[1]),
        "rollback": lambda: calibcli("threshold", "--rollback", pair[1]),
        "dry run": lambda: night(fresh, "--dry-run"),
    }[alone]()
    assert ran.code == 3
    assert "has died" in ran.err
    assert f"--promote-over {pair[0]} --thresholds {pair[1]}" in ran.err
    assert state(pair) == before
    assert night(fresh).code in (0, 1)
    assert together(pair)
    assert left(pair[0].parent) == sorted(BOTH)


def test_without_cutoffs_nothing_says_what_to_choose_for(night, pair, dump):
    pair[1].unlink()
    ran = night(tonight(dump))
    assert (ran.code, "nothing that says what to choose for" in ran.err) == (3, True)


@pytest.mark.slow
def test_the_pair_of_several_classes(calibcli, good, write, tmp_path, valid):
    def several(name, seed, slope):
        rng = np.random.default_rng(seed)
        z = rng.normal(0, 2.0, (3000, 3))
        label = (rng.random(3000)[:, None] > softmax(slope * z).cumsum(axis=1)).sum(axis=1)
        columns = {f"z_{k}": np.round(z[:, i], 6) for i, k in enumerate("abc")}
        return write(name, {**columns, "label": np.array(list("abc"))[label]})

    pair = tuple(tmp_path / name for name in NAMES)
    read = ("--scores", "z_*", "--logits")
    good("fit", several("a.csv", 1, 1.0), *read, "--method", "temperature", "-o", pair[0])
    good("threshold", several("b.csv", 2, 1.0), *read, "--calibrator", pair[0], "-o", pair[1])
    form = ("--promote-over", pair[0], "--thresholds", pair[1], "--format", "json")
    dumped = several("c.csv", 3, 0.6)
    more = ("--method", "temperature", "--max-shift", "auc=1")
    ran = calibcli("fit", dumped, *read, *more, *form)
    told = valid(ran.out)
    assert (ran.code, told["code"]) == (0, "promoted")
    assert together(pair)
