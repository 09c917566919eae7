"""What each period holds beside its own figures: its groups, its classes, and a second model.

Groups are crossed with periods in a pass of their own, whose group columns hold both.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from calibcli.core.results.comparisons import Versus
from calibcli.core.results.figures import Where
from calibcli.io.rows.dataset import RowDataset
from calibcli.io.rows.keys import Categories
from calibcli.tasks.collect import count
from calibcli.workflows.input.gather import with_group_of
from calibcli.workflows.input.gathered import Slice
from calibcli.workflows.measure.decided.applied import by_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from calibcli.core.results.comparisons import SliceContrast
    from calibcli.core.results.parts.decided import Decided
    from calibcli.io.rows.batch import RowBatch
    from calibcli.io.rows.partition import RowPartition
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.gathered import Gathered
    from calibcli.workflows.measure.decided.applied import Applied

Result = dict[str, Any]
Cell = tuple[str, str, str]
"""A period, a group column, and its value."""


@dataclass(frozen=True, slots=True)
class Crossed:
    """What is known within periods, by the period's value.

    Attributes:
        groups: the slice of each group; `decisions` what decisions are worth in it.
        found: what was gathered of all rows, whose classes each period has too.
        versus: the model `second` less the first.
        missing: why a second model is not compared in each period; "" where it is, or none is.
        whole: whether groups are of all rows only: these are no rows of a table.
    """

    found: Gathered

    groups: Mapping[str, Sequence[Slice]] = field(default_factory=dict)
    decisions: Mapping[Cell, Decided] = field(default_factory=dict)
    versus: Mapping[str, SliceContrast] = field(default_factory=dict)
    second: str = ""
    missing: str = ""
    whole: bool = True

    def classes_of(self, period: Slice) -> list[Slice]:
        """Return the slices of the classes within a period."""
        return replace(self.found, overall=period).class_slices

    def groups_of(self, period: str) -> Sequence[Slice]:
        """Return the slices of the groups within a period."""
        return self.groups.get(period, ())

    def decision_of(self, period: str, one: Slice) -> Decided | None:
        """Return what decisions are worth in a group within a period."""
        return self.decisions.get((period, one.column, one.value))


@dataclass(frozen=True, slots=True)
class _Part:
    """A partition whose batches have more group columns in front: each one's value in its period.

    Attributes:
        part: the partition.
        place: of the column of the periods among the group columns; `columns` those crossed.
    """

    part: RowPartition
    place: int
    columns: tuple[int, ...]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)

    def batches(self) -> Iterator[RowBatch]:
        """Read it from its beginning."""
        for batch in self.part.batches():
            period = batch.groups[self.place]
            both = (_product(period, batch.groups[k]) for k in self.columns)
            yield replace(batch, groups=(*both, *batch.groups))


def _product(period: Categories, group: Categories) -> Categories:
    """Return the pairs of two columns as one, named by both."""
    width = max(len(group.values), 1)
    code = period.codes.astype(np.int64) * width + group.codes
    used, place = np.unique(code, return_inverse=True)
    names = [json.dumps([period.values[c // width], group.values[c % width]]) for c in used]
    return Categories(place.astype(np.int32), names)


def cross(
    found: Gathered, asked: Asked, by: str, columns: Sequence[str], applied: Applied | None
) -> Crossed:
    """Return the groups within each period, from one more pass; of tables of rows only.

    Args:
        found: what was gathered.
        asked: how it was read, with every group column; figures are of scores before the
            calibrator and after it.
        by: the column of the periods, as it is read.
        columns: the group columns that are shown.
        applied: thresholds, whose decisions are counted too.

    Raises:
        InputError: too many groups and periods.
    """
    dataset, whole = found.dataset, asked.spec
    if not isinstance(dataset, RowDataset) or not columns:
        return Crossed(found, whole=not isinstance(dataset, RowDataset))
    places = tuple(whole.groups.index(column) for column in columns)
    names = tuple(f"{column} within {by}" for column in columns)
    parts: list[Any] = [_Part(p, whole.groups.index(by), places) for p in dataset.partitions]
    crossed = replace(dataset, partitions=parts)
    read = with_group_of(whole, asked.mapping)
    spec = replace(whole, groups=(*names, *whole.groups))
    layout = asked.with_groups(*names).layout(crossed)
    counted = count(
        crossed,
        layout,
        calibrator=asked.mapping,
        columns=(*names, *read.groups),
        to_logits=True,
        threads=asked.threads,
    )
    groups: dict[str, list[Slice]] = {}
    for place, column in enumerate(columns):
        for name in sorted(counted.groups[place].values or ()):
            period, value = json.loads(name)
            where = Where("group", column=column, value=value)
            after = None if counted.calibrated is None else counted.calibrated.group(place, name)
            one = Slice(where, counted.side.group(place, name), after)
            groups.setdefault(period, []).append(one)
    decisions: dict[Cell, Decided] = {}
    if applied is not None and found.labelled:
        inner = replace(found, dataset=crossed)
        decided = applied.decisions(inner, replace(asked, spec=spec))
        for column, name in zip(columns, names, strict=True):
            told = {} if decided is None else by_value(decided.shown((name,)).groups or ())
            for both, part in told.items():
                period, value = json.loads(both)
                decisions[period, column, value] = part
    return Crossed(found, groups, decisions, whole=False)


def with_versus(crossed: Crossed, whole: Versus | None) -> Crossed:
    """Return what is crossed with the comparison of two models, as `versus` has told it."""
    if whole is None:
        return crossed
    parts = {str(part.slice.value): part for part in whole.periods or ()}
    missing = (
        "" if whole.periods is not None else whole.note or "detectors are compared on all images"
    )
    return replace(crossed, versus=parts, second=whole.score, missing=missing)
