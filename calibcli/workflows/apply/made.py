"""What `apply` says of the files that it writes: by which calibrator and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from calibcli._version import __version__
from calibcli.core.results.parts.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Loaded(Protocol):
    """An artifact that was read."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What it holds."""


def made_by(calibrator: Loaded | None, cuts: Loaded | None, columns: Sequence[str]) -> Provenance:
    """Return the provenance of columns; an artifact that was edited by hand has no digest."""
    digests = [None if one is None else one.payload.get("digest") for one in (calibrator, cuts)]
    return Provenance(
        calibcli=__version__,
        calibrator=digests[0],
        thresholds=digests[1],
        columns=tuple(columns),
    )
