"""Parts of results, as their types: what a test does not care for is filled in."""

from __future__ import annotations

from typing import Any

from calibcli.core.results.conventions import Conventions
from calibcli.core.results.figures import Bin
from calibcli.core.results.measure import SliceResult
from calibcli.core.results.reading import typed, typed_as
from calibcli.core.results.report import ReportResult

_HEAD: dict[str, Any] = {"inputs": [], "params": {}, "task": "binary"}
_PART: dict[str, Any] = {"slice": {"kind": "overall"}, "metrics": {}, "bins": []}


def measured(document: dict[str, Any]) -> Any:
    """Return a measure result."""
    return typed({**_HEAD, "schema": "calibcli/measure", "overall": _PART, **document})


def chosen(document: dict[str, Any]) -> Any:
    """Return a threshold result."""
    filled = {"schema": "calibcli/threshold", "objective": "f1", "kind": "empirical"}
    return typed({**_HEAD, **filled, **document})


def reported(document: dict[str, Any]) -> ReportResult:
    """Return a report."""
    filled = {**document, "measure": {**_HEAD, "overall": _PART, **document["measure"]}}
    if document.get("thresholds"):
        filled["thresholds"] = {**_HEAD, "kind": "empirical", **document["thresholds"]}
    return typed_as({**_HEAD, **filled, "schema": "calibcli/report"}, ReportResult)


def part(document: dict[str, Any]) -> SliceResult:
    """Return a slice."""
    return typed_as({**_PART, **document}, SliceResult)


def bins(rows: list[dict[str, Any]]) -> list[Bin]:
    """Return bins."""
    return typed_as(rows, list[Bin])


def conventions(params: dict[str, Any]) -> Conventions:
    """Return conventions."""
    return typed_as(params, Conventions)


__all__ = ["bins", "chosen", "conventions", "measured", "part", "reported", "typed"]
