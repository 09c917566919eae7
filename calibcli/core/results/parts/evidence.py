"""What nights have told against promises: as a result shows it, and as a file keeps it."""

from __future__ import annotations

from calibcli.core.results.base import Record
from calibcli.core.results.figures import Where


class Kept(Record, frozen=True, kw_only=True):
    """The evidence against one promise, in a file; see `core.comparison.evidence.Evidence`."""

    promise: str
    logs: tuple[float, ...]
    highest: float
    sides: tuple[float, ...] = ()
    largest: tuple[float, ...] = ()


class KeptGroup(Record, frozen=True, kw_only=True):
    """The evidence on a group, in a file.

    Attributes:
        column: of the group, and its `value`.
        late: 0 of the groups of the first night that had some; n the n-th that came later.
        nights: how many have counted for it.
    """

    column: str
    value: str
    late: int
    nights: int
    promises: tuple[Kept, ...]


class EvidenceFile(Record, frozen=True, kw_only=True):
    """The evidence of all nights that have counted, each known by the digest of its rows."""

    bins: str
    promises: tuple[Kept, ...]
    nights: tuple[str, ...]
    groups: tuple[KeptGroup, ...] = ()


class Broken(Record, frozen=True, kw_only=True):
    """The evidence against a promise.

    Attributes:
        promise: such as `precision>=0.9`; `figure` what it bounds.
        value: by how much a capital of 1 has grown that was bet against it (an e-value).
        p: the p-value that holds at whatever night one looks; of a group for all groups together.
    """

    promise: str
    figure: str
    value: float
    p: float


class GatheredGroup(Record, frozen=True, kw_only=True):
    """The evidence on a group, over the nights in which it came."""

    slice: Where
    nights: int
    promises: tuple[Broken, ...]


class Gathered(Record, frozen=True, kw_only=True):
    """The evidence of all nights.

    Attributes:
        path: where it is kept.
        nights: how many have counted.
        counted: whether these rows did now: a night that has counted before does not again.
        groups: the same of each group that has come on any night.
    """

    path: str
    nights: int
    counted: bool
    promises: tuple[Broken, ...]
    groups: tuple[GatheredGroup, ...] | None = None
