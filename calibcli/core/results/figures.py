"""Figures with their intervals, and the tables that a slice has of them."""

from __future__ import annotations

from typing import Literal, Protocol

from calibcli.core.results.base import Number, Record, always, field

Verdict = Literal["within tolerance", "over-confident", "under-confident", "no data"]


class Interval(Protocol):
    """Whatever has a value, the ends of its interval, and a reason for what is missing."""

    @property
    def value(self) -> Number | None:
        """The figure; None where the data has no such number."""

    @property
    def low(self) -> float | None:
        """Lower end of its interval."""

    @property
    def high(self) -> float | None:
        """Upper end of its interval."""

    @property
    def reason(self) -> str | None:
        """Why the value or the interval is missing."""


class Figure(Record, frozen=True):
    """A figure and its interval.

    Attributes:
        value: the figure; None with a `reason` where the data has no such number.
        low: lower end of the interval; `high` the upper one; None where there is none.
        bins: detection, by position: how many bins were used, and the `share` of boxes in them.
        reason: why the value or the interval is missing.
        certain_errors: log loss: rows that were certain and wrong, whose loss is clipped.
    """

    value: Number | None
    low: float | None = always(None)
    high: float | None = always(None)
    bins: int | None = None
    share: float | None = None
    reason: str | None = None
    certain_errors: Number | None = None


def undefined(reason: str) -> Figure:
    """Return the figure that the data does not have."""
    return Figure(None, reason=reason)


class Where(Record, frozen=True):
    """Which rows: all, those of one class against the rest, or those of one value of a group.

    Attributes:
        kind: "overall", "class" or "group".
        name: of the class.
        column: of the group, and its `value`.
        label: of a group: the class that it is further narrowed to.
    """

    kind: str
    name: str | None = None
    column: str | None = None
    value: str | None = None
    label: str | None = field(default=None, name="class")

    @property
    def title(self) -> str:
        """The name of the class, or the value of the group or period; "(missing)" for a null."""
        if self.kind == "overall":
            return "overall"
        name = self.name if self.kind == "class" else self.value
        return "(missing)" if name is None else name


OVERALL = Where("overall")


class Bin(Record, frozen=True):
    """A bin of a reliability table; the interval is that of the frequency.

    `gap` is the frequency less the mean score. Of an empty bin only the edges and the count are
    there.
    """

    low: float
    high: float
    count: Number
    score: float | None = always(None)
    frequency: float | None = always(None)
    frequency_low: float | None = always(None)
    frequency_high: float | None = always(None)
    gap: float | None = always(None)


class BinnedEce(Record, frozen=True):
    """ECE under one binning, of which `used` bins hold rows."""

    bins: int
    binning: str
    used: int
    ece: Figure


class Reading(Record, frozen=True):
    """The reliability curve at one confidence: the bin that holds it, and what that says.

    `p` is that of an honest bin (exact binomial test, two-sided); `beyond_chance` says whether the
    gap is told from 0 with the level shared among all readings of the result (Holm).
    """

    at: float
    bin: tuple[float, float]
    count: Number
    score: float | None
    correctness: float | None
    gap: float | None
    verdict: Verdict
    correctness_low: float | None = None
    correctness_high: float | None = None
    p: float | None = None
    beyond_chance: bool | None = None


class LrpFigure(Record, frozen=True):
    """Localisation-recall-precision error at a cut-off, and the three errors that it is made of."""

    value: float | None
    low: float | None = always(None)
    high: float | None = always(None)
    localisation: float | None = always(None)
    false: float | None = always(None)
    missed: float | None = always(None)
    reason: str | None = None


class Confusion(Record, frozen=True):
    """Counts at a cut-off and their rates: positive means score >= threshold.

    Counts are sums of weights where rows are weighted. A detector has no true negatives (`tn` is
    None); `dice` and `iou` are of masks, `lrp` is of boxes.
    """

    threshold: float | None
    tp: Number
    fp: Number
    fn: Number
    tn: Number | None
    precision: Figure
    recall: Figure
    f1: Figure
    specificity: Figure
    fpr: Figure
    lrp: LrpFigure | None = None
    dice: Figure | None = None
    iou: Figure | None = None

    @property
    def given(self) -> Number:
        """Rows that are called positive."""
        return self.tp + self.fp

    @property
    def true(self) -> Number:
        """Rows that are positive."""
        return self.tp + self.fn

    @property
    def rows(self) -> Number:
        """All rows; of a detector those that have a box or an object."""
        return self.given + self.fn + (self.tn or 0)

    @property
    def rates(self) -> dict[str, Figure]:
        """The rates by name, in display order; `dice` and `iou` where there are any."""
        found = {name: getattr(self, name) for name in (*RATES, "dice", "iou")}
        return {name: figure for name, figure in found.items() if figure is not None}

    @property
    def counts(self) -> dict[str, Number | None]:
        """The four counts by name."""
        return {"tp": self.tp, "fp": self.fp, "fn": self.fn, "tn": self.tn}


RATES = ("precision", "recall", "f1", "specificity", "fpr")
"""Rates that every confusion table has, in display order."""
