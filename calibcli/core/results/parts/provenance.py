"""Whose scores a file holds: the calibrator and the thresholds that `apply` wrote it with."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import Record, always


class Provenance(Record, frozen=True, kw_only=True):
    """What made the columns of a file.

    Attributes:
        calibcli: version of the tool.
        calibrator: digest of the calibrator, None where there was none or it had no digest;
            `thresholds` that of the thresholds.
        columns: what was added; () for an array, which holds nothing else.
    """

    calibcli: str
    calibrator: str | None = always(None)
    thresholds: str | None = always(None)
    columns: tuple[str, ...] = always(())

    def made(self, scores: tuple[str, ...]) -> bool:
        """Whether score columns, () for an array, are those that the calibrator made."""
        there = bool(scores) == bool(self.columns)
        return self.calibrator is not None and there and set(scores) <= {*self.columns}


class Output(Record, frozen=True):
    """A file that was written: its name, without folders, and the digest of its content."""

    path: str
    digest: str


class SideFile(Record, frozen=True, kw_only=True):
    """The file beside an output that has no place for its provenance."""

    schema: Literal["calibcli/provenance"] = always("calibcli/provenance")
    version: int = always(1)
    output: Output
    made: Provenance
