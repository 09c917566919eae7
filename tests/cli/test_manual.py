"""The manual page has every option, and a shell is offered the columns of the file in its line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from calibcli.cli.main import COMMANDS, commands
from calibcli.cli.manual.completion import columns
from calibcli.cli.manual.page import manual

PAGE = Path(__file__).parents[2] / "docs" / "calibcli.1"


def test_the_page_is_that_of_the_options():
    """`python -m calibcli.cli.manual.page > docs/calibcli.1` writes it again.

    Versions of Typer differ in how they write choices and numbers.
    """
    assert of_any_version(PAGE.read_text(encoding="utf-8")) == of_any_version(manual())


def of_any_version(text):
    choices = re.sub(r"<([^<>\s]+\|[^<>\s]+)>", r"[\1]", text)
    return re.sub(r"INTEGER( RANGE)?\\fR", r"N\\fR", choices)


def test_every_option_of_every_command_stands_in_it():
    text = PAGE.read_text(encoding="utf-8").replace(r"\-", "-")
    parts = re.split(r"^\.SS calibcli (\w+)$", text, flags=re.MULTILINE)
    told = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert tuple(told) == COMMANDS
    for name, command in commands().commands.items():
        for parameter in command.params:
            if parameter.param_type_name == "option":
                assert parameter.opts[0] in told[name], (name, parameter.opts)


def test_man_reads_it_without_a_warning():
    if shutil.which("groff") is None:
        pytest.skip("no groff")
    ran = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", PAGE], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.fixture
def asked(monkeypatch, capsys, tmp_path):
    """Return what a shell is offered for the last word of a line."""
    from calibcli.cli.main import main

    def ask(*words):
        monkeypatch.setenv("_CALIBCLI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["calibcli", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        capsys.readouterr()
        main([])
        return capsys.readouterr().out.split()

    return ask


def test_columns_of_the_file_in_the_line_are_offered(asked, sample_data, write):
    path = str(sample_data / "breast_cancer_test.csv")
    every = ["patient", "network", "size", "score", "label"]
    assert asked("measure", path, "--group", "") == every
    assert asked("measure", path, "--score", "s") == ["size", "score"]
    assert asked("measure", path, "--scores", "size,s") == ["size,size", "size,score"]
    parquet = str(sample_data / "breast_cancer_test.parquet")
    artifact = str(write("calibrator.json", "{}"))
    assert asked("apply", artifact, parquet, "--score", "sc") == ["score"]
    assert asked("measure", path, "--clu") == ["--cluster"]


@pytest.mark.parametrize("path", ["nope.csv", "-"])
def test_a_file_that_cannot_be_read_offers_nothing(asked, path):
    assert asked("measure", path, "--score", "") == []


def test_nothing_is_attached_where_no_shell_asks(monkeypatch):
    monkeypatch.delenv("_CALIBCLI_COMPLETE", raising=False)
    for parameter in commands("measure").commands["measure"].params:
        assert parameter._custom_shell_complete is not columns
