"""Manners in a shell: pipes, redirections, closed streams, signals, the environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BIN = str(Path(sys.executable).parent)


@pytest.fixture(autouse=True)
def signals_act():
    """A suite that runs in the background of a shell, or under nohup, ignores some signals."""
    ignored = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) == signal.SIG_IGN
    ]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture
def bash(tmp_path):
    """Run a line of bash in the folder of the test; return (code, out, err)."""

    def run(line, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("CALIBCLI")}
        ran = subprocess.run(
            ["bash", "-c", line],
            cwd=tmp_path,
            capture_output=True,
            check=False,
            env={**clean, "PATH": f"{BIN}:{clean['PATH']}", **environment},
        )
        return ran.returncode, ran.stdout.decode(), ran.stderr.decode()

    return run


@pytest.mark.slow
def test_standard_input_and_json(bash, scores):
    code, out, err = bash(
        "set -o pipefail; cat scores.csv | calibcli measure - --format json | python -m json.tool"
    )
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["inputs"] == [{"path": "-", "rows": 400}]
    _, file, _ = bash("calibcli measure scores.csv --format json")
    assert result["overall"] == json.loads(file)["overall"]


def test_a_pipe_with_a_name(bash, scores):
    code, out, err = bash("calibcli measure <(cat scores.csv)")
    assert (code, err) == (0, "")
    assert "   ECE 0." in out.splitlines()[0]


@pytest.mark.slow
def test_head_keeps_the_exit_code_of_the_gate(bash, scores):
    line = "calibcli measure scores.csv {} | head -1; echo ${{PIPESTATUS[0]}}"
    for gate, code in (("--fail-if 'ece>0'", "1"), ("--fail-if 'ece>0.9'", "0"), ("", "0")):
        _, out, err = bash(line.format(gate))
        assert "   ECE 0." in out.splitlines()[0]
        assert (out.splitlines()[1], err) == (code, "")


@pytest.mark.slow
def test_a_reader_that_reads_nothing(bash, scores, calibrator):
    """Enough rows that the pipe breaks while they are written."""
    lines = scores.read_text().splitlines(keepends=True)
    scores.with_name("many.csv").write_text("".join([lines[0], *lines[1:] * 500]))
    for command, code in (
        ("measure scores.csv --format json --fail-if 'ece>0'", "1"),
        ("measure --help", "0"),
        ("--help", "0"),
        ("apply calibrator.json many.csv -o -", "0"),
        ("report scores.csv", "0"),
    ):
        _, out, err = bash(f"calibcli {command} | true; echo ${{PIPESTATUS[0]}}")
        assert out == f"{code}\n", command
        assert err.startswith("calibcli: gate 'ece>0' failed") if code == "1" else not err
    _, out, err = bash("calibcli apply calibrator.json many.csv -o - | head -2")
    assert out.splitlines()[0] == "score,label,camera,visit,probability"
    assert (len(out.splitlines()), err) == (2, "")


@pytest.mark.slow
def test_closed_streams_keep_the_exit_code(bash, scores):
    assert bash("calibcli measure scores.csv >&-") == (0, "", "")
    assert bash("calibcli measure scores.csv --fail-if 'ece>0' >&-") == (1, "", "")
    assert bash("calibcli measure scores.csv --fail-if 'ece>0' >/dev/null 2>&-") == (1, "", "")
    assert bash("calibcli measure nosuch.csv 2>&-") == (3, "", "")
    assert bash("calibcli measure scores.csv <&- >&- 2>&-") == (0, "", "")
    assert bash("calibcli --version >&-") == (0, "", "")
    code, _, err = bash("calibcli measure - <&-")
    assert code in (2, 3)
    assert len(err.splitlines()) == 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_behind_standard_output(bash, scores, calibrator):
    for command in (
        "measure scores.csv", "measure scores.csv --format json", "--version", "--help",
        "apply calibrator.json scores.csv -o -",
    ):  # fmt: skip
        code, _, err = bash(f"calibcli {command} >/dev/full")
        assert code == 3, command
        assert len(err.splitlines()) == 3, err
        assert "space" in err or "full" in err
    code, out, err = bash("calibcli measure scores.csv -o /dev/full")
    assert (code, out) == (3, "")
    assert "the disk is full" in err


def test_silence_on_a_quiet_success(good, scores, tmp_path):
    for command, *options in (
        ("measure", scores),
        ("measure", scores, "--format", "json"),
        ("fit", scores, "-o", tmp_path / "c.json"),
        ("apply", tmp_path / "c.json", scores, "-o", tmp_path / "out.csv"),
        ("threshold", scores, "-o", tmp_path / "t.json"),
        ("report", scores, "-o", tmp_path / "r.html"),
    ):
        good(command, *options)


@pytest.mark.slow
def test_output_file_and_redirection_are_the_same_bytes(good, bash, scores, tmp_path):
    for form in ("table", "json", "csv", "md"):
        printed = good("measure", scores, "--format", form).out
        assert good("measure", scores, "--format", form, "-o", tmp_path / "o").out == ""
        assert (tmp_path / "o").read_bytes() == printed.encode() != b""
    printed = good("report", scores).out
    good("report", scores, "-o", tmp_path / "o.html")
    assert (tmp_path / "o.html").read_bytes() == printed.encode()
    bash("calibcli measure scores.csv > a; calibcli measure scores.csv -o b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""


@pytest.mark.parametrize(
    "command",
    [
        "measure scores.csv --group camera --cluster visit --calibrator calibrator.json -o o.txt",
        "measure scores.csv --format json -o o.json",
        "measure scores.csv --save-stats o.json",
        "fit scores.csv --cluster visit -o o.json",
        "threshold scores.csv --maximize f1 -o o.json",
        "report scores.csv -o o.html",
        "apply calibrator.json scores.csv -o o.parquet",
    ],
)
def test_the_same_bytes_twice_and_with_any_threads(
    good, scores, calibrator, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)
    written = set()
    for threads in (1, 1, 4):
        printed = good(*command.split(), "--threads", threads).out
        written.add((Path(command.split()[-1]).read_bytes(), printed))
    assert len(written) == 1


@pytest.mark.slow
def test_hash_seeds_change_nothing(bash, scores):
    line = "calibcli measure scores.csv --group camera --cluster visit --format json"
    assert len({bash(line, PYTHONHASHSEED=seed)[1] for seed in ("1", "2")}) == 1


@pytest.mark.slow
def test_options_from_the_environment(bash, scores):
    code, out, err = bash(
        "calibcli measure scores.csv", CALIBCLI_MEASURE_BINS="7,9", CALIBCLI_MEASURE_FORMAT="json",
        CALIBCLI_MEASURE_NO_CI="1", CALIBCLI_MEASURE_GROUP="camera",
        CALIBCLI_MEASURE_FAIL_IF="ece>0", CALIBCLI_MEASURE_THRESHOLD="0.2 0.4",
        CALIBCLI_FIT_BINS="3", CALIBCLI_VERSION="0.1.0",
    )  # fmt: skip
    result = json.loads(out)
    assert code == 1
    assert err.startswith("calibcli: gate 'ece>0' failed: ")
    assert result["params"]["bins"] == [7, 9]
    assert result["params"]["confidence"] is None
    assert result["params"]["thresholds"] == [0.2, 0.4]
    assert len(result["groups"]) == 3
    # The command line wins.
    _, out, _ = bash(
        "calibcli measure scores.csv --bins 4 --format json", CALIBCLI_MEASURE_BINS="7"
    )
    assert json.loads(out)["params"]["bins"] == [4]
    code, _, err = bash("calibcli measure scores.csv", CALIBCLI_MEASURE_BINS="many")
    assert code == 2
    assert "--bins" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="script(1) of util-linux makes the terminal")
def test_colours_on_a_terminal_only_and_not_with_no_color(bash, scores, tmp_path):
    line = "script -qec 'calibcli measure scores.csv {}' /dev/null"
    if bash("command -v script")[0]:
        pytest.skip("no script(1)")
    _, coloured, _ = bash(line.format(""), TERM="xterm-256color")
    _, plain, _ = bash(line.format(""), TERM="xterm-256color", NO_COLOR="1")
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    bash(line.format("-o out.txt"), TERM="xterm-256color")
    assert (tmp_path / "out.txt").read_text() == bash("calibcli measure scores.csv")[1]


@pytest.mark.slow
def test_apply_in_a_pipeline(bash, scores, calibrator):
    code, out, err = bash(
        "set -o pipefail; cat scores.csv | calibcli apply calibrator.json - -o - "
        "| calibcli measure - --score probability --format json"
    )
    assert (code, err) == (0, "")
    _, direct, _ = bash("calibcli measure scores.csv --calibrator calibrator.json --format json")
    after = json.loads(direct)["overall"]["calibrated"]["metrics"]
    assert json.loads(out)["overall"]["metrics"] == after


def test_interrupted_while_it_imports():
    """Native code turns an interrupt inside an import into an error of its own."""
    code = (
        "import os, signal, sys, calibcli.cli.main as program\n"
        "def interrupted(*_):\n"
        "    try: os.kill(os.getpid(), signal.SIGINT)\n"
        "    except KeyboardInterrupt: raise ImportError('numpy') from None\n"
        "program.commands = interrupted; program.run()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "measure", "x.csv"], capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (130, b"calibcli: interrupted\n")


def test_interrupted_by_a_signal():
    """A run that waits for its standard input, and gets what control-C sends."""
    wait = "import sys, calibcli.cli.main; print(end='.', flush=True); calibcli.cli.main.run()"
    with subprocess.Popen(
        [sys.executable, "-c", wait, "measure", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.read(1) == b"."
        time.sleep(0.5)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=20)
    assert (run.returncode, out, err) == (130, b"", b"calibcli: interrupted\n")


@pytest.fixture
def writing(calibrator, scores, tmp_path):
    """A run that has begun to write an output, and waits; how it is stopped."""
    given, folder = tmp_path / "given.csv", tmp_path / "out"
    folder.mkdir()
    code = (
        "import os, sys\n"
        "def fsync(number):\n"
        "    print(end='.', flush=True); sys.stdin.read()\n"
        "os.fsync = fsync; import calibcli.cli.main; calibcli.cli.main.run()"
    )
    given.write_text(scores.read_text())
    command = [sys.executable, "-c", code, "apply", calibrator, given, "-o", folder / "o.csv"]

    def stopped(*signals, **options):
        with subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        ) as run:
            assert run.stdout is not None
            assert run.stdout.read(1) == b"."
            assert len(list(folder.iterdir())) == 1
            for number in signals:
                run.send_signal(number)
            out, err = run.communicate(timeout=60)
        return run.returncode, out, err, [path.name for path in folder.iterdir()]

    return stopped


@pytest.mark.parametrize(
    "signals",
    [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM)],
)
def test_a_signal_to_end_clears_away_what_was_begun(writing, signals):
    code, *left = writing(*signals)
    assert code in {128 + number for number in signals}  # the first that the process has seen
    assert left == [b"", b"calibcli: terminated\n", []]


def test_control_c_clears_away_what_was_begun(writing):
    assert writing(signal.SIGINT) == (130, b"", b"calibcli: interrupted\n", [])


def test_under_nohup_the_end_of_the_terminal_changes_nothing(writing):
    def nohup():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    code, _, err, written = writing(signal.SIGHUP, preexec_fn=nohup)
    assert (code, err, written) == (0, b"", ["o.csv"])
