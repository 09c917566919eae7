"""Options, files and columns in the shells themselves, where these are installed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

BIN = str(Path(sys.executable).parent)
ASKED = {
    "measure --clu": ["--cluster"],
    "measure --sco": ["--score", "--scores"],
    "measure rows": ["rows.csv"],
    "measure rows.csv --score sc": ["score", "score_b"],
    "measure rows.csv --labels rows": ["rows.csv"],
    "measure rows.csv --score my": ["my score"],
}


@pytest.fixture
def home(tmp_path, write):
    write("rows.csv", {"score": [0.1], "score_b": [0.2], "my score": [0.3], "label": [1]})
    return tmp_path


def environment(home):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CALIBCLI", "_CALIBCLI"))}
    root = str(Path(__file__).parents[2])
    return kept | {"PATH": f"{BIN}:{kept['PATH']}", "HOME": str(home), "PYTHONPATH": root}


def script(shell, home):
    """Return what a shell reads to complete the program."""
    asked = environment(home) | {"_CALIBCLI_COMPLETE": f"source_{shell}"}
    return subprocess.run(
        ["calibcli"], env=asked, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
def test_bash(home):
    if shutil.which("bash") is None:
        pytest.skip("no bash")
    (home / "script").write_text(script("bash", home))
    found = {}
    for line in ASKED:
        words = ["calibcli", *line.split()]
        set_up = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}"
        asked = '_calibcli_completion calibcli; printf "%s\\n" "${COMPREPLY[@]}"'
        ran = subprocess.run(
            ["bash", "-c", f". ./script; {set_up}; {asked}"],
            cwd=home, env=environment(home), capture_output=True, text=True, check=False,
        )  # fmt: skip
        found[line] = [one for one in ran.stdout.splitlines() if one]
    # Nothing is bash's word for: complete files yourself (-o default).
    files: dict[str, list[str]] = {line: [] for line in ASKED if line.endswith(" rows")}
    assert found == ASKED | files | {"measure rows.csv --score my": [r"my\ score"]}


@pytest.mark.slow
def test_fish(home):
    if shutil.which("fish") is None:
        pytest.skip("no fish")
    (home / "script").write_text(script("fish", home))
    lines = "; ".join(f"complete -C 'calibcli {line}'; echo ." for line in ASKED)
    ran = subprocess.run(
        ["fish", "--no-config", "-c", f"source script; {lines}"],
        cwd=home, env=environment(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = [part.split("\n") for part in ran.stdout.split("\n.\n")]
    found = [[one.split("\t")[0] for one in part if one] for part in told]
    assert found[: len(ASKED)] == list(ASKED.values()), ran.stderr


@pytest.mark.slow
def test_zsh(home):
    if shutil.which("zsh") is None:
        pytest.skip("no zsh")
    installed = environment(home) | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    subprocess.run(
        ["calibcli", "--install-completion", "zsh"], env=installed, capture_output=True, check=True
    )
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(home)
        os.execvpe(
            "zsh", ["zsh", "-f", "-i"], environment(home) | {"TERM": "xterm", "COLUMNS": "200"}
        )

    def seen(limit, until):
        got, end = "", time.monotonic() + limit
        while time.monotonic() < end and not re.search(until, got):
            if select.select([terminal], [], [], 0.2)[0]:
                with suppress(OSError):
                    got += os.read(terminal, 65536).decode(errors="replace")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", got)

    try:
        seen(20, r"# |% |\$ ")
        setup = "fpath+=~/.zfunc; autoload -Uz compinit; compinit -u -D; bindkey '^X' list-choices"
        ready = "echo done${_comps[calibcli]}"
        os.write(terminal, f"PS1='> '; setopt nobeep; {setup}; {ready}\r".encode())
        seen(30, "done_calibcli")
        time.sleep(1)
        for line, expected in ASKED.items():
            os.write(terminal, f"calibcli {line}".encode())
            time.sleep(0.3)
            seen(0.5, "\0")
            # One answer goes into the line, several are listed.
            os.write(terminal, b"\t" if len(expected) == 1 else b"\x18")
            rest = expected[0].replace(" ", r"\ ").removeprefix(line.split()[-1])
            told = seen(20, re.escape(rest) if len(expected) == 1 else expected[-1] + r"\b")
            for one in expected if len(expected) > 1 else [rest]:
                assert one in told, (line, told)
            os.write(terminal, b"\x15")
            seen(0.5, "\0")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(terminal)
