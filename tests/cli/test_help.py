"""Help: each option in one group, and examples that run as they are printed."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from calibcli.cli.help import EXAMPLES, OFTEN, SHOWN, groups_of
from calibcli.cli.main import COMMANDS, commands

DATA = Path(__file__).parents[2] / "sample_data"
FILES = {
    "held_out.csv": "breast_cancer_calibration.csv",
    "test.csv": "breast_cancer_test.csv",
    "logits.npy": "digits_calibration_logits.npy",
    "labels.npy": "digits_calibration_labels.npy",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_stands_in_one_group(good, name):
    command = commands(name).commands[name]
    context = command.make_context(name, ["-"] * 2, resilient_parsing=True)
    groups = groups_of(command, context)
    grouped = [parameter.name for group in groups.values() for parameter in group]
    options = {one.name for one in command.params if one.param_type_name == "option"} | {"help"}
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == options
    assert 5 <= len(groups[OFTEN]) <= 10
    # What no list names falls into this group: a new option is put where it belongs.
    known = "threshold thresholds calibrator group versus reference by at worst every"
    assert {one.name for one in groups[SHOWN]} <= set(known.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_eighty_columns_and_ends_with_examples(good, name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = good(name, "--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines.index(f"{OFTEN}:") < lines.index("Input:") < lines.index("Running:")
    assert lines.index("Running:") < lines.index("Examples:")
    assert f"  {EXAMPLES[name][0]}" in lines


def test_the_program_alone_shows_an_example_of_each_command(calibcli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = calibcli().err
    assert len(shown.splitlines()) < 24
    joined = shown.replace("\\\n", " ").split("\n")
    for name in COMMANDS:
        assert any(line.split() == EXAMPLES[name][0].split() for line in joined)


def test_examples_run_in_their_order(calibcli, tmp_path, monkeypatch):
    for name, source in FILES.items():
        shutil.copy(DATA / source, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    # The last calibrator that `fit` writes there is that of the logits.
    order = [*EXAMPLES["fit"][1:2], *EXAMPLES["threshold"], *EXAMPLES["apply"]]
    order += [*EXAMPLES["measure"], *EXAMPLES["report"], EXAMPLES["fit"][0], EXAMPLES["fit"][2]]
    assert sorted(order) == sorted(line for lines in EXAMPLES.values() for line in lines)
    for line in order:
        ran = calibcli(*shlex.split(line)[1:])
        assert ran.code == (1 if "--fail-if" in line else 0), (line, ran.err)
