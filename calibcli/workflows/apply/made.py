"""What `apply` says of the files that it writes: by which calibrator and thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from calibcli._version import __version__
from calibcli.core.results.parts.provenance import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence


class Stored(Protocol):
    """What an artifact holds."""

    @property
    def digest(self) -> str | None:
        """That of the artifact; an artifact that was edited by hand has none."""


class Loaded(Protocol):
    """An artifact that was read."""

    @property
    def stored(self) -> Stored:
        """What it holds."""


def made_by(calibrator: Loaded | None, cuts: Loaded | None, columns: Sequence[str]) -> Provenance:
    """Return the provenance of columns."""
    digests = [None if one is None else one.stored.digest for one in (calibrator, cuts)]
    return Provenance(
        calibcli=__version__,
        calibrator=digests[0],
        thresholds=digests[1],
        columns=tuple(columns),
    )
