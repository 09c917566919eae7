from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from calibcli._version import __version__
from tests.trees import packages_of, tree_of

HEAVY = {"altair", "numpy", "pandas", "pyarrow", "rich", "scipy", "sklearn", "typer", "vl_convert"}
# A number from a clock, a file or the environment is not a function of the arrays.
IMPURE = {"datetime", "logging", "os", "pathlib", "shutil", "subprocess", "sys", "tempfile", "time"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_imports_go_one_way(root):
    run = subprocess.run(
        [script("lint-imports"), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize("room", ["core", "render"])
def test_core_and_render_know_no_files_clocks_or_processes(root, room):
    found = {
        str(path): sorted(packages_of(path) & IMPURE)
        for path in (root / "calibcli" / room).rglob("*.py")
    }
    assert found
    assert {name: names for name, names in found.items() if names} == {}


@pytest.mark.slow
def test_only_io_opens_files(root):
    openers = []
    for path in (root / "calibcli").rglob("*.py"):
        name = str(path)
        # The page's script and style sheet are parts of the package, not files of a user.
        if "/calibcli/io/" in name or "/calibcli/render/assets/" in name:
            continue
        openers += [
            f"{name}:{node.lineno}"
            for node in ast.walk(tree_of(path))
            if isinstance(node, ast.Call)
            and (
                (isinstance(node.func, ast.Name) and node.func.id == "open")
                or (
                    isinstance(node.func, ast.Attribute)
                    and node.func.attr
                    in {"memmap", "read_bytes", "read_text", "write_bytes", "write_text"}
                )
            )
        ]
    assert openers == []


def test_importing_the_package_imports_nothing_heavy():
    code = f"import calibcli, sys; print(sorted({HEAVY!r} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_version_is_the_same_everywhere(root):
    assert __version__ == version("calibcli")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{__version__}]" in changelog
    text = __version__.encode()
    elsewhere = [
        path.name
        for path in (root / "calibcli").rglob("*.py")
        if b'"' + text + b'"' in path.read_bytes() and path.name != "_version.py"
    ]
    assert elsewhere == []


def test_console_script_answers_with_its_version():
    (found,) = entry_points(group="console_scripts", name="calibcli")
    assert found.value == "calibcli.cli.main:run"
    run = subprocess.run(
        [script("calibcli"), "--version"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert __version__ in run.stdout


def test_minimum_versions_are_the_lower_bounds(root, project):
    declared = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["images"],
    ]
    bounds = dict(dependency.split(",")[0].split(">=") for dependency in declared)
    lines = (root / "tests" / "minimum-versions.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert pinned == bounds


def test_every_dependency_is_imported_somewhere(root, project):
    names = {re.split(r"[><=,]", d)[0] for d in project["project"]["dependencies"]}
    # Data frames and estimators are for callers in Python: nothing here needs them to start.
    names -= {"pandas", "scikit-learn"}
    as_imported = {"vl-convert-python": "vl_convert"}
    used = set().union(*map(packages_of, (root / "calibcli").rglob("*.py")))
    assert {as_imported.get(name, name) for name in names} <= used


def test_the_wheel_holds_the_package_and_nothing_else(root, tmp_path):
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    kept = {
        path.relative_to(root).as_posix()
        for path in (root / "calibcli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == kept | {f"calibcli-{__version__}.data/data/share/man/man1/calibcli.1"}
    assert "calibcli/py.typed" in held


def test_licence_is_apache(root, project):
    assert project["project"]["license"] == "Apache-2.0"
    text = (root / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
