"""The key by which files of scores and of labels would match, found in their names."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN = "scores and labels of several files are matched by file name"


def pattern_hint(scores: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """Return the patterns that match files whose names differ by one beginning and end alone.

    Args:
        scores: path of each file by its name without suffix.
        labels: the same.

    >>> pattern_hint({"c1_prob": "p/c1_prob.npy", "c2_prob": "p/c2_prob.npy"},
    ...              {"c1": "y/c1.npy", "c2": "y/c2.npy"})
    "the key is a part of the names: 'p/{id}_prob.npy' --labels 'y/{id}.npy'"
    """
    for longer, shorter, swapped in ((scores, labels, False), (labels, scores, True)):
        ends = _ends(longer, shorter)
        if ends is None:
            continue
        told = _pattern(longer, ends), _pattern(shorter, ("", ""))
        if None in told:
            continue
        first, second = (shlex.quote(str(one)) for one in (told[::-1] if swapped else told))
        return f"the key is a part of the names: {first} --labels {second}"
    return PLAIN


def _ends(longer: Mapping[str, str], shorter: Mapping[str, str]) -> tuple[str, str] | None:
    """Return what stands before and after the shorter names in the longer ones, all alike."""
    if len(longer) != len(shorter) or not shorter:
        return None
    first = next(iter(shorter))
    for name in longer:
        before, found, after = name.partition(first)
        if found and {f"{before}{one}{after}" for one in shorter} == set(longer):
            return before, after
    return None


def _pattern(files: Mapping[str, str], ends: tuple[str, str]) -> str | None:
    """Return a pattern of paths that lie in one folder and have one suffix; None of others."""
    found = set()
    for stem, path in files.items():
        name = Path(path).name
        if not name.startswith(stem):
            return None  # the name is a key already
        suffix = name[len(stem) :]
        found.add(f"{path[: len(path) - len(name)]}{ends[0]}{{id}}{ends[1]}{suffix}")
    return found.pop() if len(found) == 1 else None
