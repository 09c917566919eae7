"""What nights have told against promises: as a result shows it, and as a file keeps it."""

from __future__ import annotations

from calibcli.core.results.base import Record


class Kept(Record, frozen=True, kw_only=True):
    """The evidence against one promise, in a file; see `core.comparison.evidence.Evidence`."""

    promise: str
    logs: tuple[float, ...]
    highest: float
    sides: tuple[float, ...] = ()


class EvidenceFile(Record, frozen=True, kw_only=True):
    """The evidence of all nights that have counted, each known by the digest of its rows."""

    bins: str
    promises: tuple[Kept, ...]
    nights: tuple[str, ...]


class Broken(Record, frozen=True, kw_only=True):
    """The evidence against a promise.

    Attributes:
        promise: such as `precision>=0.9`; `figure` what it bounds.
        value: by how much a capital of 1 has grown that was bet against it (an e-value).
        p: the p-value that holds at whatever night one looks.
    """

    promise: str
    figure: str
    value: float
    p: float


class Gathered(Record, frozen=True, kw_only=True):
    """The evidence of all nights.

    Attributes:
        path: where it is kept.
        nights: how many have counted.
        counted: whether these rows did now: a night that has counted before does not again.
    """

    path: str
    nights: int
    counted: bool
    promises: tuple[Broken, ...]
