"""What every result begins with: what made it, of which inputs, by which conventions."""

from __future__ import annotations

from typing import Any, Literal

from calibcli._version import __version__
from calibcli.core.results.base import Number, Record, always
from calibcli.core.results.conventions import Conventions
from calibcli.core.results.figures import Where
from calibcli.core.results.parts.provenance import Provenance
from calibcli.core.results.reading import typed_as


class Input(Record, frozen=True):
    """A file that was read, its rows (None where they were not counted), digest, and maker."""

    path: str
    rows: int | None
    images: int | None = None
    digest: str | None = None
    applied: Provenance | None = None


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
    version: Literal[1] = always(1)
    calibcli: str = always(__version__)
    title: str | None = None
    inputs: tuple[Input, ...]
    params: dict[str, Any]
    task: str | None

    @property
    def conventions(self) -> Conventions:
        """What of `params` words, tables and charts rest on."""
        return conventions_of(self.params)


def conventions_of(params: dict[str, Any]) -> Conventions:
    """Return the conventions that parameters hold; of a null only that of `confidence` is said."""
    known = {name: one for name, one in params.items() if one is not None or name == "confidence"}
    return typed_as(known, Conventions)


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

    @property
    def reason(self) -> None:
        """A gate always has a value."""
