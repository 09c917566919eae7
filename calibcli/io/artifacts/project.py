"""The project file: `calibcli.toml`, or the table `tool.calibcli` of `pyproject.toml`.

It is looked for in the current folder and in those above it, up to the root of the repository, and
the first one found is the only one read. Outside a repository only the current folder counts: a
file that somebody left in `/tmp` or in a home folder changes no results.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from calibcli.errors import InputError
from calibcli.io.failures import reading, show

OWN_NAME = "calibcli.toml"
SHARED_NAME = "pyproject.toml"
MOST_BYTES = 2**20
_HINT = "see docs/project-file.md for what it may hold"


def find_project_file() -> Path | None:
    """Return the project file that applies in the current folder, or None."""
    with contextlib.suppress(OSError):  # a folder that is gone, or that may not be looked into
        folder = Path.cwd()
        folders = [folder, *folder.parents]
        roots = [number for number, one in enumerate(folders) if (one / ".git").exists()]
        for one in folders[: roots[0] + 1 if roots else 1]:
            if (one / OWN_NAME).is_file():
                return one / OWN_NAME
            if _is_meant(one / SHARED_NAME):
                return one / SHARED_NAME
    return None


def _is_meant(path: Path) -> bool:
    """Return whether a pyproject.toml has a table of ours, as far as a look at its bytes tells."""
    if not path.is_file():
        return False
    with reading(str(path), "TOML file"):
        content = _content(path)
        return b"calibcli" in content and _has_table(path, content)


@lru_cache(maxsize=8)
def _has_table(path: Path, content: bytes) -> bool:
    """Return whether a file of this content has a table of ours; it is parsed once a process."""
    return _own_table(_toml(path, content)) is not None


def read_project_file(path: Path) -> dict[str, Any]:
    """Return the settings in a project file, as TOML has them.

    Raises:
        InputError: The file is missing, too large, not TOML, or has no table for this program.
    """
    name = show(str(path))
    value = _parsed(path)
    if path.name != SHARED_NAME:
        return value
    table = _own_table(value)
    if table is None:
        raise InputError(f"{name} has no table [tool.calibcli]", _HINT)
    return table


def _own_table(value: dict[str, Any]) -> dict[str, Any] | None:
    tool = value.get("tool")
    table = tool.get("calibcli") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _parsed(path: Path) -> dict[str, Any]:
    with reading(str(path), "TOML file"):
        content = _content(path)
    return _toml(path, content)


def _toml(path: Path, content: bytes) -> dict[str, Any]:
    import tomllib  # not before there is a file to read

    name = show(str(path))
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text", "write it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # The message ends with where: "(at line 3, column 7)".
        where = str(error).rpartition("(at ")[2].rstrip(")") if "(at " in str(error) else ""
        raise InputError(f"{name} is not TOML{where and ': ' + where}", _HINT) from None
    except (RecursionError, ValueError):  # nested too deep, a number of thousands of digits
        raise InputError(f"{name} is not TOML that can be read", _HINT) from None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise InputError(f"{show(str(path))} is more than 1 MB long, too long for settings", _HINT)
    return content
