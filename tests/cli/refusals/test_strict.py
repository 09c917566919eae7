"""Empty values, values that are given twice, and a file in the place of a command."""

from __future__ import annotations

import pytest

from calibcli.cli.main import COMMANDS, commands


def options_of(command):
    """Options of a command that take a value."""
    parameters = commands(command).commands[command].params
    found = [one for one in parameters if one.param_type_name == "option" and not one.is_flag]
    assert len(found) > 10
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_without_a_value_is_refused(calibcli, command):
    for parameter in options_of(command):
        ran = calibcli(command, "a.csv", parameter.opts[-1], "")
        assert (ran.code, ran.err.splitlines()[0]) == (
            2,
            f"calibcli: error: {parameter.opts[0]} is empty",
        )


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_of_one_value_is_given_once(calibcli, command):
    for parameter in options_of(command):
        if not parameter.multiple:
            ran = calibcli(command, "a.csv", parameter.opts[0], "1", f"{parameter.opts[-1]}=2")
            assert ran.code == 2, parameter.opts
            assert f"{parameter.opts[0]} is given twice: 1 and " in ran.err


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_path_is_not_the_current_folder(calibcli, command):
    given = ("a.json", "") if command == "apply" else ("",)
    ran = calibcli(command, *given)
    assert ran.code == 2
    assert "SCORES is empty" in ran.err


def test_an_empty_part_of_a_list(calibcli, scores):
    for option in ("--scores", "--classes"):
        ran = calibcli("measure", scores, option, "a,,b")
        assert ran.code == 2
        assert "'a,,b' has an empty part" in ran.err


def test_a_flag_says_the_same_twice(good, scores):
    good("measure", scores, "--no-ci", "--no-ci")


def test_an_empty_value_in_a_project_file(calibcli, scores, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calibcli.toml").write_text('[measure]\npositive = ""\n')
    ran = calibcli("measure", scores)
    assert ran.code == 2
    assert "--positive is empty" in ran.err


def test_a_file_in_the_place_of_a_command(calibcli, scores):
    ran = calibcli(scores, "--bins", "10")
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"hint: calibcli measure {scores} --bins 10"
    ran = calibcli("nowhere/my scores.csv.gz")
    assert ran.err.splitlines()[-1] == "hint: calibcli measure 'nowhere/my scores.csv.gz'"
