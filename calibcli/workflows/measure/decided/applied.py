"""Thresholds on the rows of `measure` and `report`: where they cut, and what they decide.

Cut-offs are of the scores that they were chosen on, so tables at them stand on that side alone:
before the calibrator, or after it. Each class and group has its own. What `apply` would write is
counted row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import structs

from calibcli.core.results.figures import OVERALL
from calibcli.workflows.input.gather import reads_stats
from calibcli.workflows.input.loaded.loading import load_thresholds
from calibcli.workflows.input.passes import RowPass
from calibcli.workflows.input.remembered import with_scale
from calibcli.workflows.input.warnings import thresholds_warnings
from calibcli.workflows.measure.decided.counted import counted_cells, counted_images, counted_rows
from calibcli.workflows.measure.decided.judged import decision_result, groups_result, with_row_sets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibcli.core.results.figures import Where
    from calibcli.core.results.parts.decided import Decided
    from calibcli.core.results.warning import Warning
    from calibcli.io.rows.recipe import InputSpec
    from calibcli.workflows.input.asked import Asked
    from calibcli.workflows.input.conventions import Conventions
    from calibcli.workflows.input.gathered import Gathered, Slice
    from calibcli.workflows.input.loaded.calibrator import LoadedCalibrator
    from calibcli.workflows.input.loaded.cuts import LoadedThresholds
    from calibcli.workflows.measure.decided.counted import CountedRule

Result = dict[str, Any]
MOST_EXACT = 200
"""Cut-offs up to which counts at each stay exact in a grid."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Thresholds in use.

    Attributes:
        path: of the artifact.
        chosen: its content.
        after: whether they cut what the calibrator puts out, rather than the scores read.
    """

    path: str
    chosen: LoadedThresholds
    after: bool

    @classmethod
    def load(cls, path: str, *, calibrator: bool) -> Applied:
        """Read thresholds; `calibrator` tells whether there is one.

        Raises:
            InputError: no such artifact.
        """
        chosen = load_thresholds(path)
        return cls(path, chosen, chosen.calibrated and calibrator)

    def params(self) -> Result:
        """Return what of the thresholds stands in the result's params: what errors cost."""
        cost = self.chosen.stored.params.cost
        return {} if cost is None else {"cost": cost}

    def warnings(self, loaded: LoadedCalibrator | None, found: Gathered) -> list[Warning]:
        """Check that the thresholds fit the input and the calibrator, and say what is odd.

        Raises:
            InputError: they were chosen for something else.
        """
        return thresholds_warnings(self.path, self.chosen, loaded, found)

    @property
    def edges(self) -> tuple[float, ...]:
        """The cut-offs at which counts are to be exact; none where there are too many."""
        if self.chosen.raw_scale is not None:
            return ()
        values = [*self.chosen.values.tolist(), *self.chosen.by_group.values()]
        edges = tuple(dict.fromkeys(value for value in values if 0.0 <= value <= 1.0))
        return edges if len(edges) <= MOST_EXACT else ()

    def reading(self, spec: InputSpec) -> InputSpec:
        """Return the input options that also read the column of groups that decisions need."""
        column = self.chosen.group
        if not self.chosen.calibrated:
            spec = with_scale(spec, self.chosen.raw_scale, f"{self.path} was chosen")
        if column is None or column in spec.groups or reads_stats(spec):
            return spec
        return replace(spec, groups=(*spec.groups, column))

    def asked(self, found: Gathered, spec: InputSpec) -> Gathered:
        """Return what was gathered without a column of groups that was read for decisions alone."""
        column = self.chosen.group
        if found.dataset is None or column is None or column in spec.groups:
            return found
        groups = tuple(one for one in found.groups if one.column != column)
        params = {**found.params, "groups": [g for g in found.params["groups"] if g != column]}
        return replace(found, groups=groups, params=params)

    def asking(self, conventions: Conventions) -> Conventions:
        """Return the conventions with the cut-off of all rows, where there is one."""
        if self.chosen.raw_scale is not None:
            return self.raw_cuts(conventions, OVERALL)
        at = self._at(OVERALL)
        return conventions if at is None else conventions.cutting(at)

    def raw_cuts(self, conventions: Conventions, where: Where) -> Conventions:
        """Return the conventions with the cut-off of a slice of raw scores, where there is one."""
        at = self._at(where) if self.chosen.raw_scale is not None else None
        if at is None or at != at:
            return conventions
        return replace(conventions, raw_cuts=tuple(dict.fromkeys((at, *conventions.raw_cuts))))

    def cut(self, conventions: Conventions, where: Where, *, after: bool) -> Conventions:
        """Return how a slice is cut before or after the calibrator: at its own cut-off too."""
        at = self._at(where) if after == self.after else None
        return conventions if at is None or at != at else conventions.cutting(at)

    def chosen_cutoff(self, where: Where, after: bool) -> float | None:
        """Return the cut-off that was chosen for a slice, on the side that it cuts."""
        return self._at(where) if after == self.after else None

    def _at(self, where: Where) -> float | None:
        """Return the one cut-off of the score of a slice; None where there is none."""
        chosen = self.chosen
        if where.kind == "class":
            named = zip(chosen.classes, chosen.values.tolist(), strict=False)
            return dict(named).get(str(where.name))
        if chosen.classes or not chosen.values.size:
            return None
        whole = float(chosen.values[0])
        if chosen.group is None:
            return whole
        if where.column == chosen.group:
            return chosen.by_group.get(str(where.value), whole)
        return None

    def decisions(self, found: Gathered, asked: Asked) -> Decisions | None:
        """Count what `apply` would write; None where saved statistics cannot tell.

        Args:
            found: what was gathered.
            asked: how it was read, with every group column, and the calibrator, if any.
        """
        dataset, groups = found.dataset, asked.spec.groups
        first = asked.loaded if self.after else None
        counted: CountedRule | None
        if dataset is None:
            counted = counted_cells(found, self.chosen.decider, after=self.after)
        elif dataset.medium == "images":
            stack: Any = dataset
            calibrate = None if first is None else partial(first.apply, logits=found.logits)
            rule = self.chosen.image_rule
            stack.refuse_regions(rule)
            counted = counted_images(stack, rule, calibrate, groups, groups, asked.threads)
        else:
            rows = RowPass.over(dataset, replace(asked, loaded=first))
            counted = counted_rows(rows, self.chosen.decider, groups)
        if counted is None:
            return None
        return DecidedRows(counted, self.chosen.classes, asked.conventions.confidence)


class Decisions(Protocol):
    """Decisions that were counted."""

    def shown(self, columns: Sequence[str]) -> Decided:
        """Return the figures of all rows, and of each value of the group columns asked for."""

    def of_periods(self, periods: Sequence[Slice]) -> dict[str, Decided]:
        """Return the figures of decisions by period; {} if they were not counted so."""


@dataclass(frozen=True, slots=True)
class DecidedRows:
    """Decisions that were counted.

    Attributes:
        counted: their counts.
        classes: names; () for a binary score.
        level: of the intervals.
    """

    counted: CountedRule
    classes: tuple[str, ...]
    level: float | None

    def shown(self, columns: Sequence[str]) -> Decided:
        """Return the figures of all rows, and of each value of the group columns asked for."""
        counted = self.counted
        result = decision_result(counted.counts, self.classes, self.level, plain=counted.plain)
        result = with_row_sets(result, counted.row_sets, 0, self.level)
        parts = tuple(
            part for column in counted.groups if column in columns for part in self._groups(column)
        )
        return structs.replace(result, groups=parts) if parts else result

    def of_periods(self, periods: Sequence[Slice]) -> dict[str, Decided]:
        """Return the figures of decisions by period; {} if they were not counted so."""
        column = periods[0].column if periods else ""
        if column not in self.counted.groups:
            return {}
        return by_value(self._groups(column))

    def _groups(self, column: str) -> list[Decided]:
        counts, values = self.counted.groups[column]
        parts = groups_result(counts, column, values, self.classes, self.level)
        if column not in self.counted.group_sets:
            return parts
        sets = self.counted.group_sets[column]
        return [with_row_sets(part, sets, k, self.level) for k, part in enumerate(parts)]


def by_value(parts: Sequence[Decided]) -> dict[str, Decided]:
    """Return figures of decisions by the value that they are of."""
    return {
        str(part.slice.value): structs.replace(part, slice=None)
        for part in parts
        if part.slice is not None
    }
