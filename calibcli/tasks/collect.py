"""Pairs counted in a scan: of all rows, of the values of groups, before and after a map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from calibcli.core.statistics.row_sample import Limit
from calibcli.errors import InputError
from calibcli.tasks.mapping import map_logits, mapping_of
from calibcli.tasks.pairs import WholeRows, no_labels, pairs_of, row_buckets, row_units
from calibcli.tasks.population import Layout, Population, Scope
from calibcli.tasks.scan import MOST_WEIGHT, mass_of, scan, usable
from calibcli.tasks.side import Counter, Side
from calibcli.tasks.table import medium
from calibcli.tasks.units import Units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.io.dataset import Batch
    from calibcli.tasks.mapping import Unseen
    from calibcli.tasks.population import Ints
    from calibcli.tasks.scan import Accumulator, Parts
    from calibcli.tasks.side import Counting

__all__ = [
    "MOST_WEIGHT",
    "Counted",
    "Counts",
    "Layout",
    "Population",
    "Scope",
    "count",
    "mapping_of",
    "usable",
]

MOST_GROUPS = 10_000


class Counts:
    """An accumulator of pairs, before and after a calibrator if there is one.

    Args:
        layout: what is counted.
        calibrator: one, or one for each fold of the rows' buckets.
        columns: the batches' group columns, where a calibrator reads one.
        hopeless: families that are known to outgrow distinct scores.
        limit: which rows are not kept whole.
        to_logits: count calibrated logits as logits, where the calibrator has them: figures then
            are of one form before and after. What `apply` decides is of probabilities.
    """

    def __init__(
        self,
        layout: Layout,
        calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
        columns: tuple[str, ...] = (),
        hopeless: set[str] | None = None,
        limit: Limit | None = None,
        *,
        to_logits: bool = False,
    ) -> None:
        self.layout, self.calibrator, self.columns = layout, calibrator, columns
        self.to_logits = to_logits
        self.hopeless: set[str] = set() if hopeless is None else hopeless
        self.limit = Limit() if limit is None else limit
        self.units = Units() if layout.clustered else None
        self.before = self._side(layout, None)
        self.after: Side | None = None
        self._unseen: Unseen = {}
        self._unseen_before = 0
        self._mapping = None
        if calibrator is not None:
            kept = to_logits and layout.logits and layout.medium != "boxes"
            kept = kept and map_logits(calibrator)
            self.after = self._side(replace(layout, logits=kept), self.before)
            self._mapping = mapping_of(
                calibrator, columns, logits=layout.logits, unseen=self._unseen, to_logits=kept
            )
        self._counter: Counter = medium(layout.medium).counter(self)

    def _side(self, layout: Layout, like: Side | None) -> Side:
        options: dict[str, Any] = {
            "hopeless": self.hopeless,
            "limit": self.limit,
            "units": self.units,
        }
        groups = tuple(
            Scope(
                layout, grouped=True, like=None if like is None else like.groups[place], **options
            )
            for place in range(len(layout.groups))
        )
        return Side(layout, Scope(layout, grouped=False, **options), groups, self.hopeless)

    @property
    def unseen(self) -> int:
        """Rows of groups that the calibrator was not fitted on."""
        return self._unseen_before + sum(self._unseen.values())

    @property
    def sides(self) -> tuple[Side, ...]:
        """Before, and after the calibrator if there is one."""
        return (self.before,) if self.after is None else (self.before, self.after)

    @property
    def kept_by_bucket(self) -> bool:
        """Whether some family is also kept by bucket."""
        return any(f.parts is not None for s in self.before.scopes for f in s.families.values())

    def fresh(self) -> Counts:
        """Return one that holds nothing, for a partition."""
        return Counts(
            self.layout,
            self.calibrator,
            self.columns,
            self.hopeless,
            self.limit,
            to_logits=self.to_logits,
        )

    def add(self, batch: Batch) -> None:
        """Count the rows of a batch."""
        if self.units is not None and self.units.known is not None:
            unit = batch.units
            if unit is not None:
                self._meet(self.units, unit)
        self._counter.add(self.before, batch, batch)
        if self._mapping is not None and self.after is not None:
            self._counter.add(self.after, batch.rescored(self._mapping(batch)), batch)
        for scope in self.before.groups:
            if scope.values is not None and len(scope.values) > MOST_GROUPS:
                raise InputError(
                    f"a --group column has more than {MOST_GROUPS:,} values",
                    "group by a column of few values; rows that belong together are a --cluster",
                )

    def _meet(self, units: Units, unit: NDArray[np.uint64]) -> None:
        """Take in the units of a batch."""
        fresh = units.fresh(unit)
        if units.fits(fresh):
            units.extend(fresh)
        elif fresh:
            self._counter.flush()  # what waits to be counted is of the buckets so far
            self._move(units.share())

    def _move(self, moved: Ints | None) -> None:
        for side in self.sides:
            for scope in side.scopes:
                scope.rebucket(moved)

    def finish(self) -> None:
        """Take note that a partition has ended."""
        self._counter.flush()
        for scope in self.before.scopes:
            for name, family in scope.families.items():
                if not family.tally.exact:
                    self.hopeless.add(f"{name}{scope.values is not None}")

    def merge(self, other: Counts) -> None:
        """Add a later partition."""
        if self.units is not None and other.units is not None:
            here, there = self.units.merge(other.units)
            self._move(here)
            other._move(there)
        for mine, theirs in zip(self.sides, other.sides, strict=True):
            mine.merge(theirs)
        self._unseen_before += other.unseen


class RowCounter:
    """Counts rows: each becomes its pairs."""

    def __init__(self, counts: Counting) -> None:
        self.units = counts.units
        self.needed = counts.kept_by_bucket

    def add(self, side: Side, batch: Batch, _: Batch) -> None:
        """Count the rows of a batch."""
        layout, labels = side.layout, batch.labels
        if labels is None:
            labels = no_labels(layout.task, batch.scores)
        pairs = pairs_of(layout.task, batch.scores, labels, logits=layout.logits)
        bucket = None
        if self.needed:
            if self.units is not None and batch.unit is not None:
                bucket = self.units.buckets(batch.unit)
            else:
                bucket = row_buckets(batch)
        mass = mass_of(batch, layout)
        side.overall.add(pairs, mass, bucket)
        whole = pairs[-1]
        if side.overall.rows is not None and isinstance(whole, WholeRows):
            groups = [(own.codes, own.values) for own in batch.groups[: len(side.groups)]]
            side.overall.rows.add(row_units(batch), whole.rows.p, labels, mass, groups)
        # A calibrator may read one more group column than is shown.
        for scope, group in zip(side.groups, batch.groups, strict=False):
            scope.add(pairs, mass, bucket, scope.members(group.codes, group.values))

    def flush(self) -> None:
        """Nothing waits."""


@dataclass(eq=False, repr=False)
class Counted:
    """What a pass found.

    Attributes:
        overall, groups: scopes of all rows, and of each group column; `side` holds both.
        dropped: rows without a score or label; `rows` usable ones.
        unseen: rows of groups that the calibrator was not fitted on.
        calibrated: the same after the calibrator.
    """

    side: Side
    dropped: int = 0
    rows: int = 0
    unseen: int = 0
    labelled: bool = True
    calibrated: Side | None = None

    @property
    def overall(self) -> Scope:
        """The scope of all rows."""
        return self.side.overall

    @property
    def groups(self) -> tuple[Scope, ...]:
        """The scopes of the group columns."""
        return self.side.groups


def count(
    dataset: Parts,
    layout: Layout,
    *,
    calibrator: Calibrator | tuple[Calibrator, ...] | None = None,
    columns: tuple[str, ...] = (),
    beside: Sequence[Accumulator] = (),
    to_logits: bool = False,
    threads: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counted:
    """Read the data set once and count its pairs, before and after a calibrator if given.

    A tuple of calibrators is cross-fitted: the one at index f calibrates the rows whose
    bucket % folds is f. `columns` names the batches' group columns, where a calibrator reads one.
    What is `beside` is filled in the same scan.

    Raises:
        InputError: unusable scores; NaN unless `layout.drop_invalid`.
    """
    counts = Counts(layout, calibrator, columns, to_logits=to_logits)
    seen = scan(dataset, layout, counts, *beside, threads=threads, progress=progress)
    return Counted(
        counts.before, seen.dropped, seen.rows, counts.unseen, seen.labelled, counts.after
    )
