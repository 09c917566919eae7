"""What the tests of promotions share."""

from __future__ import annotations

from pathlib import Path

SURE = ("--method", "platt")


def left(folder: Path) -> list[str]:
    """Return what is in a folder beside the dumps."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".csv")
