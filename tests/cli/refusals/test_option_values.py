"""Values of options that Python reads and nobody means."""

from __future__ import annotations

import pytest

from calibcli.cli.main import commands

NUMBERS = [
    (command.name, parameter.opts[0])
    for command in commands(None).commands.values()
    for parameter in command.params
    if parameter.param_type_name == "option" and parameter.type.name.startswith("float")
]


@pytest.mark.parametrize(("command", "option"), NUMBERS)
def test_every_number_is_finite(calibcli, scores, command, option):
    before = ("c.json",) if command == "apply" else ()
    for value in ("inf", "-inf", "nan", "1e400"):
        ran = calibcli(command, *before, scores, f"{option}={value}")
        assert (ran.code, ran.out) == (2, "")
        said = ("must be a finite number", "is not in the range", f"does nothing in {command}")
        assert any(one in ran.err for one in said)
        assert option in ran.err


def test_of_a_project_file_too(calibcli, scores, tmp_path):
    settings = tmp_path / "x.toml"
    settings.write_text("tolerance = inf\n")
    ran = calibcli("measure", scores, "--config", settings)
    assert ran.code == 2
    assert "--tolerance is set in" in ran.err


@pytest.mark.parametrize("value", ["inf", "nan", "1e400"])
def test_numbers_inside_a_text_too(calibcli, scores, tmp_path, value):
    for arguments in (
        ("measure", scores, "--fail-if", f"ece>{value}"),
        ("measure", scores, "--bins", value),
        ("measure", scores, "--edges", f"0,{value},1"),
        ("fit", scores, "-o", tmp_path / "c.json", "--temperatures", f"1,{value}"),
        ("threshold", scores, "--subject-to", f"precision>={value}"),
        ("threshold", scores, "--abstain", f"accuracy>={value}"),
        ("threshold", scores, "--maximize", f"fbeta:{value}"),
        ("threshold", scores, "--cost", f"fp={value},fn=1"),
        ("threshold", scores, "--prior", value),
    ):
        ran = calibcli(*arguments)
        assert (ran.code, ran.out) == (2, ""), arguments
        assert len(ran.err.splitlines()) == 3
    assert not (tmp_path / "c.json").exists()
