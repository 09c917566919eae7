"""The conventions of a result that words, tables and charts rest on."""

from __future__ import annotations

from typing import Any

from calibcli.core.results.base import UNSET, Record, UnsetType, field

DEFAULT_TOLERANCE = 0.05


class RawScores(Record, frozen=True):
    """Scores that rank the rows and are no probabilities; `descending`: low ones mean label 1."""

    descending: bool = False


class Conventions(Record, frozen=True, kw_only=True):
    """How figures were made, of everything that `params` holds.

    Attributes:
        score: the columns that were read.
        bins: numbers of bins; the first is the headline's.
        edges: of the bins, where they were given; `closed` the side that belongs to a bin.
        tolerance: the gap up to which a bin passes as honest.
        confidence: of intervals; None without any, unset where the result does not say.
        cluster: the column of clusters.
        at: confidences that the curve was read at; `thresholds` the cut-offs that were asked for.
        select: the score that candidates were compared by.
        guarantee: the confidence that constraints hold with.
        cost: what errors cost, where cut-offs in use were chosen by it.
        raw: of scores that are no probabilities; `calibrator` the file that makes them some.
        tags: of the run; `config` the project file, and `config_options` what it has set.
    """

    score: list[str] = field(default_factory=list)
    bins: list[int] | int | None = None
    binning: str | None = None
    edges: list[float] | None = None
    closed: str = "right"
    tolerance: float | None = None
    confidence: float | UnsetType | None = UNSET
    cluster: str | None = None
    at: list[float] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    select: str = "nll"
    guarantee: float | None = None
    cost: str | None = None
    raw: RawScores | None = None
    calibrator: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    config: str | None = None
    config_options: dict[str, Any] = field(default_factory=dict)

    @property
    def level(self) -> float:
        """The confidence level of intervals: 0.95 where the result does not say."""
        return self.confidence or 0.95

    @property
    def within(self) -> float:
        """The gap up to which a bin passes as honest."""
        return DEFAULT_TOLERANCE if self.tolerance is None else self.tolerance

    @property
    def falling(self) -> bool:
        """Whether low scores mean label 1, and what is cut is raw scores."""
        return self.raw is not None and self.raw.descending and self.calibrator is None

    @property
    def headline_bins(self) -> int | None:
        """The number of bins of the headline."""
        if isinstance(self.bins, list):
            return self.bins[0] if self.bins else None
        return self.bins
