"""The conventions behind every number: how scores are binned, how sure an interval is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nextafter
from typing import TYPE_CHECKING, Any, Literal

from calibcli.core.numeric.scales import EPS
from calibcli.core.statistics.curves import Binning
from calibcli.errors import UsageError

if TYPE_CHECKING:
    from calibcli.core.numeric.raw_scale import RawScale

_ALWAYS_EXACT = (10, 15, 20)
MOST_BINS = 10_000
_ABOVE_ALL = nextafter(1.0, 2.0)
"""The cut-off at which nothing is positive, where some score is 1."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """Options that change numbers. All of them are in the JSON of a result.

    `bins` may name several numbers: the first is the headline, ECE is shown for all. `also_exact`
    are more probabilities at which counts stay exact, for drawings; they change no convention.
    `raw_cuts` are cut-offs of raw scores, in their own unit.
    """

    bins: tuple[int, ...] = (15,)
    binning: Literal["width", "mass"] = "width"
    edges: tuple[float, ...] = ()
    closed: Literal["right", "left"] = "right"
    thresholds: tuple[float, ...] = (0.5,)
    at: tuple[float, ...] = ()
    tolerance: float = 0.05
    confidence: float | None = 0.95
    seed: int = 0
    also_exact: tuple[float, ...] = ()
    raw_cuts: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.bins or not 1 <= min(self.bins) <= max(self.bins) <= MOST_BINS:
            raise UsageError(
                f"--bins needs whole numbers from 1 to {MOST_BINS:,}", "for example --bins 15,10,20"
            )
        if self.seed < 0:
            raise UsageError("--seed must not be negative", "for example --seed 0")
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise UsageError("--confidence must lie in [0.5, 1)", "for example --confidence 0.95")
        if any(not 0 <= value <= 1 for value in self.at):
            raise UsageError("--at must lie between 0 and 1", "for example --at 0.8")
        if any(not 0 <= value <= _ABOVE_ALL for value in self.thresholds):
            raise UsageError(
                "--threshold must lie between 0 and 1: it cuts probabilities, also those of logits",
                "for example --threshold 0.5",
            )
        if not self.tolerance >= 0:
            raise UsageError("--tolerance must not be negative", "for example --tolerance 0.05")
        for binning in self.all_binnings():
            binning.edges  # noqa: B018  raises for edges that cannot be used

    @property
    def headline(self) -> Binning:
        """The binning of the headline figures."""
        if self.edges:
            return Binning("edges", len(self.edges) - 1, self.closed, self.edges)
        return Binning(self.binning, self.bins[0], self.closed)

    def all_binnings(self) -> list[Binning]:
        """Return every binning for which ECE is shown: the headline first, both kinds of each."""
        found = [self.headline]
        for bins in self.bins:
            for kind in (self.binning, "mass" if self.binning == "width" else "width"):
                binning = Binning(kind, bins, self.closed)
                if binning not in found:
                    found.append(binning)
        return found

    def cutting(self, *thresholds: float) -> Conventions:
        """Return the same conventions with more cut-offs, before those that there are."""
        return replace(self, thresholds=tuple(dict.fromkeys((*thresholds, *self.thresholds))))

    @property
    def exact_at(self) -> tuple[float, ...]:
        """Probabilities at which counts stay exact however many rows there are."""
        points = {t for t in (*self.thresholds, *self.edges, *self.at, 0.5) if 0 < t < 1}
        points.update(self.also_exact)
        for bins in {*self.bins, *_ALWAYS_EXACT}:
            points.update(i / bins for i in range(1, bins))
        return tuple(sorted(points))

    def exact_on(self, scale: RawScale | None) -> tuple[float, ...]:
        """Return `exact_at`, and where raw scores are cut."""
        if scale is None or not self.raw_cuts:
            return self.exact_at
        cuts = {scale.probability(raw) for raw in self.raw_cuts}
        return tuple(sorted({*self.exact_at, *(p for p in cuts if 0 < p < 1)}))

    def to_dict(self) -> dict[str, Any]:
        """Return the conventions as they stand in the JSON."""
        return {
            "bins": list(self.bins),
            "binning": self.binning,
            "edges": list(self.edges) or None,
            "closed": self.closed,
            "thresholds": list(self.raw_cuts or self.thresholds),
            "at": list(self.at),
            "tolerance": self.tolerance,
            "confidence": self.confidence,
            "seed": self.seed,
            "log_loss_clip": EPS,
        }
