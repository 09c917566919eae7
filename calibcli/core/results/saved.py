"""Two saved results of `measure`, side by side."""

from __future__ import annotations

from typing import Literal

from calibcli.core.results.base import Record, always
from calibcli.core.results.envelope import Envelope
from calibcli.core.results.figures import Figure, Where
from calibcli.core.results.warning import Code


class Pair(Record, frozen=True, kw_only=True):
    """A figure in both results.

    Attributes:
        first: in the first result, None where it does not have the figure; `second` likewise.
        difference: second less first, None where one of them has no value.
        apart: whether the intervals do not overlap; None where one of them has none.
    """

    first: Figure | None
    second: Figure | None
    difference: float | None
    apart: bool | None

    @classmethod
    def of(cls, first: Figure | None, second: Figure | None) -> Pair:
        """Return two figures beside each other."""
        difference: float | None = None
        apart: bool | None = None
        if first is not None and second is not None:
            if first.value is not None and second.value is not None:
                difference = second.value - first.value
            ends = first.low, first.high, second.low, second.high
            if all(end is not None for end in ends):
                low, high, other_low, other_high = (float(end or 0.0) for end in ends)
                apart = high < other_low or other_high < low
        return cls(first=first, second=second, difference=difference, apart=apart)


class PairedSlice(Record, frozen=True, kw_only=True):
    """The figures of one slice in both results."""

    slice: Where
    metrics: dict[str, Pair]


class SavedPair(Envelope, frozen=True, kw_only=True):
    """Two saved results side by side; `params` are those that both were made with.

    Attributes:
        differ: conventions that differ, by name: those of the first and of the second.
    """

    schema: Literal["calibcli/comparison"] = always("calibcli/comparison")
    differ: dict[str, tuple[object, object]] = always({})
    overall: PairedSlice
    classes: tuple[PairedSlice, ...] = always(())
    groups: tuple[PairedSlice, ...] = always(())
    warnings: tuple[str, ...] = always(())
    warning_codes: tuple[Code, ...] = always(())

    @property
    def slices(self) -> tuple[PairedSlice, ...]:
        """All rows, each class and each group that is in both results."""
        return (self.overall, *self.classes, *self.groups)
