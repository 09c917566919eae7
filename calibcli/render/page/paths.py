"""Files by their names: a page goes to people whom the folders of a machine tell nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMED: Final = frozenset(
    {"path", "reference", "versus", "calibrator", "thresholds", "labels", "images", "ground_truth"}
)
"""Keys of inputs, options and comparisons under which a path stands."""
_WHOLE: Final = frozenset({"inputs", "params", "warnings", "reference", "score", "verdict", "note"})
"""Keys whose texts may hold paths; names of rows, groups and classes stand under others."""
_PARTS: Final = frozenset({"measure", "calibrator", "thresholds", "drift", "versus", "calibrated"})
_PARTING: Final = re.compile(r"[/\\]")


def by_name(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report whose files are told by name, of as many folders as tell them apart.

    The JSON of a report keeps the paths.

    >>> by_name({"inputs": [{"path": "/data/may/a.csv"}, {"path": "/data/june/a.csv"}]})
    {'inputs': [{'path': 'may/a.csv'}, {'path': 'june/a.csv'}]}
    """
    names = _names(list(dict.fromkeys(_paths(report))))
    if not names:
        return report
    longest = sorted(names, key=len, reverse=True)
    known = re.compile("|".join(map(re.escape, longest)))

    def text(value: Any) -> Any:
        if isinstance(value, str):
            return known.sub(lambda found: names[found[0]], value)
        if isinstance(value, dict):
            return {key: text(one) for key, one in value.items()}
        return [text(one) for one in value] if isinstance(value, list) else value

    def part(value: dict[str, Any]) -> dict[str, Any]:
        return {key: _changed(key, one) for key, one in value.items()}

    def _changed(key: str, one: Any) -> Any:
        if key in _PARTS and isinstance(one, dict):
            return part(one)
        return text(one) if key in _WHOLE else one

    return part(report)


def _paths(value: Any, key: str = "") -> Iterator[str]:
    """Yield every path of the files that a report names."""
    if isinstance(value, str):
        if key in _NAMED and _PARTING.search(value.rstrip("/\\")):
            yield value
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, key)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in _NAMED or name in _WHOLE or name in _PARTS:
                yield from _paths(one, name)


def _names(paths: list[str]) -> dict[str, str]:
    """Return the shortest ends of paths that are those of no other one."""
    parts = {path: [one for one in _PARTING.split(path) if one] for path in paths}
    found = {}
    for path, own in parts.items():
        others = [one for one in parts.values() if one != own]
        size = 1
        while size < len(own) and any(one[-size:] == own[-size:] for one in others):
            size += 1
        found[path] = "/".join(own[-size:])
    return found
