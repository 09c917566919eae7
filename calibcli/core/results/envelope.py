"""What every result begins with: what made it, of which inputs, by which conventions."""

from __future__ import annotations

from typing import Any

from calibcli._version import __version__
from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.figures import Where


class Input(Record, frozen=True):
    """A file that was read, its rows (None where they were not counted) and its digest."""

    path: str
    rows: int | None
    images: int | None = None
    digest: str | None = None


class Envelope(Record, frozen=True, kw_only=True):
    """The head of a result.

    Attributes:
        schema: which result it is, and the `version` of its form.
        calibcli: version of the tool that wrote it.
        title: of a report.
        inputs: the files read, in order.
        params: every convention that was used, by name.
        task: what a row is.
    """

    schema: str
    version: int = always(1)
    calibcli: str = always(__version__)
    title: str | None = None
    inputs: tuple[dict[str, Any], ...]
    params: dict[str, Any]
    task: str | None


class GateResult(Record, frozen=True):
    """What a gate found; `slice` is the one that `worst(…)` has picked.

    The interval of a figure stands where a gate on it failed.
    """

    expr: str
    value: Number
    passed: bool
    slice: Where | None = None
    low: float | None = None
    high: float | None = None
