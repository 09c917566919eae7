"""`threshold --promote-over`: cut-offs give way only to others that are better on unseen rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit, softmax
from tests.nights import left

TARGET = ("--subject-to", "precision>=0.8")


@pytest.fixture
def cuts(calibcli, dump, tmp_path, made):
    """Cut-offs in use, chosen on an ordinary night."""
    path = tmp_path / "cuts.json"
    if "cut-offs in use" not in made:
        night = dump("first.csv", seed=0, n=4000, slope=1.0, level=0.0)
        assert calibcli("threshold", night, *TARGET, "-o", path).code == 0
        made["cut-offs in use"] = path.read_bytes()
    path.write_bytes(made["cut-offs in use"])
    return path


@pytest.fixture
def again(calibcli, cuts):
    def run(*arguments):
        return calibcli("threshold", *arguments, "--promote-over", cuts, "--format", "json")

    return run


NIGHTS = {
    "an ordinary night": ({"level": 0.0}, 1, "kept", "not-better"),
    "more can be found": ({"level": 0.6}, 0, "promoted", "promoted"),
    "the target is broken": ({"level": -0.6}, 0, "promoted", "promoted"),
    "few rows": ({"n": 400}, 1, "kept", "few-rows"),
    "scores moved": ({"shift": 2.0}, 1, "kept", "shift"),
    "labels mixed": ({"slope": 0.0, "level": -0.6}, 1, "kept", "shift"),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_what_a_night_comes_to(night, again, cuts, dump, valid):
    options, code, decision, why = NIGHTS[night]
    before = cuts.read_bytes()
    ran = again(dump("tonight.csv", **{"seed": 5, "n": 4000, "slope": 1.0, **options}))
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["code"]) == (code, decision, why)
    assert (cuts.read_bytes() == before) is (decision == "kept")
    kept = ["cuts.json"] if decision == "kept" else ["cuts.json", "cuts.json.previous"]
    assert left(cuts.parent) == kept
    if decision == "promoted":
        now = json.loads(cuts.read_text())
        assert now["objective"] == "recall"
        assert now["constraints"] == ["precision>=0.8"]
        assert now["digest"] == told["challenger"]["digest"]
        assert now["promotion"]["over"] == json.loads(before)["digest"]
        assert cuts.with_name("cuts.json.previous").read_bytes() == before


def test_a_broken_target_is_told(again, dump, valid):
    told = valid(again(dump("d.csv", seed=5, n=4000, slope=1.0, level=-0.6)).out)
    assert told["reason"].startswith("the cut-offs in use break precision>=0.8: 0.6")
    constraint = told["comparison"]["constraints"][0]
    assert constraint["champion"]["high"] < 0.8 < constraint["challenger"]["high"]


def test_the_champion_is_judged_as_apply_decides(again, good, cuts, dump, valid):
    night = dump("d.csv", seed=5, n=4000, slope=1.0, level=0.6)
    told = valid(again(night, "--dry-run").out)
    shown = good("measure", night, "--thresholds", cuts, "--format", "json").json
    recall = shown["decision"]["metrics"]["recall"]["value"]
    assert told["comparison"]["champion"] == pytest.approx(recall, abs=1e-12)


def test_an_ordinary_night_may_be_no_failure(again, cuts, dump):
    night = dump("d.csv", seed=5, n=4000, slope=1.0, level=0.0)
    assert again(night, "--ok-if-kept").code == 0
    assert again(dump("few.csv", n=300), "--ok-if-kept").code == 1


@pytest.mark.parametrize(
    ("gate", "code"),
    [("precision.low>0.5", 1), ("decision.recall<0.05", 0), ("auc<0.99", 1)],
)
def test_gates_keep_the_cutoffs(gate, code, again, cuts, dump, valid):
    before = cuts.read_bytes()
    ran = again(dump("d.csv", seed=5, n=4000, slope=1.0, level=0.6), "--fail-if", gate)
    told = valid(ran.out)
    assert ran.code == code
    assert told["gates"][0]["passed"] is (code == 0)
    assert (told["code"] == "gate") is (cuts.read_bytes() == before) is (code == 1)


def test_a_dry_run_writes_nothing_and_a_rollback_restores(again, calibcli, cuts, dump, valid):
    before = cuts.read_bytes()
    night = dump("d.csv", seed=5, n=4000, slope=1.0, level=0.6)
    told = valid(again(night, "--dry-run").out)
    assert (told["decision"], told["code"]) == ("would-promote", "promoted")
    assert left(cuts.parent) == ["cuts.json"]
    assert valid(again(night).out)["decision"] == "promoted"
    ran = calibcli("threshold", "--rollback", cuts, "--format", "json")
    assert (ran.code, valid(ran.out)["code"]) == (0, "rolled-back")
    assert cuts.read_bytes() == before


def test_the_first_run_chooses_and_bad_dumps_are_refused(calibcli, dump, tmp_path, valid):
    path = tmp_path / "cuts.json"
    night = dump("d.csv", seed=5, n=4000, slope=1.0)
    ran = calibcli("threshold", night, "--promote-over", path, "--format", "json")
    told = valid(ran.out)
    assert (ran.code, told["champion"], told["comparison"]) == (0, None, None)
    before = path.read_bytes()
    night.write_text(night.read_text().replace(",1\n", ",0\n"))
    ran = calibcli("threshold", night, "--promote-over", path, "--format", "json")
    assert (ran.code, valid(ran.out)["code"]) == (3, "input")
    assert path.read_bytes() == before


def test_another_kind_of_scores_is_refused(again, write):
    other = write("m.csv", {"p_a": [0.5], "p_b": [0.3], "p_c": [0.2], "label": ["a"]})
    ran = again(other, "--scores", "p_*")
    assert ran.code == 3
    assert "the cut-offs in use are of binary, these scores are multiclass" in ran.err


def test_options_that_do_not_fit_together(calibcli, cuts, dump):
    night = dump("d.csv")
    for more, said in (
        (["--coverage", "0.9"], "cut-offs of rows"),
        (["-o", "x.json"], "two places"),
        (["--no-ci"], "decides by an interval"),
    ):
        ran = calibcli("threshold", night, "--promote-over", cuts, *more)
        assert (ran.code, said in ran.err) == (2, True), ran.err


# -- other tasks -----------------------------------------------------------------------------------


SCORES = ("--scores", "p_*")


def several(write, name, seed, shift=0.0, n=3000):
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (n, 3))
    true = softmax(z + np.array([0.0, shift, 0.0]))
    label = (rng.random(n)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    p = np.round(softmax(z), 6)
    p[:, 0] = np.round(1 - p[:, 1] - p[:, 2], 6)
    columns = {f"p_{k}": p[:, i] for i, k in enumerate("abc")}
    return write(name, {**columns, "label": np.array(list("abc"))[label]})


@pytest.mark.parametrize(("shift", "code"), [(0.0, "not-better"), (3.0, "promoted")])
def test_several_classes_are_compared_by_their_decisions(
    shift, code, calibcli, good, write, tmp_path, valid
):
    path = tmp_path / "cuts.json"
    good("threshold", several(write, "first.csv", 1), *SCORES, "--maximize", "f1", "-o", path)
    options = (*SCORES, "--promote-over", path, "--max-shift", "psi=inf,auc=1")
    options += ("--format", "json")
    night = several(write, "night.csv", 2, shift)
    shown = good("measure", night, *SCORES, "--thresholds", path, "--format", "json").json
    told = valid(calibcli("threshold", night, *options).out)
    assert told["code"] == code
    macro = shown["decision"]["metrics"]["macro_f1"]["value"]
    assert told["comparison"]["champion"] == pytest.approx(macro, abs=1e-12)


def test_groups_have_cutoffs_and_constraints_of_their_own(calibcli, good, write, tmp_path, valid):
    path = tmp_path / "cuts.json"

    def night(name, seed, level):
        rng = np.random.default_rng(seed)
        z, group = rng.normal(0, 1.6, 6000), rng.choice(["x", "y"], 6000)
        p = expit(z + np.where(group == "y", level, 0.0))
        label = (rng.random(6000) < p).astype(int)
        return write(name, {"score": np.round(expit(z), 5), "label": label, "g": group})

    good("threshold", night("a.csv", 1, 0.0), *TARGET, "--per-group", "g", "-o", path)
    options = ("--promote-over", path, "--format", "json")
    told = valid(calibcli("threshold", night("b.csv", 2, -0.8), *options).out)
    assert (told["decision"], told["code"]) == ("promoted", "promoted")
    broken = {one["slice"]["value"]: one for one in told["comparison"]["constraints"]}
    assert broken["y"]["champion"]["high"] < 0.8 <= broken["x"]["champion"]["high"]


def test_cutoffs_of_another_calibrator_are_chosen_again(calibcli, good, dump, tmp_path, valid):
    first, night = dump("a.csv", seed=1, n=4000), dump("b.csv", seed=2, n=4000)
    one, two, path = (tmp_path / name for name in ("one.json", "two.json", "cuts.json"))
    good("fit", first, "--method", "platt", "-o", one)
    good("fit", night, "--method", "platt", "-o", two)
    good("threshold", first, "--calibrator", one, "-o", path)
    ran = calibcli("threshold", dump("c.csv", seed=3, n=4000), "--promote-over", path)
    assert (ran.code, "cuts calibrated probabilities" in ran.err) == (2, True)
    options = ("--calibrator", two, "--promote-over", path, "--format", "json")
    ran = calibcli("threshold", dump("c.csv", seed=3, n=4000), *options)
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["code"]) == (0, "promoted", "stale-thresholds")
    assert json.loads(path.read_text())["calibrator"] == json.loads(two.read_text())["digest"]
