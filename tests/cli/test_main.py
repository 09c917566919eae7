"""The program as a whole: its help, its version, what it says when asked to say more."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from calibcli._version import __version__
from calibcli.cli.main import COMMANDS

SHARED = (
    "--score", "--scores", "--label", "--labels", "--logits", "--task", "--classes", "--positive",
    "--weight", "--count", "--cluster", "--threads", "--drop-invalid", "--input-format",
    "--quiet", "-q", "--verbose", "-v", "--debug",
)  # fmt: skip
OWN = {
    "measure": (
        "--group", "--bins", "--binning", "--edges", "--closed", "--threshold", "--thresholds",
        "--calibrator", "--at", "--tolerance", "--confidence", "--no-ci", "--seed", "--fail-if",
        "--save-stats", "--format", "-o",
    ),
    "fit": ("--method", "--folds", "--select", "--temperatures", "-o", "--format"),
    "apply": ("--thresholds", "-o"),
    "threshold": (
        "--calibrator", "--maximize", "--subject-to", "--cost", "--prior", "--per-class",
        "--candidates", "-o", "--format",
    ),
    "report": ("--calibrator", "--thresholds", "--group", "--format", "-o"),
}  # fmt: skip


def test_version(good):
    assert good("--version").out == f"calibcli {__version__}\n"


def test_python_m_calibcli():
    run = subprocess.run(
        [sys.executable, "-m", "calibcli", "--version"], capture_output=True, text=True, check=True
    )
    assert (run.stdout, run.stderr) == (f"calibcli {__version__}\n", "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_command_and_the_exit_codes(good, option):
    text = good(option).out
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert "130 interrupted" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_names_the_options_of_the_contract(good, command):
    words = good(command, "--help").out.replace(",", " ").split()
    assert set(SHARED + OWN[command]) <= set(words)
    assert f"CALIBCLI_{command.upper()}_SCORE=p" in words


@pytest.mark.parametrize("command", COMMANDS)
def test_help_comes_first(good, command, tmp_path):
    assert good(command, tmp_path / "nosuch.csv", "--help").out.startswith("Usage:")


def test_verbose_says_what_was_read(calibcli, scores, tmp_path):
    quiet = calibcli("measure", scores)
    ran = calibcli("measure", scores, "-v")
    assert (ran.code, ran.out) == (0, quiet.out)
    assert "400 rows" in ran.err
    assert "binary, probabilities, scores: score" in ran.err
    assert ran.err.endswith(" s\n")
    for arguments in (
        ("fit", scores, "-o", tmp_path / "c.json"),
        ("threshold", scores),
        ("apply", tmp_path / "c.json", scores, "-o", tmp_path / "o.csv"),
        ("report", scores, "-o", tmp_path / "r.html"),
    ):
        assert "400 rows" in calibcli(*arguments, "-v").err


def test_warnings_are_on_stderr_unless_the_result_shows_them(calibcli, write):
    path = write("few.csv", "score,label\n.5,1\n.2,0\n")
    for form, shown in (("table", True), ("md", True), ("json", False), ("csv", False)):
        ran = calibcli("measure", path, "--format", form)
        assert ran.code == 0
        assert ("warning" in ran.err) != shown
        assert calibcli("measure", path, "--format", form, "-q").err == ""
    assert "2 rows: too few" in calibcli("measure", path).out


def test_every_gate_is_shown_and_one_that_fails_decides(calibcli, scores):
    ran = calibcli(
        "measure", scores, "--group", "camera", "--fail-if", "ece>0", "--fail-if", "auc<0.1",
        "--fail-if", "worst(group.camera).ece.high > 0.5", "--fail-if", "group.camera.front.n<=3",
    )  # fmt: skip
    assert ran.code == 1
    assert ran.err == ""
    assert ran.out.count("pass  ") == 3
    assert ran.out.count("FAIL  ") == 1
    result = calibcli("measure", scores, "--fail-if", "ece.low>0.5", "--format", "json").json
    (gate,) = result["gates"]
    assert gate == {
        "expr": "ece.low>0.5",
        "value": result["overall"]["metrics"]["ece"]["low"],
        "passed": True,
    }
    assert (
        calibcli("report", scores, "--fail-if", "ece>0", "-o", scores.parent / "r.html").code == 1
    )
    assert (scores.parent / "r.html").exists()


@pytest.mark.parametrize("own", [None, "2"])
def test_linear_algebra_has_one_thread_unless_told_otherwise(own):
    """Its threads spin: a binary fit took three times the processor time with them."""
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    if own is not None:
        environment["OPENBLAS_NUM_THREADS"] = own
    code = (
        "import os; from calibcli.cli.main import main; main(['--version'])\n"
        "print(os.environ['OPENBLAS_NUM_THREADS'])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert run.stdout.splitlines()[-1] == (own or "1")
