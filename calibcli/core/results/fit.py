"""The result of `fit`: how a map was chosen, and figures before and after it."""

from __future__ import annotations

from typing import Any, Literal

from calibcli.core.results.base import Number, Record, always, field
from calibcli.core.results.envelope import Envelope, GateResult
from calibcli.core.results.figures import Bin, Figure, Where
from calibcli.core.results.parts.stored import MapPoint
from calibcli.core.results.warning import Code

After = Literal["cross-fitted", "in-sample", "unchanged"]
"""What figures after a fit are worth: of maps that have not seen the rows, or of this one."""


class Side(Record, frozen=True):
    """Figures and bins before or after a fit; `kind` is what those after are worth."""

    metrics: dict[str, Figure] = field(default_factory=dict)
    bins: tuple[Bin, ...] | None = None
    kind: After | None = None

    @property
    def ece(self) -> Figure | None:
        """The expected calibration error; None where the data has no such number."""
        found = self.metrics.get("ece")
        return None if found is None or found.value is None else found

    def value(self, metric: str) -> Number | None:
        """Return the value of a metric; None where this side has none."""
        found = self.metrics.get(metric)
        return None if found is None else found.value


class FittedClass(Record, frozen=True):
    """A class against the rest, before and after."""

    slice: Where
    before: Side
    after: Side


class FittedGroup(Record, frozen=True, kw_only=True):
    """A group: how much of its map is its own (of several labels one each), before and after."""

    slice: Where
    rows: Number
    weight: float | list[float]
    note: str = always("")
    before: Side | None = None
    after: Side | None = None


class Candidate(Record, frozen=True):
    """A method that was compared.

    Attributes:
        method: its name.
        score: its held-out proper score.
        difference: to the best, and the standard error `se` of that.
        chosen: whether it was taken.
        seconds: that its fits took.
        note: why it was not compared, or what is to be said of it.
    """

    method: str
    score: float | None = always(None)
    difference: float | None = always(None)
    se: float | None = always(None)
    seconds: float | None = None
    chosen: bool = always(False)
    note: str = always("")


class ClassMap(Record, frozen=True):
    """The map of a class (None: of every class alike)."""

    name: str | None = field(name="class")
    points: tuple[MapPoint, ...]


class FitResult(Envelope, frozen=True, kw_only=True):
    """What `fit` did; `data` is the digest of the calibration set."""

    schema: Literal["calibcli/fit"] = always("calibcli/fit")
    method: str
    calibrator: dict[str, Any]
    before: Side
    after: Side
    classes: tuple[FittedClass, ...] = always(())
    groups: tuple[FittedGroup, ...] = always(())
    candidates: tuple[Candidate, ...] = always(())
    map: tuple[MapPoint, ...] = always(())
    class_map: tuple[ClassMap, ...] = always(())
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())
    data: str | None = None
    gates: tuple[GateResult, ...] = ()
