"""calibcli.toml and pyproject.toml: which is read, what wins, and what is refused."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from calibcli.cli.main import commands
from calibcli.cli.project import _harm


@pytest.fixture
def project(tmp_path, monkeypatch, write, binary):
    """A repository with a file of scores, in which commands run; returns how to write its file."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    write("x.csv", binary)

    def settings(text, name="calibcli.toml"):
        return write(name, text)

    return settings


def params(good, *arguments):
    return good("measure", "x.csv", "--format", "json", "--no-ci", *arguments).json["params"]


def test_columns_conventions_and_gates(project, calibcli):
    project(
        'score = "score"\ncluster = "visit"\nbins = [7, 9]\nclosed = "left"\n'
        'fail-if = ["ece>0", "mce>1"]\n[measure]\ngroup = "camera"\nthreshold = [0.2, 0.4]\n'
        'tolerance = 0\nconfidence = 0.9\nno-ci = false\nformat = "json"\nseed = 3\n'
    )
    ran = calibcli("measure", "x.csv")
    result = ran.json
    assert ran.code == 1
    assert ran.err.startswith("calibcli: gate 'ece>0' failed: ")
    assert [(gate["expr"], gate["passed"]) for gate in result["gates"]] == [
        ("ece>0", False), ("mce>1", True)
    ]  # fmt: skip
    shown = result["params"]
    assert shown["config"] == "calibcli.toml"
    wanted = {
        "score": ["score"], "cluster": "visit", "groups": ["camera"], "bins": [7, 9],
        "closed": "left", "thresholds": [0.2, 0.4], "tolerance": 0, "confidence": 0.9, "seed": 3,
    }  # fmt: skip
    assert {key: shown[key] for key in wanted} == wanted


def test_the_same_result_as_the_same_options_by_hand(project, good):
    project('cluster = "visit"\nbins = "8,4"\ngroup = ["camera"]\n')
    from_file = good("measure", "x.csv", "--format", "json").json
    assert from_file["params"].pop("config") == "calibcli.toml"
    assert from_file["params"].pop("config_options") == {
        "cluster": "visit", "group": ["camera"], "bins": "8,4"
    }  # fmt: skip
    by_hand = ("--cluster", "visit", "--bins", "8,4", "--group", "camera", "--no-config")
    assert from_file == good("measure", "x.csv", "--format", "json", *by_hand).json


def test_without_a_file_nothing_is_said_of_one(project, good):
    assert "config" not in params(good)


# -- what wins: every combination of the four places ----------------------------------------------


@pytest.mark.parametrize("places", list(itertools.product([False, True], repeat=4)))
def test_flags_win_over_environment_over_table_over_top(project, good, monkeypatch, places):
    hand, environment, table, top = places
    text = "bins = 5\n" * top + "[measure]\n" + "bins = 6\n" * table
    project(text)
    if environment:
        monkeypatch.setenv("CALIBCLI_MEASURE_BINS", "7")
    shown = params(good, *(("--bins", "8") if hand else ()))
    wanted = next(b for b, there in zip((8, 7, 6, 5, 15), (*places, True), strict=True) if there)
    assert shown["bins"] == [wanted]


def test_a_list_by_hand_replaces_that_of_the_file(project, good, monkeypatch):
    project('fail-if = ["ece>2", "mce>2"]\nthreshold = [0.1, 0.2]\n')
    options = ("--fail-if", "ace>2", "--threshold", "0.3")
    result = good("measure", "x.csv", "--format", "json", *options).json
    assert [gate["expr"] for gate in result["gates"]] == ["ace>2"]
    assert result["params"]["thresholds"] == [0.3]


def test_what_excludes_each_other(project, good, monkeypatch):
    project('score = "score"\n[measure]\nno-ci = true\n')
    shown = good(
        "measure", "x.csv", "--scores", "score", "--confidence", "0.8", "--format", "json"
    ).json["params"]  # fmt: skip
    assert shown["confidence"] == 0.8
    monkeypatch.setenv("CALIBCLI_MEASURE_SCORES", "score")
    good("measure", "x.csv")
    monkeypatch.setenv("CALIBCLI_MEASURE_NO_CI", "0")
    shown = good("measure", "x.csv", "--format", "json").json["params"]
    assert shown["confidence"] == 0.95


# -- which file -----------------------------------------------------------------------------------


def test_the_nearest_file_up_to_the_repository(project, good, monkeypatch, tmp_path):
    project("bins = 3\n")
    monkeypatch.chdir(tmp_path / "sub")
    shown = good("measure", "../x.csv", "--format", "json").json["params"]
    assert (shown["bins"], shown["config"]) == ([3], "../calibcli.toml")
    (tmp_path / "sub" / "calibcli.toml").write_text("bins = 4\n")
    shown = good("measure", "../x.csv", "--format", "json").json["params"]
    assert (shown["bins"], shown["config"]) == ([4], "calibcli.toml")


def test_not_above_the_repository_and_not_above_without_one(project, good, monkeypatch, tmp_path):
    project("bins = 3\n")
    monkeypatch.chdir(tmp_path / "sub")
    (tmp_path / "sub" / ".git").write_text("gitdir: elsewhere\n")  # a worktree has a file
    assert good("measure", "../x.csv", "--format", "json").json["params"]["bins"] == [15]
    (tmp_path / "sub" / ".git").unlink()
    (tmp_path / ".git").rmdir()
    assert good("measure", "../x.csv", "--format", "json").json["params"]["bins"] == [15]


def test_the_table_of_pyproject(project, good):
    project(
        '[tool.calibcli]\nbins = 3\n[tool.calibcli.measure]\nclosed = "left"\n', "pyproject.toml"
    )
    shown = params(good)
    assert (shown["bins"], shown["closed"], shown["config"]) == ([3], "left", "pyproject.toml")
    project("bins = 4\n")  # calibcli.toml beside it wins
    assert params(good)["bins"] == [4]


def test_a_pyproject_of_others(project, good):
    project('[project]\nname = "x"\ndependencies = ["calibcli"]\n', "pyproject.toml")
    assert "config" not in params(good)


def test_named_by_hand_or_by_the_environment(project, good, calibcli, monkeypatch):
    project("bins = 3\n")
    project("bins = 4\n", "other.toml")
    project("[tool.calibcli]\nbins = 5\n", "sub/pyproject.toml")
    assert params(good, "--config", "other.toml")["bins"] == [4]
    assert params(good, "--config", "sub/pyproject.toml")["bins"] == [5]
    monkeypatch.setenv("CALIBCLI_CONFIG", "other.toml")
    assert params(good)["bins"] == [4]
    assert params(good, "--config", "calibcli.toml")["bins"] == [3]
    assert params(good, "--no-config")["bins"] == [15]
    monkeypatch.setenv("CALIBCLI_MEASURE_CONFIG", "sub/pyproject.toml")
    assert params(good)["bins"] == [5]
    monkeypatch.setenv("CALIBCLI_MEASURE_NO_CONFIG", "1")
    assert params(good)["bins"] == [15]
    named = ("--config", "other.toml")
    for order in ((*named, "--no-config"), ("--no-config", *named)):
        ran = calibcli("measure", "x.csv", *order)
        assert ran.code == 2
        assert "exclude" in ran.err


def test_paths_are_meant_from_the_file(project, good, monkeypatch, tmp_path):
    project(
        '[fit]\nmethod = "platt"\noutput = "models/c.json"\n'
        '[measure]\nquiet = true\ncalibrator = "models/c.json"\n'
    )
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    named = ("--config", "../calibcli.toml")
    good("fit", "../x.csv", *named)
    assert (tmp_path / "models" / "c.json").is_file()
    result = good("measure", "../x.csv", "--format", "json", *named).json
    assert result["params"]["calibrator"] == "../models/c.json"
    assert "calibrated" in result["overall"]


def test_every_command(project, good, tmp_path):
    project('cluster = "visit"\ncalibrator = "c.json"\nno-ci = true\n[fit]\nfolds = 3\n')
    fitted = good("fit", "x.csv", "-o", "c.json", "--format", "json").json["params"]
    assert (fitted["cluster"], fitted["config"]) == ("visit", "calibcli.toml")
    chosen = good("threshold", "x.csv", "-q", "--format", "json").json["params"]
    assert (chosen["calibrator"], chosen["config"]) == ("c.json", "calibcli.toml")
    page = good("report", "x.csv", "-q", "--format", "json").json["params"]
    assert (page["cluster"], page["config"]) == ("visit", "calibcli.toml")
    good("apply", "c.json", "x.csv", "-q", "-o", "o.csv")


# -- a file that nobody has named -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[fit]\noutput = "../{}"', "fit.output"),
        ('[measure]\nsave-stats = "{}"', "measure.save-stats"),
        ('[measure]\nsave_plots = "{}"', "measure.save_plots"),
        ('[threshold]\ncandidates = "{}"', "threshold.candidates"),
        ('[fit]\npromote-over = "{}"', "fit.promote-over"),
        ('[fit]\nrollback = "{}"', "fit.rollback"),
        ('engine = "dask"', "engine"),
        ('scheduler = "tcp://127.0.0.1:8786"', "scheduler"),
        ("threads = 1", "threads"),
        ("quiet = true", "quiet"),
        ('labels = "s3://bucket/y.npy"', "labels"),
        ('versus = "https://example.invalid/x.csv"', "versus"),
        ('calibrator = "../{}"', "calibrator"),
        ('reference = "/etc/passwd"', "reference"),
        ('versus = "../x.csv"', "versus"),
    ],
)
def test_what_only_a_file_that_is_named_may_set(project, calibcli, tmp_path, text, said):
    before = project(text.format("evil.json") + "\n").read_bytes()
    for command in (("measure", "x.csv"), ("fit", "x.csv", "-o", "c.json"), ("report", "x.csv")):
        ran = calibcli(*command)
        assert (ran.code, ran.out) == (2, ""), command
        assert f"{said} of calibcli.toml: a project file that is found" in ran.err
        assert "--config calibcli.toml" in ran.err
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [".git", "calibcli.toml", "sub", "x.csv"]
    assert (tmp_path / "calibcli.toml").read_bytes() == before


def test_every_option_of_a_written_file_is_for_a_file_that_is_named():
    """What a new option that names a file may do is decided in `project`, or it is refused."""
    written = {"output", "save-stats", "save-plots", "candidates", "promote-over", "rollback"}
    for command in commands(None).commands.values():
        for option in command.params:
            name = option.opts[0].removeprefix("--")
            if name in written:
                assert "only" in (_harm(option, "x", Path.cwd()) or ""), name


def test_a_link_leads_out_of_the_folder(project, calibcli, tmp_path):
    (tmp_path / "c.json").symlink_to("/etc/passwd")
    project('calibrator = "c.json"\n')
    assert "files of its own folder only" in calibcli("measure", "x.csv").err


def test_what_it_sets_stands_first(project, good, calibcli, tmp_path):
    project('positive = "1"\ndrop-invalid = true\nfail-if = ["ece>0.9"]\ntitle = "x"\n')
    line = "from calibcli.toml: positive 1, drop-invalid"
    for command in ("measure", "threshold"):
        assert good(command, "x.csv", "--no-ci").out.splitlines()[0] == line
        assert good(command, "x.csv", "--no-ci", "--format", "md").out.splitlines()[0] == line
    for form in ("html", "md"):
        good("report", "x.csv", "--no-ci", "-o", f"page.{form}")
        assert line in (tmp_path / f"page.{form}").read_text()
    shown = params(good)
    assert shown["config_options"] == {"positive": "1", "drop-invalid": True}
    assert params(good, "--positive", "1")["config_options"] == {"drop-invalid": True}
    assert "from calibcli.toml" not in good("measure", "x.csv", "--no-ci", "--no-config").out


def test_a_terminal_is_told_of_it(project, good, calibcli, monkeypatch):
    project('positive = "1"\nfail-if = ["ece>0.9"]\n')
    told = "calibcli: --fail-if, --positive from calibcli.toml; --no-config reads none\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    ran = calibcli("measure", "x.csv", "--no-ci")
    assert sorted(ran.err) == sorted(told)
    assert calibcli("measure", "x.csv", "--no-ci", "-q").err == ""
    assert calibcli("measure", "x.csv", "--no-ci", "--config", "calibcli.toml").err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert calibcli("measure", "x.csv", "--no-ci").err == ""


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('scor = "p"', ("scor of calibcli.toml", "did you mean 'score'")),
        ('gates = ["ece>1"]', ("gates of calibcli.toml", "fail-if")),
        ("[mesure]", ("[mesure] of calibcli.toml", "measure")),
        ('[apply]\ngroup = "a"', ("apply.group of calibcli.toml", "[measure]")),
        ('[fit]\nmethodd = "x"', ("fit.methodd of calibcli.toml", "'method'")),
        ('tolerance = "0.1"', ("tolerance of calibcli.toml must be a number",)),
        ("tolerance = true", ("tolerance of calibcli.toml must be a number",)),
        ("seed = 1.5", ("seed of calibcli.toml must be a whole number",)),
        ("logits = 1", ("logits of calibcli.toml must be true or false",)),
        ("score = 3", ("score of calibcli.toml must be a text",)),
        ('score = ["a"]', ("score of calibcli.toml", "not a list")),
        ("fail-if = [1]", ("fail-if of calibcli.toml must be a text",)),
        ("bins = [true]", ("bins of calibcli.toml",)),
        ("bins = 2024-01-01", ("bins of calibcli.toml",)),
        ('classes = ["a,b"]', ("classes of calibcli.toml", "comma")),
        ('binning = "widht"', ("binning of calibcli.toml", "'width'")),
        ("threads = 0", ("threads of calibcli.toml",)),
        ('output = "x"', ("output of calibcli.toml", "table of a command")),
        ('config = "x"', ("config of calibcli.toml",)),
        ('paths = "x"', ("paths of calibcli.toml",)),
        ('bins = "many"', ("--bins 'many'", "--bins is set in calibcli.toml")),
        ('fail-if = ["ece=1"]', ("not a gate: 'ece=1'",)),
    ],
)
def test_what_is_no_setting(project, calibcli, text, said):
    project(text + "\n")
    ran = calibcli("measure", "x.csv")
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 3
    for words in said:
        assert words in ran.err


def test_a_column_that_the_file_names_and_the_data_lacks(project, calibcli):
    project('score = "points"\n')
    ran = calibcli("measure", "x.csv")
    assert ran.code == 3
    assert "--score is set in calibcli.toml" in ran.err
    assert "is set in" not in calibcli("measure", "x.csv", "--score", "point").err


@pytest.mark.parametrize(
    "content",
    [
        b"bins = ", b"\xff\xfe", b"bins = 1\nbins = 2\n", b"a" * (2**20 + 1),
        b"x = " + b"[" * 50_000, b"x = " + b"9" * 10_000, b"\0", b"a.b = 1\na = 2",
        b"[tool.calibcli]\nbins = 3",
    ],
)  # fmt: skip
def test_what_is_no_toml(project, calibcli, content):
    project(content)
    ran = calibcli("measure", "x.csv")
    assert ran.code in (2, 3)
    assert ran.out == ""
    assert "calibcli.toml" in ran.err
    assert len(ran.err.splitlines()) == 3


def test_a_file_that_is_named_must_be_there(project, calibcli, tmp_path):
    for given in ("nosuch.toml", str(tmp_path / "sub")):
        ran = calibcli("measure", "x.csv", "--config", given)
        assert (ran.code, ran.out) == (3, "")
    project("[tool.other]\n", "pyproject.toml")
    ran = calibcli("measure", "x.csv", "--config", "pyproject.toml")
    assert ran.code == 3
    assert "[tool.calibcli]" in ran.err


def test_help_works_beside_a_broken_file(project, good):
    project("bins = ")
    assert "--config" in good("measure", "--help").out


def test_a_folder_that_is_gone(project, tmp_path):
    line = (
        f"mkdir gone && cd gone && rmdir ../gone && {sys.executable} -m calibcli measure {{}}"
    ).format(tmp_path / "x.csv")
    ran = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.slow
def test_tomllib_is_imported_for_a_file_only(project):
    line = (
        "import sys; from calibcli.cli.main import main; main(['measure', 'x.csv', '-o', 'o']);"
        "sys.exit('tomllib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
    project('[project]\nname = "x"\n', "pyproject.toml")
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 0
    project("bins = 3\n")
    assert subprocess.run([sys.executable, "-c", line], check=False).returncode == 1
