from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pytest

from calibcli.core.numeric.scales import expit
from tests.nights import SURE, left


def test_a_better_challenger_takes_the_place(promote, current, dump, valid, good):
    before = current.read_bytes()
    ran = promote(dump(slope=0.35, level=0.5))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    told = valid(ran.out)
    assert told["decision"] == "promoted"
    assert told["comparison"]["high"] < 0
    assert (current.with_name("current.json.previous")).read_bytes() == before
    assert told["previous"] == f"{current}.previous"
    assert left(current.parent) == ["current.json", "current.json.previous"]
    now = json.loads(current.read_text())
    assert now["promotion"]["over"] == json.loads(before)["digest"] == told["champion"]["digest"]
    assert now["digest"] == told["challenger"]["digest"]
    good("apply", current, dump("new.csv"), "-o", current.with_name("out.csv"))


def test_the_figures_are_those_of_the_rows(promote, dump, valid):
    """The champion's loss is what measure shows after it; the difference is that of the losses."""
    told = valid(promote(dump(slope=0.35, level=0.5)).out)["comparison"]
    assert told["difference"] == pytest.approx(told["challenger"] - told["champion"])
    sizes = {one["step"]: one for one in told["steps"]}
    assert set(sizes) == {1.0, 0.5, 0.25}
    assert min(sizes.values(), key=lambda one: one["loss"])["loss"] == told["challenger"]


def test_the_champion_is_judged_as_it_is(promote, current, dump, valid, good):
    night = dump(slope=0.35, level=0.5)
    shown = good("measure", night, "--calibrator", current, "--format", "json").json
    told = valid(promote(night, "--dry-run").out)["comparison"]
    nll = shown["overall"]["calibrated"]["metrics"]["nll"]["value"]
    assert told["champion"] == pytest.approx(nll, abs=1e-12)


def test_an_ordinary_night_changes_nothing(promote, current, dump, valid):
    before = current.read_bytes()
    ran = promote(dump())
    told = valid(ran.out)
    assert (ran.code, told["decision"]) == (1, "kept")
    assert "not better for sure" in told["reason"]
    assert current.read_bytes() == before
    assert left(current.parent) == ["current.json"]


def test_a_dry_run_writes_nothing_at_all(promote, current, dump, valid):
    stamp = current.parent.stat().st_mtime_ns, current.read_bytes()
    night = dump("a.csv", slope=0.35, level=0.5)
    stamp = current.parent.stat().st_mtime_ns, current.read_bytes()
    ran = promote(night, "--dry-run")
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["dry_run"]) == (0, "would-promote", True)
    assert (current.parent.stat().st_mtime_ns, current.read_bytes()) == stamp


def test_a_dry_run_decides_as_the_run_does(promote, dump):
    night = dump(slope=0.35, level=0.5)
    dry, done = (json.loads(promote(night, *more).out) for more in (["--dry-run"], []))
    assert dry["comparison"] == done["comparison"]
    assert dry["challenger"] == done["challenger"]


def test_the_same_bytes_for_the_same_dump(calibcli, current, dump):
    night = dump(slope=0.35, level=0.5)
    first = current.read_bytes()
    files, lines = [], []
    for _ in range(2):
        current.write_bytes(first)
        ran = calibcli("fit", night, *SURE, "--promote-over", current, "--format", "json")
        files.append(current.read_bytes())
        lines.append(ran.out)
    assert files[0] == files[1] != first
    assert lines[0] == lines[1]


def test_a_gate_keeps_the_champion(promote, current, dump, valid):
    before = current.read_bytes()
    night = dump(slope=0.35, level=0.5)
    ran = promote(night, "--fail-if", "calibrated.ece>0.5", "--fail-if", "calibrated.auc<0.99")
    told = valid(ran.out)
    assert ran.code == 1
    assert told["reason"] == "a gate failed: calibrated.auc<0.99"
    assert [gate["passed"] for gate in told["gates"]] == [True, False]
    assert current.read_bytes() == before


@pytest.mark.parametrize("gate", ["versus.nll.high>-1", "drift.psi>=0", "drift.odds>=1"])
def test_gates_on_the_comparison_and_on_the_shift(gate, promote, dump, valid):
    told = valid(promote(dump(slope=0.35, level=0.5), "--fail-if", gate).out)
    assert [one["passed"] for one in told["gates"]] == [False]


def test_a_gate_that_cannot_be_evaluated_fails_closed(promote, current, dump):
    before = current.read_bytes()
    ran = promote(dump(slope=0.35, level=0.5), "--fail-if", "calibrated.eec>0.1")
    assert ran.code == 2
    assert current.read_bytes() == before


# -- the first run, rolling back -------------------------------------------------------------------


def test_the_first_run_writes_what_beats_no_calibration(calibcli, dump, tmp_path, valid):
    path = tmp_path / "current.json"
    ran = calibcli(
        "fit", dump(), *SURE, "--promote-over", path, "--format", "json",
    )  # fmt: skip
    told = valid(ran.out)
    assert (ran.code, told["decision"], told["champion"]) == (0, "promoted", None)
    assert told["previous"] is None
    assert left(tmp_path) == ["current.json"]


def test_the_first_run_has_gates_too(calibcli, dump, tmp_path):
    path = tmp_path / "current.json"
    gate = ("--fail-if", "calibrated.ece>=0")
    assert calibcli("fit", dump(), *SURE, "--promote-over", path, *gate).code == 1
    assert not path.exists()


def test_a_file_that_has_vanished_is_not_taken_for_a_first_run(promote, current, dump):
    promote(dump(slope=0.35, level=0.5))
    current.unlink()
    ran = promote(dump("later.csv", slope=0.35, level=0.5))
    assert ran.code == 3
    assert "--rollback" in ran.err
    assert not current.exists()


def test_rolling_back_and_forth(promote, current, dump, calibcli, good, valid):
    old = current.read_bytes()
    promote(dump(slope=0.35, level=0.5))
    new = current.read_bytes()
    ran = good("fit", "--rollback", current, "--format", "json")
    told = valid(ran.out)
    assert told["decision"] == "rolled-back"
    assert told["challenger"]["digest"] == json.loads(old)["digest"]
    assert current.read_bytes() == old
    good("fit", "--rollback", current)
    assert current.read_bytes() == new
    current.with_name("current.json.previous").unlink()
    ran = calibcli("fit", "--rollback", current, "--format", "json")
    assert (ran.code, valid(ran.out)["decision"]) == (3, "refused")


# -- usage, forms, other tasks ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["s.csv"], "-o is missing"),
        (["-o", "c.json"], "no score files are named"),
        (["s.csv", "-o", "c.json", "--promote-over", "d.json"], "two places"),
        (["s.csv", "-o", "c.json", "--dry-run"], "--dry-run goes with --promote-over"),
        (["s.csv", "-o", "c.json", "--min-rows", "5"], "--min-rows goes with --promote-over"),
        (["s.csv", "--promote-over", "d.json", "--no-ci"], "decides by an interval"),
        (["s.csv", "--promote-over", "d.json", "--steps", "2"], "--steps"),
        (["s.csv", "--promote-over", "d.json", "--max-shift", "psy=1"], "knows no 'psy'"),
        (["s.csv", "--promote-over", "d.json", "--max-shift", "psi"], "has no limit"),
        (["s.csv", "--promote-over", "-"], "to a file"),
        (["s.csv", "--rollback", "c.json"], "reads no scores"),
        (["--rollback", "c.json", "--dry-run"], "reads no scores"),
    ],
)
def test_options_that_do_not_fit_together(calibcli, arguments, said):
    ran = calibcli("fit", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "hint: " in ran.err


def test_a_project_file_holds_the_gates_of_both(calibcli, promote, dump, tmp_path, monkeypatch):
    """Gates for measure do not stop a plain fit, and hold for a promotion."""
    (tmp_path / "calibcli.toml").write_text(
        'fail-if = ["auc<0.99"]\n[fit]\noutput = "c.json"\nmin-rows = 10\n'
    )
    monkeypatch.chdir(tmp_path)
    night = dump(slope=0.35, level=0.5)
    assert calibcli("fit", night, *SURE, "--config", "calibcli.toml").code == 0
    ran = promote(night, "--config", "calibcli.toml")
    assert ran.code == 1
    told = json.loads(ran.out)
    assert told["reason"] == "a gate failed: auc<0.99"
    assert told["params"]["min_rows"] == 10
    assert told["params"]["config"] == "calibcli.toml"


def test_the_dump_is_never_its_own_champion(calibcli, dump):
    night = dump()
    assert calibcli("fit", night, "--promote-over", night).code == 3


@pytest.mark.parametrize("form", ["table", "md", "csv"])
def test_other_forms_tell_the_decision(form, calibcli, current, dump):
    ran = calibcli(
        "fit", dump(slope=0.35, level=0.5), *SURE, "--promote-over", current, "--format", form
    )
    assert (ran.code, ran.err) == (0, "")
    assert "promoted" in ran.out.lower()
    assert ran.out.isprintable() is False


def test_machines_read_the_decision(calibcli, current, dump, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    run = ("fit", dump(), *SURE, "--promote-over", current, "--format")
    text = calibcli(*run, "prometheus", "--tag", "model=churn").out
    assert 'calibcli_promotion_promoted{model="churn"} 0\n' in text
    assert 'calibcli_promotion_check_passed{check="psi",model="churn"} 1\n' in text
    difference = re.search(r'promotion_difference_high\{score="nll",model="churn"\} (\S+)', text)
    told = json.loads(calibcli(*run, "json").out)
    assert float(difference[1]) == told["comparison"]["high"]
    short = calibcli(*run, "github", "--min-rows", "5000").out
    assert short.splitlines()[1] == (
        "::error title=calibcli::2,000 rows, fewer than --min-rows 5,000"
    )
    assert "## Promotion" in (tmp_path / "summary.md").read_text()
    suite = ElementTree.fromstring(calibcli(*run, "junit", "--min-rows", "5000").out)[0]
    cases = {case.get("name"): case.find("failure") for case in suite.findall("testcase")}
    assert cases["psi"] is None
    assert cases["rows"].get("message") == "2,000 rows, fewer than --min-rows 5,000"


def test_a_dump_that_the_champion_was_fitted_on_is_pointed_out(promote, current, dump):
    ran = promote(dump("first.csv", seed=0, n=3000))
    assert ran.code == 1
    assert "fitted on this very dump" in ran.err


@pytest.mark.slow
def test_several_classes(calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(4)
    path = tmp_path / "current.json"

    def night(name, temperature, bias, n=2000):
        z = rng.normal(0, 2, (n, 3))
        p = np.exp(z / temperature + np.array([bias, 0, 0]))
        p /= p.sum(axis=1, keepdims=True)
        label = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
        return write(f"{name}.npy", z), write(f"{name}_labels.npy", label)

    def run(files, *more):
        ran = calibcli(
            "fit", files[0], "--labels", files[1], "--logits", "--method", "vector",
            "--promote-over", path, "--format", "json", *more,
        )  # fmt: skip
        return valid(ran.out)

    assert run(night("a", 2.0, 0.0, n=20_000))["decision"] == "promoted"
    assert run(night("b", 2.0, 0.0))["decision"] == "kept"
    told = run(night("c", 3.0, 0.4), "--dry-run")
    assert told["decision"] == "would-promote"
    assert [one["name"] for one in told["checks"]] == [
        *("rows", "positives", "psi", "class_psi", "accuracy", "class_auc")
    ]
    third = night("d", 2.0, 0.0)
    labels = np.load(third[1])
    np.save(third[1], np.where(labels == 2, 1, labels))
    assert "rarest class" in run(third)["reason"]


@pytest.mark.slow
def test_several_labels(calibcli, write, tmp_path, valid):
    rng = np.random.default_rng(4)
    path = tmp_path / "current.json"

    def night(name, level):
        z = rng.normal(0, 1.5, (1500, 3))
        label = (rng.random((1500, 3)) < expit(0.5 * z + level)).astype(int)
        return write(f"{name}.npy", expit(z)), write(f"{name}_labels.npy", label)

    def run(files):
        ran = calibcli(
            "fit", files[0], "--labels", files[1], *SURE, "--task", "multilabel",
            "--promote-over", path, "--format", "json",
        )  # fmt: skip
        return valid(ran.out)

    assert run(night("a", 0.0))["decision"] == "promoted"
    assert run(night("b", 0.0))["decision"] == "kept"
    assert run(night("c", 0.5))["decision"] == "promoted"


def test_clusters_widen_the_interval(calibcli, current, write, valid):
    """Ten copies of each row are ten times the rows, and no more evidence, in clusters."""
    rng = np.random.default_rng(5)
    z = rng.normal(-0.8, 1.6, 300)
    label = (rng.random(300) < expit(0.45 * z + 0.4)).astype(int)
    columns = {"score": np.round(expit(z), 5), "label": label, "visit": np.arange(300)}
    night = write("c.csv", {name: values.repeat(10) for name, values in columns.items()})
    run = ("fit", night, *SURE, "--promote-over", current, "--dry-run", "--format", "json")
    alone, whole = (
        valid(calibcli(*run, *more).out)["comparison"] for more in ((), ("--cluster", "visit"))
    )
    assert (alone["clustered"], whole["clustered"]) == (False, True)
    narrow, wide = (one["steps"][0]["high"] - one["steps"][0]["low"] for one in (alone, whole))
    assert wide > 2 * narrow


def test_saved_statistics_are_a_dump_too(good, promote, dump, tmp_path, valid):
    night = dump(slope=0.35, level=0.5)
    stats = tmp_path / "night.stats.json"
    good("measure", night, "--save-stats", stats)
    from_rows = valid(promote(night, "--dry-run").out)
    from_stats = valid(promote(stats, "--dry-run").out)
    assert from_stats["comparison"] == from_rows["comparison"]


def test_no_decision_depends_on_the_clock(promote, dump, monkeypatch):
    night = dump(slope=0.35, level=0.5)
    plain = promote(night, "--dry-run").out

    def jumped():
        raise AssertionError("the wall clock was asked")

    monkeypatch.setattr(time, "time", jumped)
    monkeypatch.setattr(time, "time_ns", jumped)
    assert promote(night, "--dry-run").out == plain
    assert json.loads(promote(night).out)["decision"] == "promoted"


@pytest.mark.slow
def test_two_runs_at_once_take_turns(current, dump, tmp_path):
    """The second waits, and then meets the first one's calibrator as its champion."""
    before = json.loads(current.read_text())["digest"]
    runs = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "calibcli", "fit"),
                dump(f"{seed}.csv", seed=seed, n=5000, level=level),
                *SURE,
                *("--promote-over", current, "--format", "json"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed, level in ((1, 0.55), (2, -0.05))
    ]
    told = [json.loads(run.communicate()[0]) for run in runs]
    assert [one["decision"] for one in told] == ["promoted"] * 2
    order = told if told[0]["champion"]["digest"] == before else told[::-1]
    assert order[0]["champion"]["digest"] == before
    assert order[1]["champion"]["digest"] == order[0]["challenger"]["digest"]
    assert json.loads(current.read_text())["digest"] == order[1]["challenger"]["digest"]
    assert left(tmp_path) == ["current.json", "current.json.previous"]
