"""Runs the examples of README.md and docs/*.md, a page from top to bottom in a folder of its own.

- ```console: lines after ``$`` are run, and the lines below them are what must be printed, standard
  error included. A line ``...`` stands for any lines; ``$?`` is the last command's exit code.
- ```pycon: a doctest, which knows the names of those before it on its page.
- ```sh: commands of `make`, which cannot run inside the tests; their targets must exist.

``python tests/test_readme.py README.md`` writes what the commands now print into the page.
"""

from __future__ import annotations

import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from calibcli.cli.main import main
from tests.golden import Checker, matches

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Those that a newcomer reads first are tried in every run, mostly in this process.
FIRST = {"README.md", "start.md", "python.md"}
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


SHOWN = {"NO_COLOR": "1", "COLUMNS": "100"}


class Step(NamedTuple):
    command: str
    output: str


def steps(block: str) -> list[Step]:
    """Split a console block at its prompts; a backslash at the end of a line continues it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
    assert parts[0] == "", "a console block starts with a prompt"
    found = []
    for part in parts[1:]:
        command, output = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", part, re.DOTALL).groups()
        found.append(Step(command, output))
    return found


class Shell:
    """Runs one command after the other in a folder that holds sample_data."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.code = folder, 0
        shutil.copytree(ROOT / "sample_data", folder / "sample_data")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, **SHOWN}

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.code})\n{command}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            check=False,
        )
        self.code = done.returncode
        return done.stdout


class InProcess(Shell):
    """Runs the program in this process, unless it takes more of a shell than `| head -N`."""

    def run(self, command: str) -> str:
        cut = re.search(r" \| head -(\d+)$", command)
        alone = command[: cut.start()] if cut else command
        words = shlex.split(alone.replace("\\\n", " "))
        if words[:1] != ["calibcli"] or re.search(r"[$*?`;|&<]| [12]?> ", alone):
            return super().run(command)
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            for name, value in SHOWN.items():
                patch.setenv(name, value)
            with redirect_stderr(printed):
                self.code = main(words[1:])
        printed.seek(0)
        lines = printed.read().splitlines(keepends=True)
        if cut:
            self.code, lines = 0, lines[: int(cut[1])]
        return "".join(lines)


def run_python(source: str, name: str, names: dict) -> None:
    test = doctest.DocTestParser().get_doctest(source, names, name, name, 0)
    report: list[str] = []
    runner = doctest.DocTestRunner(Checker(), optionflags=doctest.ELLIPSIS)
    runner.run(test, out=report.append, clear_globs=False)
    names |= test.globs
    assert not report, "".join(report)


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize("page", [p for p in PAGES if p.name in FIRST], ids=lambda page: page.name)
def test_first_examples_print_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried(page, InProcess(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_print_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tried(page, Shell(tmp_path))


def tried(page: Path, shell: Shell) -> None:
    """Run the examples of a page."""
    text, names = page.read_text(encoding="utf-8"), {}
    for fence in FENCE.finditer(text):
        kind, block = fence.groups()
        where = f"{page.name}, line {text.count(chr(10), 0, fence.start()) + 1}"
        if kind == "console":
            for step in steps(block):
                printed = shell.run(step.command)
                assert matches(printed, step.output), f"{where}: {step.command}\n{printed}"
        elif kind == "pycon":
            run_python(block, where, names)
        elif kind == "sh" and not block.startswith("# /"):  # scripts: tests/test_recipes.py
            for line in block.splitlines():
                program, *targets = line.partition("#")[0].split()
                assert program == "make", where
                assert set(targets) <= make_targets(), where


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target


def test_five_commands_have_an_example_in_the_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [
        s.command for kind, block in FENCE.findall(text) if kind == "console" for s in steps(block)
    ]
    for name in ("measure", "fit", "apply", "threshold", "report"):
        assert any(
            f"calibcli {name} sample_data/" in c or f"calibcli {name} calibrator.json" in c
            for c in commands
        ), name


def test_renewed_output_is_as_short_as_it_was():
    old = "ECE 0.1\n...\nb  2 rows\n...\nlast 1\n"
    new = "ECE 0.2\nx\nb  3 rows\nb\ny\nlast 4\n"
    assert renewed(new, old) == "ECE 0.2\n...\nb  3 rows\n...\nlast 4\n"
    assert renewed("p\nq\n", "...\nq\n") == "...\nq\n"
    assert renewed("something else\n", "a\n...\nb\nc\n") == "something else\n"


def renewed(printed: str, expected: str) -> str:
    """Return what is printed now, with `...` where the page had it."""

    def alike(lines: list[str]) -> list[str]:
        return [re.sub(r"[-+]?\d[\d.e,]*", "#", line) for line in lines]

    lines, shown, at = printed.splitlines(), [], 0
    parts = [part.splitlines() for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE)]
    for place, part in enumerate(parts):
        size, wanted = len(part), alike(part)
        starts = range(at, len(lines) - size + 1)
        if place == 0:
            starts = starts[:1]
        elif place == len(parts) - 1:
            starts = starts[-1:] if size else [len(lines)]
        if not starts:
            return printed
        same = [sum(map(str.__eq__, alike(lines[i : i + size]), wanted)) for i in starts]
        start = starts[same.index(max(same))]
        shown += [*(["..."] if place else []), *lines[start : start + size]]
        at = start + size
    return "".join(f"{line}\n" for line in (shown if len(parts) > 1 else lines))


def rewrite(page: Path, folder: Path) -> None:
    """Put what the commands print now in the place of what the page says they print."""
    shell = Shell(folder)

    def renew(fence: re.Match[str]) -> str:
        kind, block = fence.groups()
        if kind != "console":
            return fence.group()
        lines = []
        for step in steps(block):
            printed = "".join(f"{line.rstrip()}\n" for line in shell.run(step.command).splitlines())
            lines.append(f"$ {step.command}\n")
            same = matches(printed, step.output)
            lines.append(step.output if same else renewed(printed, step.output))
        return "```console\n" + "".join(lines) + "```"

    page.write_text(FENCE.sub(renew, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        rewrite(Path(sys.argv[1]), Path(scratch) / "here")
