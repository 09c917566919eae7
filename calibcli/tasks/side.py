"""One side of a calibrator while its pairs are counted, and what a medium counts them by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from calibcli.core.statistics.cell_table import CellTable
    from calibcli.core.statistics.counting.tally import Tally
    from calibcli.io.dataset import Batch
    from calibcli.tasks.population import Extra, Ints, Layout, Population, Scope
    from calibcli.tasks.units import Units

    Members = tuple[int, ...]
    """The member of each group column."""


class Counter(Protocol):
    """How the batches of one medium become counts."""

    def add(self, side: Side, batch: Batch, original: Batch) -> None:
        """Count a batch into a side; `original` is the batch as it was read."""

    def flush(self) -> None:
        """Hand over whatever has not been counted yet."""


@dataclass(eq=False, repr=False)
class Side:
    """The scopes of one side of a calibrator, and what a medium knows beside."""

    layout: Layout
    overall: Scope
    groups: tuple[Scope, ...]
    hopeless: set[str]
    extra: Extra | None = None

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """That of all rows, and those of the group columns."""
        return (self.overall, *self.groups)

    def add_units(
        self, name: str, counts: Tally | CellTable, slots: Ints, buckets: Ints, members: Members
    ) -> None:
        """Add counts of a family whose slots are each of one unit; see `Scope.add_units`."""
        self.overall.add_units(name, counts, slots, buckets)
        for scope, member in zip(self.groups, members, strict=True):
            scope.add_units(name, counts, slots, buckets, member)

    def merge(self, other: Side) -> None:
        """Add a later partition."""
        for mine, theirs in zip(self.scopes, other.scopes, strict=True):
            mine.merge(theirs)
        if other.extra is not None:
            if self.extra is None:
                self.extra = other.extra
            else:
                self.extra.merge(other.extra)

    def population(self) -> Population:
        """Return the statistics of all rows."""
        return self.overall.population(extra=self.extra)

    def group(self, column: int, value: str) -> Population:
        """Return the statistics of one value of a group column."""
        scope = self.groups[column]
        extra = None if self.extra is None else self.extra.of_group(column, value)
        rows = self.overall.rows
        rows = None if rows is None else rows.of_group(column, value)
        return scope.population(scope.member(value), extra, rows)


class Counting(Protocol):
    """What a counter knows of the pass that it counts for."""

    layout: Layout
    units: Units | None
    before: Side

    @property
    def sides(self) -> tuple[Side, ...]:
        """Before, and after the calibrator if there is one."""

    @property
    def kept_by_bucket(self) -> bool:
        """Whether some family is also kept by bucket."""
