"""How modules lie: no circle of imports, no long file, no full folder."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.conftest import ROOT
from tests.trees import imports_of


def imported_by_each():
    """Every module of the package and those that it imports, be it in a function or for a type."""
    paths = {}
    for path in (ROOT / "calibcli").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    found = {}
    for name, path in paths.items():
        own = found[name] = set()
        for node in imports_of(path):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("cal"):
                continue
            for one in node.names:
                inner = f"{node.module}.{one.name}"
                own.add(inner if inner in paths else node.module)
        # A package shows what its modules hold.
        if path.name == "__init__.py":
            own -= {one for one in own if one.startswith(f"{name}.")}
        own.discard(name)
    return found


def test_modules_do_not_import_each_other_in_a_circle():
    try:
        TopologicalSorter(imported_by_each()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


MOST_LINES, MOST_FILES = 400, 16


def test_no_file_is_long_and_no_folder_full():
    package = ROOT / "calibcli"
    long, full = set(), set()
    for path in package.rglob("*.py"):
        if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES:
            long.add(path.relative_to(package).as_posix())
        folder = path.parent
        if len([one for one in folder.glob("*.py") if one.name != "__init__.py"]) > MOST_FILES:
            full.add(folder.relative_to(package).as_posix())
    assert long == set(), "one idea a module"
    assert full == set(), "a folder for what belongs together"
