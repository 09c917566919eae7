"""Rows decided by two rules at once: the one in use, and the one of the fold that left them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from calibcli.core.decisions.counts import RuleCounts, units_of
from calibcli.core.decisions.rules import REFER
from calibcli.tasks.pairs import row_buckets
from calibcli.tasks.rows.decided import Members, decisions
from calibcli.tasks.rows.scan import RowReader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from calibcli.core.calibrators import Calibrator
    from calibcli.core.decisions.rules import Rule
    from calibcli.io.dataset import Batch
    from calibcli.tasks.population import Layout


@dataclass(frozen=True, slots=True)
class Decider:
    """A rule, and the calibrator before it."""

    rule: Rule
    calibrator: Calibrator | None = None


class Rivals:
    """An accumulator of both decisions of each row against the truth.

    The decision of the rule in use is part of the truth of `joint`: see
    `core.comparison.decided.Duel.of`. `counts` are of the challengers' decisions alone.

    Args:
        incumbent: the rule in use.
        challengers: one a fold, which has not seen the rows of that fold.
        layout: what a row is.
        columns: the batches' group columns.
        by: the one of them whose values are counted apart, or None.
    """

    def __init__(
        self,
        incumbent: Decider,
        challengers: Sequence[Decider],
        layout: Layout,
        columns: tuple[str, ...] = (),
        by: str | None = None,
    ) -> None:
        self.incumbent, self.challengers = incumbent, tuple(challengers)
        self.layout, self.columns, self.by = layout, columns, by
        self.members = Members()
        several = layout.task == "multilabel"
        self.classes = 2 if several else max(len(layout.classes), 2)
        self.width = self.classes - REFER
        self.joint = RuleCounts(
            self.classes * self.width,
            slots=len(layout.classes) if several else 1,
            units=units_of(layout.clustered),
            weighted=layout.weighted,
        )
        self.counts = RuleCounts(
            self.classes,
            slots=self.joint.slots,
            units=units_of(layout.clustered),
            weighted=layout.weighted,
        )
        self._readers = [
            RowReader(layout, one.calibrator, columns) for one in (incumbent, *challengers)
        ]

    def fresh(self) -> Self:
        """Return one that holds nothing, for a partition."""
        return type(self)(self.incumbent, self.challengers, self.layout, self.columns, self.by)

    def add(self, batch: Batch) -> None:
        """Take in a batch."""
        fold_of = row_buckets(batch) % len(self.challengers)
        for fold, challenger in enumerate(self.challengers):
            mine = np.flatnonzero(fold_of == fold)
            if len(mine):
                self._add(batch.take(mine), challenger, self._readers[1 + fold])

    def finish(self) -> None:
        """Take note that a partition has ended."""

    def merge(self, other: Self) -> None:
        """Take in what a later partition has found."""
        self.counts.merge(other.counts)
        self.joint.merge(other.joint, self.members.joined(other.members) if self.by else None)

    def _add(self, batch: Batch, challenger: Decider, reader: RowReader) -> None:
        rows = self._readers[0](batch)
        old = self._decided(self.incumbent.rule, rows)
        new = self._decided(challenger.rule, reader(batch))
        member = None
        if self.by is not None:
            member = self.members.of(*rows.groups[self.columns.index(self.by)])
        slot, unit, weight, truth = None, rows.bucket, rows.weight, rows.label
        if old.ndim == 2:
            width = old.shape[1]
            there = np.flatnonzero(truth.reshape(-1) >= 0)  # labels may be missing one by one
            slot, row = there % width, there // width
            old, new, truth = (one.reshape(-1)[there] for one in (old, new, truth))
            unit = None if unit is None else unit[row]
            weight = None if weight is None else weight[row]
            member = None if member is None else member[row]
        self.counts.add(truth, new, slot=slot, unit=unit, weight=weight)
        coded = truth * self.width + (old.astype(np.int64) - REFER)
        self.joint.add(coded, new, slot=slot, unit=unit, member=member, weight=weight)

    def _decided(self, rule: Rule, rows: Any) -> NDArray[np.int64]:
        column = getattr(rule, "column", None)
        place = None if column is None else self.columns.index(column)
        found = decisions(rule, rows, place, several=bool(self.layout.classes))
        return found.astype(np.int64)
