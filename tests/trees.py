"""Python files as syntax trees, parsed once, and what their statements import."""

from __future__ import annotations

import ast
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Import = ast.Import | ast.ImportFrom


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    """Every import of a file, be it in a function or for a type; expressions hold none."""
    return tuple(_imports(tree_of(path)))


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield node
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        inner = getattr(node, part, None)
        for one in inner if isinstance(inner, list) else ():
            yield from _imports(one)


def packages_of(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    names: set[str] = set()
    for node in imports_of(path):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
