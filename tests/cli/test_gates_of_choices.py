"""`--fail-if` where something is fitted or chosen: what fails is not put in its place."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from tests.schemas import fits_schema

FIGURE = {"fit": "calibrated.ece", "threshold": "precision"}


def shown(calibcli, command, scores, *more):
    ran = calibcli(command, scores, "--format", "json", *more)
    return ran, json.loads(ran.out)


@pytest.mark.parametrize("command", FIGURE)
def test_a_gate_reads_what_the_result_shows(calibcli, scores, command):
    _, plain = shown(calibcli, command, scores, *out(command))
    gate = f"{FIGURE[command]}<2"
    ran, found = shown(calibcli, command, scores, "--fail-if", gate, *out(command))
    assert ran.code == 1
    value = found["gates"][0]["value"]
    if command == "fit":
        assert value == plain["after"]["metrics"]["ece"]["value"]
    else:
        assert value == plain["thresholds"][0]["confusion"]["precision"]["value"]
    assert list(found)[-1] == "gates"
    fits_schema(found, command)


def out(command):
    return ("-o", "/dev/null") if command == "fit" else ()


@pytest.mark.parametrize("command", FIGURE)
def test_a_failed_gate_leaves_the_old_file(calibcli, scores, tmp_path, command):
    kept = tmp_path / "artifact.json"
    kept.write_text("as it was")
    ran = calibcli(
        command, scores, "-o", kept, "--fail-if", f"{FIGURE[command]}<2", "--format", "csv"
    )
    assert ran.code == 1
    assert kept.read_text() == "as it was"
    lines = ran.err.splitlines()
    assert lines[-2].startswith(f"calibcli: gate '{FIGURE[command]}<2' failed: 0.")
    assert lines[-2].endswith("]"), "with its interval"
    assert lines[-1] == f"calibcli: {kept} is not written"


@pytest.mark.parametrize("command", FIGURE)
@pytest.mark.parametrize("gate", ["eca>0.1", "worst(group).ece>0.1", "drift.psi>0.2", "n"])
def test_what_cannot_be_evaluated_writes_nothing(calibcli, scores, tmp_path, command, gate):
    kept = tmp_path / "artifact.json"
    more = ["--candidates", tmp_path / "curve.csv"] if command == "threshold" else []
    ran = calibcli(command, scores, "-o", kept, "--fail-if", gate, *more, "--format", "junit")
    assert ran.code == 2
    assert not kept.exists()
    assert not (tmp_path / "curve.csv").exists()
    assert ElementTree.fromstring(ran.out)[0][0].find("error") is not None


@pytest.mark.parametrize("command", FIGURE)
def test_a_gate_that_passes_changes_no_byte(good, scores, tmp_path, command):
    plain, gated = tmp_path / "plain.json", tmp_path / "gated.json"
    good(command, scores, "-o", plain)
    good(command, scores, "-o", gated, "--fail-if", f"{FIGURE[command]}>2")
    assert plain.read_bytes() == gated.read_bytes()


def test_cross_fitted_figures_have_a_section(calibcli, scores):
    ran, found = shown(
        calibcli, "threshold", scores, "--fail-if", "cross_fitted.f1.low<2", "--fail-if",
        "f1@chosen<2", "--fail-if", "decision.accuracy<2", "--fail-if", "threshold>2",
    )  # fmt: skip
    assert ran.code == 1
    chosen = found["thresholds"][0]
    values = [gate["value"] for gate in found["gates"]]
    assert values == [
        chosen["cross_fitted"]["f1"]["low"],
        chosen["confusion"]["f1"]["value"],
        found["decision"]["metrics"]["accuracy"]["value"],
        chosen["threshold"],
    ]


KINDS = {
    ("--coverage", "0.9"): ("coverage<2", "set_size>9"),
    ("--abstain", "accuracy>=0.6"): ("coverage<2", "accuracy<0"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_other_decisions_have_gates_too(calibcli, scores, tmp_path, kind):
    fails, passes = KINDS[kind]
    place = tmp_path / "artifact.json"
    ran, found = shown(
        calibcli, "threshold", scores, *kind, "--fail-if", fails, "--fail-if", passes, "-o", place
    )
    assert [gate["passed"] for gate in found["gates"]] == [False, True]
    assert not place.exists()
    assert ran.code == 1


@pytest.mark.parametrize("command", FIGURE)
def test_junit_and_github_forms(calibcli, scores, command):
    gates = ("--fail-if", f"{FIGURE[command]}<2", "--fail-if", f"{FIGURE[command]}>2")
    ran = calibcli(command, scores, *gates, *out(command), "--format", "junit")
    suite = ElementTree.fromstring(ran.out)[0]
    assert suite.get("name") == f"calibcli {command}"
    cases = suite.findall("testcase")
    assert [case.find("failure") is None for case in cases] == [False, True]
    ran = calibcli(command, scores, *gates, *out(command), "--format", "github")
    assert "Gates: 1 passed, 1 failed." in ran.out.splitlines()[0]
    assert ran.out.splitlines()[1].startswith("::error title=calibcli::gate '")


def test_gates_of_a_project_file_are_of_measurements(good, calibcli, scores, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "calibcli.toml"
    place.write_text('fail-if = "drift.psi>0.2"\n')
    good("threshold", scores)
    place.write_text('[threshold]\nfail-if = "precision<2"\n')
    assert calibcli("threshold", scores).code == 1
